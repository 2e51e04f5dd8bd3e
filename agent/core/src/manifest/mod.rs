//! From a manifest's bytes to valid pods: types, parsing with positions, defaults, validation, identity.

pub mod types;

use crate::ids::{PodKey, PodUid};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A pod that passed defaulting and validation: what the rest of Berth works with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DesiredPod {
    /// Namespace and node-suffixed name; equal to what `pod.metadata` says.
    pub key: PodKey,
    /// Hash of the canonical manifest (or the manifest's own uid); also in `pod.metadata.uid`.
    pub uid: PodUid,
    /// The defaulted pod.
    pub pod: Arc<types::Pod>,
    /// The file (or other origin) that the pod came from, for messages.
    pub origin: Arc<str>,
}

/// One thing wrong with a manifest, with its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The file as the user knows it.
    pub file: Arc<str>,
    /// Line from 1; 0 when the problem has no place in the file (an unreadable file, say).
    pub line: u32,
    /// Column from 1; 0 as with `line`.
    pub column: u32,
    /// Field path as Kubernetes writes it, `spec.containers[0].image`; empty for the whole document.
    pub path: String,
    /// What is wrong and what to do.
    pub message: String,
    /// The pod concerned, where it is known.
    pub pod: Option<PodKey>,
}
