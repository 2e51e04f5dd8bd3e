//! `berth wait`: sleeps until pods are as wanted. Told by the agent, never asked again; survives its restarts.

mod goal;

use super::{
    age,
    client::Watch,
    failure::Failure,
    json,
    select::{DEFAULT_NAMESPACE, Selector, is_named, pod_name},
    session::Session,
};
use crate::api::wire::Request;
use goal::Goal;
use serde_json::Value;
use std::time::{Duration, Instant};

/// Waiting time for `--timeout=-1s`: a week, as with kubectl.
const LONGEST_S: u64 = 7 * 24 * 3600;

/// Wait until pods are ready, gone, or in a phase
///
/// A pod named here need not be there yet: a manifest that was copied a moment ago is soon a pod.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment, after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The pods: pod/NAME, or `pod NAME…`
    #[arg(value_name = "POD")]
    names: Vec<String>,
    /// What to wait for: condition=NAME[=True|False], phase=NAME, jsonpath={.path}=VALUE, create, delete
    #[arg(long = "for", value_name = "WHAT", required = true)]
    goal: Goal,
    /// Namespace of the pods
    #[arg(short, long, value_name = "NAME", default_value = DEFAULT_NAMESPACE)]
    namespace: String,
    /// All pods with these labels that there are now
    #[arg(short = 'l', long, value_name = "LABELS")]
    selector: Option<Selector>,
    /// All pods of the namespace that there are now
    #[arg(long, conflicts_with = "selector")]
    all: bool,
    /// How long; 0 looks once, less waits a week
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = timeout, allow_hyphen_values = true)]
    timeout: Duration,
}

const EXAMPLES: &str = "\
Examples:
  berth wait pod/web --for=condition=Ready --timeout=60s
  berth wait pod/web --for=delete                   until it is gone without a trace
  berth wait --all --for=condition=Ready            every pod of the namespace
  berth wait pod/import --for=phase=Succeeded       until a job is done
  berth wait pod/web --for=jsonpath='{.status.podIP}'=10.0.0.5

Exits with 1 when the time is over first.";

fn timeout(text: &str) -> Result<Duration, String> {
    match text.strip_prefix('-') {
        Some(_) => Ok(Duration::from_secs(LONGEST_S)),
        None => age::parse_duration(text),
    }
}

/// Who is waited for.
enum Who {
    /// Pods of these names, whether they are there or not.
    Named(Vec<String>),
    /// Pods of these uids: those that were there at the beginning.
    Present(Vec<(String, String)>),
}

/// Runs the verb.
pub(crate) fn run(args: &Args, session: &mut Session<'_>) -> Result<(), Failure> {
    let deadline = Instant::now() + args.timeout;
    let mut who = named(args)?.map(Who::Named);
    let mut watch = Watch::begin(&session.client, Request::Pods { watch: true })?;
    loop {
        let Some(list) = watch.next(Some(deadline))? else {
            return Err(timed_out(args, who.as_ref()));
        };
        let here = |pod: &&Value| json::text(pod, "/metadata/namespace") == args.namespace;
        let pods: Vec<&Value> = json::list(&list, "/items").iter().filter(here).collect();
        if who.is_none() {
            who = Some(Who::Present(present(args, &pods)?));
        }
        for name in met(args, who.as_mut(), &pods) {
            writeln!(
                session.out,
                "pod/{name} {}",
                if args.goal.is_deletion() { "deleted" } else { "condition met" }
            )?;
        }
        session.out.flush()?;
        let done = match &who {
            Some(Who::Named(names)) => names.is_empty(),
            Some(Who::Present(pods)) => pods.is_empty(),
            None => true,
        };
        if done {
            return Ok(());
        }
        if args.timeout.is_zero() {
            return Err(timed_out(args, who.as_ref()));
        }
    }
}

/// The names on the command line; None when pods are chosen otherwise.
fn named(args: &Args) -> Result<Option<Vec<String>>, Failure> {
    let mut names = args.names.as_slice();
    if let [kind, rest @ ..] = names
        && matches!(kind.as_str(), "pod" | "pods" | "po")
    {
        names = rest;
    }
    let chosen = args.all || args.selector.is_some();
    if names.is_empty() && !chosen {
        return Err(Failure::Usage("which pods? Write pod/NAME, -l LABELS or --all".into()));
    }
    if chosen && !names.is_empty() {
        return Err(Failure::Usage("names and -l or --all at once: write one or the other".into()));
    }
    let names: Result<Vec<_>, _> = names.iter().map(|name| pod_name(name).map(str::to_owned)).collect();
    Ok(if chosen { None } else { Some(names?) })
}

/// Uid and name of the pods chosen by `-l` or `--all`.
fn present(args: &Args, pods: &[&Value]) -> Result<Vec<(String, String)>, Failure> {
    let chosen =
        pods.iter().filter(|pod| args.selector.as_ref().is_none_or(|selector| selector.matches(pod)));
    let identity = |pod: &&Value| {
        (json::text(pod, "/metadata/uid").to_owned(), json::text(pod, "/metadata/name").to_owned())
    };
    let chosen: Vec<_> = chosen.map(identity).collect();
    if chosen.is_empty() && !args.goal.is_deletion() {
        return Err(Failure::error(format!("no matching pods in namespace {:?}", args.namespace)));
    }
    Ok(chosen)
}

/// Takes out those for whom it has come true; their names.
fn met(args: &Args, who: Option<&mut Who>, pods: &[&Value]) -> Vec<String> {
    let mut met = Vec::new();
    match who {
        None => {}
        Some(Who::Named(names)) => names.retain(|name| {
            let of_name: Vec<_> = pods.iter().copied().filter(|pod| is_named(pod, name)).collect();
            let fulfilled = args.goal.is_met(&of_name);
            if fulfilled {
                met.push(
                    of_name.first().map_or(name.as_str(), |pod| json::text(pod, "/metadata/name")).to_owned(),
                );
            }
            !fulfilled
        }),
        Some(Who::Present(identities)) => identities.retain(|(uid, name)| {
            let of_uid: Vec<_> =
                pods.iter().copied().filter(|pod| json::text(pod, "/metadata/uid") == uid).collect();
            let fulfilled = args.goal.is_met(&of_uid);
            if fulfilled {
                met.push(name.clone());
            }
            !fulfilled
        }),
    }
    met
}

fn timed_out(args: &Args, who: Option<&Who>) -> Failure {
    let names: Vec<&str> = match who {
        None => vec!["*"],
        Some(Who::Named(names)) => names.iter().map(String::as_str).collect(),
        Some(Who::Present(pods)) => pods.iter().map(|(_, name)| name.as_str()).collect(),
    };
    let names = names.iter().map(|name| format!("pod/{name}")).collect::<Vec<_>>().join(", ");
    Failure::error(format!("timed out waiting for {} of {names}", args.goal))
}

#[cfg(test)]
mod tests;
