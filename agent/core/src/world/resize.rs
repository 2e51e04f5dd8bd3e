//! Keeps the cgroups of pods and of containers that run at what the pod's spec says now, whatever it said when they were
//! made.
//!
//! Invariants: one resize of a pod is in flight at a time; what a cgroup has is what an answer has confirmed, and where
//! none did it is not known, so it is written again; nobody is ended or held up for a resize that does not work.

use super::{
    backoff::{RETRY, Retry},
    grow,
    inflight::{Object, Verb},
    planner::Planner,
    state::{Pod, Run, Stage},
};
use crate::{
    action::ActionKind,
    cpus::Place,
    event::{FailReason, Failure, Outcome, SandboxRecord},
    ids::{ActionId, ContainerId},
    resize::{Given, InUse, PodResources, Running},
};

/// The event of a resize that did not work; kubelet's.
const ERROR: &str = "ResizeError";

/// How far the cgroups of a pod follow its spec.
#[derive(Debug, Default)]
pub(crate) struct Resizing {
    /// What the pod's own cgroup was made for; none if that is not known.
    given: Option<PodResources>,
    /// What was wanted last.
    asked: Option<Asked>,
    pub(crate) busy: Option<ActionId>,
    retry: Retry,
    /// Why a memory limit is not lowered, as long as that is so.
    pub(crate) waits: Option<InUse>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked {
    whole: PodResources,
    /// Place of the container in its pod, and what its run is given.
    runs: Vec<(usize, ContainerId, Given)>,
}

impl Resizing {
    /// It is known what the cgroups have.
    pub(crate) fn is_settled(&self) -> bool {
        self.given.is_some()
    }
}

/// An earlier agent has made the pod's sandbox.
pub(crate) fn found(pod: &mut Pod, record: &SandboxRecord) {
    pod.resizing.given = (!record.unsettled).then(|| record.given());
}

/// The pod's cgroup is being made.
pub(crate) fn made(pod: &mut Pod) {
    pod.resizing = Resizing { given: Some(PodResources::of(&pod.desired.pod.spec)), ..Resizing::default() };
}

/// What a run of the container is to have.
pub(crate) fn wanted(pod: &Pod, i: usize) -> Option<Given> {
    let resources = pod.desired.pod.spec.all_containers().nth(i)?.resources.clone();
    Some(Given { resources, place: pod.containers.get(i)?.place.clone() })
}

/// Where the run of the container is being sent to, if it is.
pub(crate) fn on_its_way(pod: &Pod, i: usize) -> Option<&Place> {
    let asked = pod.resizing.asked.as_ref().filter(|_| pod.resizing.busy.is_some())?;
    let run = pod.containers.get(i)?.current_id()?;
    asked.runs.iter().find(|(of, id, _)| *of == i && id == run).map(|(_, _, given)| &given.place)
}

/// Something in its cgroups is not as the spec has it, or not known to be.
pub(crate) fn is_behind(pod: &Pod) -> bool {
    differs(pod, |given, wanted| given != wanted)
}

/// The same, wherever it runs.
pub(crate) fn lacks_resources(pod: &Pod) -> bool {
    differs(pod, |given, wanted| given.resources != wanted.resources)
}

fn differs(pod: &Pod, differ: impl Fn(&Given, &Given) -> bool) -> bool {
    let is_other = |(i, container): (usize, &super::state::Container)| {
        matches!(&container.run, Run::Running(_))
            && !grow::is_to_restart(pod, i)
            && match (&container.given, wanted(pod, i)) {
                (Some(given), Some(wanted)) => differ(given, &wanted),
                (given, wanted) => given.is_some() != wanted.is_some(),
            }
    };
    let whole = PodResources::of(&pod.desired.pod.spec);
    let made = pod.sandbox.made && !pod.sandbox.removed;
    let of_pod = pod.stage == Stage::Active && pod.resizing.given.as_ref() != Some(&whole);
    made && (of_pod || pod.containers.iter().enumerate().any(is_other))
}

/// Has the cgroups written anew, if something in them is not as the spec has it.
pub(crate) fn tend(pod: &mut Pod, planner: &mut Planner) {
    let sandbox = &pod.sandbox;
    if pod.resizing.busy.is_some() || !sandbox.made || sandbox.removed || sandbox.busy.is_some() {
        return;
    }
    let run = |(i, container): (usize, &super::state::Container)| match &container.run {
        // The next run will have it, and it is about to begin.
        Run::Running(live) if !grow::is_to_restart(pod, i) => Some((i, live.id.clone(), wanted(pod, i)?)),
        _ => None,
    };
    let runs: Vec<_> = pod.containers.iter().enumerate().filter_map(run).collect();
    let whole = PodResources::of(&pod.desired.pod.spec);
    if !is_behind(pod) {
        let Resizing { retry, waits, .. } = &mut pod.resizing;
        retry.clear();
        *waits = None;
        return;
    }
    let asked = Asked { whole, runs };
    if pod.resizing.asked.as_ref() != Some(&asked) {
        // Something else is wanted than what did not work.
        pod.resizing.retry.clear();
    }
    if planner.due(pod.resizing.retry.at) {
        let running = |(i, id, given): &(usize, ContainerId, Given)| {
            let container = pod.containers.get(*i)?.name.clone();
            Some(Running { container, id: id.clone(), place: given.place.clone() })
        };
        let runs = asked.runs.iter().filter_map(running).collect();
        let kind = ActionKind::Resize { desired: Box::new(pod.desired.clone()), runs };
        pod.resizing.asked = Some(asked);
        pod.resizing.busy = Some(planner.act(&pod.desired.uid, Object::Resources, Verb::Resize, kind));
    }
}

/// The cgroups were written, or not.
pub(crate) fn answered(pod: &mut Pod, outcome: Outcome, planner: &mut Planner) {
    let resizing = &mut pod.resizing;
    resizing.busy = None;
    match outcome {
        Outcome::Resized(in_use) => {
            let Some(Asked { whole, runs }) = resizing.asked.clone() else { return };
            for (i, id, given) in runs {
                let Some(container) = pod.containers.get_mut(i) else { continue };
                if container.current_id() != Some(&id) {
                    continue;
                }
                match (&in_use, &mut container.given) {
                    (None, known) => *known = Some(given),
                    (Some(_), Some(known)) => known.place = given.place,
                    (Some(_), None) => {}
                }
            }
            match &in_use {
                None => {
                    resizing.given = Some(whole);
                    resizing.retry.clear();
                }
                Some(_) => resizing.retry.failed(planner.now.mono, RETRY),
            }
            let told =
                |known: &InUse, now: &InUse| (&known.container, known.limit) == (&now.container, now.limit);
            let known = std::mem::replace(&mut resizing.waits, in_use);
            if let Some(now) = resizing.waits.as_ref()
                && !known.is_some_and(|known| told(&known, now))
            {
                planner.warn(&pod.desired, ERROR, now.to_string());
            }
        }
        other => {
            // Some of it may have been written.
            let runs = resizing.asked.iter().flat_map(|asked| &asked.runs);
            for (i, id, _) in runs {
                let container = pod.containers.get_mut(*i).filter(|c| c.current_id() == Some(id));
                container.into_iter().for_each(|container| container.given = None);
            }
            resizing.given = None;
            resizing.retry.failed(planner.now.mono, RETRY);
            let message = match other {
                Outcome::Failed(Failure { reason: FailReason::Timeout, .. }) => {
                    "cgroups were not written in time".to_owned()
                }
                Outcome::Failed(failure) => failure.message,
                other => format!("unexpected answer {other:?}"),
            };
            if resizing.retry.failures == 1 {
                planner.warn(&pod.desired, ERROR, format!("resources cannot be changed: {message}"));
            }
        }
    }
}
