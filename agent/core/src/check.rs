//! What is asked of a container that runs: probes and lifecycle hooks, resolved so far that the hand that asks
//! has no choice to make. How often and with what consequence is `world`'s affair.

use crate::{
    expand::expand,
    manifest::types::{Container, HttpGet, LifecycleHandler, PortRef, Probe},
};
use serde::{Deserialize, Serialize};

/// One question to a container, or one word to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What for.
    pub purpose: Purpose,
    /// How.
    pub handler: Handler,
    /// The container shares the node's network; else it has its pod's.
    pub host_network: bool,
    /// Seconds that the container has to answer; for a command from its start.
    pub timeout_s: u64,
}

/// What a check is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Purpose {
    /// Whether it has come up: `startupProbe`.
    Startup,
    /// Whether it is to be restarted: `livenessProbe`.
    Liveness,
    /// Whether it can be used: `readinessProbe`.
    Readiness,
    /// After its start: `lifecycle.postStart`.
    PostStart,
    /// Before its stop: `lifecycle.preStop`.
    PreStop,
}

/// The means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Handler {
    /// A command in the container; exit status 0 is success.
    Exec {
        /// Program and arguments, as they are executed.
        command: Vec<String>,
    },
    /// A GET request.
    Http {
        /// Who is asked; none for the pod itself.
        host: Option<String>,
        /// TCP port.
        port: u16,
        /// Path and query.
        path: String,
        /// Under TLS, whoever answers.
        #[serde(default)]
        tls: bool,
        /// Beside those that every such request has.
        headers: Vec<(String, String)>,
    },
    /// A TCP connection that is made and closed.
    Tcp {
        /// Who is asked; none for the pod itself.
        host: Option<String>,
        /// TCP port.
        port: u16,
    },
    /// `grpc.health.v1.Health/Check` of the pod, without TLS.
    Grpc {
        /// TCP port.
        port: u16,
        /// Empty for the server as a whole.
        service: String,
    },
}

/// How a container has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// Well.
    Success,
    /// As good as well; the output says what is odd.
    Warning,
    /// Not well, or not in time.
    Failure,
}

/// A container's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// How.
    pub verdict: Verdict,
    /// What it said; at most [`OUTPUT_LEN_MAX_BYTES`].
    pub output: String,
}

/// What an agent has noted of a container that runs, in this boot, for the agent after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Standing {
    /// Its hook after the start was begun.
    pub post_start: bool,
    /// Its hook before the stop was begun.
    pub pre_stop: bool,
    /// It has come up.
    pub started: bool,
    /// It can be used.
    pub ready: bool,
}

/// Bytes of an answer that are kept; kubelet's.
pub const OUTPUT_LEN_MAX_BYTES: usize = 10 * 1024;

impl Purpose {
    /// How kubelet begins a sentence about it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Startup => "Startup",
            Self::Liveness => "Liveness",
            Self::Readiness => "Readiness",
            Self::PostStart => "PostStart",
            Self::PreStop => "PreStop",
        }
    }
}

impl Handler {
    /// Of a probe of this container; none if it names no handler, or a port that there is not.
    pub fn of_probe(probe: &Probe, container: &Container) -> Option<Self> {
        if let Some(tcp) = &probe.tcp_socket {
            return Some(Self::Tcp { host: host(tcp.host.as_ref()), port: port(&tcp.port, container)? });
        }
        if let Some(grpc) = &probe.grpc {
            return Some(Self::Grpc { port: grpc.port, service: grpc.service.clone().unwrap_or_default() });
        }
        if let Some(exec) = &probe.exec {
            // Only values that stand in the manifest, unexpanded themselves: as in kubelet.
            let lookup = |name: &str| {
                let found = container.env.iter().rev().find(|variable| variable.name == name);
                found.map(|variable| variable.value.as_str())
            };
            let command = exec.command.iter().map(|word| expand(word, lookup)).collect();
            return Some(Self::Exec { command });
        }
        Self::http(probe.http_get.as_ref()?, container)
    }

    /// Of a hook of this container; none for a sleep.
    pub fn of_hook(hook: &LifecycleHandler, container: &Container) -> Option<Self> {
        if let Some(exec) = &hook.exec {
            // As it is written: kubelet expands commands of probes, and none of hooks.
            return Some(Self::Exec { command: exec.command.clone() });
        }
        Self::http(hook.http_get.as_ref()?, container)
    }

    fn http(get: &HttpGet, container: &Container) -> Option<Self> {
        Some(Self::Http {
            host: host(get.host.as_ref()),
            port: port(&get.port, container)?,
            path: get.path.clone().unwrap_or_default(),
            tls: get.scheme.as_deref() == Some("HTTPS"),
            headers: get.http_headers.iter().map(|h| (h.name.clone(), h.value.clone())).collect(),
        })
    }
}

fn host(written: Option<&String>) -> Option<String> {
    written.filter(|host| !host.is_empty()).cloned()
}

fn port(port: &PortRef, container: &Container) -> Option<u16> {
    match port {
        PortRef::Number(number) => u16::try_from(*number).ok().filter(|number| *number != 0),
        PortRef::Name(name) => {
            let named = container.ports.iter().find(|port| port.name.as_ref() == Some(name));
            named.map(|port| port.container_port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::types::{ContainerPort, EnvVar, ExecAction, TcpSocket};

    #[test]
    fn ports_are_found_by_name_and_commands_know_plain_variables() {
        let port = ContainerPort { name: Some("web".into()), container_port: 8080, ..Default::default() };
        let env = EnvVar { name: "A".into(), value: "$(B)".into(), ..Default::default() };
        let container = Container { ports: vec![port], env: vec![env], ..Default::default() };
        let tcp = |port| Probe { tcp_socket: Some(TcpSocket { port, host: None }), ..Default::default() };
        for (port, expected) in [
            (PortRef::Name("web".into()), Some(8080)),
            (PortRef::Name("other".into()), None),
            (PortRef::Number(80), Some(80)),
            (PortRef::Number(70_000), None),
        ] {
            let handler = expected.map(|port| Handler::Tcp { host: None, port });
            assert_eq!(Handler::of_probe(&tcp(port), &container), handler);
        }
        let command = vec!["$(A)".to_owned(), "$$x $(NO)".to_owned()];
        let exec = ExecAction { command };
        let hook = LifecycleHandler { exec: Some(exec.clone()), ..Default::default() };
        let as_written = Handler::Exec { command: exec.command.clone() };
        assert_eq!(Handler::of_hook(&hook, &container), Some(as_written));
        let probe = Probe { exec: Some(exec), ..Default::default() };
        let command = vec!["$(B)".to_owned(), "$x $(NO)".to_owned()];
        assert_eq!(Handler::of_probe(&probe, &container), Some(Handler::Exec { command }));
    }
}
