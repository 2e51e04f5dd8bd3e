//! What is known of each pod revision: plain data, changed by `adopt`, `outcome`, `exits` and the passes.
//!
//! Invariants: a pod is in the world from the moment it is desired or found until nothing of it is left;
//! `busy` is set exactly while an action on that object is in flight; a container's `run` names every
//! process, slot, cgroup or directory of it that may exist, so `Idle` means that none does.

use super::{
    backoff::Retry,
    conditions::Conditions,
    grow::Wants,
    health::{Health, Hook},
    remember::Memory,
    resize::Resizing,
    storage::Storage,
    terms::{Role, Terms},
};
use crate::{
    action::ImageFacts,
    check::Standing,
    cpus::Place,
    devices::Grant,
    event::{ContainerMemory, Evicted, Failure, LastRun},
    ids::{ActionId, ContainerId},
    manifest::{
        DesiredPod, in_place,
        objects::Objects,
        types::{self, PullPolicy},
    },
    resize::Given,
    time::{Mono, Now},
};
use std::{collections::BTreeMap, sync::Arc};

/// One revision of a pod.
#[derive(Debug)]
pub(crate) struct Pod {
    pub(crate) desired: DesiredPod,
    pub(crate) stage: Stage,
    /// It is in the desired set, or its file cannot be read right now and it is the last good of it.
    pub(crate) wanted: bool,
    /// When it was first seen: its creation and start time.
    pub(crate) seen: Now,
    pub(crate) sandbox: Sandbox,
    pub(crate) images: Vec<Image>,
    /// In the order of `PodSpec::all_containers`.
    pub(crate) containers: Vec<Container>,
    /// The init containers have done their part, in the present sandbox.
    pub(crate) initialised: bool,
    /// Since when it has finished and what still runs of it is being stopped.
    pub(crate) ending: Option<Now>,
    /// From when its `activeDeadlineSeconds` count: when its turn came, in this boot. Means nothing while it is `Queued`.
    pub(crate) active_since: Mono,
    /// They are over: it has failed for good.
    pub(crate) expired: bool,
    /// All its containers are being ended, to be started anew in their order.
    pub(crate) restarting: bool,
    /// The node has ended it; kept when it begins anew.
    pub(crate) evicted: Option<Evicted>,
    pub(crate) storage: Storage,
    pub(crate) resizing: Resizing,
    /// The resources that its manifest wants, while it does not have them.
    pub(crate) wants: Option<Wants>,
    /// Bound on the seconds that it has to stop because the machine goes down.
    pub(crate) halt_grace_s: Option<u64>,
    /// That it is being stopped, and since when, is for its checkpoint.
    pub(crate) stop_kept: bool,
    pub(crate) memory: Memory,
    /// An earlier agent has begun it.
    pub(crate) found: bool,
    /// Why it may not begin, while it is `Queued`; or, if it was found, why it is held back.
    pub(crate) refusal: Option<Refusal>,
    /// What is wrong with its manifest as it is now (this revision is then the last good one).
    pub(crate) problem: Option<String>,
    /// What it goes without, a sentence each.
    pub(crate) not_enforced: Vec<String>,
    /// Why NetworkPolicies that are about it hold it to nothing, as long as it is so.
    pub(crate) unheld: Option<String>,
    pub(crate) conditions: Conditions,
}

/// Where a pod is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nothing was begun: an older revision is still there, or there is no room.
    Queued,
    /// On its way to running, or there.
    Active,
    /// On its way out, whatever is desired since.
    Terminating {
        /// When that began.
        since: Now,
    },
}

/// Why a pod may not begin: a word and a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Shown of the pod's containers.
    pub(crate) reason: &'static str,
    /// The reason of the event; empty if it is told elsewhere.
    pub(crate) event: &'static str,
    pub(crate) message: String,
}

impl Refusal {
    /// Shown and told in the same word.
    pub(crate) fn new(reason: &'static str, message: String) -> Self {
        Self { reason, event: reason, message }
    }
}

/// A pod's sandbox.
#[derive(Debug, Default)]
pub(crate) struct Sandbox {
    pub(crate) made: bool,
    pub(crate) removed: bool,
    /// The pod's addresses, IPv4 first; none without a network of its own.
    pub(crate) ips: Vec<String>,
    pub(crate) busy: Option<ActionId>,
    pub(crate) retry: Retry,
    pub(crate) failure: Option<Failure>,
    /// The pod as its record has it; none if that is not known.
    pub(crate) recorded: Option<DesiredPod>,
    /// The pod of the action in flight.
    pub(crate) asked: Option<DesiredPod>,
    /// Of writing the record anew.
    pub(crate) record_retry: Retry,
    pub(crate) files: Files,
}

/// How far the files of a pod's volumes are.
#[derive(Debug, Default)]
pub(crate) struct Files {
    /// What they were made from; none if that is not known.
    pub(crate) written: Option<Sources>,
    /// What the action in flight makes them from.
    pub(crate) asked: Option<Sources>,
    pub(crate) retry: Retry,
}

/// What files of volumes are made from.
#[derive(Debug, Clone)]
pub(crate) struct Sources {
    pub(crate) objects: Objects,
    pub(crate) pod: Arc<types::Pod>,
}

impl Sources {
    /// The files come out the same.
    pub(crate) fn are_as(&self, other: &Self) -> bool {
        let (own, others) = (&self.pod.metadata, &other.pod.metadata);
        let told = (&own.labels, &own.annotations) == (&others.labels, &others.annotations)
            && !in_place::resizes(&self.pod, &other.pod);
        self.objects == other.objects && (Arc::ptr_eq(&self.pod, &other.pod) || told)
    }
}

/// An image that containers of a pod need.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) reference: String,
    pub(crate) policy: PullPolicy,
    /// Ensured, or known from a running container. Stays so for the life of the pod: a restart needs no
    /// source of images.
    pub(crate) facts: Option<Arc<ImageFacts>>,
    pub(crate) busy: Option<ActionId>,
    pub(crate) retry: Retry,
    pub(crate) failure: Option<Failure>,
}

/// A container of a pod's spec, over all its runs.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) name: String,
    pub(crate) terms: Terms,
    /// When the present sandbox was begun; what happened before is not of it.
    pub(crate) sandbox_since: Mono,
    /// Which of the pod's images.
    pub(crate) image: usize,
    /// The volumes that are images: name, and which of the pod's images.
    pub(crate) volumes: Vec<(String, usize)>,
    pub(crate) memory: ContainerMemory,
    pub(crate) run: Run,
    pub(crate) busy: Option<ActionId>,
    /// Of signalling, killing, removing the present run.
    pub(crate) retry: Retry,
    /// Of starts that did not lead to a run.
    pub(crate) start: Retry,
    /// Why the last start did not lead to a run.
    pub(crate) failure: Option<Failure>,
    /// The devices of its run, or of the next one.
    pub(crate) grants: Vec<Grant>,
    /// Those of them that have gone while it runs, with a sentence each.
    pub(crate) lost: BTreeMap<String, String>,
    /// What the cgroup of its run has, or will have when it has started; none if that is not known.
    pub(crate) given: Option<Given>,
    /// Where it is to run.
    pub(crate) place: Place,
    /// Others may still run on what it is to have to itself.
    pub(crate) crowded: bool,
    /// The restart (by attempt) for which `BackOff` was told.
    pub(crate) backoff_told: Option<u32>,
}

/// What exists of a container right now.
#[derive(Debug)]
pub(crate) enum Run {
    /// Nothing.
    Idle,
    /// `StartContainer` is in flight.
    Starting(Birth),
    /// A start that an earlier agent asked for; its answer comes by itself, or does not.
    Adopting {
        birth: Birth,
        /// After this it counts as lost.
        until: Mono,
    },
    /// Its process runs.
    Running(Live),
    /// Its process ended, or it is not known whether there ever was one: to be removed.
    Remains(Remains),
}

/// A run that is about to begin.
#[derive(Debug, Clone)]
pub(crate) struct Birth {
    pub(crate) id: ContainerId,
    pub(crate) attempt: u32,
    /// When the start was asked for.
    pub(crate) asked: Now,
}

/// A process that runs.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) id: ContainerId,
    pub(crate) attempt: u32,
    pub(crate) pid: u32,
    pub(crate) at: Now,
    pub(crate) image: Arc<ImageFacts>,
    pub(crate) health: Health,
    /// An earlier agent has begun its hook before the stop.
    pub(crate) pre_stop: bool,
    /// None while nobody wants it to stop.
    pub(crate) stop: Option<Stop>,
}

/// How far the stopping of a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stop {
    /// Its grace runs from then.
    pub(crate) since: Mono,
    /// The hook before it.
    pub(crate) hook: Hook,
    /// When its turn for the stop signal came.
    pub(crate) signalled: Option<Mono>,
    /// The signal is known to have arrived.
    pub(crate) delivered: bool,
}

impl Live {
    /// A run with what an earlier agent has noted of it.
    pub(crate) fn new(
        id: ContainerId,
        attempt: u32,
        pid: u32,
        at: Now,
        image: Arc<ImageFacts>,
        spec: &types::Container,
        noted: Standing,
    ) -> Self {
        let health = Health::new(spec, at.mono, noted);
        Self { id, attempt, pid, at, image, health, pre_stop: noted.pre_stop, stop: None }
    }
}

impl Stop {
    /// Of which an earlier agent says that the signal has arrived.
    pub(crate) fn signalled(since: Mono) -> Self {
        Self { since, hook: Hook::Over, signalled: Some(since), delivered: true }
    }
}

/// What is left of a run.
#[derive(Debug)]
pub(crate) struct Remains {
    pub(crate) birth: Birth,
    /// No process of it can be alive.
    pub(crate) killed: bool,
    /// Its exit is in the container's memory.
    pub(crate) recorded: bool,
    /// The keeper may still tell an exit of it after it was killed.
    pub(crate) may_tell: bool,
    /// An exit may be told until then: it must not be removed before.
    pub(crate) exit_until: Mono,
    /// The version of the pod's memory that must be saved before it may be removed: the removal
    /// acknowledges the exit to the keeper.
    pub(crate) gate: u64,
}

impl Pod {
    /// A pod of which nothing exists yet.
    pub(crate) fn new(desired: DesiredPod, now: Now) -> Self {
        let mut images: Vec<Image> = Vec::new();
        let spec = &desired.pod.spec;
        let mut containers = Vec::with_capacity(spec.all_containers().count());
        for (container, terms) in spec.all_containers().zip(Terms::of(spec)) {
            let image = Image::index(&mut images, &container.image, container.image_pull_policy);
            let mut state = Container::new(container.name.clone(), terms, image);
            for (volume, source) in spec.image_volumes(container) {
                let image = Image::index(&mut images, &source.reference, source.pull_policy);
                state.volumes.push((volume.to_owned(), image));
            }
            containers.push(state);
        }
        let mut conditions = Conditions::new(now.wall);
        let initialised = desired.pod.spec.init_containers.is_empty();
        conditions.initialised.holds = initialised;
        let storage = Storage::of(&desired.pod.spec);
        Self {
            desired,
            stage: Stage::Queued,
            wanted: true,
            seen: now,
            sandbox: Sandbox::default(),
            images,
            containers,
            initialised,
            ending: None,
            active_since: now.mono,
            expired: false,
            restarting: false,
            evicted: None,
            storage,
            resizing: Resizing::default(),
            wants: None,
            halt_grace_s: None,
            stop_kept: false,
            memory: Memory::default(),
            found: false,
            refusal: None,
            problem: None,
            not_enforced: Vec::new(),
            unheld: None,
            conditions,
        }
    }

    /// A sandbox is begun at this moment.
    pub(crate) fn sandbox_begins(&mut self, at: Mono) {
        self.initialised = !self.has_init();
        self.containers.iter_mut().for_each(|container| container.sandbox_since = at);
    }

    /// Seconds between the stop signal and the kill.
    pub(crate) fn grace_s(&self) -> u64 {
        let own_s = self.desired.pod.spec.termination_grace_period_seconds.unwrap_or(GRACE_DEFAULT_S);
        own_s.min(self.grace_max_s()).min(self.halt_grace_s.unwrap_or(u64::MAX))
    }

    /// It has init containers, sidecars among them.
    pub(crate) fn has_init(&self) -> bool {
        !self.desired.pod.spec.init_containers.is_empty()
    }

    /// Nothing of it will be started any more: its time is over, an init container has failed for good, or all regular
    /// containers have ended for good. Sidecars may still run.
    pub(crate) fn is_finished(&self) -> bool {
        let mut mains = self.containers.iter().filter(|container| container.terms.role == Role::Main);
        self.expired
            || self.is_evicted_for_good()
            || self.has_failed_init()
            || mains.all(Container::is_completed)
    }

    /// An init container has failed for good.
    pub(crate) fn has_failed_init(&self) -> bool {
        let mut inits = self.containers.iter().filter(|container| container.terms.role == Role::Init);
        inits.any(|container| container.is_completed() && container.last_code() != Some(0))
    }

    /// Containers that have, or may come to have, a slot in the keeper.
    pub(crate) fn slots(&self) -> usize {
        let finished = self.is_finished();
        // Those that have completed come back when the pod begins anew.
        let all = self.containers.iter().any(|c| !c.is_completed() && c.terms.may_restart_all());
        let has = |c: &&Container| !matches!(c.run, Run::Idle) || !finished && (all || !c.is_completed());
        self.containers.iter().filter(has).count()
    }
}

/// [`Container::sandbox_since`] while there is none.
const NO_SANDBOX: Mono = Mono(u64::MAX);
/// Kubernetes' default, for a spec that was not defaulted.
pub(crate) const GRACE_DEFAULT_S: u64 = 30;

impl Image {
    /// The place of this image among them; put there if it is new.
    fn index(images: &mut Vec<Self>, reference: &str, policy: Option<PullPolicy>) -> usize {
        let policy = policy.unwrap_or(PullPolicy::IfNotPresent);
        let known = images.iter().position(|have| have.reference == reference && have.policy == policy);
        known.unwrap_or_else(|| {
            images.push(Self::new(reference.to_owned(), policy));
            images.len() - 1
        })
    }

    fn new(reference: String, policy: PullPolicy) -> Self {
        Self { reference, policy, facts: None, busy: None, retry: Retry::default(), failure: None }
    }
}

impl Container {
    fn new(name: String, terms: Terms, image: usize) -> Self {
        Self {
            name,
            terms,
            sandbox_since: NO_SANDBOX,
            image,
            volumes: Vec::new(),
            memory: ContainerMemory::default(),
            run: Run::Idle,
            busy: None,
            retry: Retry::default(),
            start: Retry::default(),
            failure: None,
            grants: Vec::new(),
            lost: BTreeMap::new(),
            given: None,
            place: Place::default(),
            crowded: false,
            backoff_told: None,
        }
    }

    /// No process runs or may run, and by its policy none will again.
    pub(crate) fn is_completed(&self) -> bool {
        match &self.run {
            Run::Idle => {}
            Run::Remains(remains) if remains.recorded => {}
            _ => return false,
        }
        let Some(last) = self.memory.last.as_ref().filter(|_| !self.memory.again) else { return false };
        // What an init container has prepared is gone with the sandbox.
        let stale = self.terms.role == Role::Init && last.exit.code == 0 && !self.is_of_sandbox(last);
        let ends = match self.memory.doomed {
            Some(_) => !self.terms.restarts_unwell(),
            None => self.terms.ends_with(last.exit.code),
        };
        !stale && ends
    }

    /// This run ended in the present sandbox.
    pub(crate) fn is_of_sandbox(&self, last: &LastRun) -> bool {
        !self.memory.again && last.exit.at.mono != Mono(0) && last.exit.at.mono >= self.sandbox_since
    }

    /// How its last run ended.
    pub(crate) fn last_code(&self) -> Option<i32> {
        self.memory.last.as_ref().map(|last| last.exit.code)
    }

    /// All images that must be there before it can start, its own first.
    pub(crate) fn images(&self) -> impl Iterator<Item = usize> {
        [self.image].into_iter().chain(self.volumes.iter().map(|(_, image)| *image))
    }

    /// The restart count to be shown.
    pub(crate) fn restarts(&self) -> u32 {
        self.memory.next_attempt.saturating_sub(1)
    }

    /// The id of what exists of it now.
    pub(crate) fn current_id(&self) -> Option<&ContainerId> {
        match &self.run {
            Run::Idle => None,
            Run::Starting(birth) | Run::Adopting { birth, .. } => Some(&birth.id),
            Run::Running(live) => Some(&live.id),
            Run::Remains(remains) => Some(&remains.birth.id),
        }
    }
}
