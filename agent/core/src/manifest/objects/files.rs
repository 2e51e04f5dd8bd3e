//! The files of the volumes that Berth writes, as far as objects decide them. What the pod and the node
//! know of themselves is left to who asks.

use super::{Missing, Object, ObjectKind, Objects};
use crate::manifest::{
    defaults::FILE_MODE_DEFAULT,
    types::{DownwardFile, FieldRef, KeyToPath, PodSpec, ResourceFieldRef, Volume},
};
use std::collections::BTreeMap;

/// A file of a volume.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct File<'a> {
    /// Permissions.
    pub mode: u32,
    /// What is in it.
    pub content: Content<'a>,
}

/// Where a file's content comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Content<'a> {
    /// The value of an object's key.
    Kept(&'a [u8]),
    /// A field of the pod.
    Field(&'a FieldRef),
    /// A resource of one of the pod's containers.
    Resource(&'a ResourceFieldRef),
}

/// Files by their path in the volume.
pub type Files<'a> = BTreeMap<&'a str, File<'a>>;

impl Volume {
    /// Berth writes its files, and no container may.
    pub fn is_written(&self) -> bool {
        self.config_map.is_some()
            || self.secret.is_some()
            || self.downward_api.is_some()
            || self.projected.is_some()
    }
}

/// A source of objects' keys.
struct Source<'a> {
    kind: ObjectKind,
    name: &'a str,
    items: &'a [KeyToPath],
    optional: bool,
}

/// The files of a volume that is written, of a pod in this namespace.
///
/// # Errors
/// [`Missing`]: an object or key that is not optional is not there.
pub fn files<'a>(namespace: &str, volume: &'a Volume, objects: &'a Objects) -> Result<Files<'a>, Missing> {
    let mode = default_mode(volume).unwrap_or(FILE_MODE_DEFAULT);
    let mut files = Files::new();
    for source in sources(volume) {
        add_keys(namespace, &source, mode, objects, &mut files)?;
    }
    for file in downward_files(volume) {
        let mode = file.mode.unwrap_or(mode);
        let field = file.field_ref.as_ref().map(Content::Field);
        let content = field.or(file.resource_field_ref.as_ref().map(Content::Resource));
        files.extend(content.map(|content| (file.path.as_str(), File { mode, content })));
    }
    Ok(files)
}

/// What the first volume lacks that lacks something: the volume's name, and what.
///
/// # Errors
/// As [`files`]; and a claim is not there.
pub fn complete<'a>(namespace: &str, spec: &'a PodSpec, objects: &Objects) -> Result<(), (&'a str, Missing)> {
    spec.volumes.iter().try_for_each(|volume| {
        let claim = volume.persistent_volume_claim.as_ref().map(|claim| claim.claim_name.as_str());
        let kind = ObjectKind::PersistentVolumeClaim;
        let claim = claim.filter(|name| objects.get(kind, namespace, name).is_none());
        let claimed = claim.map_or(Ok(()), |name| Err(Missing::object(kind, name)));
        let there = claimed.and_then(|()| files(namespace, volume, objects).map(drop));
        there.map_err(|missing| (volume.name.as_str(), missing))
    })
}

/// Kind and name of every object that the volume's files come from, or that it is.
pub(super) fn references(volume: &Volume) -> impl Iterator<Item = (ObjectKind, &str)> {
    let claim = volume.persistent_volume_claim.iter();
    let claim = claim.map(|claim| (ObjectKind::PersistentVolumeClaim, claim.claim_name.as_str()));
    sources(volume).map(|source| (source.kind, source.name)).chain(claim)
}

fn default_mode(volume: &Volume) -> Option<u32> {
    let of_map = volume.config_map.as_ref().and_then(|source| source.default_mode);
    let of_secret = volume.secret.as_ref().and_then(|source| source.default_mode);
    let of_fields = volume.downward_api.as_ref().and_then(|source| source.default_mode);
    of_map.or(of_secret).or(of_fields).or(volume.projected.as_ref().and_then(|source| source.default_mode))
}

fn sources(volume: &Volume) -> impl Iterator<Item = Source<'_>> {
    let source = |kind, name, items, optional: Option<bool>| Source {
        kind,
        name,
        items,
        optional: optional.unwrap_or(false),
    };
    let map = volume.config_map.iter();
    let map = map.map(move |m| source(ObjectKind::ConfigMap, &m.name, &m.items[..], m.optional));
    let secret = volume.secret.iter();
    let secret = secret.map(move |s| source(ObjectKind::Secret, &s.secret_name, &s.items[..], s.optional));
    let projected = volume.projected.iter().flat_map(|projected| &projected.sources);
    let projected = projected.flat_map(move |each| {
        let map = each.config_map.iter().map(|map| (ObjectKind::ConfigMap, map));
        let all = map.chain(each.secret.iter().map(|secret| (ObjectKind::Secret, secret)));
        all.map(move |(kind, named)| source(kind, &named.name, &named.items[..], named.optional))
    });
    map.chain(secret).chain(projected)
}

fn downward_files(volume: &Volume) -> impl Iterator<Item = &DownwardFile> {
    let own = volume.downward_api.iter().flat_map(|source| &source.items);
    let projected = volume.projected.iter().flat_map(|projected| &projected.sources);
    own.chain(projected.filter_map(|each| each.downward_api.as_ref()).flat_map(|source| &source.items))
}

fn add_keys<'a>(
    namespace: &str,
    source: &Source<'a>,
    mode: u32,
    objects: &'a Objects,
    files: &mut Files<'a>,
) -> Result<(), Missing> {
    let Some(object) = objects.get(source.kind, namespace, source.name) else {
        return if source.optional { Ok(()) } else { Err(Missing::object(source.kind, source.name)) };
    };
    if source.items.is_empty() {
        files.extend(object.values.iter().map(|(key, value)| {
            let content = Content::Kept(value.bytes());
            (key.as_str(), File { mode, content })
        }));
    }
    for item in source.items {
        match object.values.get(&item.key) {
            Some(value) => {
                let mode = item.mode.unwrap_or(mode);
                files.insert(&item.path, File { mode, content: Content::Kept(value.bytes()) });
            }
            None if source.optional => {}
            None => return Err(no_key(object, &item.key)),
        }
    }
    Ok(())
}

fn no_key(object: &Object, key: &str) -> Missing {
    let what = match object.key.kind {
        ObjectKind::Secret => "secret",
        _ => "config",
    };
    Missing(format!("{} references non-existent {what} key: {key}", object.key))
}
