//! From a manifest's bytes to valid pods: types, parsing with positions, defaults, validation, identity.
//! Pure: no file is opened here, and no input may panic or use more than the bounds in [`limits`].

pub mod answer;
mod app_armor;
mod check;
pub mod defaults;
mod document;
mod file;
mod finding;
pub mod huge_pages;
pub mod identity;
pub mod in_place;
pub mod keepsake;
pub mod limits;
mod locate;
pub mod merge;
mod node;
pub mod objects;
mod path;
mod place;
mod pods;
pub mod qos;
pub mod quantity;
mod scalar;
mod schema;
pub mod start_after;
mod suggest;
pub mod support;
mod text;
pub mod types;
mod validate;

#[cfg(test)]
mod bad_input_tests;
#[cfg(test)]
mod tests;

use crate::ids::{PodKey, PodUid};
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

pub use merge::{merge, merge_sources};
pub use validate::env::subscript;

/// A pod that passed defaulting and validation: what the rest of Berth works with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DesiredPod {
    /// Namespace and node-suffixed name; equal to what `pod.metadata` says.
    pub key: PodKey,
    /// Hash of the canonical manifest (or the manifest's own uid); also in `pod.metadata.uid`.
    pub uid: PodUid,
    /// The uid that it would have without the values that its variables take from objects; none if they take none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<PodUid>,
    /// A hash over those values; none if there are none, or not all of them are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Arc<str>>,
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

impl fmt::Display for Problem {
    /// `file:line:column: path: message`, without the parts that are not known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file)?;
        if self.line > 0 {
            write!(f, "{}:{}:", self.line, self.column)?;
        }
        if !self.path.is_empty() {
            write!(f, " {}:", self.path)?;
        }
        write!(f, " {}", self.message)
    }
}

/// What a file says it is, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `.yaml`, `.yml`: any number of documents. JSON is YAML too.
    Yaml,
    /// `.json`: one document, strictly JSON.
    Json,
}

/// What [`load`] needs.
#[derive(Debug, Clone, Copy)]
pub struct LoadInput<'a> {
    /// The file's name as the user knows it; stands in every problem and in `DesiredPod::origin`.
    pub file: &'a str,
    /// The content; more than [`limits::FILE_LEN_MAX_BYTES`] is refused.
    pub bytes: &'a [u8],
    /// How to read it.
    pub format: Format,
    /// The node's name: becomes the pod name's suffix (in lower case) and `spec.nodeName`.
    pub node: &'a str,
    /// `kubernetes.io/config.source`: `file` or `http`.
    pub source: &'a str,
}

/// What a file amounts to. A pod with a problem is not in `pods`; other pods of the file are.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LoadOutput {
    /// Valid pods in the order of the file, one per key.
    pub pods: Vec<DesiredPod>,
    /// For each of `pods` the line of the file, from 1, at which its document begins.
    pub lines: Vec<u32>,
    /// Valid ConfigMaps, Secrets and claims in the order of the file, one per key.
    pub objects: Vec<Arc<objects::Object>>,
    /// For each of `objects` the line of the file, from 1, at which its document begins.
    pub object_lines: Vec<u32>,
    /// What is wrong with the rest.
    pub problems: Vec<Problem>,
    /// What works, but perhaps not as meant.
    pub warnings: Vec<Problem>,
}

impl LoadOutput {
    /// There is neither a pod nor an object in it.
    pub fn is_empty(&self) -> bool {
        self.pods.is_empty() && self.objects.is_empty()
    }
}

/// The file without its documents that have Secrets: what of it may be copied. Of JSON nothing is left.
pub fn without_secrets(bytes: &[u8], format: Format) -> Vec<u8> {
    file::without_secrets(bytes, format).into_bytes()
}

/// Reads one file: parses, checks against the schema, defaults, validates, names. Never fails as a whole:
/// what is wrong is in the output, up to [`limits::PROBLEMS_PER_FILE_MAX`] problems of it.
pub fn load(input: &LoadInput<'_>) -> LoadOutput {
    file::load(input)
}
