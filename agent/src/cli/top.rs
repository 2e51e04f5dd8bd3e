//! `berth top`: what pods, containers and the node use now. Asks the agent twice, a moment apart; nothing is measured
//! while nobody asks.

mod rate;
mod rows;

use super::{
    age,
    failure::Failure,
    get, json,
    output::Form,
    select::{DEFAULT_NAMESPACE, Selector, is_named, not_found},
    session::Session,
};
use crate::api::wire::Request;
use clap::ValueEnum;
use serde_json::{Value, json};
use std::{thread, time::Duration};

/// Milliseconds between two readings, at least: CPU time is counted by the tick on some kernels.
const INTERVAL_MIN_MS: u64 = 100;
/// Seconds between two readings, at most.
const INTERVAL_MAX_S: u64 = 3600;

/// Show what pods, containers and the node use of CPU, memory and more
///
/// CPU is the time used between two readings, an --interval apart. Memory is the working set: all but the part of the
/// page cache that can be given back at once, as kubelet reckons it. -o wide, json and yaml have all that the kernel
/// tells (json and yaml in the shape of kubelet's Summary API), and what pods have on disk: counting that may take
/// seconds.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment, after_help = EXAMPLES)]
pub(crate) struct Args {
    /// What to look at
    #[arg(value_name = "KIND")]
    kind: Kind,
    /// Only these; pod names with or without the node's suffix
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Namespace of the pods
    #[arg(short, long, value_name = "NAME", default_value = DEFAULT_NAMESPACE)]
    namespace: String,
    /// All namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Only pods with these labels: app=web,tier!=back,canary,!old,zone in (a,b)
    #[arg(short = 'l', long, value_name = "LABELS")]
    selector: Option<Selector>,
    /// A line for each container
    #[arg(long)]
    containers: bool,
    /// Who uses most first
    #[arg(long, value_name = "WHAT")]
    sort_by: Option<Key>,
    /// No line of column headings
    #[arg(long)]
    no_headers: bool,
    /// Time over which CPU is measured, 100ms to 1h
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = interval)]
    interval: Duration,
    /// Form of the output [default: a table]
    #[arg(short, long, value_name = "FORM")]
    output: Option<Form>,
}

const EXAMPLES: &str = "\
Examples:
  berth top pods                         CPU and memory of the pods of namespace default
  berth top pods -A --sort-by memory     of all namespaces, the largest first
  berth top pod web --containers -o wide
  berth top node                         the node, and how much of what it has for pods
  berth top pods -o json | jq '.pods[].memory.workingSetBytes'";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    #[value(aliases = ["pod", "po"])]
    Pods,
    #[value(aliases = ["nodes", "no"])]
    Node,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Key {
    /// CPU time
    Cpu,
    /// The working set
    Memory,
}

fn interval(text: &str) -> Result<Duration, String> {
    let asked = age::parse_duration(text)?;
    let bounds = Duration::from_millis(INTERVAL_MIN_MS)..=Duration::from_secs(INTERVAL_MAX_S);
    bounds.contains(&asked).then_some(asked).ok_or_else(|| "it must be 100ms to 1h".to_owned())
}

/// Runs the verb.
pub(crate) fn run(args: &Args, session: &mut Session<'_>) -> Result<(), Failure> {
    if args.output == Some(Form::Name) {
        return Err(Failure::Usage("-o name has no meaning for top".into()));
    }
    match args.kind {
        Kind::Pods => pods(args, session),
        Kind::Node => node(args, session),
    }
}

/// Two readings as one, with rates.
fn read(args: &Args, session: &Session<'_>) -> Result<Value, Failure> {
    let first = session.client.call(&Request::Usage { storage: false })?;
    thread::sleep(args.interval);
    let storage = args.output.is_some() && args.kind == Kind::Pods;
    let mut second = session.client.call(&Request::Usage { storage })?;
    rate::add(&first, &mut second);
    Ok(second)
}

fn pods(args: &Args, session: &mut Session<'_>) -> Result<(), Failure> {
    let list = session.client.call(&Request::Pods { watch: false })?;
    let here: Vec<Value> =
        json::list(&list, "/items").iter().filter(|pod| args.is_in_namespace(pod)).cloned().collect();
    if let Some(name) = args.names.iter().find(|name| !here.iter().any(|pod| is_named(pod, name))) {
        return Err(not_found(json::list(&list, "/items"), &args.namespace, name));
    }
    let asked: Vec<&str> =
        here.iter().filter(|pod| args.is_asked(pod)).map(|pod| json::text(pod, "/metadata/uid")).collect();
    let summary = read(args, session)?;
    let of =
        |uid: &&str| json::list(&summary, "/pods").iter().find(|pod| json::text(pod, "/podRef/uid") == *uid);
    let nothing = "no pod that is asked for runs: there is nothing to measure";
    let mut found: Vec<&Value> = asked.iter().filter_map(of).collect();
    if found.is_empty() && !args.names.is_empty() {
        return Err(Failure::error(nothing));
    }
    sort(args, &mut found);
    match args.output {
        Some(form @ (Form::Json | Form::Yaml)) => get::structured(session, form, &json!({"pods": found})),
        _ => {
            let columns = rows::columns(false, args.output == Some(Form::Wide));
            let rows = found.iter().flat_map(|pod| {
                let mut parts: Vec<&Value> =
                    if args.containers { json::list(pod, "/containers").iter().collect() } else { vec![pod] };
                sort(args, &mut parts);
                parts
                    .into_iter()
                    .map(|part| rows::row(&args.titles(pod, part), part, columns))
                    .collect::<Vec<_>>()
            });
            let mut titles = if args.containers { vec!["POD", "NAME"] } else { vec!["NAME"] };
            if args.all_namespaces {
                titles.insert(0, "NAMESPACE");
            }
            let rows = rows.collect();
            get::print(session, rows::headings(titles, columns), rows, args.no_headers, nothing)
        }
    }
}

fn node(args: &Args, session: &mut Session<'_>) -> Result<(), Failure> {
    let about_pods =
        [("-A", args.all_namespaces), ("-l", args.selector.is_some()), ("--containers", args.containers)];
    if let Some((option, _)) = about_pods.into_iter().find(|(_, given)| *given) {
        return Err(Failure::Usage(format!("{option} has no meaning for the node")));
    }
    let node = session.client.call(&Request::Node)?;
    let name = json::text(&node, "/metadata/name");
    if let Some(other) = args.names.iter().find(|wanted| *wanted != name) {
        return Err(Failure::error(format!("node {other:?} not found: this one is {name}")));
    }
    let mut summary = read(args, session)?;
    let used = &mut summary["node"];
    for list in ["capacity", "allocatable"] {
        used[list] = node["status"][list].clone();
    }
    match args.output {
        Some(form @ (Form::Json | Form::Yaml)) => get::structured(session, form, &json!({"node": used})),
        form => {
            let columns = rows::columns(true, form == Some(Form::Wide));
            let row = rows::row(&[name], used, columns);
            get::print(session, rows::headings(vec!["NAME"], columns), vec![row], args.no_headers, "")
        }
    }
}

/// Stable: who uses as much stays in the order of the names.
fn sort(args: &Args, found: &mut [&Value]) {
    let pointer = match args.sort_by {
        Some(Key::Cpu) => rows::CPU,
        Some(Key::Memory) => rows::MEMORY,
        None => return,
    };
    found.sort_by_key(|part| std::cmp::Reverse(part.pointer(pointer).and_then(Value::as_u64)));
}

impl Args {
    fn is_in_namespace(&self, pod: &Value) -> bool {
        self.all_namespaces || self.namespace == json::text(pod, "/metadata/namespace")
    }

    fn is_asked(&self, pod: &Value) -> bool {
        let named = self.names.is_empty() || self.names.iter().any(|name| is_named(pod, name));
        named && self.selector.as_ref().is_none_or(|selector| selector.matches(pod))
    }

    /// What stands before the numbers.
    fn titles<'a>(&self, pod: &'a Value, part: &'a Value) -> Vec<&'a str> {
        let mut titles = vec![json::text(pod, "/podRef/name")];
        if self.all_namespaces {
            titles.insert(0, json::text(pod, "/podRef/namespace"));
        }
        if self.containers {
            titles.push(json::text(part, "/name"));
        }
        titles
    }
}

#[cfg(test)]
mod tests;
