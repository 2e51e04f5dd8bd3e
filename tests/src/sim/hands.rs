//! Operations: what the agent's hands do for each action, step by step. The agent may die between any two.

use super::keeper::Input;
use super::{
    Sim,
    actor::Actor,
    keeper::name,
    machine::create,
    oracle::LIMIT_BYTES,
    queue::{Happening, Life},
    shell::{Op, OpId, failed},
};
use crate::scenarios::IMAGE;
use berth_core::{
    action::{Action, ActionKind, ImageFacts},
    check::{Answer, Check, Purpose, Standing, Verdict},
    event::{ContainerRecord, Event, FailReason, Outcome, RecordState, SandboxRecord},
    ids::ContainerId,
    manifest::{DesiredPod, objects::env::variables, types::PullPolicy},
    pressure::{PodUse, Uses, Weighing},
    resize::{Given, Running},
    storage::StorageUse,
    time::{NS_PER_MS, NS_PER_S},
};
use berth_keeper::protocol::Request;

/// What one more step of an operation leads to.
enum Next {
    /// Another step after so many nanoseconds.
    After(u64),
    /// Its end.
    Answer(Outcome),
    /// The keeper's answer.
    Keeper(Box<Request>),
}

impl Sim {
    pub(crate) fn begin_op(&mut self, action: Action) {
        if let Some(outcome) = self.sabotage.instead(&action) {
            let (life, event) = (self.lives, Event::Done { action: action.id, outcome });
            return self.queue.push(self.now + NS_PER_MS, Happening::Tell(life, Box::new(event)));
        }
        let delay = self.rng.scale(20 * NS_PER_MS);
        let Some(agent) = self.agent.as_mut() else { return };
        agent.last_op += 1;
        agent.ops.insert(agent.last_op, Op { action, phase: 0 });
        self.queue.push(self.now + delay, Happening::Op(agent.life, agent.last_op));
    }

    /// An operation goes on by one step. Past its deadline it begins nothing more.
    pub(crate) fn op(&mut self, life: Life, id: OpId) {
        let now = self.clocks();
        let Some(op) = self.alive(life).and_then(|agent| agent.ops.get_mut(&id)) else { return };
        op.phase += 1;
        let (phase, action) = (op.phase, op.action.clone());
        if now.mono >= action.deadline {
            if let Some(agent) = self.alive(life) {
                agent.ops.remove(&id);
            }
            return;
        }
        match self.advance(id, phase, &action) {
            Next::After(delay) => self.queue.push(self.now + delay, Happening::Op(life, id)),
            Next::Answer(outcome) => self.answer(life, id, outcome),
            Next::Keeper(request) => self.keeper(Input::Request(request)),
        }
    }

    fn advance(&mut self, op: OpId, phase: u32, action: &Action) -> Next {
        let pause = self.rng.scale(10 * NS_PER_MS) + 1;
        match &action.kind {
            ActionKind::EnsureImage { image, policy } => Next::Answer(self.image(image, *policy)),
            ActionKind::CreateSandbox { desired, begun, objects } => {
                if phase == 1 {
                    // Three pods in four have an address, as if the others were on the node's network.
                    let ips =
                        if op.is_multiple_of(4) { Vec::new() } else { vec![format!("10.86.0.{}", op % 250)] };
                    let record = SandboxRecord {
                        desired: (**desired).clone(),
                        ready: false,
                        begun: *begun,
                        ips,
                        unsettled: false,
                        given: None,
                    };
                    self.oracle.sandbox_begins(&record, &self.machine);
                    let known = self.machine.sandboxes.entry(desired.uid.clone()).or_insert(record);
                    known.desired = (**desired).clone();
                    if !known.ready {
                        known.begun = *begun;
                    }
                    return Next::After(pause);
                }
                if self.rng.chance(self.machine.dials.sandbox_fails) {
                    let of_network = op.is_multiple_of(2);
                    let reason = if of_network {
                        FailReason::NetworkNotReady
                    } else {
                        FailReason::CreatePodSandboxError
                    };
                    return Next::Answer(failed(reason));
                }
                let Some(record) = self.machine.sandboxes.get_mut(&desired.uid) else {
                    return Next::Answer(Outcome::Ok);
                };
                record.ready = true;
                self.machine.files.insert(desired.uid.clone(), objects.clone());
                Next::Answer(Outcome::Sandbox { ips: record.ips.clone() })
            }
            ActionKind::Update { desired } => {
                if phase == 1 {
                    return Next::After(pause);
                }
                if self.rng.chance(self.machine.dials.sandbox_fails) {
                    return Next::Answer(failed(FailReason::Internal));
                }
                if let Some(record) =
                    self.machine.sandboxes.get_mut(&desired.uid).filter(|record| record.ready)
                {
                    // What the cgroup has is a resize's to say.
                    record.given = Some(record.given());
                    record.desired = (**desired).clone();
                }
                Next::Answer(Outcome::Ok)
            }
            ActionKind::RefreshFiles { desired, objects } => {
                if phase == 1 {
                    return Next::After(pause);
                }
                if self.rng.chance(self.machine.dials.sandbox_fails) {
                    return Next::Answer(failed(FailReason::Internal));
                }
                if self.machine.sandboxes.get(&desired.uid).is_some_and(|record| record.ready) {
                    self.machine.files.insert(desired.uid.clone(), objects.clone());
                }
                Next::Answer(Outcome::Ok)
            }
            ActionKind::StartContainer { .. } => self.start(op, phase, action, pause),
            ActionKind::Resize { desired, runs } => self.resize(phase, desired, runs, pause),
            ActionKind::Signal { id, signal } => {
                Next::Keeper(Box::new(Request::Signal { op, id: name(&id.0), signal: *signal }))
            }
            ActionKind::Check { id, check } => self.check(phase, id, check),
            ActionKind::Note { id, started, ready } => {
                if let Some(record) = self.machine.containers.get_mut(id) {
                    (record.standing.started, record.standing.ready) = (*started, *ready);
                }
                Next::Answer(Outcome::Ok)
            }
            ActionKind::Measure { desired, .. } => Next::Answer(self.measure(desired)),
            ActionKind::Observe => Next::Answer(self.observe()),
            ActionKind::Reclaim => Next::Answer(Outcome::Ok),
            ActionKind::Weigh { pods, .. } => Next::Answer(self.weigh(pods)),
            ActionKind::Kill { id } => {
                self.kill(id);
                Next::Answer(Outcome::Ok)
            }
            ActionKind::RemoveContainer { id } => self.remove_container(op, phase, id, pause),
            ActionKind::RemoveSandbox { desired } => {
                if self.rng.chance(self.machine.dials.remove_fails) {
                    return Next::Answer(failed(FailReason::Internal));
                }
                if phase == 1 {
                    self.machine
                        .sandboxes
                        .entry(desired.uid.clone())
                        .and_modify(|record| record.ready = false);
                    return Next::After(pause);
                }
                self.machine.sandboxes.remove(&desired.uid);
                self.machine.files.remove(&desired.uid);
                Next::Answer(Outcome::Ok)
            }
            ActionKind::SaveCheckpoint { .. } | ActionKind::DropCheckpoint => self.disk(phase, action, pause),
        }
    }

    /// It is known to be under way before anything changes.
    fn resize(&mut self, phase: u32, desired: &DesiredPod, runs: &[Running], pause: u64) -> Next {
        let Some(record) = self.machine.sandboxes.get_mut(&desired.uid).filter(|record| record.ready) else {
            return Next::Answer(Outcome::Resized(None));
        };
        if phase == 1 {
            record.unsettled = true;
            return Next::After(pause);
        }
        if self.rng.chance(self.machine.dials.sandbox_fails) {
            return Next::Answer(failed(FailReason::Internal));
        }
        (record.desired, record.unsettled, record.given) = (desired.clone(), false, None);
        for run in runs {
            let spec = desired.pod.spec.container(&run.container);
            if let (Some(spec), Some(record)) = (spec, self.machine.containers.get_mut(&run.id)) {
                record.given = Some(Given { resources: spec.resources.clone(), place: run.place.clone() });
            }
        }
        self.oracle.check_cpus(&self.machine);
        Next::Answer(Outcome::Resized(None))
    }

    fn measure(&mut self, pod: &DesiredPod) -> Outcome {
        if self.staged.is_some() {
            return Outcome::Measured(Box::new(self.machine.written(pod)));
        }
        if self.rng.chance(self.machine.dials.remove_fails) {
            return failed(FailReason::Internal);
        }
        let bytes = if self.rng.chance(self.machine.dials.grows) { LIMIT_BYTES + 1 } else { LIMIT_BYTES };
        let volumes = pod.pod.spec.volumes.iter().filter(|volume| volume.empty_dir.is_some());
        let volumes = volumes.map(|volume| (volume.name.clone(), bytes)).collect();
        Outcome::Measured(Box::new(StorageUse { volumes, ..StorageUse::default() }))
    }

    /// What is short may not be any more, unless a scenario says when.
    fn observe(&mut self) -> Outcome {
        if self.staged.is_none() && self.rng.chance(200) {
            self.machine.low.pop_first();
        }
        Outcome::Observed(Box::new(self.machine.look(self.clocks().mono)))
    }

    fn weigh(&mut self, pods: &[Weighing]) -> Outcome {
        if self.rng.chance(self.machine.dials.remove_fails) {
            return failed(FailReason::Internal);
        }
        let mut uses = Uses::new();
        for pod in pods {
            // In a scenario pods use something.
            let any: &[u64] =
                if self.staged.is_some() { &[1 << 26] } else { &[0, 1 << 10, 1 << 22, 1 << 26, 1 << 28] };
            let total = *self.rng.pick(any);
            uses.insert(pod.desired.uid.clone(), PodUse { total, ..PodUse::default() });
        }
        Outcome::Weighed(uses)
    }

    fn image(&mut self, image: &str, policy: PullPolicy) -> Outcome {
        if self.staged.is_some() && image != IMAGE {
            let never = policy == PullPolicy::Never;
            return failed(if never { FailReason::ErrImageNeverPull } else { FailReason::ErrImagePull });
        }
        if self.machine.missing.contains(image) || self.rng.chance(self.machine.dials.image_fails) {
            return failed(FailReason::ErrImagePull);
        }
        let facts =
            ImageFacts { reference: image.to_owned(), id: format!("sha256:{image}"), ..Default::default() };
        Outcome::Image(Box::new(facts))
    }

    fn start(&mut self, op: OpId, phase: u32, action: &Action, pause: u64) -> Next {
        let ActionKind::StartContainer {
            desired,
            container,
            attempt,
            id,
            image,
            objects,
            devices,
            place,
            ..
        } = &action.kind
        else {
            return Next::Answer(failed(FailReason::Internal));
        };
        let spec = desired.pod.spec.container(container);
        if spec.is_none_or(|spec| variables(&desired.key.namespace, spec, objects).is_err()) {
            return Next::Answer(failed(FailReason::CreateContainerConfigError));
        }
        if phase == 1 {
            let record = ContainerRecord {
                id: id.clone(),
                pod: action.pod.clone(),
                name: container.clone(),
                attempt: *attempt,
                image: (**image).clone(),
                state: RecordState::Unknown,
                devices: devices.clone(),
                given: spec.map(|spec| Given { resources: spec.resources.clone(), place: place.clone() }),
                standing: Standing::default(),
            };
            self.machine.containers.insert(id.clone(), record);
            return Next::After(pause);
        }
        let left_ms = action.deadline.since(self.clocks().mono) / NS_PER_MS;
        Next::Keeper(Box::new(create(op, &id.0, left_ms as u32)))
    }

    /// A hook is noted before it begins. Who does not live does not answer.
    fn check(&mut self, phase: u32, id: &ContainerId, check: &Check) -> Next {
        let hook = matches!(check.purpose, Purpose::PostStart | Purpose::PreStop);
        let sleeps_s = Actor::sleeps_s(&check.handler).unwrap_or(0);
        if let Some(actor) = self.machine.actor(id).filter(|_| phase > 1) {
            let in_time = sleeps_s < check.timeout_s;
            let verdict = if in_time { actor.answers(&check.handler) } else { Verdict::Failure };
            return Next::Answer(Outcome::Checked(Answer { verdict, output: String::new() }));
        }
        if phase == 1 {
            if let Some(record) = self.machine.containers.get_mut(id) {
                record.standing.post_start |= check.purpose == Purpose::PostStart;
                record.standing.pre_stop |= check.purpose == Purpose::PreStop;
            }
            let longest_s = if hook { 10 } else { check.timeout_s };
            if sleeps_s > 0 {
                return Next::After(sleeps_s.min(check.timeout_s) * NS_PER_S);
            }
            return Next::After(self.rng.scale(longest_s * NS_PER_S));
        }
        if !self.machine.alive(id) {
            return Next::Answer(failed(FailReason::Internal));
        }
        let fails = self.rng.chance(self.machine.dials.check_fails);
        let verdict = if fails { Verdict::Failure } else { Verdict::Success };
        Next::Answer(Outcome::Checked(Answer { verdict, output: String::new() }))
    }

    fn remove_container(&mut self, op: OpId, phase: u32, id: &ContainerId, pause: u64) -> Next {
        if self.machine.alive(id) {
            if phase % 16 == 1 {
                self.kill(id);
            }
            return Next::After(pause.max(5 * NS_PER_MS));
        }
        if self.rng.chance(self.machine.dials.remove_fails) {
            return Next::Answer(failed(FailReason::Internal));
        }
        Next::Keeper(Box::new(Request::Release { op, id: name(&id.0) }))
    }

    /// A file is replaced whole or not at all; the answer comes later than the file.
    fn disk(&mut self, phase: u32, action: &Action, pause: u64) -> Next {
        match (&action.kind, phase) {
            (_, 1) => return Next::After(pause),
            (ActionKind::SaveCheckpoint { .. }, 2) if self.machine.disk_full => {
                return Next::Answer(failed(FailReason::Internal));
            }
            (ActionKind::SaveCheckpoint { checkpoint }, 2) => {
                let previous = self.machine.disk.remove(&action.pod).map(|disk| disk.current);
                let disk = super::machine::Disk { current: (**checkpoint).clone(), previous };
                self.machine.disk.insert(action.pod.clone(), disk);
            }
            (_, 2) => {
                self.machine.disk.remove(&action.pod);
            }
            _ => return Next::Answer(Outcome::Ok),
        }
        Next::After(pause)
    }

    /// The core is told, once in most cases and soon in most.
    pub(crate) fn answer(&mut self, life: Life, id: OpId, outcome: Outcome) {
        let Some(op) = self.alive(life).and_then(|agent| agent.ops.remove(&id)) else { return };
        let dials = self.machine.dials;
        if self.rng.chance(dials.answer_lost) {
            return;
        }
        let late = self.rng.chance(dials.answer_late);
        let delay = if late { self.rng.scale(150 * NS_PER_S) } else { self.rng.scale(NS_PER_MS) };
        let event = Box::new(Event::Done { action: op.action.id, outcome });
        self.queue.push(self.now + delay, Happening::Tell(life, event.clone()));
        if self.rng.chance(dials.answer_twice) {
            let delay = delay + self.rng.scale(100 * NS_PER_S);
            self.queue.push(self.now + delay, Happening::Tell(life, event));
        }
    }
}
