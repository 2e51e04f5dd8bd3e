//! A container's variables as far as objects decide them. What the pod and the node know of themselves is
//! left to who asks, and so is `$(VAR)`.

use super::{Missing, Object, ObjectKind, Objects};
use crate::manifest::types::{Container, FieldRef, FileKeyRef, PodSpec, ResourceFieldRef};
use std::sync::Arc;

/// A variable, in the order in which later ones replace earlier ones.
#[derive(Clone, PartialEq, Eq)]
pub struct Variable<'a> {
    /// Its name.
    pub name: String,
    /// Its value, or where that is to be had.
    pub value: Given<'a>,
}

/// Where a variable's value comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Given<'a> {
    /// It stands in the pod: `$(VAR)` in it is to be expanded.
    Written(&'a str),
    /// It stands in an object, and is taken as it is.
    Kept(&'a str),
    /// A field of the pod.
    Field(&'a FieldRef),
    /// A resource of one of the pod's containers.
    Resource(&'a ResourceFieldRef),
    /// A variable in a file of one of the pod's volumes.
    File(&'a FileKeyRef),
}

/// The variables of a container of a pod in this namespace: those of `envFrom`, then those of `env`.
///
/// # Errors
/// [`Missing`]: an object or key that is not optional is not there, or cannot be a variable's value.
pub fn variables<'a>(
    namespace: &str,
    container: &'a Container,
    objects: &'a Objects,
) -> Result<Vec<Variable<'a>>, Missing> {
    let mut variables = Vec::new();
    for source in &container.env_from {
        let named = source.config_map_ref.iter().map(|named| (ObjectKind::ConfigMap, named));
        let named = named.chain(source.secret_ref.iter().map(|named| (ObjectKind::Secret, named)));
        for (kind, named) in named {
            let optional = named.optional.unwrap_or(false);
            let Some(object) = find(objects, kind, namespace, &named.name, optional)? else { continue };
            for (key, value) in object.values.iter().filter(|(_, value)| !value.binary) {
                let name = format!("{}{key}", source.prefix);
                variables.push(Variable { name, value: Given::Kept(text(object, key, &value.bytes)?) });
            }
        }
    }
    for variable in &container.env {
        let source = variable.value_from.as_ref().filter(|_| variable.value.is_empty());
        let value = match source {
            None => Some(Given::Written(&variable.value)),
            Some(source) => match (&source.field_ref, &source.resource_field_ref, &source.file_key_ref) {
                (Some(field), _, _) => Some(Given::Field(field)),
                (None, Some(resource), _) => Some(Given::Resource(resource)),
                (None, None, Some(file)) => Some(Given::File(file)),
                (None, None, None) => {
                    let of_map = source.config_map_key_ref.iter().map(|key| (ObjectKind::ConfigMap, key));
                    let of_secret = source.secret_key_ref.iter().map(|key| (ObjectKind::Secret, key));
                    let mut found = None;
                    for (kind, wanted) in of_map.chain(of_secret) {
                        let optional = wanted.optional.unwrap_or(false);
                        let object = find(objects, kind, namespace, &wanted.name, optional)?;
                        let Some(object) = object else { continue };
                        found = key(object, &wanted.key, optional)?.map(Given::Kept);
                    }
                    found
                }
            },
        };
        variables.extend(value.map(|value| Variable { name: variable.name.clone(), value }));
    }
    Ok(variables)
}

/// What the first container lacks that lacks something.
///
/// # Errors
/// As [`variables`].
pub fn complete(namespace: &str, spec: &PodSpec, objects: &Objects) -> Result<(), Missing> {
    spec.all_containers().try_for_each(|container| variables(namespace, container, objects).map(drop))
}

/// Kind and name of every object that the container's variables come from.
pub(super) fn references(container: &Container) -> impl Iterator<Item = (ObjectKind, &str)> {
    let whole = container.env_from.iter().flat_map(|source| {
        let map = source.config_map_ref.iter().map(|named| (ObjectKind::ConfigMap, named.name.as_str()));
        map.chain(source.secret_ref.iter().map(|named| (ObjectKind::Secret, named.name.as_str())))
    });
    let sources = container.env.iter().filter_map(|variable| variable.value_from.as_ref());
    let single = sources.flat_map(|source| {
        let map = source.config_map_key_ref.iter().map(|key| (ObjectKind::ConfigMap, key.name.as_str()));
        map.chain(source.secret_key_ref.iter().map(|key| (ObjectKind::Secret, key.name.as_str())))
    });
    whole.chain(single)
}

fn find<'a>(
    objects: &'a Objects,
    kind: ObjectKind,
    namespace: &str,
    name: &str,
    optional: bool,
) -> Result<Option<&'a Arc<Object>>, Missing> {
    match objects.get(kind, namespace, name) {
        None if !optional => Err(Missing::object(kind, name)),
        found => Ok(found),
    }
}

fn key<'a>(object: &'a Object, key: &str, optional: bool) -> Result<Option<&'a str>, Missing> {
    match object.values.get(key).filter(|value| !value.binary) {
        Some(value) => text(object, key, &value.bytes).map(Some),
        None if optional => Ok(None),
        None => {
            let (kind, place) = (object.key.kind.as_str(), &object.key);
            Err(Missing(format!("couldn't find key {key} in {kind} {}/{}", place.namespace, place.name)))
        }
    }
}

/// Bytes that cannot be a variable's value are told of without being shown.
fn text<'a>(object: &Object, key: &str, bytes: &'a [u8]) -> Result<&'a str, Missing> {
    let refused = |why: &str| Missing(format!("key {key} of {} {why}: mount it as a file", object.key));
    let text = str::from_utf8(bytes).map_err(|_| refused("is not UTF-8 text"))?;
    if text.contains('\0') { Err(refused("contains a NUL character")) } else { Ok(text) }
}
