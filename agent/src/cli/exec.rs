//! `berth exec`: a command in a running container, with this terminal or these pipes, and its exit status.
//!
//! No descriptor of the user's own goes into the container: what is sent is one end of a pipe each, and this
//! process copies. A container that holds root's terminal could read what root types there.

mod relay;
mod sys;
mod terminal;
#[cfg(test)]
mod tests;

use super::{
    client::{Answers, Next},
    container,
    failure::Failure,
    json,
    select::{DEFAULT_NAMESPACE, find, not_found, pod_name},
    session::Session,
};
use crate::api::wire::Request;
use nix::{
    fcntl::OFlag,
    sys::stat::{Mode, fchmod},
    unistd::pipe2,
};
use relay::{Output, Relay};
use std::{
    fs::File,
    io::{self, IsTerminal},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
};

/// Run a command in a container
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, override_usage = "berth exec [OPTIONS] POD [-c CONTAINER] -- COMMAND [ARGS]...")]
pub(crate) struct Args {
    /// The pod: NAME or pod/NAME
    #[arg(value_name = "POD")]
    pod: String,
    /// The command and its arguments, behind --
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true)]
    command: Vec<String>,
    /// Namespace of the pod
    #[arg(short, long, value_name = "NAME", default_value = DEFAULT_NAMESPACE)]
    namespace: String,
    /// The container; may be left out when the pod has one
    #[arg(short, long, value_name = "NAME")]
    container: Option<String>,
    /// Pass standard input on to the command
    #[arg(short = 'i', long)]
    stdin: bool,
    /// Give the command a terminal (with -i)
    #[arg(short, long)]
    tty: bool,
    /// No notes, errors only
    #[arg(short, long)]
    quiet: bool,
}

const EXAMPLES: &str = "\
Examples:
  berth exec web -- ls -l /data                  in the only container
  berth exec -it web -c proxy -- sh              a shell with a terminal
  tar c . | berth exec -i web -- tar x -C /data  copy files into it

Exits with the command's exit status, or 128 + signal when a signal ended it.";

/// The three streams of this process; tests hand in others.
pub(super) struct Streams<'a> {
    input: BorrowedFd<'a>,
    output: BorrowedFd<'a>,
    error: BorrowedFd<'a>,
}

/// Runs the verb.
pub(crate) fn run(args: &Args, session: &mut Session<'_>) -> Result<(), Failure> {
    let (input, output, error) = (io::stdin(), io::stdout(), io::stderr());
    run_with(args, session, &Streams { input: input.as_fd(), output: output.as_fd(), error: error.as_fd() })
}

pub(super) fn run_with(args: &Args, session: &mut Session<'_>, streams: &Streams<'_>) -> Result<(), Failure> {
    let mut tty = args.tty && args.stdin;
    if tty && !streams.input.is_terminal() {
        writeln!(session.err, "Unable to use a TTY - input is not a terminal")?;
        tty = false;
    }
    let request = request(args, session, tty)?;
    let status = if tty {
        with_terminal(session, &request, streams)
    } else {
        with_pipes(args, session, &request, streams)
    }?;
    if status == 0 {
        return Ok(());
    }
    if !args.quiet {
        writeln!(session.err, "command terminated with exit code {status}")?;
    }
    Err(Failure::Status(u8::try_from(status & 0xff).unwrap_or(1)))
}

fn request(args: &Args, session: &mut Session<'_>, tty: bool) -> Result<Request, Failure> {
    let name = pod_name(&args.pod)?;
    let list = session.client.call(&Request::Pods { watch: false })?;
    let pods = json::list(&list, "/items");
    let pod = find(pods, &args.namespace, name).ok_or_else(|| not_found(pods, &args.namespace, name))?;
    let (container, note) = container::choose(pod, args.container.as_deref())?;
    if let Some(note) = note.filter(|_| !args.quiet) {
        writeln!(session.err, "{note}")?;
    }
    Ok(Request::Exec {
        namespace: args.namespace.clone(),
        pod: json::text(pod, "/metadata/name").to_owned(),
        container: Some(container.to_owned()),
        command: args.command.clone(),
        tty,
    })
}

fn with_pipes(
    args: &Args,
    session: &mut Session<'_>,
    request: &Request,
    streams: &Streams<'_>,
) -> Result<i32, Failure> {
    let cannot = |error: io::Error| Failure::error(format!("cannot make pipes for the command: {error}"));
    let (their_out, our_out) = pipe_from_command().map_err(cannot)?;
    let (their_err, our_err) = pipe_from_command().map_err(cannot)?;
    let (their_in, our_in) = if args.stdin {
        let (read, write) = pipe2(OFlag::O_CLOEXEC).map_err(|error| cannot(error.into()))?;
        open_to_all(&read).map_err(cannot)?;
        (read, Some(write))
    } else {
        (File::open("/dev/null").map_err(cannot)?.into(), None)
    };
    let fds = [their_in.as_raw_fd(), their_out.as_raw_fd(), their_err.as_raw_fd()];
    let answers = session.client.stream(request, &fds)?;
    // Ours would keep the pipes open behind the command's back.
    drop((their_in, their_out, their_err));
    let outputs = vec![Output::new(our_out, streams.output), Output::new(our_err, streams.error)];
    let mut relay = Relay::new(streams.input, our_in, outputs).map_err(cannot)?;
    relay.run(answers, None)
}

/// Write end (theirs) and read end (ours).
fn pipe_from_command() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
    open_to_all(&write)?;
    Ok((write, read))
}

/// Lets a command that is not root open /dev/stdout and its like again. Who can see the pipe at all is in the
/// container already.
fn open_to_all(pipe: &OwnedFd) -> io::Result<()> {
    Ok(fchmod(pipe.as_raw_fd(), Mode::from_bits_truncate(0o666))?)
}

fn with_terminal(
    session: &mut Session<'_>,
    request: &Request,
    streams: &Streams<'_>,
) -> Result<i32, Failure> {
    let cannot = |error: io::Error| Failure::error(format!("cannot give the command a terminal: {error}"));
    let (ours, theirs) = UnixStream::pair().map_err(cannot)?;
    let mut answers = session.client.stream(request, &[theirs.as_raw_fd()])?;
    drop(theirs);
    let Some(master) = terminal::receive(&ours, &mut answers).map_err(cannot)? else {
        return no_terminal(session, answers);
    };
    let winch = terminal::Signals::block().map_err(cannot)?;
    let raw = terminal::Raw::enter(streams.input).map_err(cannot)?;
    let input = master.try_clone().map_err(cannot)?;
    let outputs = vec![Output::new(master, streams.output)];
    let mut relay = Relay::new(streams.input, Some(input), outputs).map_err(cannot)?;
    relay.end_of_input = terminal::END_OF_INPUT;
    let status = relay.run(answers, Some(&winch));
    // Before anything is printed for people.
    drop(raw);
    status
}

/// The agent answered before a terminal came: the answer says why.
fn no_terminal(session: &Session<'_>, mut answers: Answers) -> Result<i32, Failure> {
    while let Next::Data(answer) = answers.next(None)? {
        if let Some(status) = relay::exit_code(&answer) {
            return Ok(status);
        }
    }
    Err(session.client.hung_up())
}
