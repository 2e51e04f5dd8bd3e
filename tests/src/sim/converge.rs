//! Peace: has the machine come to what the manifests say? Judged by what the view shows and by what the
//! machine really has.

use super::{
    MILLI_CRAMPED, Sim,
    oracle::{Rule, after, in_circle, leans_on, milli, priority, wholes},
};
use berth_core::{
    event::DesiredSet,
    manifest::{
        DesiredPod,
        objects::Objects,
        types::{Container, PodSpec, RestartPolicy, Volume},
    },
    network::{clash, of_pod},
    time::NS_PER_S,
    view::{self, NodeView},
};
use serde_json::Value;

/// Peace must be reached within this, seconds: an answer lost before may cost its whole deadline (an
/// image's: 900, a hook's after the start: 3630), a crash its back-off (300), more than once.
const PEACE_MAX_S: u64 = 7200;
/// Nothing may be left after this, seconds.
const END_MAX_S: u64 = 1800;

/// What no container may be in, not even for a moment.
const BACKOFF_OVER: &str = "it waits for a back-off that is over";

/// A pod that says so stands in a circle, or the one that it names is not there.
fn waits_for_another(pod: &DesiredPod, set: &DesiredSet, items: &[Value]) -> Result<(), String> {
    let named = set.pods.iter().find(|other| after(pod) == Some(&*other.key.name));
    let shown = named.and_then(|named| items.iter().find(|item| item["metadata"]["uid"] == *named.uid.0));
    let there = shown.is_some_and(|shown| {
        let ends = shown["spec"]["restartPolicy"] != "Always";
        let conditions = shown["status"]["conditions"].as_array();
        let ready =
            conditions.is_some_and(|all| all.iter().any(|c| c["type"] == "Ready" && c["status"] == "True"));
        shown["status"]["phase"] == "Succeeded" || !ends && ready
    });
    match there && !in_circle(pod, &set.pods) {
        true => Err(format!("{} waits for one that is there", pod.key)),
        false => Ok(()),
    }
}

/// The other pod has what it asks for, and need not make room for this one.
fn stays_for(other: &DesiredPod, pod: &DesiredPod, set: &DesiredSet, items: &[Value]) -> bool {
    let shown = items.iter().find(|item| item["metadata"]["uid"] == *other.uid.0);
    let status = shown.map(|shown| &shown["status"]);
    let over = status.is_some_and(|status| {
        status["reason"].is_string()
            || ["Succeeded", "Failed"].contains(&status["phase"].as_str().unwrap_or_default())
    });
    let needed = leans_on(pod, &set.pods).contains(&&other.key);
    other.uid != pod.uid && !over && (needed || priority(&other.pod.spec) >= priority(&pod.pod.spec))
}

/// Processors that pods have to themselves.
fn owned(set: &DesiredSet, items: &[Value]) -> u64 {
    let has = |pod: &&DesiredPod| {
        let shown =
            items.iter().find(|item| item["metadata"]["uid"] == *pod.uid.0).map(|item| &item["status"]);
        let over = |status: &Value| ["Succeeded", "Failed"].iter().any(|phase| status["phase"] == *phase);
        shown.is_some_and(|status| !status["reason"].is_string() && !over(status))
    };
    set.pods.iter().filter(has).map(|pod| wholes(&pod.pod.spec)).sum()
}

impl Sim {
    /// Whether all desired pods are as they should be; a broken rule if it takes too long.
    pub(crate) fn converged(&mut self, since: u64) -> bool {
        let mut set = self.manifests.read(&mut Default::default());
        if let Some(agent) = &self.agent {
            for pod in &mut set.pods {
                pod.uid = agent.world.standing(&pod.uid).clone();
            }
        }
        let differs = self.differs(&set).and_then(|()| self.restless());
        if let Err(missing) = &differs
            && missing.contains(BACKOFF_OVER)
        {
            self.oracle.broken(Rule::Backoff, missing.clone());
        }
        if let Err(missing) = &differs
            && self.now - since > PEACE_MAX_S * NS_PER_S
        {
            self.oracle.broken(Rule::Liveness, format!("no peace after {PEACE_MAX_S} s: {missing}"));
        }
        differs.is_ok()
    }

    /// A world in which every container runs must come to wait for nothing.
    fn restless(&self) -> Result<(), String> {
        let Some(agent) = &self.agent else { return Ok(()) };
        let plain = |pod: &DesiredPod, name: &str| {
            pod.pod.spec.init_containers.iter().any(|init| init.name == name && !init.restarts_always())
        };
        let all_run = agent.world.pods().all(|pod| {
            let runs = agent.world.runs(&pod.uid);
            runs.iter().all(|run| run.pid.is_some() != plain(pod, run.container))
        });
        let probes = |c: &Container| {
            c.startup_probe.is_some() || c.liveness_probe.is_some() || c.readiness_probe.is_some()
        };
        let limited =
            agent.world.pods().any(|pod| pod.pod.spec.volumes.iter().any(|v| v.empty_dir.is_some()));
        let probed = agent.world.pods().any(|pod| pod.pod.spec.all_containers().any(probes));
        match agent.wake {
            Some(wake) if all_run && !probed && !limited => {
                Err(format!("everything runs, and yet the core wants to wake at {wake:?}"))
            }
            _ => Ok(()),
        }
    }

    fn differs(&self, set: &DesiredSet) -> Result<(), String> {
        let agent = self.agent.as_ref().ok_or("no agent")?;
        if !agent.inbox.is_empty() || !agent.world.is_quiet() {
            return Err("news or answers are on their way".to_owned());
        }
        let list = view::pod_list(&agent.world, self.clocks(), &NodeView::default());
        let items = list["items"].as_array().ok_or("no items")?;
        if items.len() != set.pods.len() {
            return Err(format!("{} pods are desired, {} are shown", set.pods.len(), items.len()));
        }
        for pod in &set.pods {
            let others = set.pods.iter().filter(|other| other.uid != pod.uid);
            let ports: Vec<_> = others.flat_map(|other| of_pod(&other.pod.spec)).collect();
            let may_lack_port = clash(&of_pod(&pod.pod.spec), &ports).is_some();
            let shown = items.iter().find(|item| item["metadata"]["uid"] == *pod.uid.0);
            let shown = shown.ok_or_else(|| format!("{} is not shown", pod.key))?;
            let files = set.objects.of_volumes(&pod.key.namespace, &pod.pod.spec);
            if self.cramped && shown["status"]["reason"] == "OutOfcpu" {
                self.waits_in_vain(pod, set, items)?;
            }
            if shown["status"]["reason"] == "UnexpectedAdmissionError" {
                self.waits_for_cpus(pod, set, items)?;
                continue;
            }
            if shown["status"]["reason"].as_str().is_some_and(|reason| reason.starts_with("StartAfter")) {
                waits_for_another(pod, set, items)?;
                continue;
            }
            self.pod_differs(pod, &files, shown, may_lack_port)
                .map_err(|why| format!("{}: {why}: {}", pod.key, shown["status"]))?;
        }
        self.shares(set, items)?;
        let strays = self.machine.sandboxes.keys().chain(self.machine.disk.keys());
        match strays.into_iter().find(|uid| set.pods.iter().all(|pod| pod.uid != **uid)) {
            Some(uid) => Err(format!("something of {uid} is left")),
            None => Ok(()),
        }
    }

    /// A pod that waits for room has none but what those have that are as important.
    fn waits_in_vain(&self, pod: &DesiredPod, set: &DesiredSet, items: &[Value]) -> Result<(), String> {
        let holds = |other: &&DesiredPod| stays_for(other, pod, set, items);
        let taken: u64 = set.pods.iter().filter(holds).map(|other| milli(&other.pod.spec)).sum();
        match taken + milli(&pod.pod.spec) <= MILLI_CRAMPED {
            true => Err(format!("{} waits, and those before it have {taken}m", pod.key)),
            false => Ok(()),
        }
    }

    /// A pod that waits for processors of its own has too few but those that others have.
    fn waits_for_cpus(&self, pod: &DesiredPod, set: &DesiredSet, items: &[Value]) -> Result<(), String> {
        let policy =
            self.oracle.cpus.as_ref().ok_or("it waits for processors of its own, and there are none")?;
        let others = set.pods.iter().filter(|other| stays_for(other, pod, set, items));
        let taken: u64 = others.map(|other| wholes(&other.pod.spec)).sum();
        let there = policy.allocatable().len() as u64;
        match taken + wholes(&pod.pod.spec) <= there {
            true => {
                Err(format!("{} waits for processors, and those before it have {taken} of {there}", pod.key))
            }
            false => Ok(()),
        }
    }

    /// What nobody has to itself is everybody's.
    fn shares(&self, set: &DesiredSet, items: &[Value]) -> Result<(), String> {
        let Some(policy) = &self.oracle.cpus else { return Ok(()) };
        let (all, taken) = (policy.online().len() as u64, owned(set, items));
        for process in self.machine.processes.values() {
            let given = self.machine.containers.get(&process.id).and_then(|record| record.given.as_ref());
            let place = given.map(|given| given.place.clone()).unwrap_or_default();
            if !place.exclusive && place.cpus.len() as u64 + taken < all {
                return Err(format!("{} runs on {} and {taken} are taken", process.id, place.cpus));
            }
        }
        Ok(())
    }

    fn pod_differs(
        &self,
        pod: &DesiredPod,
        files: &Objects,
        shown: &Value,
        may_lack_port: bool,
    ) -> Result<(), &'static str> {
        if shown["metadata"]["deletionTimestamp"].is_string() {
            return Err("terminating");
        }
        let reason = shown["status"]["reason"].as_str().unwrap_or_default();
        if reason == "Evicted" || reason == "Preempting" {
            let never = pod.pod.spec.restart_policy == RestartPolicy::Never;
            return if never { Ok(()) } else { Err("evicted") };
        }
        if reason.starts_with("OutOf") || reason == "NodePorts" && may_lack_port {
            return Ok(());
        }
        let labels = &pod.pod.metadata.labels;
        let shows = |(name, value): (&String, &String)| shown["metadata"]["labels"][name] == value.as_str();
        let recorded = self.machine.sandboxes.get(&pod.uid).map(|record| &record.desired.pod.metadata.labels);
        if !labels.iter().all(shows) || recorded.is_some_and(|recorded| recorded != labels) {
            return Err("its labels are not those of its manifest");
        }
        let uid = shown["metadata"]["uid"].as_str().unwrap_or_default();
        let list = |field: &str| shown["status"][field].as_array().cloned().unwrap_or_default();
        let (statuses, spec) = (list("initContainerStatuses"), &pod.pod.spec);
        let over = matches!(shown["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
        let sandbox = self.machine.sandboxes.contains_key(&pod.uid);
        let written = pod.pod.spec.volumes.iter().any(Volume::is_written);
        if sandbox && written && !over && self.machine.files.get(&pod.uid) != Some(files) {
            return Err("its files are not what they should be");
        }
        let mut blocked = false;
        for (container, status) in
            spec.all_containers().zip(statuses.iter().chain(&list("containerStatuses")))
        {
            let waits = status["state"]["waiting"].is_object();
            let sidecar = spec.init_containers.iter().any(|init| init.name == container.name)
                && container.restarts_always();
            if blocked && waits || over {
                self.is_not_there(uid, status)?;
                continue;
            }
            self.container_differs(uid, spec, container, status)?;
            let init = !sidecar && spec.init_containers.iter().any(|init| init.name == container.name);
            blocked |= sidecar && waits;
            blocked |= init && status["state"]["terminated"]["exitCode"] != 0;
        }
        Ok(())
    }

    fn is_not_there(&self, uid: &str, status: &Value) -> Result<(), &'static str> {
        let mut processes = self.machine.processes.values();
        let name = status["name"].as_str().unwrap_or_default();
        match processes.any(|process| &*process.uid.0 == uid && process.name == name) {
            true => Err("a process runs before its turn or after its pod's end"),
            false => Ok(()),
        }
    }

    fn container_differs(
        &self,
        uid: &str,
        spec: &PodSpec,
        container: &Container,
        shown: &Value,
    ) -> Result<(), &'static str> {
        let name = shown["name"].as_str().unwrap_or_default();
        let mut live = self.machine.processes.values().filter(|p| &*p.uid.0 == uid && p.name == name);
        let (process, state) = (live.next(), &shown["state"]);
        if state["running"].is_object() {
            let process = process.ok_or("shown as running, and no process is there")?;
            let plain =
                spec.init_containers.iter().any(|init| init.name == name) && !container.restarts_always();
            if !plain && shown["ready"] != true {
                return Err("it runs, and is not ready");
            }
            if shown["restartCount"] != process.attempt {
                return Err("its restart count is not that of its process");
            }
            let disk = self.machine.disk.get(&process.uid).and_then(|disk| disk.current.containers.get(name));
            let saved =
                disk.is_some_and(|kept| kept.next_attempt == process.attempt + 1 && kept.running.is_some());
            return if saved { Ok(()) } else { Err("its start is not on disk") };
        }
        if process.is_some() {
            return Err("a process runs that is not shown");
        }
        if state["waiting"]["reason"] == "CrashLoopBackOff" {
            let early = self.oracle.may_wait(uid, name, self.clocks().mono);
            return if early { Ok(()) } else { Err(BACKOFF_OVER) };
        }
        let code = state["terminated"]["exitCode"].as_i64().ok_or("it neither runs nor has ended")?;
        let again = container.restart_policy_rules.iter().any(|rule| rule.exit_codes.matches(code as i32));
        let doomed = self.oracle.was_doomed(uid, name);
        let init = spec.init_containers.iter().any(|init| init.name == container.name);
        match container.restart_policy.unwrap_or(spec.restart_policy) {
            RestartPolicy::Never if doomed => Ok(()),
            _ if again || doomed => Err("it has ended and should run by its rules"),
            RestartPolicy::Never => Ok(()),
            RestartPolicy::OnFailure if code == 0 => Ok(()),
            RestartPolicy::Always if code == 0 && init && !container.restarts_always() => Ok(()),
            _ => Err("it has ended and should run"),
        }
    }

    /// Whether nothing is left; a broken rule if it takes too long.
    pub(crate) fn nothing_left(&mut self, since: u64) -> bool {
        let machine = &self.machine;
        let left = [
            ("pods", self.agent.as_ref().map_or(1, |agent| agent.world.pods().count())),
            ("sandboxes", machine.sandboxes.len()),
            ("containers", machine.containers.len()),
            ("processes", machine.processes.len()),
            ("slots", machine.slots()),
            ("checkpoints", machine.disk.len()),
        ];
        let left: Vec<_> = left.into_iter().filter(|(_, count)| *count > 0).collect();
        if self.now - since > END_MAX_S * NS_PER_S {
            self.oracle.broken(Rule::Leftover, format!("{END_MAX_S} s after all manifests went: {left:?}"));
        }
        left.is_empty()
    }
}
