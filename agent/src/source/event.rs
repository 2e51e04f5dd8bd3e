//! What the sources have to tell, as it becomes events.

use berth_core::{
    ids::{PodKey, PodUid},
    manifest::DesiredPod,
};

/// An event of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceEvent {
    /// The pod that it is about; none for the node as a whole, and the message then names the source.
    pub(crate) pod: Option<(PodKey, PodUid)>,
    pub(crate) warning: bool,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

impl SourceEvent {
    /// Of the node.
    pub(super) fn of_node(warning: bool, reason: &'static str, message: String) -> Self {
        Self { pod: None, warning, reason, message }
    }

    /// Of a pod.
    pub(super) fn of_pod(pod: &DesiredPod, warning: bool, reason: &'static str, message: String) -> Self {
        Self { pod: Some((pod.key.clone(), pod.uid.clone())), warning, reason, message }
    }
}
