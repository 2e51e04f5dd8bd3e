//! A core broken on purpose, to prove that the oracle bites: its plan or its news are falsified between
//! core and hands.

use super::manifests::DEVICE;
use berth_core::{
    action::{Action, ActionKind, Plan},
    check::Purpose,
    cpus::CpuSet,
    devices::Seen,
    event::{DesiredSet, Event, Outcome},
    ids::{ActionId, ContainerId, PodUid},
    manifest::objects::Objects,
    node::Amounts,
    world::WorldConfig,
};

/// What is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sabotage {
    /// Nothing.
    #[default]
    None,
    /// Kills instead of asking to stop.
    KillAtOnce,
    /// Says that checkpoints are saved without saving them.
    ForgetExits,
    /// Starts each container twice.
    StartTwice,
    /// Restarts without back-off.
    NoBackoff,
    /// Says that sandboxes are removed without removing them.
    LeaveSandboxes,
    /// Does not remove the checkpoints of removed pods.
    LeaveCheckpoints,
    /// Does not hear that pods are desired no more.
    NeverRemove,
    /// Plans the first action of each plan again, under another number.
    PlanTwice,
    /// Starts with a restart count one too high.
    CountTwice,
    /// Starts again, some time later, what it has started once.
    ReplayOldStart,
    /// Forgets when to wake.
    NeverWake,
    /// Knows no limit.
    IgnoreLimits,
    /// Starts a regular container beside each init container.
    SkipInit,
    /// Stops sidecars together with what they serve.
    StopSidecars,
    /// Does not know what an earlier agent was stopping.
    ForgetStops,
    /// Starts with what objects were when the first container was started.
    OldObjects,
    /// Asks, some time later, what it has asked once, of a run that may be over.
    StaleCheck,
    /// Begins each hook twice.
    HookTwice,
    /// Stops containers that are well.
    StopWell,
    /// Takes an empty answer of an address for one that wants no pods.
    EmptyCounts,
    /// Does not know whom an earlier agent has evicted.
    ForgetEvictions,
    /// Takes a shortage for over at once.
    ForgetPressure,
    /// Takes a device that is not there for one that is.
    SeeDevices,
    /// Has containers run where others have processors to themselves.
    ShareCpus,
    /// Takes one failure for another, for which no rule has the whole pod begin anew.
    MistakeFailures,
}

/// What a sabotage remembers.
#[derive(Debug)]
pub(crate) struct State {
    kind: Sabotage,
    first_start: Option<Action>,
    first_check: Option<Action>,
    plans: u32,
    sidecars: Vec<(PodUid, ContainerId)>,
    all: DesiredSet,
    objects: Option<Objects>,
}

impl State {
    pub(crate) fn new(kind: Sabotage) -> Self {
        Self {
            kind,
            first_start: None,
            first_check: None,
            plans: 0,
            sidecars: Vec::new(),
            all: DesiredSet::default(),
            objects: None,
        }
    }

    pub(crate) fn config(&self, config: &mut WorldConfig) {
        if self.kind == Sabotage::NoBackoff {
            config.crash_backoff_max_s = 0;
        }
        if self.kind == Sabotage::ForgetPressure {
            config.pressure.transition_s = 0;
        }
        if self.kind == Sabotage::IgnoreLimits {
            config.allocatable = Amounts::default();
        }
    }

    pub(crate) fn news(&mut self, events: &mut [Event]) {
        match self.kind {
            Sabotage::NeverRemove => self.never_remove(events),
            Sabotage::ForgetStops => forget_stops(events),
            Sabotage::ForgetEvictions => forget_evictions(events),
            _ => {}
        }
    }

    /// What the core alone is told instead of these events, if anything.
    pub(crate) fn lies(&self, events: &[Event]) -> Option<Vec<Event>> {
        let lie = match self.kind {
            Sabotage::SeeDevices => see_devices,
            Sabotage::MistakeFailures => mistake_failures,
            _ => return None,
        };
        Some(events.iter().map(lie).collect())
    }

    fn never_remove(&mut self, events: &mut [Event]) {
        for event in events {
            let Event::Desired(set) = event else { continue };
            for pod in &set.pods {
                if self.all.pods.iter().all(|have| have.key != pod.key) {
                    self.all.pods.push(pod.clone());
                }
            }
            *event = Event::Desired(self.all.clone().into());
        }
    }

    pub(crate) fn plan(&mut self, plan: &mut Plan) {
        self.plans += 1;
        match self.kind {
            Sabotage::KillAtOnce => {
                for action in &mut plan.actions {
                    if let ActionKind::Signal { id, .. } = &action.kind {
                        action.kind = ActionKind::Kill { id: id.clone() };
                    }
                }
            }
            Sabotage::StartTwice => {
                let twins: Vec<Action> = plan.actions.iter().filter_map(twin).collect();
                plan.actions.extend(twins);
            }
            Sabotage::OldObjects => {
                let starts = plan.actions.iter_mut().filter_map(|action| match &mut action.kind {
                    ActionKind::StartContainer { objects, .. } if objects.iter().next().is_some() => {
                        Some(objects)
                    }
                    _ => None,
                });
                for objects in starts {
                    objects.clone_from(self.objects.get_or_insert_with(|| objects.clone()));
                }
            }
            Sabotage::PlanTwice => {
                let again = plan.actions.first().cloned();
                plan.actions.extend(again);
            }
            Sabotage::CountTwice => {
                for action in &mut plan.actions {
                    if let ActionKind::StartContainer { attempt, .. } = &mut action.kind {
                        *attempt += 1;
                    }
                }
            }
            Sabotage::ReplayOldStart => {
                let starts = |action: &&Action| matches!(action.kind, ActionKind::StartContainer { .. });
                let start = plan.actions.iter().find(starts).cloned();
                self.first_start = self.first_start.take().or(start);
                if self.plans.is_multiple_of(20) {
                    plan.actions.extend(self.first_start.clone());
                }
            }
            Sabotage::NeverWake => plan.wake = None,
            Sabotage::SkipInit => {
                let early: Vec<Action> = plan.actions.iter().filter_map(skip_init).collect();
                plan.actions.extend(early);
            }
            Sabotage::StopSidecars => self.stop_sidecars(plan),
            Sabotage::StaleCheck => {
                let check = plan.actions.iter().find(|action| asks(action, &PROBES)).cloned();
                self.first_check = self.first_check.take().or(check);
                if self.plans.is_multiple_of(20) {
                    plan.actions
                        .extend(self.first_check.as_ref().map(|check| again(check, check.kind.clone())));
                }
            }
            Sabotage::HookTwice => {
                let hooks = plan.actions.iter().filter(|action| asks(action, &HOOKS));
                let twins: Vec<Action> = hooks.map(|hook| again(hook, hook.kind.clone())).collect();
                plan.actions.extend(twins);
            }
            Sabotage::ShareCpus => plan.actions.iter_mut().for_each(share_cpus),
            Sabotage::StopWell => {
                let stops: Vec<Action> = plan.actions.iter().filter_map(stop_well).collect();
                plan.actions.extend(stops);
            }
            _ => {}
        }
    }

    fn stop_sidecars(&mut self, plan: &mut Plan) {
        let mut early = Vec::new();
        for action in &plan.actions {
            match &action.kind {
                ActionKind::StartContainer { desired, container, id, .. }
                    if desired.pod.spec.sidecars().any(|sidecar| sidecar.name == *container) =>
                {
                    self.sidecars.push((action.pod.clone(), id.clone()));
                }
                ActionKind::Signal { signal, .. } => {
                    for (_, id) in self.sidecars.iter().filter(|(uid, _)| *uid == action.pod) {
                        let kind = ActionKind::Signal { id: id.clone(), signal: *signal };
                        let id = ActionId(action.id.0 + 1_000_000);
                        early.push(Action { id, kind, ..action.clone() });
                    }
                }
                _ => {}
            }
        }
        plan.actions.splice(0..0, early);
    }

    /// The answer to an action that is not carried out.
    pub(crate) fn instead(&self, action: &Action) -> Option<Outcome> {
        match (self.kind, &action.kind) {
            (Sabotage::ForgetExits, ActionKind::SaveCheckpoint { .. })
            | (Sabotage::LeaveSandboxes, ActionKind::RemoveSandbox { .. })
            | (Sabotage::LeaveCheckpoints, ActionKind::DropCheckpoint) => Some(Outcome::Ok),
            _ => None,
        }
    }
}

fn see_devices(event: &Event) -> Event {
    let Event::Devices(seen) = event else { return event.clone() };
    let mut seen = Seen::clone(seen);
    seen.there.insert(DEVICE.to_owned(), "c 1:3".to_owned());
    Event::Devices(seen.into())
}

fn mistake_failures(event: &Event) -> Event {
    let mut event = event.clone();
    if let Event::Exited { exit, .. } = &mut event
        && exit.code == 1
    {
        exit.code = 3;
    }
    event
}

fn share_cpus(action: &mut Action) {
    let places = match &mut action.kind {
        ActionKind::StartContainer { place, .. } => vec![place],
        ActionKind::Resize { runs, .. } => runs.iter_mut().map(|run| &mut run.place).collect(),
        _ => Vec::new(),
    };
    let everywhere = CpuSet::from_iter(0..4);
    places.into_iter().filter(|place| !place.exclusive).for_each(|place| place.cpus.clone_from(&everywhere));
}

fn forget_stops(events: &mut [Event]) {
    for event in events {
        let Event::Inventory(inventory) = event else { continue };
        for checkpoint in &mut inventory.checkpoints {
            (checkpoint.terminating, checkpoint.ending) = (None, None);
            checkpoint.containers.values_mut().for_each(|memory| memory.stop = None);
        }
    }
}

fn forget_evictions(events: &mut [Event]) {
    for event in events {
        let Event::Inventory(inventory) = event else { continue };
        inventory.checkpoints.iter_mut().for_each(|checkpoint| checkpoint.evicted = None);
    }
}

/// The start of a regular container in the place of an init container's.
fn skip_init(action: &Action) -> Option<Action> {
    let mut early = twin(action)?;
    let ActionKind::StartContainer { desired, container, .. } = &mut early.kind else { return None };
    desired.pod.spec.init_containers.iter().find(|init| init.name == *container)?;
    container.clone_from(&desired.pod.spec.containers.first()?.name);
    Some(early)
}

const PROBES: [Purpose; 3] = [Purpose::Startup, Purpose::Liveness, Purpose::Readiness];
const HOOKS: [Purpose; 2] = [Purpose::PostStart, Purpose::PreStop];

fn asks(action: &Action, purposes: &[Purpose]) -> bool {
    matches!(&action.kind, ActionKind::Check { check, .. } if purposes.contains(&check.purpose))
}

/// Another action like this one.
fn again(action: &Action, kind: ActionKind) -> Action {
    Action { id: ActionId(action.id.0 + 1_000_000), kind, ..action.clone() }
}

fn stop_well(action: &Action) -> Option<Action> {
    let ActionKind::Check { id, .. } = &action.kind else { return None };
    asks(action, &[Purpose::Liveness])
        .then(|| again(action, ActionKind::Signal { id: id.clone(), signal: 15 }))
}

/// The same start under another container id and number.
fn twin(action: &Action) -> Option<Action> {
    let mut twin = action.clone();
    let ActionKind::StartContainer { id, .. } = &mut twin.kind else { return None };
    *id = ContainerId(format!("{id}-twin").into());
    twin.id.0 += 1_000_000;
    Some(twin)
}
