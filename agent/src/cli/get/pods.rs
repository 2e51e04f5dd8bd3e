//! `berth get pods`: kubectl's columns, and beside them what is wrong with the manifests.

use super::{
    super::{
        age,
        failure::Failure,
        json,
        output::{self, Form},
        pod::summarise,
        select::{is_named, not_found},
        session::Session,
        table::{Cell, Table, headings},
        traffic,
    },
    Args, print,
    problems::read as read_problems,
    watch::{Change, Changes},
};
use crate::{api::wire::Request, cli::client::Watch};
use berth_core::{manifest::Problem, time::Wall};
use serde_json::Value;

/// Problems of manifests that are told below a table.
const WARNINGS_MAX: usize = 10;
/// Behind the STATUS of a pod whose manifest no longer is what runs.
const MANIFEST_ERROR: &str = ",ManifestError";

pub(super) fn run(args: &Args, names: &[String], session: &mut Session<'_>) -> Result<(), Failure> {
    args.refuse("pods", &[("--for", args.about.is_some())])?;
    if args.watch {
        return watch(args, names, session);
    }
    let list = session.client.call(&Request::Pods { watch: false })?;
    let all = json::list(&list, "/items");
    let pods = chosen(args, names, all);
    let missing = missing(args, names, all);
    match args.output {
        Some(Form::Name) => {
            for pod in &pods {
                writeln!(session.out, "pod/{}", json::text(pod, "/metadata/name"))?;
            }
        }
        Some(form @ (Form::Json | Form::Yaml)) => {
            let whole = |pod: &&Value| {
                let mut pod = (*pod).clone();
                traffic::Interfaces::of(&pod).annotate(&mut pod);
                pod
            };
            let value = match (names.len(), pods.as_slice()) {
                (1, [pod]) => Some(whole(pod)),
                (1, []) => None,
                _ => Some(output::list(pods.iter().map(whole).collect())),
            };
            value.map_or(Ok(()), |value| super::structured(session, form, &value))?;
        }
        None | Some(Form::Wide) => {
            let problems = read_problems(session)?;
            table(args, session, &pods, &problems, missing.is_none())?;
        }
    }
    missing.map_or(Ok(()), Err)
}

/// The pods asked for, in the order of namespace and name.
fn chosen<'a>(args: &Args, names: &[String], all: &'a [Value]) -> Vec<&'a Value> {
    let named = |pod: &Value| names.is_empty() || names.iter().any(|name| is_named(pod, name));
    let wanted = |pod: &&Value| {
        args.in_namespace(json::text(pod, "/metadata/namespace")) && named(pod) && args.selected(pod)
    };
    let mut pods: Vec<&Value> = all.iter().filter(wanted).collect();
    pods.sort_by_key(|pod| (json::text(pod, "/metadata/namespace"), json::text(pod, "/metadata/name")));
    pods
}

/// The first name that no pod has.
fn missing(args: &Args, names: &[String], all: &[Value]) -> Option<Failure> {
    let here = |pod: &&Value| args.in_namespace(json::text(pod, "/metadata/namespace"));
    let name = names.iter().find(|name| !all.iter().filter(here).any(|pod| is_named(pod, name)))?;
    Some(not_found(all, &args.namespace, name))
}

fn table(
    args: &Args,
    session: &mut Session<'_>,
    pods: &[&Value],
    problems: &[Problem],
    note: bool,
) -> Result<(), Failure> {
    let now = (session.now)();
    let rows: Vec<_> = pods.iter().map(|pod| counted(args, pod, problems, now)).collect();
    let nothing = format!("No resources found{}.", args.place());
    if note || !rows.is_empty() {
        print(session, columns(args), rows, args.no_headers, &nothing)?;
    }
    // The table first: it must not be torn apart by what comes on the other stream.
    session.out.flush()?;
    for problem in problems.iter().take(WARNINGS_MAX) {
        writeln!(session.err, "warning: {problem}")?;
    }
    if let more @ 1.. = problems.len().saturating_sub(WARNINGS_MAX) {
        writeln!(session.err, "warning: {more} more problems; see `berth get problems`")?;
    }
    Ok(())
}

fn columns(args: &Args) -> Vec<Cell> {
    let mut names = vec!["NAME", "READY", "STATUS", "RESTARTS", "AGE"];
    if args.all_namespaces {
        names.insert(0, "NAMESPACE");
    }
    if args.output == Some(Form::Wide) {
        names.extend(["IP", "NODE", "UID", "QOS", "INTERFACE", "RX", "TX"]);
    }
    if args.show_labels {
        names.push("LABELS");
    }
    headings(&names)
}

/// A row with what has gone over the pod's interface, if that is wanted.
fn counted(args: &Args, pod: &Value, problems: &[Problem], now: Wall) -> Vec<Cell> {
    let mut row = row(args, pod, problems, now);
    if args.output == Some(Form::Wide) {
        let at = row.len() - usize::from(args.show_labels);
        row.splice(at..at, traffic::cells(pod).map(Cell::from));
    }
    row
}

/// Without what changes with each packet.
fn row(args: &Args, pod: &Value, problems: &[Problem], now: Wall) -> Vec<Cell> {
    let summary = summarise(pod);
    let (namespace, name) = (json::text(pod, "/metadata/namespace"), json::text(pod, "/metadata/name"));
    let concerns =
        |p: &Problem| p.pod.as_ref().is_some_and(|k| &*k.namespace == namespace && &*k.name == name);
    let mark = if problems.iter().any(concerns) { MANIFEST_ERROR } else { "" };
    let mut row: Vec<Cell> = vec![
        name.into(),
        format!("{}/{}", summary.ready, summary.total).into(),
        Cell::toned(format!("{}{mark}", summary.status), summary.tone()),
        summary.restarts_text(now).into(),
        age::since(json::text(pod, "/metadata/creationTimestamp"), now).into(),
    ];
    if args.all_namespaces {
        row.insert(0, namespace.into());
    }
    if args.output == Some(Form::Wide) {
        for pointer in ["/status/podIP", "/spec/nodeName", "/metadata/uid", "/status/qosClass"] {
            row.push(json::or_none(json::text(pod, pointer)).into());
        }
    }
    if args.show_labels {
        let labels = json::pairs(pod, "/metadata/labels");
        let labels: Vec<_> = labels.iter().map(|(k, v)| format!("{k}={}", json::plain(v))).collect();
        row.push(json::or_none(&labels.join(",")).into());
    }
    row
}

/// The list, and from then on each pod that changes, until the agent goes for good or the user has enough.
fn watch(args: &Args, names: &[String], session: &mut Session<'_>) -> Result<(), Failure> {
    let mut watch = Watch::begin(&session.client, Request::Pods { watch: true })?;
    let mut changes = Changes::default();
    let mut table = Table::new(session.colour);
    let mut head = (!args.no_headers).then(|| columns(args));
    while let Some(list) = watch.next(None)? {
        let pods = chosen(args, names, json::list(&list, "/items"));
        let now = (session.now)();
        let changed = changes.since_last(&pods, |pod| row(args, pod, &[], Wall::default()));
        if changed.is_empty() {
            continue;
        }
        match args.output {
            None | Some(Form::Wide) => {
                let rows = changed.iter().map(|Change { pod, .. }| counted(args, pod, &[], now));
                let rows: Vec<_> = head.take().into_iter().chain(rows).collect();
                session.out.write_all(table.layout(&rows).as_bytes())?;
            }
            Some(form) => {
                for Change { pod, gone } in &changed {
                    match form {
                        Form::Name => writeln!(session.out, "pod/{}", json::text(pod, "/metadata/name"))?,
                        _ if *gone => {}
                        Form::Yaml => {
                            writeln!(session.out, "---")?;
                            super::structured(session, form, pod)?;
                        }
                        _ => super::structured(session, form, pod)?,
                    }
                }
            }
        }
        session.out.flush()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
