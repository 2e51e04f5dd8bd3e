//! The containers of a pod's page. Pure.

use super::{
    super::{json, table::printable},
    map, moment,
    page::Page,
};
use berth_core::{cpus::CpuSet, time::Wall};
use serde_json::Value;

/// All containers of a kind: `container` or `initContainer`.
pub(super) fn list(pod: &Value, kind: &str, title: &str, now: Wall, page: &mut Page) {
    let containers = json::list(pod, &format!("/spec/{kind}s"));
    if containers.is_empty() {
        return;
    }
    page.heading(0, title);
    let statuses = json::list(pod, &format!("/status/{kind}Statuses"));
    for container in containers {
        let name = json::text(container, "/name");
        let status = statuses.iter().find(|status| json::text(status, "/name") == name);
        page.heading(2, name);
        one(container, status.unwrap_or(&Value::Null), now, page);
    }
}

fn one(container: &Value, status: &Value, now: Wall, page: &mut Page) {
    page.field(4, "Container ID", json::or_none(json::text(status, "/containerID")));
    page.field(4, "Image", json::text(container, "/image"));
    page.field(4, "Image ID", json::or_none(json::text(status, "/imageID")));
    let ports = json::list(container, "/ports").iter();
    let ports: Vec<_> = ports.map(port).collect();
    if !ports.is_empty() {
        page.field(4, "Ports", &ports.join(", "));
    }
    for (name, pointer) in [("Command", "/command"), ("Args", "/args")] {
        let words = json::list(container, pointer).iter();
        let words: Vec<_> = words.map(|word| printable(&json::plain(word))).collect();
        if !words.is_empty() {
            page.lines(4, name, &words);
        }
    }
    state(status.get("state"), "State", now, page);
    if status.pointer("/lastState/terminated").is_some() {
        state(status.get("lastState"), "Last State", now, page);
    }
    page.field(4, "Ready", if json::flag(status, "/ready") { "True" } else { "False" });
    page.field(4, "Restart Count", &json::number(status, "/restartCount").to_string());
    for (name, pointer) in [("Limits", "/resources/limits"), ("Requests", "/resources/requests")] {
        let quantities = map(container, pointer, ": ");
        if !quantities.is_empty() {
            page.lines(4, name, &quantities);
        }
    }
    let own: CpuSet = json::list(status, "/allocatedResourcesStatus").iter().flat_map(processors).collect();
    if !own.is_empty() {
        page.field(4, "CPUs", &format!("{own}, to itself"));
    }
    let variables: Vec<_> = json::list(container, "/env").iter().map(variable).collect();
    page.lines(4, "Environment", &variables);
    let mounts: Vec<_> = json::list(container, "/volumeMounts").iter().map(mount).collect();
    page.lines(4, "Mounts", &mounts);
}

/// By number, if it is those that the status of a resource is about.
fn processors(status: &Value) -> Vec<u32> {
    let resources = json::list(status, "/resources").iter().filter(|_| json::text(status, "/name") == "cpu");
    resources.filter_map(|resource| json::text(resource, "/resourceID").parse().ok()).collect()
}

/// `80/TCP`, `http 80/TCP on host port 8080`.
fn port(port: &Value) -> String {
    let (name, protocol) = (json::text(port, "/name"), json::text(port, "/protocol"));
    let protocol = if protocol.is_empty() { "TCP" } else { protocol };
    let host = match json::number(port, "/hostPort") {
        0 => String::new(),
        host => format!(" on host port {host}"),
    };
    let name = if name.is_empty() { String::new() } else { format!("{name} ") };
    format!("{name}{}/{protocol}{host}", json::number(port, "/containerPort"))
}

fn state(state: Option<&Value>, title: &str, now: Wall, page: &mut Page) {
    let state = state.unwrap_or(&Value::Null);
    let (kind, name) = match () {
        () if state.get("running").is_some() => ("running", "Running"),
        () if state.get("terminated").is_some() => ("terminated", "Terminated"),
        () => ("waiting", "Waiting"),
    };
    page.field(4, title, name);
    let text = |field: &str| printable(json::text(state, &format!("/{kind}/{field}")));
    for (title, field) in [("Reason", "reason"), ("Message", "message")] {
        if !text(field).is_empty() {
            page.field(6, title, &text(field));
        }
    }
    if kind == "terminated" {
        page.field(6, "Exit Code", &json::number(state, "/terminated/exitCode").to_string());
        let signal = json::number(state, "/terminated/signal");
        if signal != 0 {
            page.field(6, "Signal", &signal.to_string());
        }
    }
    for (title, field) in [("Started", "startedAt"), ("Finished", "finishedAt")] {
        if !text(field).is_empty() {
            page.field(6, title, &moment(&text(field), now));
        }
    }
}

fn variable(variable: &Value) -> String {
    let name = json::text(variable, "/name");
    match json::pairs(variable, "/valueFrom").first() {
        Some((source, from)) => printable(&format!("{name}: <from {source} {from}>")),
        None => printable(&format!("{name}: {}", json::text(variable, "/value"))),
    }
}

/// `/data from data (rw), path "inner"`.
fn mount(mount: &Value) -> String {
    let mode = if json::flag(mount, "/readOnly") { "ro" } else { "rw" };
    let within = match json::text(mount, "/subPath") {
        "" => String::new(),
        path => format!(", path {path:?}"),
    };
    let (path, volume) = (json::text(mount, "/mountPath"), json::text(mount, "/name"));
    printable(&format!("{path} from {volume} ({mode}){within}"))
}
