//! `berth health`: whether all required pods are well. What an updater asks before it keeps a new system.

mod verdict;

use super::{
    age,
    client::Watch,
    failure::{EXIT_ERROR, Failure},
    output::{self, Machine},
    session::Session,
    table::{Cell, Table, Tone, headings},
};
use crate::api::wire::Request;
use std::{
    thread,
    time::{Duration, Instant},
};
use verdict::{PodHealth, Verdict};

/// Exit status when Berth cannot be asked.
const EXIT_SILENT: u8 = 3;
/// How long is waited for by itself: pods whose images are on the box need seconds.
const TIMEOUT_DEFAULT: &str = "5m";
/// How often is looked although no pod changed: nothing tells when a manifest's problem goes, or when Berth comes.
const LOOK_AGAIN_MS: u64 = 500;

/// Tell whether all required pods are well: the gate for updates
///
/// A pod is well when it is Ready, or when it has succeeded. Every pod is required but those with the annotation
/// `berth/required: "false"`. A manifest that is refused counts as a pod that is not well: nobody knows what it
/// was to be. Nothing is asked of the network.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment, after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Wait until it is so, also for Berth itself to start
    #[arg(short, long)]
    wait: bool,
    /// How long to wait
    #[arg(long, value_name = "DURATION", default_value = TIMEOUT_DEFAULT, value_parser = age::parse_duration, requires = "wait")]
    timeout: Duration,
    /// How long all must have been well without a single restart before it counts
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = age::parse_duration, requires = "wait")]
    stable: Duration,
    /// How many required pods there must be at least
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    at_least: usize,
    /// Form of the output [default: a line for each pod]
    #[arg(short, long, value_name = "FORM")]
    output: Option<Machine>,
    /// Say nothing when all is well
    #[arg(short, long)]
    quiet: bool,
}

const EXAMPLES: &str = "\
Examples:
  berth health                                     as it is now
  berth health --wait --timeout=5m --stable=10s    after boot, before the new system is kept
  berth health --at-least=3 -q                     fewer than three required pods are a fault too

Exits with 0 when all is well, 1 when it is not (or not in time), 3 when Berth does not answer.";

/// Runs the verb.
pub(crate) fn run(args: &Args, session: &mut Session<'_>) -> Result<(), Failure> {
    let looked = if args.wait { wait(args, session) } else { look(args, session) };
    let verdict = looked.map_err(|failure| silent(failure, session))?;
    match args.output {
        Some(Machine::Json) => output::json(session.out, &verdict)?,
        None if args.quiet && verdict.is_well() => {}
        None => print(&verdict, session)?,
    }
    if verdict.is_well() { Ok(()) } else { Err(Failure::Status(EXIT_ERROR)) }
}

/// Says why Berth cannot be asked; an exit status of its own, so that scripts tell it from pods that are unwell.
fn silent(failure: Failure, session: &mut Session<'_>) -> Failure {
    match failure {
        Failure::Error(_) => {
            failure.report(session.err);
            Failure::Status(EXIT_SILENT)
        }
        other => other,
    }
}

/// How it is at this moment.
fn look(args: &Args, session: &Session<'_>) -> Result<Verdict, Failure> {
    let problems = session.client.call(&Request::Problems)?;
    let pods = session.client.call(&Request::Pods { watch: false })?;
    Ok(Verdict::of(&pods, &problems, args.at_least))
}

/// Looks after each change until all has been well for long enough, or the time is over.
fn wait(args: &Args, session: &Session<'_>) -> Result<Verdict, Failure> {
    let deadline = Instant::now() + args.timeout;
    let mut watch = None;
    // Since when all is well, and how it was then.
    let mut calm: Option<(Instant, Verdict)> = None;
    loop {
        let now = Instant::now();
        let looked = look(args, session);
        match &looked {
            Ok(verdict) if verdict.is_well() => {
                let same = calm.take().filter(|(_, before)| before.is_same_run(verdict));
                let since = same.map_or(now, |(since, _)| since);
                if now.duration_since(since) >= args.stable {
                    return looked;
                }
                calm = Some((since, verdict.clone()));
            }
            _ => calm = None,
        }
        if now >= deadline {
            // Well, but not for long enough, is not well.
            return looked.map(|verdict| if verdict.is_well() { verdict.unsettled() } else { verdict });
        }
        let calm_end = calm.as_ref().map(|(since, _)| *since + args.stable);
        let again = calm_end.unwrap_or_else(|| now + Duration::from_millis(LOOK_AGAIN_MS)).min(deadline);
        until_change(session, &mut watch, again);
    }
}

/// Waits until a pod changes, or until `again`. What is told is not used: a fresh look says more, and an agent that
/// has died meanwhile says nothing.
fn until_change(session: &Session<'_>, watch: &mut Option<Watch>, again: Instant) {
    if watch.is_none() {
        *watch = Watch::begin(&session.client, Request::Pods { watch: true }).ok();
        // What a new watch tells first is how it is, and no change.
        if let Some(begun) = watch.as_mut() {
            let _ = begun.next(Some(again));
        }
        return;
    }
    match watch.as_mut().map(|watch| watch.next(Some(again))) {
        Some(Ok(_)) => {}
        _ => *watch = None,
    }
    if watch.is_none() {
        thread::sleep(again.saturating_duration_since(Instant::now()));
    }
}

fn print(verdict: &Verdict, session: &mut Session<'_>) -> Result<(), Failure> {
    let mut rows = vec![headings(&["NAMESPACE", "NAME", "REQUIRED", "WELL", "WHY"])];
    rows.extend(verdict.pods.iter().map(row));
    if !verdict.pods.is_empty() {
        write!(session.out, "{}", Table::new(session.colour).layout(&rows))?;
    }
    for problem in &verdict.problems {
        writeln!(session.out, "refused: {problem}")?;
    }
    writeln!(session.out, "{}", verdict.sentence())?;
    Ok(())
}

fn row(pod: &PodHealth) -> Vec<Cell> {
    let tone = match (pod.well, pod.required) {
        (true, _) => Tone::Good,
        (false, true) => Tone::Bad,
        (false, false) => Tone::Wait,
    };
    let word = |yes| if yes { "yes" } else { "no" };
    vec![
        pod.namespace.as_str().into(),
        pod.name.as_str().into(),
        word(pod.required).into(),
        Cell::toned(word(pod.well), tone),
        pod.why.as_str().into(),
    ]
}

#[cfg(test)]
mod tests;
