//! `berth completion`: scripts that teach a shell this command line.

use super::{command, failure::Failure, session::Session};
use clap::ValueEnum;
use clap_complete::{generate, shells};

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

const EXAMPLES: &str = "\
Examples:
  berth completion bash > /usr/share/bash-completion/completions/berth
  berth completion zsh > /usr/share/zsh/site-functions/_berth
  berth completion fish > /usr/share/fish/vendor_completions.d/berth.fish
  . <(berth completion bash)               for this shell only";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// Runs the verb.
pub(crate) fn run(args: &Args, session: &mut Session<'_>) -> Result<(), Failure> {
    let mut command = command();
    let mut script = Vec::new();
    match args.shell {
        Shell::Bash => generate(shells::Bash, &mut command, "berth", &mut script),
        Shell::Zsh => generate(shells::Zsh, &mut command, "berth", &mut script),
        Shell::Fish => generate(shells::Fish, &mut command, "berth", &mut script),
    }
    Ok(session.out.write_all(&script)?)
}
