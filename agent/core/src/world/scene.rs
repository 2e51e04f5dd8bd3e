//! For tests: a world with a hand that answers. Pods are written in few words.

use super::{World, WorldConfig, step};
use crate::{
    action::{Action, ActionKind, ImageFacts, Plan, PodEvent},
    check::{Answer, Verdict},
    event::{Checkpoint, DesiredSet, Event, Exit, FailReason, Failure, Inventory, Outcome},
    ids::{ContainerId, PodKey, PodUid},
    manifest::{
        DesiredPod, Problem,
        types::{Container, Pod, RestartPolicy},
    },
    time::{Mono, NS_PER_S, Now, Wall},
};
use std::{collections::BTreeMap, sync::Arc};

/// Wall clock of the scene's beginning: 2026-01-02T03:04:05Z.
const WALL_S: u64 = 1_767_323_045;

/// A pod of these containers (`name=image`, `init name=image`, `sidecar name=image`), its uid being its name, revision and 32 hex digits.
pub(crate) fn pod(name: &str, revision: u32, containers: &[&str], policy: RestartPolicy) -> DesiredPod {
    let mut pod = Pod::default();
    pod.metadata.name = format!("{name}-node");
    pod.metadata.namespace = "default".to_owned();
    pod.metadata.uid =
        format!("{:0>24x}{revision:08x}", name.bytes().fold(0_u64, |h, b| h * 257 + u64::from(b)));
    pod.spec.restart_policy = policy;
    // So that revisions differ in what makes another pod.
    pod.spec.scheduler_name = (revision > 1).then(|| format!("of-revision-{revision}"));
    pod.spec.termination_grace_period_seconds = Some(30);
    for words in containers {
        let (name, image) = words.split_once('=').unwrap();
        let (kind, name) = name.split_once(' ').unwrap_or(("", name));
        let restart_policy = (kind == "sidecar").then_some(RestartPolicy::Always);
        let (name, image) = (name.to_owned(), image.to_owned());
        let container = Container { name, image, restart_policy, ..Container::default() };
        match kind {
            "" => pod.spec.containers.push(container),
            _ => pod.spec.init_containers.push(container),
        }
    }
    let key = PodKey { namespace: "default".into(), name: pod.metadata.name.as_str().into() };
    let uid = PodUid(pod.metadata.uid.as_str().into());
    let origin = format!("{name}.yaml").as_str().into();
    DesiredPod { key, uid, base: None, values: None, pod: Arc::new(pod), origin }
}

/// A world, a clock, and what was told.
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) now: Now,
    pub(crate) events: Vec<PodEvent>,
    pub(crate) wake: Option<Mono>,
    /// Begun and not answered.
    pub(crate) open: Vec<Action>,
}

impl Scene {
    /// An agent that has found nothing, and has not heard of any manifest.
    pub(crate) fn new() -> Self {
        Self::found(Inventory::default())
    }

    /// An agent that has found this.
    pub(crate) fn found(inventory: Inventory) -> Self {
        Self::with(WorldConfig { boot_id: "boot".to_owned(), ..WorldConfig::default() }, inventory)
    }

    /// As [`Self::found`], at this moment.
    pub(crate) fn found_at(inventory: Inventory, now: Now) -> Self {
        let config = WorldConfig { boot_id: "boot".to_owned(), ..WorldConfig::default() };
        Self::begin(config, inventory, now)
    }

    pub(crate) fn with(config: WorldConfig, inventory: Inventory) -> Self {
        let now = Now { mono: Mono(1000 * NS_PER_S), wall: Wall(WALL_S * NS_PER_S) };
        Self::begin(config, inventory, now)
    }

    fn begin(config: WorldConfig, inventory: Inventory, now: Now) -> Self {
        let (events, open) = (Vec::new(), Vec::new());
        let mut scene = Self { world: World::new(config), now, events, wake: None, open };
        scene.tell(&[Event::Inventory(Box::new(inventory))]);
        scene
    }

    /// Tells news; what is planned is open then.
    pub(crate) fn tell(&mut self, news: &[Event]) -> Plan {
        let plan = step(&mut self.world, self.now, news);
        self.events.extend(plan.events.iter().cloned());
        self.open.extend(plan.actions.iter().cloned());
        self.wake = plan.wake;
        plan
    }

    pub(crate) fn desire(&mut self, pods: &[&DesiredPod]) -> Plan {
        self.desire_with(pods, &[])
    }

    pub(crate) fn desire_with(&mut self, pods: &[&DesiredPod], problems: &[Problem]) -> Plan {
        let pods = pods.iter().map(|pod| (*pod).clone()).collect();
        let set = DesiredSet { pods, problems: problems.to_vec(), ..DesiredSet::default() };
        self.tell(&[Event::Desired(Arc::new(set))])
    }

    /// Seconds pass, and the core takes its turn.
    pub(crate) fn pass(&mut self, seconds: u64) -> Plan {
        self.now.mono = self.now.mono.plus_s(seconds);
        self.now.wall.0 += seconds * NS_PER_S;
        self.tell(&[])
    }

    /// What is open, in few words, in the order in which it was begun.
    pub(crate) fn doing(&self) -> Vec<String> {
        self.open.iter().map(words).collect()
    }

    /// Answers the first open action whose words begin so.
    pub(crate) fn answer(&mut self, begins: &str, outcome: Outcome) -> Plan {
        let place = self.open.iter().position(|action| words(action).starts_with(begins));
        let place = place.unwrap_or_else(|| panic!("no {begins:?} among {:?}", self.doing()));
        let action = self.open.remove(place).id;
        self.tell(&[Event::Done { action, outcome }])
    }

    pub(crate) fn ok(&mut self, begins: &str) -> Plan {
        self.answer(begins, Outcome::Ok)
    }

    pub(crate) fn fail(&mut self, begins: &str, reason: FailReason) -> Plan {
        let message = "it does not work".to_owned();
        self.answer(begins, Outcome::Failed(Failure { reason, message }))
    }

    /// Answers everything well, until nothing is open.
    pub(crate) fn settle(&mut self) {
        while let Some(action) = self.open.first() {
            let outcome = match &action.kind {
                ActionKind::EnsureImage { image, .. } => Outcome::Image(Box::new(facts(image))),
                ActionKind::StartContainer { .. } => Outcome::Started { pid: 42, at: self.now },
                ActionKind::Measure { .. } => Outcome::Measured(Box::default()),
                ActionKind::Resize { .. } => Outcome::Resized(None),
                ActionKind::Observe => Outcome::Observed(Box::default()),
                ActionKind::Weigh { .. } => Outcome::Weighed(BTreeMap::new()),
                ActionKind::Check { .. } => Outcome::Checked(checked(Verdict::Success)),
                _ => Outcome::Ok,
            };
            let action = self.open.remove(0).id;
            self.tell(&[Event::Done { action, outcome }]);
        }
    }

    /// The present (or last) run of a container.
    pub(crate) fn id(&self, pod: &DesiredPod, container: &str) -> ContainerId {
        let runs = self.world.runs(&pod.uid);
        runs.into_iter().find(|run| run.container == container).and_then(|run| run.id).unwrap().clone()
    }

    /// The container's process ends now.
    pub(crate) fn exit(&mut self, pod: &DesiredPod, container: &str, code: i32) -> Plan {
        self.exit_saying(pod, container, code, "")
    }

    /// As [`Self::exit`], with a termination message.
    pub(crate) fn exit_saying(
        &mut self,
        pod: &DesiredPod,
        container: &str,
        code: i32,
        message: &str,
    ) -> Plan {
        let id = self.id(pod, container);
        let exit = Exit { code, signal: 0, oom: false, at: self.now };
        self.tell(&[Event::Exited { id, exit, message: message.to_owned() }])
    }

    /// What is being written down of pods.
    pub(crate) fn saving(&self) -> impl Iterator<Item = &Checkpoint> {
        self.open.iter().filter_map(|action| match &action.kind {
            ActionKind::SaveCheckpoint { checkpoint } => Some(&**checkpoint),
            _ => None,
        })
    }

    pub(crate) fn reasons(&self) -> Vec<&str> {
        self.events.iter().map(|event| event.reason.as_str()).collect()
    }
}

/// A container's answer.
pub(crate) fn checked(verdict: Verdict) -> Answer {
    Answer { verdict, output: "it says so".to_owned() }
}

pub(crate) fn facts(image: &str) -> ImageFacts {
    let id = format!("sha256:{image}");
    ImageFacts { reference: image.to_owned(), id, ..ImageFacts::default() }
}

pub(crate) fn problem(file: &str, pod: Option<PodKey>) -> Problem {
    let message = "mapping values are not allowed here".to_owned();
    Problem { file: file.into(), line: 4, column: 7, path: String::new(), message, pod }
}

fn words(action: &Action) -> String {
    match &action.kind {
        ActionKind::EnsureImage { image, .. } => format!("image {image}"),
        ActionKind::CreateSandbox { .. } => "create sandbox".to_owned(),
        ActionKind::RefreshFiles { .. } => "refresh files".to_owned(),
        ActionKind::Update { .. } => "update".to_owned(),
        ActionKind::StartContainer { container, attempt, .. } => format!("start {container} {attempt}"),
        ActionKind::Resize { runs, .. } => {
            let runs: Vec<String> =
                runs.iter().map(|run| format!("{} {}", run.container, run.place.cpus)).collect();
            format!("resize {}", runs.join(", ")).trim_end().to_owned()
        }
        ActionKind::Signal { signal, .. } => format!("signal {signal}"),
        ActionKind::Check { check, .. } => format!("check {:?}", check.purpose),
        ActionKind::Note { started, ready, .. } => format!("note {started} {ready}"),
        ActionKind::Measure { .. } => "measure".to_owned(),
        ActionKind::Observe => "observe".to_owned(),
        ActionKind::Reclaim => "reclaim".to_owned(),
        ActionKind::Weigh { signal, pods } => format!("weigh {} {}", signal.as_str(), pods.len()),
        ActionKind::Kill { .. } => "kill".to_owned(),
        ActionKind::RemoveContainer { .. } => "remove container".to_owned(),
        ActionKind::RemoveSandbox { .. } => "remove sandbox".to_owned(),
        ActionKind::SaveCheckpoint { .. } => "save".to_owned(),
        ActionKind::DropCheckpoint => "drop".to_owned(),
    }
}
