//! `berth describe pod`: all about one pod on one page, with what happened to it; and `berth describe node`.

mod container;
mod node;
mod page;
mod volume;

use super::{
    age,
    failure::Failure,
    get::{event_object, event_seen},
    json,
    select::{DEFAULT_NAMESPACE, Selector, find, not_found, pod_name},
    session::Session,
    table::{Cell, Table, headings, printable},
    traffic::{self, Interfaces},
};
use crate::api::wire::Request;
use berth_core::{
    manifest::Problem,
    network::{attachments::Kind, named},
    time::Wall,
};
use berth_oci::network::Traffic;
use page::Page;
use serde_json::Value;

/// Show all about a pod: spec, state, problems of its manifest, events; or about the node
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// pod NAME, pod/NAME or NAME; several are possible. Or node
    #[arg(value_name = "POD")]
    names: Vec<String>,
    /// Namespace of the pods
    #[arg(short, long, value_name = "NAME", default_value = DEFAULT_NAMESPACE)]
    namespace: String,
    /// All pods with these labels
    #[arg(short = 'l', long, value_name = "LABELS")]
    selector: Option<Selector>,
}

const EXAMPLES: &str = "\
Examples:
  berth describe pod web
  berth describe pod/web-box1 -n factory
  berth describe pods -l app=web
  berth describe node                  what there is for pods, and who asks for how much";

/// Runs the verb.
pub(crate) fn run(args: &Args, session: &mut Session<'_>) -> Result<(), Failure> {
    let node =
        args.names.split_first().filter(|(first, _)| ["node", "nodes", "no"].contains(&first.as_str()));
    if let Some((_, names)) = node {
        return node::run(names, session);
    }
    let is_kind = |name: &str| matches!(name, "pod" | "pods" | "po");
    let names = match args.names.split_first() {
        Some((first, rest)) if is_kind(first) => rest,
        _ => &args.names,
    };
    if names.is_empty() && args.names.is_empty() && args.selector.is_none() {
        return Err(Failure::Usage("which pod? Write `berth describe pod NAME`".into()));
    }
    let list = session.client.call(&Request::Pods { watch: false })?;
    let events = session.client.call(&Request::Events { watch: false })?;
    let problems = session.client.call(&Request::Problems)?;
    let problems: Vec<Problem> = json::list(&problems, "/items")
        .iter()
        .filter_map(|p| serde_json::from_value(p.clone()).ok())
        .collect();
    let pods = json::list(&list, "/items");
    let mut chosen = Vec::new();
    for name in names {
        let name = pod_name(name)?;
        chosen.push(find(pods, &args.namespace, name).ok_or_else(|| not_found(pods, &args.namespace, name))?);
    }
    if names.is_empty() {
        let here = |pod: &&Value| json::text(pod, "/metadata/namespace") == args.namespace;
        chosen.extend(
            pods.iter().filter(here).filter(|pod| args.selector.as_ref().is_none_or(|s| s.matches(pod))),
        );
    }
    if chosen.is_empty() {
        writeln!(session.err, "No resources found in namespace {}.", args.namespace)?;
    }
    let now = (session.now)();
    let page =
        |pod: &&Value| describe(pod, &Interfaces::of(pod), json::list(&events, "/items"), &problems, now);
    let texts: Vec<_> = chosen.iter().map(page).collect();
    Ok(session.out.write_all(texts.join("\n\n").as_bytes())?)
}

/// One pod's page.
fn describe(
    pod: &Value,
    interfaces: &Interfaces,
    events: &[Value],
    problems: &[Problem],
    now: Wall,
) -> String {
    let mut page = Page::default();
    head(pod, now, &mut page);
    network(pod, interfaces, &mut page);
    container::list(pod, "initContainer", "Init Containers", now, &mut page);
    container::list(pod, "container", "Containers", now, &mut page);
    conditions(pod, &mut page);
    volume::list(pod, &mut page);
    page.field(0, "QoS Class", json::or_none(json::text(pod, "/status/qosClass")));
    problem_lines(pod, problems, &mut page);
    let mut text = page.text();
    text.push_str(&event_table(pod, events, now));
    text
}

fn head(pod: &Value, now: Wall, page: &mut Page) {
    let text = |pointer: &str| json::text(pod, pointer);
    page.field(0, "Name", text("/metadata/name"));
    page.field(0, "Namespace", text("/metadata/namespace"));
    page.field(0, "Node", json::or_none(text("/spec/nodeName")));
    page.field(0, "UID", text("/metadata/uid"));
    page.field(0, "Start Time", &moment(text("/status/startTime"), now));
    page.lines(0, "Labels", &map(pod, "/metadata/labels", "="));
    page.lines(0, "Annotations", &map(pod, "/metadata/annotations", ": "));
    page.field(0, "Status", &super::pod::summarise(pod).status);
    for (name, pointer) in [("Reason", "/status/reason"), ("Message", "/status/message")] {
        if !text(pointer).is_empty() {
            page.field(0, name, &printable(text(pointer)));
        }
    }
    if !text("/metadata/deletionTimestamp").is_empty() {
        let grace = json::number(pod, "/metadata/deletionGracePeriodSeconds");
        let since = moment(text("/metadata/deletionTimestamp"), now);
        page.field(0, "Terminating", &format!("{since}, grace period {grace}s"));
    }
    page.field(0, "Restart Policy", json::or_none(text("/spec/restartPolicy")));
    let shares = ["hostNetwork", "hostPID", "hostIPC"];
    let shares: Vec<_> = shares.into_iter().filter(|s| json::flag(pod, &format!("/spec/{s}"))).collect();
    if !shares.is_empty() {
        page.field(0, "Host Namespaces", &shares.join(", "));
    }
}

/// Its addresses, what went over the interface that they are on, and what interfaces it has beside.
fn network(pod: &Value, interfaces: &Interfaces, page: &mut Page) {
    let addresses = json::list(pod, "/status/podIPs").iter().map(|ip| json::text(ip, "/ip").to_owned());
    page.lines(0, "IP", &addresses.collect::<Vec<_>>());
    let (Interfaces { traffic, plugged, attached }, mut lines) = (interfaces, Vec::new());
    if let Some((network, interface)) = plugged {
        let outside = traffic.as_ref().map(|traffic| format!(", on the node as {}", traffic.outside));
        lines.push(format!("{interface}, in the CNI network {network}{}", outside.unwrap_or_default()));
    } else if let Some(Traffic { inside, outside, .. }) = traffic {
        let network = traffic::network_of(pod);
        let bridge = named::bridge_of(network.unwrap_or(named::DEFAULT));
        let on = network.map_or_else(String::new, |network| format!(" in the network {network},"));
        lines.push(format!("{inside},{on} on the bridge {bridge} as {outside}"));
    }
    if let Some(traffic) = traffic {
        let Traffic { received_bytes, received_packets, sent_bytes, sent_packets, dropped_packets, .. } =
            traffic;
        lines.push(format!("received {received_bytes} bytes in {received_packets} packets"));
        lines.push(format!("sent {sent_bytes} bytes in {sent_packets} packets, {dropped_packets} dropped"));
    }
    for one in attached {
        let at = one.addresses.iter().map(|address| format!(", {address}")).collect::<String>();
        let of = if one.kind == Kind::Host { "the node's" } else { "on the node's" };
        lines.push(format!("{}, {of} {}{at}", one.name, one.interface));
    }
    if !lines.is_empty() {
        page.lines(0, "Interface", &lines);
    }
}

/// `2026-01-31T12:00:00Z (5m ago)`.
fn moment(timestamp: &str, now: Wall) -> String {
    match timestamp {
        "" => "<unknown>".into(),
        _ => format!("{timestamp} ({} ago)", age::since(timestamp, now)),
    }
}

/// A map's pairs, a line each.
fn map(object: &Value, pointer: &str, between: &str) -> Vec<String> {
    let pairs = json::pairs(object, pointer);
    pairs.iter().map(|(key, value)| printable(&format!("{key}{between}{}", json::plain(value)))).collect()
}

fn conditions(pod: &Value, page: &mut Page) {
    let conditions = json::list(pod, "/status/conditions");
    if conditions.is_empty() {
        return;
    }
    page.heading(0, "Conditions");
    let mut rows = vec![headings(&["  Type", "Status", "Reason"])];
    for condition in conditions {
        let kind = format!("  {}", json::text(condition, "/type"));
        let (status, reason) = (json::text(condition, "/status"), json::text(condition, "/reason"));
        let message = json::text(condition, "/message");
        let why = if message.is_empty() { reason.to_owned() } else { format!("{reason}: {message}") };
        rows.push(vec![kind.into(), status.into(), why.into()]);
    }
    page.verbatim(&Table::default().layout(&rows));
}

fn problem_lines(pod: &Value, problems: &[Problem], page: &mut Page) {
    let (namespace, name) = (json::text(pod, "/metadata/namespace"), json::text(pod, "/metadata/name"));
    let of_pod = problems
        .iter()
        .filter(|p| p.pod.as_ref().is_some_and(|key| &*key.namespace == namespace && &*key.name == name));
    let lines: Vec<String> = of_pod.map(|problem| printable(&problem.to_string())).collect();
    if !lines.is_empty() {
        page.heading(0, "Problems of the manifest (the last good revision runs)");
        page.verbatim(&lines.iter().map(|line| format!("  {line}\n")).collect::<String>());
    }
}

fn event_table(pod: &Value, events: &[Value], now: Wall) -> String {
    let object = format!("pod/{}", json::text(pod, "/metadata/name"));
    let namespace = json::text(pod, "/metadata/namespace");
    let about_pod = |event: &&Value| {
        event_object(event) == object && json::text(event, "/metadata/namespace") == namespace
    };
    let mut rows = vec![
        headings(&["  Type", "Reason", "Age", "Message"]),
        headings(&["  ----", "------", "----", "-------"]),
    ];
    for event in events.iter().filter(about_pod) {
        rows.push(vec![
            Cell::from(format!("  {}", json::text(event, "/type"))),
            json::text(event, "/reason").into(),
            event_seen(event, now).into(),
            json::text(event, "/message").into(),
        ]);
    }
    match rows.len() {
        2 => "Events:   <none>\n".into(),
        _ => format!("Events:\n{}", Table::default().layout(&rows)),
    }
}

#[cfg(test)]
mod tests;
