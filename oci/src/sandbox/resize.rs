//! A pod's resize as the hands do it: cgroups, and the records by which the next agent knows what they have.

use super::{check_uid, turn::Turn};
use crate::{
    cgroup::{Resize, Target, enable_cpus},
    error::{Error, Result},
    fsys,
    node::NodeFacts,
    paths::Roots,
    records,
};
use berth_core::{
    ids::{ContainerId, PodUid},
    manifest::DesiredPod,
    resize::{Given, InUse, PodResources, Running},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What runs were given after their start. Kept for the pod and not with each run, whose own directory may be removed
/// at any time.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Resized {
    /// A resize was begun and is not known to have ended.
    pub(crate) unsettled: bool,
    /// By run.
    pub(crate) runs: BTreeMap<ContainerId, Given>,
}

/// Brings the cgroups of a pod and of these runs up to its spec. Blocking, idempotent. Nothing is done for a pod whose
/// sandbox is not there any more. Returns the memory limit that could not be lowered: then all limits stay as they were,
/// and only where containers may run has changed.
///
/// # Errors
/// [`Error::Io`]: the kernel refuses a value; some may be set then, which the record says.
pub fn resize(roots: &Roots, node: &NodeFacts, pod: &DesiredPod, runs: &[Running]) -> Result<Option<InUse>> {
    check_uid(pod)?;
    let _turn = Turn::take(roots, &pod.uid)?;
    let Some(known) = records::read_sandbox(roots, &pod.uid)?.filter(|record| record.ready) else {
        return Ok(None);
    };
    let cgroup = roots.pod_cgroup(pod);
    if cgroup != roots.pod_cgroup(&known.desired) {
        return Err(Error::Config(format!("pod {}: its QoS class cannot change while it runs", pod.key)));
    }
    let targets: Vec<Target<'_>> = runs
        .iter()
        .filter_map(|run| {
            let container = pod.pod.spec.container(&run.container)?;
            Some(Target { container, place: &run.place, cgroup: roots.container_cgroup(pod, &run.id) })
        })
        .collect();
    let resize = Resize::of(pod, node, cgroup, &targets);
    let mut resized = read(roots, &pod.uid);
    resized.runs.retain(|id, _| runs.iter().any(|run| run.id == *id));
    write(roots, &pod.uid, &Resized { unsettled: true, ..resized.clone() })?;
    if runs.iter().any(|run| !run.place.cpus.is_empty()) {
        // An agent without the policy may have made them.
        enable_cpus(roots, pod)?;
    }
    resize.set_cpus()?;
    let in_use = resize.in_use()?;
    if in_use.is_none() {
        resize.write()?;
        let given = PodResources::of(&pod.pod.spec);
        if known.desired != *pod || known.given.as_ref() != Some(&given) {
            records::write_sandbox(roots, pod, known.begun, given)?;
        }
    }
    for run in runs {
        let Some(container) = pod.pod.spec.container(&run.container) else { continue };
        let had = || resized.runs.get(&run.id).cloned().or_else(|| records::given(roots, &run.id));
        let resources = match &in_use {
            None => Some(container.resources.clone()),
            Some(_) => had().map(|given| given.resources),
        };
        if let Some(resources) = resources {
            resized.runs.insert(run.id.clone(), Given { resources, place: run.place.clone() });
        }
    }
    resized.unsettled &= in_use.is_some();
    write(roots, &pod.uid, &resized)?;
    Ok(in_use)
}

/// What is known of resizes; nothing where there was none.
pub(crate) fn read(roots: &Roots, uid: &PodUid) -> Resized {
    match records::read(&roots.pod_resized(uid)) {
        Ok(known) => known.unwrap_or_default(),
        // Whatever it said, writing all of it again is right.
        Err(_) => Resized { unsettled: true, ..Resized::default() },
    }
}

fn write(roots: &Roots, uid: &PodUid, resized: &Resized) -> Result<()> {
    records::write(&roots.pod_resized(uid), resized)
}

/// The sandbox is made anew: what was said of an earlier one's containers is not true of it.
pub(crate) fn forget(roots: &Roots, uid: &PodUid) -> Result<()> {
    fsys::remove_file(&roots.pod_resized(uid))
}
