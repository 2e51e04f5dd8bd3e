//! `berth logs`: reads the log files themselves; the agent only says where they lie and when to stop.

mod files;
mod follow;
mod printer;
mod reader;
mod record;
mod run;

use super::{
    age, container,
    failure::Failure,
    json,
    select::{DEFAULT_NAMESPACE, find, not_found, pod_name},
    session::Session,
};
use crate::api::wire::Request;
use berth_core::time::Wall;
use printer::{Limit, Printer};
use reader::Reader;
use run::Run;
use serde_json::Value;
use std::time::Duration;

/// Print the output of a pod's containers
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[allow(clippy::struct_excessive_bools)] // each is an option
pub(crate) struct Args {
    /// The pod: NAME or pod/NAME
    #[arg(value_name = "POD")]
    pod: String,
    /// The container; as -c
    #[arg(value_name = "CONTAINER", conflicts_with = "container")]
    positional_container: Option<String>,
    /// Namespace of the pod
    #[arg(short, long, value_name = "NAME", default_value = DEFAULT_NAMESPACE)]
    namespace: String,
    /// The container; may be left out when the pod has one
    #[arg(short, long, value_name = "NAME")]
    container: Option<String>,
    /// All containers of the pod, one after the other (with -f: as lines come)
    #[arg(long, conflicts_with_all = ["container", "positional_container"])]
    all_containers: bool,
    /// Go on until the container ends
    #[arg(short, long)]
    follow: bool,
    /// The run before this one: why did it crash?
    #[arg(short, long, conflicts_with = "follow")]
    previous: bool,
    /// Only so many lines from the end; -1 for all
    #[arg(long, value_name = "LINES", default_value_t = -1, allow_negative_numbers = true)]
    tail: i64,
    /// Only what is younger than this: 5s, 2m, 3h
    #[arg(long, value_name = "DURATION", value_parser = age::parse_duration)]
    since: Option<Duration>,
    /// Only what is younger than this moment (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = parse_moment, conflicts_with = "since")]
    since_time: Option<Wall>,
    /// Each line with the time at which it was read
    #[arg(long)]
    timestamps: bool,
    /// Stop after so many bytes
    #[arg(long, value_name = "BYTES")]
    limit_bytes: Option<u64>,
    /// Each line with pod and container
    #[arg(long)]
    prefix: bool,
}

const EXAMPLES: &str = "\
Examples:
  berth logs web                       all that there is of a pod with one container
  berth logs web -c proxy --tail 20    the last lines of one container
  berth logs web -f --since 10m        the last ten minutes, and on as it comes
  berth logs web -p                    the run before the last restart
  berth logs web --all-containers --prefix --timestamps";

fn parse_moment(text: &str) -> Result<Wall, String> {
    age::parse_rfc3339(text)
        .ok_or_else(|| format!("{text:?} is no RFC 3339 time such as 2026-01-31T12:00:00Z"))
}

/// Runs the verb.
pub(crate) fn run(args: &Args, session: &mut Session<'_>) -> Result<(), Failure> {
    let name = pod_name(&args.pod)?;
    let list = session.client.call(&Request::Pods { watch: false })?;
    let pods = json::list(&list, "/items");
    let pod = find(pods, &args.namespace, name).ok_or_else(|| not_found(pods, &args.namespace, name))?;
    let runs = runs(args, pod, session)?;
    let mut limit = Limit::new(args.limit_bytes);
    let mut sources = Vec::new();
    for run in runs {
        let mut printer = printer(args, &run, (session.now)());
        let mut reader = Reader::open(run.files(), tail(args)).map_err(|error| run.unreadable(&error))?;
        reader
            .read_on(|line| printer.print(line, &mut limit, session.out))
            .map_err(|error| error.told_of(&run))?;
        if limit.reached() {
            return Ok(());
        }
        sources.push(follow::Source { run, reader, printer });
    }
    if args.follow {
        session.out.flush()?;
        follow::follow(sources, &mut limit, session)?;
    }
    Ok(())
}

/// The runs whose output is wanted.
fn runs(args: &Args, pod: &Value, session: &mut Session<'_>) -> Result<Vec<Run>, Failure> {
    let named = args.container.as_deref().or(args.positional_container.as_deref());
    let names = if args.all_containers {
        container::names(pod)
    } else {
        let (name, note) = container::choose(pod, named)?;
        if let Some(note) = note {
            writeln!(session.err, "{note}")?;
        }
        vec![name]
    };
    let mut runs = Vec::new();
    for name in names {
        let location = session.client.call(&Request::LogLocation {
            namespace: args.namespace.clone(),
            pod: json::text(pod, "/metadata/name").to_owned(),
            container: Some(name.to_owned()),
        })?;
        match Run::wanted(pod, name, &location, args.previous) {
            Ok(run) if args.follow || run.begun(pod) => runs.push(run),
            Ok(run) if args.all_containers => writeln!(session.err, "note: {}", run.waiting(pod))?,
            Ok(run) => return Err(Failure::Error(run.waiting(pod))),
            Err(message) if args.all_containers => writeln!(session.err, "note: {message}")?,
            Err(message) => return Err(Failure::Error(message)),
        }
    }
    Ok(runs)
}

fn tail(args: &Args) -> Option<u64> {
    u64::try_from(args.tail).ok()
}

fn printer(args: &Args, run: &Run, now: Wall) -> Printer {
    let ago = |span: Duration| Wall(now.0.saturating_sub(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)));
    Printer::new(
        args.since_time.or(args.since.map(ago)),
        args.timestamps,
        if args.prefix { format!("[pod/{}/{}] ", run.pod, run.container) } else { String::new() },
    )
}

#[cfg(test)]
mod tests;
