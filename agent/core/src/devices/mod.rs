//! Devices that containers ask for without being privileged: by path, or by the names of the Container Device
//! Interface (CDI), in annotations of the pod or as limits of a container. What is asked for, and what of it is
//! there; who gets which is decided by `world::devices`. Pure.

mod names;

pub use names::{is_class, is_device, kind_of};

use crate::manifest::{
    quantity,
    types::{Container, Pod, Resources},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The annotation that asks for devices by path: a list.
pub const DEVICES: &str = "berth/devices";
/// What annotations begin with whose value is a list of CDI names with commas between; for all containers, as the
/// specification of CDI has it.
pub const CDI: &str = "cdi.k8s.io/";
/// Devices of one container.
pub const DEVICES_MAX: usize = 64;
/// Bytes of a path.
const PATH_LEN_MAX: usize = 1024;
/// All devices lie below this.
const DEV: &str = "/dev/";

/// One device for one container.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Grant {
    /// The node's path, or `vendor/class=name`.
    pub device: String,
    /// Where the container finds it; empty: as on the node, or as its CDI specification says.
    #[serde(default)]
    pub path: String,
    /// It may be read only.
    #[serde(default)]
    pub read_only: bool,
    /// What stood behind the name when it was given: other numbers are another device.
    #[serde(default)]
    pub identity: String,
}

/// What is known of devices that pods ask for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Seen {
    /// By path or CDI name: the numbers behind it.
    pub there: BTreeMap<String, String>,
    /// By path or CDI name: why it cannot be used.
    pub lacking: BTreeMap<String, String>,
    /// CDI specifications that cannot be used, a sentence each.
    pub problems: Vec<String>,
}

impl Seen {
    /// The device's numbers.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn identity(&self, device: &str) -> Result<&str, String> {
        if let Some(identity) = self.there.get(device) {
            return Ok(identity);
        }
        let why = self.lacking.get(device).cloned();
        Err(why.unwrap_or_else(|| match kind_of(device) {
            Some(kind) => self.unknown(&format!("no CDI specification has the device {device} ({kind})")),
            None => format!("{device} is not there"),
        }))
    }

    /// All devices of a kind, those too that cannot be used, by name.
    pub fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a str> {
        let all: BTreeSet<&str> = self.there.keys().chain(self.lacking.keys()).map(String::as_str).collect();
        all.into_iter().filter(move |name| kind_of(name) == Some(kind))
    }

    /// The sentence, with what is wrong with specifications: it may be the reason.
    pub fn unknown(&self, sentence: &str) -> String {
        [sentence].into_iter().chain(self.problems.iter().map(String::as_str)).collect::<Vec<_>>().join("; ")
    }
}

/// What has to be looked at for a set of pods.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Asked {
    /// Paths of the node's.
    pub paths: BTreeSet<String>,
    /// CDI kinds, `vendor/class`.
    pub kinds: BTreeSet<String>,
}

impl Asked {
    /// Adds what the pod asks for.
    pub fn add(&mut self, pod: &Pod) {
        for container in pod.spec.all_containers() {
            self.kinds.extend(counted(container).map(|(kind, _)| kind.to_owned()));
            for grant in named(pod, container) {
                match kind_of(&grant.device) {
                    Some(kind) => self.kinds.insert(kind.to_owned()),
                    None => self.paths.insert(grant.device),
                };
            }
        }
    }

    /// Nobody asks for any.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty() && self.kinds.is_empty()
    }
}

/// An entry of the annotation [`DEVICES`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Entry {
    /// On the node, best one that stays the same: `/dev/serial/by-id/…`.
    path: String,
    /// Where the container finds it.
    #[serde(default, rename = "as")]
    at: String,
    /// `rw` or `r`.
    #[serde(default)]
    access: Access,
    /// Which containers get it; none named: all.
    #[serde(default)]
    containers: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Access {
    #[default]
    Rw,
    R,
}

/// The devices that the container gets because annotations name them. Of a pod that is valid.
pub fn named(pod: &Pod, container: &Container) -> Vec<Grant> {
    let mut grants: Vec<Grant> = Vec::new();
    for (key, value) in &pod.metadata.annotations {
        if key == DEVICES {
            let entries = entries(value).unwrap_or_default();
            let mine =
                |entry: &Entry| entry.containers.is_empty() || entry.containers.contains(&container.name);
            grants.extend(entries.into_iter().filter(mine).map(|entry| Grant {
                device: entry.path,
                path: entry.at,
                read_only: entry.access == Access::R,
                identity: String::new(),
            }));
        } else if key.starts_with(CDI) {
            grants.extend(cdi_names(value).map(|name| Grant { device: name.to_owned(), ..Grant::default() }));
        }
    }
    grants
}

/// The devices of which the container is to have so many, whichever they are: its limits that are no native ones.
pub fn counted(container: &Container) -> impl Iterator<Item = (&str, usize)> {
    let limits = container.resources.limits.iter().filter(|(name, _)| is_counted(name));
    limits.map(|(name, text)| (name.as_str(), count(text))).filter(|(_, count)| *count > 0)
}

/// A resource of this name is a kind of device.
pub fn is_counted(name: &str) -> bool {
    name.contains('/')
}

/// What is wrong with limits and requests of devices: each with the name of the resource.
pub fn problems(resources: &Resources) -> Vec<(&str, String)> {
    let mut found = Vec::new();
    let names: BTreeSet<&String> = resources.limits.keys().chain(resources.requests.keys()).collect();
    for name in names.into_iter().filter(|name| is_counted(name)) {
        let (limit, request) = (resources.limits.get(name), resources.requests.get(name));
        let whole = |text: &String| {
            quantity::parse(text).is_ok_and(|q| q.nano() == i128::from(q.value()) * 1_000_000_000)
        };
        let why = if name.split('/').next().is_some_and(|domain| domain.ends_with("kubernetes.io")) {
            "names of kubernetes.io are Kubernetes' own; write the kind of a CDI device".to_owned()
        } else if !is_class(name) {
            "is no kind of a CDI device, like example.com/scanner".to_owned()
        } else if limit.is_none() {
            "a limit must be set for what cannot be overcommitted".to_owned()
        } else if request.is_some() && request != limit {
            format!("the request must be equal to the limit of {}", limit.map_or("", String::as_str))
        } else if !limit.is_some_and(whole) {
            "must be an integer: devices are given as a whole".to_owned()
        } else if limit.is_some_and(|text| count(text) > DEVICES_MAX) {
            format!("a container gets {DEVICES_MAX} devices at most")
        } else {
            continue;
        };
        found.push((name.as_str(), why));
    }
    found
}

/// Devices of a limit; none of what is no number of them.
fn count(text: &str) -> usize {
    let value = quantity::parse(text).map_or(0, |quantity| quantity.value());
    usize::try_from(value).unwrap_or(0)
}

/// What is wrong with the annotation [`DEVICES`] of a pod with these containers.
///
/// # Errors
/// All of it in one sentence.
pub fn check_paths(text: &str, containers: &[&str]) -> Result<(), String> {
    let entries = entries(text)?;
    let mut places = BTreeSet::new();
    for entry in &entries {
        for path in [&entry.path, &entry.at] {
            let is_default = std::ptr::eq(path, &entry.at) && path.is_empty();
            if !is_default && !is_path(path) {
                return Err(format!(
                    "{path:?} is no path of a device: it begins with {DEV}, has no .. and no // in it, and {PATH_LEN_MAX} bytes at most"
                ));
            }
        }
        if let Some(name) = entry.containers.iter().find(|name| !containers.contains(&name.as_str())) {
            return Err(format!("the pod has no container {name:?}: it has {}", containers.join(", ")));
        }
        let place = if entry.at.is_empty() { &entry.path } else { &entry.at };
        let all = entry.containers.iter().map(String::as_str);
        let of = if entry.containers.is_empty() { containers.to_vec() } else { all.collect() };
        for container in of {
            if !places.insert((container, place)) {
                return Err(format!("container {container} gets two devices as {place}"));
            }
        }
    }
    Ok(())
}

/// What is wrong with an annotation that begins with [`CDI`].
///
/// # Errors
/// In one sentence.
pub fn check_cdi(value: &str) -> Result<(), String> {
    let names: Vec<&str> = cdi_names(value).collect();
    if names.is_empty() || names.len() > DEVICES_MAX {
        return Err(format!("must name 1 to {DEVICES_MAX} CDI devices with commas between"));
    }
    match names.into_iter().find(|name| !is_device(name)) {
        Some(name) => Err(format!("{name:?} is no name of a CDI device, like example.com/scanner=left")),
        None => Ok(()),
    }
}

/// The value of an annotation that begins with [`CDI`].
fn cdi_names(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|name| !name.is_empty())
}

fn entries(text: &str) -> Result<Vec<Entry>, String> {
    let list: Vec<Entry> = serde_yaml::from_str(text).map_err(|error| {
        format!("must be a list like [{{path: /dev/serial/by-id/x, as: /dev/x}}]: {error}")
    })?;
    if list.len() > DEVICES_MAX {
        return Err(format!("asks for {} devices; {DEVICES_MAX} are the most", list.len()));
    }
    Ok(list)
}

fn is_path(path: &str) -> bool {
    let Some(rest) = path.strip_prefix(DEV) else { return false };
    path.len() <= PATH_LEN_MAX
        && !path.contains(char::is_control)
        && rest.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
}

#[cfg(test)]
mod tests;
