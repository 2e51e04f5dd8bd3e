//! The command line: verbs in the manner of kubectl, over the agent's socket or off the device. Nothing here
//! decides anything about pods, and nothing here starts a thread.

mod age;
mod check;
mod checkpoint;
mod client;
mod completion;
mod config;
mod container;
mod describe;
mod doctor;
mod drain;
mod exec;
mod failure;
mod get;
mod halt;
mod health;
mod hints;
mod image;
mod json;
mod logs;
mod man;
mod output;
mod pod;
mod select;
mod session;
mod table;
#[cfg(test)]
mod testing;
mod top;
mod traffic;
mod upgrade;
mod version;
mod wait;

use crate::applet::{Applet, Options};
use clap::{CommandFactory, Parser, Subcommand, error::ErrorKind};
use failure::Failure;
use session::Session;
use std::{path::PathBuf, process::ExitCode};

/// Kubernetes static pods on this machine, with no cluster
///
/// Berth runs the pods whose manifests lie in /etc/berth/manifests (the owner's) and
/// /usr/share/berth/manifests (the vendor's): copy a file there and its pods start, remove it and they
/// stop. These commands show what runs. Pod names may be given with or without the -NODE that every
/// static pod's name ends with.
#[derive(Debug, Parser)]
#[command(name = "berth", version, after_help = EXAMPLES, after_long_help = LONG_HELP)]
#[command(arg_required_else_help = true, verbatim_doc_comment)]
pub(crate) struct Cli {
    /// The agent's socket [default: $BERTH_SOCKET, else berth.sock in the configured runDirectory]
    #[arg(long, global = true, value_name = "PATH", display_order = 900)]
    socket: Option<PathBuf>,
    #[command(subcommand)]
    verb: Verb,
}

const EXAMPLES: &str = "\
Examples:
  berth get pods                     the pods of namespace default
  berth describe pod web             all about one of them
  berth logs web -f                  its output as it comes
  berth exec -it web -- sh           a shell in it
  berth image ls                     the images in the store
  berth check web.yaml               is this manifest right?
  berth doctor                       what does this machine lack?";

const LONG_HELP: &str = "\
Examples:
  berth get pods                     the pods of namespace default
  berth get pods -A -o wide          of all namespaces, with more columns
  berth describe pod web             all about one of them
  berth logs web -f                  its output as it comes
  berth exec -it web -- sh           a shell in it
  berth top pods                     what they use of CPU and memory
  berth wait pod/web --for=condition=Ready --timeout=60s
  berth image ls                     the images in the store; berth import PATH for more
  berth check web.yaml               is this manifest right? (needs no agent)
  berth doctor                       what does this machine lack? (needs no agent)

Long-lived processes (started by the service, each has its own --help):
  berth keeper                       parent of all containers; starts the other two
  berth agent                        reads manifests and decides; by hand it starts a keeper first
  berth zygote                       forks the workers that create containers

Environment:
  BERTH_SOCKET                       the agent's socket, as --socket
  NO_COLOR                           if set and not empty: no colours

Exit status:
  0 done, 1 an error, 2 a mistake in the command line; `berth exec` exits as its command did.";

#[derive(Debug, Subcommand)]
enum Verb {
    Get(get::Args),
    Describe(describe::Args),
    Logs(logs::Args),
    Exec(exec::Args),
    Top(top::Args),
    Wait(wait::Args),
    Health(health::Args),
    Image(image::Args),
    /// Take in all images of a stick, an archive or a layout: as `berth image import`
    Import(image::ImportArgs),
    Checkpoint(checkpoint::Args),
    Check(check::Args),
    Doctor(doctor::Args),
    Config(config::Args),
    Upgrade(upgrade::Args),
    Drain(drain::Args),
    Halt(halt::Args),
    Version(version::Args),
    Completion(completion::Args),
    Man(man::Args),
    /// Run the agent: read manifests, decide, have it done
    ///
    /// Started by the keeper. Started by hand it becomes a keeper, which then starts an agent; so this is also
    /// the way to try Berth in a terminal.
    #[command(hide = true, verbatim_doc_comment)]
    Agent(AppletArgs),
    /// Run the keeper: parent of every container, starter of agent and zygote
    ///
    /// This is what the service runs. SIGTERM ends keeper, agent and zygote and leaves the pods running; the
    /// next keeper adopts them.
    #[command(hide = true, verbatim_doc_comment)]
    Keeper(AppletArgs),
    /// Run the zygote: forks a worker for each operation of the container runtime
    ///
    /// Started by the keeper only; it needs the keeper's socket on descriptor 3.
    #[command(hide = true)]
    Zygote,
}

#[derive(Debug, clap::Args)]
struct AppletArgs {
    /// Configuration file; when it is not given, /etc/berth/config.yaml may be absent
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// The whole command line, for completions, man pages and tests.
fn command() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests;

/// Reads the command line, does what it says.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            let verb = std::env::args().nth(1).unwrap_or_default();
            if let (ErrorKind::InvalidSubcommand, Some(hint)) = (error.kind(), hints::instead_of(&verb)) {
                eprintln!("\nBerth has no verb {verb:?}: {hint}.");
            }
            return ExitCode::from(if error.use_stderr() { failure::EXIT_USAGE } else { 0 });
        }
    };
    let applet = |args: AppletArgs| Options { config: args.config };
    match cli.verb {
        Verb::Agent(args) => Applet::Agent(applet(args)).run(),
        Verb::Keeper(args) => Applet::Keeper(applet(args)).run(),
        Verb::Zygote => Applet::Zygote.run(),
        verb => Session::on_terminal(cli.socket, |session| run(verb, session)),
    }
}

fn run(verb: Verb, session: &mut Session<'_>) -> Result<(), Failure> {
    match verb {
        Verb::Get(args) => get::run(&args, session),
        Verb::Describe(args) => describe::run(&args, session),
        Verb::Logs(args) => logs::run(&args, session),
        Verb::Exec(args) => exec::run(&args, session),
        Verb::Top(args) => top::run(&args, session),
        Verb::Wait(args) => wait::run(&args, session),
        Verb::Health(args) => health::run(&args, session),
        Verb::Image(args) => image::run(&args, session),
        Verb::Import(args) => image::import(&args, session),
        Verb::Checkpoint(args) => checkpoint::run(&args, session),
        Verb::Check(args) => check::run(&args, session),
        Verb::Doctor(args) => doctor::run(&args, session),
        Verb::Config(args) => config::run(&args, session),
        Verb::Drain(args) => drain::run(&args, session),
        Verb::Halt(args) => halt::run(&args, session),
        Verb::Upgrade(args) => upgrade::run(&args, session),
        Verb::Version(args) => version::run(&args, session),
        Verb::Completion(args) => completion::run(&args, session),
        Verb::Man(args) => man::run(&args, session),
        Verb::Agent(_) | Verb::Keeper(_) | Verb::Zygote => Ok(()), // taken care of by main
    }
}
