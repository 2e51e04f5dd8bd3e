//! Questions of the command line that only the loop can answer.

use super::flights::Purpose;
use crate::{
    agent::Agent,
    api::ask::{Answer, Ask, Refusal},
    source::keepsake,
};
use berth_core::{
    event::{DesiredSet, Event, Shutdown},
    manifest::DesiredPod,
    view::{self, NodeView},
};
use berth_keeper::protocol::Request;
use berth_oci::{clock, node};
use serde_json::json;
use std::path::{Path, PathBuf};
use tokio::sync::oneshot;

/// Seconds that the exchange of the program may take.
const UPGRADE_WITHIN_S: u64 = 30;

impl Agent {
    /// Answers a connection; one that does not wait any more is none of our business.
    pub(super) fn answer(&mut self, ask: Ask) {
        match ask {
            Ask::Pods(answer) => {
                let _ = answer.send(Ok(view::pod_list(&self.world, clock::now(), &self.node_view())));
            }
            Ask::Events(after, answer) => {
                let _ = answer.send((self.events.sequence(), self.events.since(after)));
            }
            Ask::Problems(answer) => {
                let DesiredSet { problems, notices, .. } = &*self.desired;
                let _ = answer.send(Ok(json!({"items": problems, "notices": notices})));
            }
            Ask::Objects(answer) => {
                let items: Vec<_> = self.desired.objects.iter().map(|object| object.summary()).collect();
                let _ = answer.send(Ok(json!({"items": items})));
            }
            Ask::Sources(answer) => {
                let _ = answer.send(Ok(json!({"items": self.sources()})));
            }
            Ask::Weighings(answer) => {
                let _ = answer.send(self.world.weighings());
            }
            Ask::Node(answer) => {
                let _ = answer.send(Ok(self.node()));
            }
            Ask::RemoveImages(removal, answer) => {
                let _ = answer.send(self.remove_images(removal));
            }
            Ask::ImagesChanged => {
                self.news.push(Event::ImagesChanged);
                self.collect_images(true);
            }
            Ask::Status(answer) => {
                let _ = answer.send(Ok(self.status()));
            }
            Ask::Drain(answer) => {
                self.drain();
                let _ = answer.send(Ok(json!({})));
            }
            Ask::Halt(answer) => {
                self.halt();
                let all_s = self.env.config.shutdown().all_s;
                let _ = answer.send(Ok(json!({"shutdownGraceSeconds": all_s})));
            }
            Ask::Boot(answer) => {
                let _ = answer.send(Ok(self.boot()));
            }
            Ask::Exec(what, answer) => self.exec(*what, answer),
            Ask::HangUp(session) => self.exec_hung_up(&session),
            Ask::Upgrade(path, answer) => self.upgrade(path, answer),
        }
    }

    /// What `Request::Sources` is answered with.
    fn sources(&self) -> Vec<serde_json::Value> {
        let path = |path: &PathBuf| {
            let of_it =
                |pod: &&DesiredPod| Path::new(&*pod.origin).starts_with(path) && !self.pins.is_held(&pod.uid);
            let pods = self.desired.pods.iter().filter(of_it).count();
            json!({"kind": "Path", "location": path, "pods": pods})
        };
        let held = (self.pins.held() > 0).then(|| {
            let dir = keepsake::file::dir(&self.env.roots.state);
            let message = "pods whose manifests are gone; `berth checkpoint ls` shows them";
            json!({"kind": "Checkpoint", "location": dir, "pods": self.pins.held(), "state": "Held",
                "message": message})
        });
        let paths = self.env.config.static_pod_path.0.iter().map(path);
        paths.chain(self.reports.show()).chain(held).collect()
    }

    fn node_view(&self) -> NodeView {
        NodeView { name: self.env.node.name.clone(), host_ips: node::addresses(&self.env.roots) }
    }

    /// What `Request::Node` is answered with.
    fn node(&self) -> serde_json::Value {
        let facts = &self.env.node;
        let mut node = view::node(&self.world, &self.node_view());
        node["metadata"]["creationTimestamp"] = json!(self.started.wall.rfc3339());
        node["status"]["nodeInfo"] = json!({
            "architecture": facts.architecture,
            "bootID": facts.boot_id,
            "containerRuntimeVersion": concat!("berth://", env!("CARGO_PKG_VERSION")),
            "kernelVersion": facts.kernel_release,
            "kubeletVersion": concat!("berth-", env!("CARGO_PKG_VERSION")),
            "operatingSystem": "linux",
            "osImage": facts.os_image,
        });
        node
    }

    fn status(&self) -> serde_json::Value {
        let node = &self.env.node;
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "node": node.name,
            "agent": {"pid": std::process::id(), "startedAt": self.started.wall.rfc3339()},
            "keeper": {"pid": self.keeper_pid},
            "kernel": node.kernel_release,
            "architecture": node.architecture,
            "osImage": node.os_image,
            "controllers": node.controllers,
            "problems": self.desired.problems.len(),
        })
    }

    /// Wants no pod from now on. Only this agent: what follows it reads the manifests again.
    fn drain(&mut self) {
        tracing::info!("stopping all pods until the next start");
        self.draining = true;
        self.desire(DesiredSet { shutdown: Some(Shutdown::Drain), ..DesiredSet::default() });
    }

    /// The machine goes down. Only for this agent: what follows it begins the pods again.
    fn halt(&mut self) {
        tracing::info!("stopping all containers: the machine goes down");
        self.draining = true;
        self.desire(DesiredSet { shutdown: Some(Shutdown::Halt), ..DesiredSet::clone(&self.desired) });
    }

    /// What `Request::Boot` is answered with.
    fn boot(&self) -> serde_json::Value {
        let runs = self.world.pods().flat_map(|pod| {
            let metadata = &pod.pod.metadata;
            self.world.runs(&pod.uid).into_iter().filter_map(move |run| {
                Some(json!({
                    "namespace": metadata.namespace, "pod": metadata.name, "container": run.container,
                    "restarts": run.attempt, "sinceNs": run.since?.0,
                }))
            })
        });
        json!({
            "agent": {"pid": std::process::id()},
            "keeper": {"pid": self.keeper_pid},
            "containers": runs.collect::<Vec<_>>(),
        })
    }

    fn upgrade(&mut self, path: String, answer: oneshot::Sender<Answer>) {
        let program =
            berth_keeper::protocol::Path::try_from(&*path).ok().filter(|path| path.starts_with('/'));
        let Some(program) = program else {
            let message = format!("{path:?} is no absolute path of at most 256 bytes");
            let _ = answer.send(Err(Refusal::bad(message)));
            return;
        };
        tracing::info!(path, "exchanging the program");
        let op = self.flights.begin(Purpose::Upgrade(answer), clock::now().mono.plus_s(UPGRADE_WITHIN_S));
        self.ask_keeper(Request::Upgrade { op, path: program }, Vec::new());
    }
}
