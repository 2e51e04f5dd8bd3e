//! `berth describe node`: what the node has, what of it is for pods, and who has asked for how much.

use super::{
    super::{
        failure::Failure,
        json,
        session::Session,
        table::{Cell, Table, headings, printable},
    },
    map,
    page::Page,
};
use crate::api::wire::Request;
use berth_core::{
    manifest::types::PodSpec,
    node::{Amounts, CPU, MEMORY, priority},
    storage::EPHEMERAL,
};
use serde_json::Value;

/// What is summed up.
const RESOURCES: [&str; 3] = [CPU, MEMORY, EPHEMERAL];

pub(super) fn run(names: &[String], session: &mut Session<'_>) -> Result<(), Failure> {
    let node = session.client.call(&Request::Node)?;
    let name = json::text(&node, "/metadata/name");
    if let Some(other) = names.iter().find(|wanted| *wanted != name) {
        return Err(Failure::error(format!("node {other:?} not found: this one is {name}")));
    }
    let pods = session.client.call(&Request::Pods { watch: false })?;
    let text = describe(&node, json::list(&pods, "/items"));
    Ok(session.out.write_all(text.as_bytes())?)
}

fn describe(node: &Value, pods: &[Value]) -> String {
    let mut page = Page::default();
    page.field(0, "Name", json::text(node, "/metadata/name"));
    page.lines(0, "Labels", &map(node, "/metadata/labels", "="));
    let addresses = json::list(node, "/status/addresses").iter();
    let addresses: Vec<String> = addresses
        .map(|address| format!("{} {}", json::text(address, "/type"), json::text(address, "/address")))
        .collect();
    page.lines(0, "Addresses", &addresses);
    let taints = json::list(node, "/spec/taints").iter();
    let taints: Vec<String> = taints
        .map(|taint| format!("{}:{}", json::text(taint, "/key"), json::text(taint, "/effect")))
        .collect();
    page.lines(0, "Taints", &taints);
    let conditions = json::list(node, "/status/conditions").iter();
    let conditions: Vec<String> = conditions
        .map(|condition| {
            let part = |pointer| printable(json::text(condition, pointer));
            format!("{} {}: {}", part("/type"), part("/status"), part("/message"))
        })
        .collect();
    page.lines(0, "Conditions", &conditions);
    for (title, pointer) in [("Capacity", "/status/capacity"), ("Allocatable", "/status/allocatable")] {
        page.lines(0, title, &map(node, pointer, ": "));
    }
    page.lines(0, "System Info", &map(node, "/status/nodeInfo", ": "));
    let mut text = page.text();
    let active: Vec<&Value> = pods
        .iter()
        .filter(|pod| !["Succeeded", "Failed"].contains(&json::text(pod, "/status/phase")))
        .collect();
    text.push_str(&table(node, &active));
    text
}

/// Who asks for how much; those that wait for room among them, marked by their reason.
fn table(node: &Value, pods: &[&Value]) -> String {
    let mut rows =
        vec![headings(&["NAMESPACE", "NAME", "PRIORITY", "CPU", "MEMORY", "EPHEMERAL-STORAGE", "REASON"])];
    let mut sum = Amounts::default();
    for pod in pods {
        let spec: PodSpec =
            pod.get("spec").and_then(|spec| serde_json::from_value(spec.clone()).ok()).unwrap_or_default();
        let asked = Amounts::requests(&spec);
        let reason = json::text(pod, "/status/reason");
        if reason.is_empty() {
            sum.add(&asked);
        }
        let mut row: Vec<Cell> = vec![
            json::text(pod, "/metadata/namespace").into(),
            json::text(pod, "/metadata/name").into(),
            priority(&spec).to_string().into(),
        ];
        row.extend(RESOURCES.map(|name| Cell::from(Amounts::show(name, asked.get(name).unwrap_or(0)))));
        row.push(reason.into());
        rows.push(row);
    }
    let mut total: Vec<Cell> = vec!["".into(), "all that run".into(), "".into()];
    total.extend(RESOURCES.map(|name| {
        let asked = Amounts::show(name, sum.get(name).unwrap_or(0));
        Cell::from(format!(
            "{asked} of {}",
            json::or_none(json::text(node, &format!("/status/allocatable/{name}")))
        ))
    }));
    rows.push(total);
    format!("Requests:\n{}", Table::new(false).layout(&rows))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn who_asks_for_how_much_is_summed_up() {
        let pod = |name: &str, cpu: &str, phase: &str, reason: &str| {
            json!({"metadata": {"namespace": "default", "name": name}, "status": {"phase": phase, "reason": reason},
                "spec": {"priority": 7, "containers": [{"name": "c", "resources": {"requests": {"cpu": cpu, "memory": "1Mi"}}}]}})
        };
        let node = json!({"metadata": {"name": "box"}, "spec": {"taints": [{"key": "node.kubernetes.io/disk-pressure", "effect": "NoSchedule"}]}, "status": {
            "allocatable": {"cpu": "2", "memory": "1024Ki"},
            "conditions": [{"type": "Ready", "status": "True", "message": "the agent answers"}]}});
        let pods = [
            pod("web", "500m", "Running", ""),
            pod("db", "1", "Pending", ""),
            pod("big", "9", "Pending", "OutOfcpu"),
            pod("old", "3", "Succeeded", ""),
        ];
        let text = describe(&node, &pods);
        assert!(text.contains("Ready True: the agent answers"), "{text}");
        assert!(text.contains("node.kubernetes.io/disk-pressure:NoSchedule"), "{text}");
        let line = |name: &str| {
            let line = text.lines().find(|line| line.contains(name)).unwrap_or_default();
            line.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(line("web"), "default web 7 500m 1024Ki 0Ki");
        assert_eq!(line("big"), "default big 7 9 1024Ki 0Ki OutOfcpu");
        assert_eq!(line("all that run"), "all that run 1500m of 2 2048Ki of 1024Ki 0Ki of <none>");
        assert!(!text.contains("old"));
    }
}
