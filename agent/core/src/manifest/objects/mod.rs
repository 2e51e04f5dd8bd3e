//! ConfigMaps, Secrets, PersistentVolumeClaims and NetworkPolicies: objects that stand in files beside the pods, and
//! what pods take from them. Values are never part of anything that is printed, logged or serialised: who wants
//! one has to ask for its bytes.

mod base64;
pub mod env;
pub mod env_file;
pub mod files;
mod read;
mod revise;
mod write;

use super::{
    LoadOutput, Problem,
    types::{PodSpec, policy::NetworkPolicySpec},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

pub(super) use read::{is_object, read};
pub(super) use revise::is_made;
pub use revise::{Salt, revise};
pub use write::manifest;

/// What kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum ObjectKind {
    ConfigMap,
    Secret,
    PersistentVolumeClaim,
    NetworkPolicy,
}

impl ObjectKind {
    /// As a manifest's `kind` has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
            Self::PersistentVolumeClaim => "PersistentVolumeClaim",
            Self::NetworkPolicy => "NetworkPolicy",
        }
    }
}

impl fmt::Display for ObjectKind {
    /// As Kubernetes' messages have it: in lower case.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ConfigMap => "configmap",
            Self::Secret => "secret",
            Self::PersistentVolumeClaim => "persistentvolumeclaim",
            Self::NetworkPolicy => "networkpolicy",
        })
    }
}

/// An object's identity.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// What it is.
    pub kind: ObjectKind,
    /// `metadata.namespace`.
    pub namespace: Arc<str>,
    /// `metadata.name`, without the node's name.
    pub name: Arc<str>,
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// The value of a key.
#[derive(Clone, PartialEq, Eq)]
pub struct Value {
    bytes: Arc<[u8]>,
    /// It stands in `binaryData`: it is for files only, not for variables.
    binary: bool,
}

impl Value {
    /// A text, as in `data` of a ConfigMap.
    pub fn text(text: &str) -> Self {
        Self { bytes: text.as_bytes().into(), binary: false }
    }

    /// Its bytes: not to be shown to anybody but the pod that it is for.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for Value {
    /// The length and nothing else.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.bytes.len())
    }
}

/// An object that passed validation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Who it is.
    pub key: ObjectKey,
    /// The file that it came from.
    pub origin: Arc<str>,
    /// A Secret's `type`, empty for others.
    pub kind_of_secret: String,
    /// `data` (with `stringData`) and `binaryData`.
    pub values: BTreeMap<String, Value>,
    /// Its content must not change any more.
    pub immutable: bool,
    /// A claim's `resources.requests.storage`; empty for others.
    pub storage: String,
    /// What a NetworkPolicy says; none for others.
    pub policy: Option<Arc<NetworkPolicySpec>>,
}

impl Object {
    /// The same content, wherever it stands.
    fn is_as(&self, other: &Self) -> bool {
        (&self.values, &self.kind_of_secret, self.immutable)
            == (&other.values, &other.kind_of_secret, other.immutable)
    }

    /// What may be shown of it: everything but its values.
    pub fn summary(&self) -> serde_json::Value {
        serde_json::json!({
            "kind": self.key.kind.as_str(),
            "namespace": self.key.namespace,
            "name": self.key.name,
            "type": self.kind_of_secret,
            "keys": self.values.keys().collect::<Vec<_>>(),
            "immutable": self.immutable,
            "storage": self.storage,
            "podSelector": self.policy.as_ref().map(|policy| policy.pod_selector.to_string()).unwrap_or_default(),
            "file": self.origin,
        })
    }

    /// Why this new content may not come in the place of the old one, if so.
    pub fn forbidden_after(&self, before: &Self) -> Option<String> {
        (before.immutable && !self.is_as(before)).then(|| {
            format!(
                "Forbidden: {} is immutable; remove it and write it anew, or give it another name",
                self.key
            )
        })
    }
}

/// Puts the objects of `before` that must not change back in the place of what `now` makes of them; the
/// change is a problem.
pub fn keep_immutable(now: &mut LoadOutput, before: &LoadOutput) {
    for (i, object) in now.objects.iter_mut().enumerate() {
        let old = before.objects.iter().find(|old| old.key == object.key);
        let Some((old, message)) = old.and_then(|old| Some((old, object.forbidden_after(old)?))) else {
            continue;
        };
        let line = now.object_lines.get(i).copied().unwrap_or_default();
        let (file, path) = (Arc::clone(&object.origin), "data".to_owned());
        now.problems.push(Problem { file, line, column: u32::from(line > 0), path, message, pod: None });
        *object = Arc::clone(old);
    }
}

/// Objects by key; cheap to clone, and to compare with a clone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Objects(Arc<BTreeMap<ObjectKey, Arc<Object>>>);

impl Objects {
    /// The object, if it is there.
    pub fn get(&self, kind: ObjectKind, namespace: &str, name: &str) -> Option<&Arc<Object>> {
        self.0.get(&ObjectKey { kind, namespace: namespace.into(), name: name.into() })
    }

    /// All, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Object>> {
        self.0.values()
    }

    /// Those that volumes of a pod of this namespace name.
    pub fn of_volumes(&self, namespace: &str, spec: &PodSpec) -> Self {
        let named = spec.volumes.iter().flat_map(files::references);
        named.filter_map(|(kind, name)| self.get(kind, namespace, name)).cloned().collect()
    }

    /// Those that a pod of this namespace names.
    pub fn of(&self, namespace: &str, spec: &PodSpec) -> Self {
        let there = references(spec).into_iter().filter_map(|(kind, name)| self.get(kind, namespace, name));
        there.cloned().collect()
    }
}

impl FromIterator<Arc<Object>> for Objects {
    fn from_iter<I: IntoIterator<Item = Arc<Object>>>(objects: I) -> Self {
        Self(Arc::new(objects.into_iter().map(|object| (object.key.clone(), object)).collect()))
    }
}

/// Kind and name of every object that the pod names.
fn references(spec: &PodSpec) -> BTreeSet<(ObjectKind, &str)> {
    let files = spec.volumes.iter().flat_map(files::references);
    spec.all_containers().flat_map(env::references).chain(files).collect()
}

/// Something that a pod needs is not there: the sentence that Kubernetes has for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing(pub String);

impl Missing {
    fn object(kind: ObjectKind, name: &str) -> Self {
        Self(format!("{kind} {name:?} not found"))
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests;
