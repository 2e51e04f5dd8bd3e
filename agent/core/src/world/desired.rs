//! The desired set: who is wanted, who is new, what is wrong with the manifests.
//!
//! Invariants: of two desired pods with one key or one uid the first counts; a pod whose file cannot be
//! read right now, and whose key comes from nowhere else, stays wanted; a problem becomes an event once,
//! until it goes away.

use super::{
    World, adopt,
    in_place::{self, Standing},
    lacking,
    planner::Planner,
    state::Pod,
};
use crate::{
    event::{DesiredSet, Shutdown},
    ids::{PodKey, PodUid},
    manifest::{DesiredPod, Problem, objects::Objects},
    time::Mono,
};
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

/// Pods taken in from the sources; what comes behind is told of and left out.
pub(crate) const DESIRED_PODS_MAX: usize = 1024;

/// The desired set with what is looked up in it.
#[derive(Debug, Default)]
pub(crate) struct Desired {
    /// As the sources have said it.
    said: Arc<DesiredSet>,
    /// The same with every pod under the uid that it has.
    set: Arc<DesiredSet>,
    standing: Standing,
    by_uid: BTreeMap<PodUid, usize>,
    halting_since: Option<Mono>,
    /// Some pod of the set may not be in the world yet.
    pub(crate) pending: bool,
}

impl Desired {
    fn get(&self, uid: &PodUid) -> Option<&DesiredPod> {
        self.set.pods.get(*self.by_uid.get(uid)?)
    }

    pub(crate) fn contains(&self, uid: &PodUid) -> bool {
        self.by_uid.contains_key(uid)
    }

    /// The accepted pods, in the order of the sources.
    pub(crate) fn uids(&self) -> Vec<PodUid> {
        self.set.pods.iter().map(|pod| &pod.uid).filter(|uid| self.contains(uid)).cloned().collect()
    }

    /// The accepted pods.
    pub(crate) fn pods(&self) -> impl Iterator<Item = &DesiredPod> {
        self.by_uid.values().filter_map(|i| self.set.pods.get(*i))
    }

    /// The uid of the pod that has this revision.
    pub(crate) fn standing<'a>(&'a self, revision: &'a PodUid) -> &'a PodUid {
        self.standing.get(revision).unwrap_or(revision)
    }

    /// The uid that the manifests give the pod that stands under this one.
    pub(crate) fn revision<'a>(&'a self, uid: &'a PodUid) -> &'a PodUid {
        self.standing.iter().find(|(_, standing)| *standing == uid).map_or(uid, |(revision, _)| revision)
    }

    /// All pods go, and the node perhaps.
    pub(crate) fn is_shutdown(&self) -> bool {
        self.set.shutdown.is_some()
    }

    /// Nothing begins any more, and of what is there only the containers go.
    pub(crate) fn is_halt(&self) -> bool {
        self.set.shutdown == Some(Shutdown::Halt)
    }

    /// Since when the machine goes down, if it does.
    pub(crate) fn halting_since(&self) -> Option<Mono> {
        self.halting_since
    }

    pub(crate) fn objects(&self) -> Objects {
        self.set.objects.clone()
    }

    pub(crate) fn problems(&self) -> &[Problem] {
        &self.set.problems
    }
}

/// Takes in a new desired set.
pub(crate) fn take(world: &mut World, said: &Arc<DesiredSet>, planner: &mut Planner) {
    let (set, standing) = in_place::settle(world, said);
    let by_uid = index(&set, planner);
    let said = Arc::clone(said);
    let set = &set;
    let known = world.desired.as_ref().and_then(Desired::halting_since);
    let halting_since = (set.shutdown == Some(Shutdown::Halt)).then(|| known.unwrap_or(planner.now.mono));
    let now = Desired { said, set: Arc::clone(set), standing, by_uid, halting_since, pending: true };
    let before = world.desired.replace(now);
    let Some(desired) = &world.desired else { return };
    let keys: BTreeSet<&PodKey> =
        desired.by_uid.values().filter_map(|i| Some(&set.pods.get(*i)?.key)).collect();
    for pod in world.pods.values_mut() {
        let mut concerns = set.problems.iter().filter(|problem| concerns(problem, &pod.desired));
        pod.problem = concerns.next().map(ToString::to_string);
        let new = desired.get(&pod.desired.uid);
        let is_it = new.is_some_and(|new| in_place::take_on(pod, new, set, planner));
        let named = is_it || pod.problem.is_some() && !keys.contains(&pod.desired.key);
        pod.wanted = named && !desired.is_halt();
    }
    if before.as_ref().is_none_or(|before| before.set.objects != set.objects) {
        world.pods.values_mut().for_each(lacking::try_again);
    }
    let uids = world.pods.values().map(|pod| (pod.desired.key.clone(), pod.desired.uid.clone())).collect();
    tell_problems(&set.problems, before.as_ref().map_or(&[], Desired::problems), &uids, planner);
}

/// Takes in what the sources have said once more.
pub(crate) fn again(world: &mut World, planner: &mut Planner) {
    if let Some(said) = world.desired.as_ref().map(|desired| Arc::clone(&desired.said)) {
        take(world, &said, planner);
    }
}

fn index(set: &DesiredSet, planner: &mut Planner) -> BTreeMap<PodUid, usize> {
    let (mut by_uid, mut keys) = (BTreeMap::new(), BTreeSet::new());
    for (i, pod) in set.pods.iter().enumerate() {
        if by_uid.len() >= DESIRED_PODS_MAX {
            let message = format!("more than {DESIRED_PODS_MAX} pods in the manifests; this one is left out");
            planner.warn(pod, "FailedValidation", message);
        } else if keys.insert(&pod.key) {
            by_uid.entry(pod.uid.clone()).or_insert(i);
        }
    }
    by_uid
}

/// The problem lies in the file that the pod came from, and may be about it.
fn concerns(problem: &Problem, pod: &DesiredPod) -> bool {
    problem.file == pod.origin && problem.pod.as_ref().is_none_or(|key| *key == pod.key)
}

fn tell_problems(
    now: &[Problem],
    before: &[Problem],
    uids: &BTreeMap<PodKey, PodUid>,
    planner: &mut Planner,
) {
    let known: HashSet<String> = before.iter().map(ToString::to_string).collect();
    let mut told = HashSet::new();
    for problem in now {
        let text = problem.to_string();
        if known.contains(&text) || !told.insert(text.clone()) {
            continue;
        }
        // A file of which not even the pod's name can be read stands for itself.
        let nameless = || PodKey { namespace: "".into(), name: problem.file.clone() };
        let key = problem.pod.clone().unwrap_or_else(nameless);
        let uid = uids.get(&key).cloned().unwrap_or_else(|| PodUid("".into()));
        planner.event(key, uid, true, "FailedValidation", text);
    }
}

/// Puts into the world the desired pods that are not there.
pub(crate) fn admit_new(world: &mut World, planner: &Planner) {
    let Some(desired) = world.desired.as_mut().filter(|desired| desired.pending) else { return };
    desired.pending = false;
    if desired.is_halt() {
        return;
    }
    for uid in desired.uids() {
        // Its checkpoint is being dropped: it must be gone before a new one is begun.
        let dropping = world.orphans.strays.get(&uid).is_some_and(|stray| stray.busy.is_some());
        desired.pending |= dropping;
        let (false, false, Some(new)) = (dropping, world.pods.contains_key(&uid), desired.get(&uid)) else {
            continue;
        };
        let mut pod = Pod::new(new.clone(), planner.now);
        pod.problem =
            desired.problems().iter().find(|problem| concerns(problem, new)).map(ToString::to_string);
        if let Some(stray) = world.orphans.strays.remove(&uid) {
            adopt::recall(&mut pod, &stray.checkpoint, &world.boot_id);
            adopt::settle(&mut pod, &world.boot_id);
        }
        world.pods.insert(uid, pod);
    }
}
