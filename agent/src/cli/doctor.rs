//! `berth doctor`: prints what the doctor found.

mod boot;

use super::{
    failure::{EXIT_ERROR, Failure},
    output::{self, Machine},
    session::Session,
    table::{Tone, toned},
};
use crate::{
    config::Config,
    doctor::{self, Finding, State},
};
use std::path::PathBuf;

/// Examine this machine: what kernel and system lack, and what to do about it
///
/// Needs no running agent; as root it sees more. Exits with 1 if something is missing without which pods cannot
/// run; what only limits what pods can do is a warning.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment, after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Form of the output [default: a line for each finding]
    #[arg(short, long, value_name = "FORM")]
    output: Option<Machine>,
    /// Configuration file that names the directories to look at
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Say nothing of what is well
    #[arg(short, long)]
    quiet: bool,
    /// Tell instead what this boot took, from the kernel's hand-over to the pods (needs the agent)
    #[arg(long, conflicts_with_all = ["quiet", "config"])]
    boot_report: bool,
    /// Judge the .config of another kernel instead of this machine
    #[arg(long, value_name = "FILE", conflicts_with_all = ["boot_report", "config"])]
    kernel_config: Option<PathBuf>,
    /// Print the kernel options that Berth asks for, as a fragment of a .config
    #[arg(long, conflicts_with_all = ["boot_report", "kernel_config", "config", "quiet", "output"])]
    kernel_fragment: bool,
}

const EXAMPLES: &str = "\
Examples:
  berth doctor
  berth doctor -q                                  only what is not well
  berth doctor --boot-report                       how long until the pods ran, step by step
  berth doctor --kernel-config build/.config       would pods run on this kernel?
  berth doctor -o json | jq -r '.findings[] | select(.state == \"fail\") | .remedy'";

/// Runs the verb.
pub(crate) fn run(args: &Args, session: &mut Session<'_>) -> Result<(), Failure> {
    if args.boot_report {
        return boot::run(args.output, session);
    }
    if args.kernel_fragment {
        return Ok(write!(session.out, "{}", doctor::fragment())?);
    }
    let findings = match &args.kernel_config {
        Some(file) => {
            let judged = doctor::examine_config(file);
            vec![judged.map_err(|error| Failure::error(format!("{}: {error}", file.display())))?]
        }
        None => doctor::examine(&Config::load(args.config.as_deref()).map_err(Failure::error)?),
    };
    match args.output {
        Some(Machine::Json) => output::json(session.out, &serde_json::json!({ "findings": findings }))?,
        None => print(&findings, args.quiet, session)?,
    }
    let failed = findings.iter().any(|finding| finding.state == State::Fail);
    if failed { Err(Failure::Status(EXIT_ERROR)) } else { Ok(()) }
}

fn print(findings: &[Finding], quiet: bool, session: &mut Session<'_>) -> Result<(), Failure> {
    let colour = session.colour;
    for finding in findings.iter().filter(|finding| !quiet || finding.state != State::Ok) {
        let (mark, tone) = match finding.state {
            State::Ok => ("ok  ", Tone::Good),
            State::Warn => ("warn", Tone::Wait),
            State::Fail => ("FAIL", Tone::Bad),
        };
        writeln!(session.out, "{} {}: {}", toned(mark, tone, colour), finding.title, finding.detail)?;
        for line in finding.remedy.lines() {
            writeln!(session.out, "     -> {line}")?;
        }
    }
    let count = |state| findings.iter().filter(|finding| finding.state == state).count();
    let (fails, warns) = (count(State::Fail), count(State::Warn));
    let counted = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let (failures, warnings) = (counted(fails, "failure"), counted(warns, "warning"));
    let verdict = match (fails, warns) {
        (0, 0) => "All is well.".to_owned(),
        (0, _) => format!("Pods can run; {warnings}."),
        _ => format!("Pods cannot run as they should: {failures}, {warnings}."),
    };
    Ok(writeln!(session.out, "{verdict}")?)
}
