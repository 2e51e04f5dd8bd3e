//! Probes and lifecycle hooks.

use super::{names, syntax};
use crate::manifest::{
    finding::Findings,
    path::Path,
    types::{Container, ExecAction, HttpGet, LifecycleHandler, PortRef, Probe, TcpSocket},
};

/// Where a container stands: what it may have depends on it.
pub(super) struct Place<'a> {
    pub(super) container: &'a Container,
    /// It is an init container that has to end.
    pub(super) init: bool,
    /// The pod's grace, seconds.
    pub(super) grace_s: u64,
}

pub(super) fn validate(place: &Place<'_>, path: &Path, findings: &mut Findings) {
    let container = place.container;
    let probes = [
        ("startupProbe", &container.startup_probe),
        ("livenessProbe", &container.liveness_probe),
        ("readinessProbe", &container.readiness_probe),
    ];
    for (field, given) in probes {
        let here = path.field(field);
        match given {
            None => {}
            Some(_) if place.init => findings.forbidden(&here, NOT_OF_INIT),
            Some(given) => probe(given, field == "readinessProbe", container, &here, findings),
        }
    }
    let Some(lifecycle) = &container.lifecycle else { return };
    let here = path.field("lifecycle");
    if place.init {
        return findings.forbidden(&here, NOT_OF_INIT);
    }
    for (field, given) in [("postStart", &lifecycle.post_start), ("preStop", &lifecycle.pre_stop)] {
        if let Some(given) = given {
            hook(given, place, &here.field(field), findings);
        }
    }
    if let Some(signal) = lifecycle.stop_signal.as_deref().filter(|name| !crate::signal::is_known(name)) {
        let why = "not a signal of Linux: write it as SIGTERM or SIGRTMIN+3";
        findings.invalid(&here.field("stopSignal"), signal, why);
    }
}

const NOT_OF_INIT: &str = "must not be set for init containers, which have to end";

fn probe(probe: &Probe, readiness: bool, container: &Container, path: &Path, findings: &mut Findings) {
    let given = [
        ("exec", probe.exec.is_some()),
        ("httpGet", probe.http_get.is_some()),
        ("tcpSocket", probe.tcp_socket.is_some()),
        ("grpc", probe.grpc.is_some()),
    ];
    one_of(&given, path, findings);
    handlers(&probe.exec, &probe.http_get, &probe.tcp_socket, container, path, findings);
    match probe.success_threshold {
        Some(number) if number != 1 && !readiness => {
            findings.invalid(&path.field("successThreshold"), &number.to_string(), "must be 1");
        }
        _ => {}
    }
    if let Some(grace_s) = probe.termination_grace_period_seconds.filter(|_| readiness) {
        let why = "must not be set for readinessProbes";
        findings.invalid(&path.field("terminationGracePeriodSeconds"), &grace_s.to_string(), why);
    }
}

fn hook(hook: &LifecycleHandler, place: &Place<'_>, path: &Path, findings: &mut Findings) {
    let given = [
        ("exec", hook.exec.is_some()),
        ("httpGet", hook.http_get.is_some()),
        ("sleep", hook.sleep.is_some()),
    ];
    one_of(&given, path, findings);
    handlers(&hook.exec, &hook.http_get, &None, place.container, path, findings);
    if let Some(sleep) = hook.sleep.as_ref().filter(|sleep| sleep.seconds > place.grace_s) {
        let why = format!("must not be more than terminationGracePeriodSeconds ({})", place.grace_s);
        findings.invalid(&path.field("sleep").field("seconds"), &sleep.seconds.to_string(), &why);
    }
}

fn one_of(given: &[(&'static str, bool)], path: &Path, findings: &mut Findings) {
    let mut there = given.iter().filter(|(_, there)| *there);
    if there.next().is_none() {
        let names: Vec<&str> = given.iter().map(|(name, _)| *name).collect();
        findings.required(path, &format!("must specify a handler type: one of {}", names.join(", ")));
    }
    for (name, _) in there {
        findings.forbidden(&path.field(name), "may not specify more than 1 handler type");
    }
}

fn handlers(
    exec: &Option<ExecAction>,
    http: &Option<HttpGet>,
    tcp: &Option<TcpSocket>,
    container: &Container,
    path: &Path,
    findings: &mut Findings,
) {
    let program = exec.as_ref().and_then(|exec| exec.command.first());
    if program.is_some_and(String::is_empty) {
        findings.required(&path.field("exec").field("command").index(0), "the program");
    }
    if let Some(get) = http {
        http_get(get, container, &path.field("httpGet"), findings);
    }
    if let Some(tcp) = tcp {
        port(&tcp.port, container, &path.field("tcpSocket").field("port"), findings);
    }
}

fn http_get(get: &HttpGet, container: &Container, path: &Path, findings: &mut Findings) {
    port(&get.port, container, &path.field("port"), findings);
    for (i, header) in get.http_headers.iter().enumerate() {
        let here = path.field("httpHeaders").index(i);
        syntax(names::http_header(&header.name), &header.name, &here.field("name"), findings);
        // Kubernetes lets this through; no such header can be sent.
        if header.value.contains(|c: char| c.is_control() && c != '\t') {
            findings.invalid(&here.field("value"), &header.value, "must not contain control characters");
        }
    }
}

fn port(port: &PortRef, container: &Container, path: &Path, findings: &mut Findings) {
    match port {
        PortRef::Number(1..=65_535) => {}
        PortRef::Number(number) => {
            findings.invalid(path, &number.to_string(), "must be between 1 and 65535, inclusive");
        }
        PortRef::Name(name) => {
            let known: Vec<&str> = container.ports.iter().filter_map(|port| port.name.as_deref()).collect();
            // Kubernetes lets this through; such a probe could never succeed.
            if !known.contains(&name.as_str()) {
                let names = if known.is_empty() { "none with a name".to_owned() } else { known.join(", ") };
                findings.invalid(
                    path,
                    name,
                    &format!("no port of the container has this name; it has {names}"),
                );
            }
        }
    }
}
