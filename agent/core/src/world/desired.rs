//! The desired set: who is wanted, who is new, what is wrong with the manifests.
//!
//! Invariants: of two desired pods with one key or one uid the first counts; a pod whose file cannot be
//! read right now, and whose key comes from nowhere else, stays wanted; a problem becomes an event once,
//! until it goes away.

use super::{
    World, adopt, lacking,
    planner::Planner,
    state::{Pod, Stage},
};
use crate::{
    event::{DesiredSet, Shutdown},
    ids::{PodKey, PodUid},
    manifest::{DesiredPod, Problem, objects::Objects},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

/// Pods taken in from the sources; what comes behind is told of and left out.
pub(crate) const DESIRED_PODS_MAX: usize = 1024;
/// Characters of a uid that Berth has made; such a uid names its content.
const HASH_UID_LEN: usize = 32;

/// The desired set with what is looked up in it.
#[derive(Debug, Default)]
pub(crate) struct Desired {
    set: Arc<DesiredSet>,
    by_uid: BTreeMap<PodUid, usize>,
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

    /// All pods go, and the node perhaps.
    pub(crate) fn is_shutdown(&self) -> bool {
        self.set.shutdown.is_some()
    }

    /// Nothing begins any more, and of what is there only the containers go.
    pub(crate) fn is_halt(&self) -> bool {
        self.set.shutdown == Some(Shutdown::Halt)
    }

    pub(crate) fn objects(&self) -> Objects {
        self.set.objects.clone()
    }

    pub(crate) fn problems(&self) -> &[Problem] {
        &self.set.problems
    }
}

/// Takes in a new desired set.
pub(crate) fn take(world: &mut World, set: &Arc<DesiredSet>, planner: &mut Planner) {
    let mut by_uid = index(set, planner);
    keep_complete(world, set, &mut by_uid);
    let before = world.desired.replace(Desired { set: set.clone(), by_uid, pending: true });
    let Some(desired) = &world.desired else { return };
    let keys: BTreeSet<&PodKey> =
        desired.by_uid.values().filter_map(|i| Some(&set.pods.get(*i)?.key)).collect();
    for pod in world.pods.values_mut() {
        let mut concerns = set.problems.iter().filter(|problem| concerns(problem, &pod.desired));
        pod.problem = concerns.next().map(ToString::to_string);
        let revision = desired.get(&pod.desired.uid).filter(|new| same_revision(&pod.desired, new));
        let named = revision.is_some() || pod.problem.is_some() && !keys.contains(&pod.desired.key);
        pod.wanted = named && !desired.is_halt();
        if let (Some(new), Stage::Queued | Stage::Active) = (revision, pod.stage)
            && pod.desired.origin != new.origin
        {
            pod.desired.origin = new.origin.clone();
        }
    }
    if before.as_ref().is_none_or(|before| before.set.objects != set.objects) {
        world.pods.values_mut().for_each(lacking::try_again);
    }
    let uids = world.pods.values().map(|pod| (pod.desired.key.clone(), pod.desired.uid.clone())).collect();
    tell_problems(&set.problems, before.as_ref().map_or(&[], Desired::problems), &uids, planner);
}

/// A pod that has begun stays as it is while a revision lacks an object that differs from it in the values
/// of objects only: it stands in the index in the place of that revision.
fn keep_complete(world: &World, set: &DesiredSet, by_uid: &mut BTreeMap<PodUid, usize>) {
    let begun = world.pods.values().filter(|pod| pod.stage == Stage::Active && pod.desired.base.is_some());
    for pod in begun.filter(|pod| !by_uid.contains_key(&pod.desired.uid)).collect::<Vec<_>>() {
        let lacks = |new: &DesiredPod| {
            (&new.key, &new.base) == (&pod.desired.key, &pod.desired.base)
                && lacking::variables(new, &set.objects).is_some()
        };
        let lacking = by_uid.iter().find(|(_, i)| set.pods.get(**i).is_some_and(lacks));
        if let Some((uid, i)) = lacking.map(|(uid, i)| (uid.clone(), *i)) {
            by_uid.remove(&uid);
            by_uid.insert(pod.desired.uid.clone(), i);
        }
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

/// A uid that Berth has made stands for its content, over upgrades too. One that the manifest gives does
/// not: there the content is compared.
fn same_revision(old: &DesiredPod, new: &DesiredPod) -> bool {
    let made = old.uid.0.len() == HASH_UID_LEN && old.uid.0.bytes().all(|byte| byte.is_ascii_hexdigit());
    old.key == new.key && (made || Arc::ptr_eq(&old.pod, &new.pod) || old.pod == new.pod)
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
