//! A container's own variables, as its pod gives them: from objects, from what the pod and the node know of
//! themselves, and as written, with `$(VAR)` expanded.

use crate::{
    downward::{Addresses, field, resource},
    error::{Error, Result},
    expand::{expand, lookup},
    fsys::sys::{open_below, open_path},
    node::NodeFacts,
    paths::Roots,
    volumes,
};
use berth_core::manifest::{
    DesiredPod,
    objects::{
        Objects,
        env::{self, Given},
        env_file::{self, ENV_FILE_LEN_MAX_BYTES},
    },
    types::{Container, FileKeyRef},
};
use nix::{
    errno::Errno,
    fcntl::{OFlag, ResolveFlag},
};
use std::{fs::File, io::Read as _, path::Path};

/// Names and values, each name once. `$(VAR)` may name what stands before it, the variables of `envFrom` too;
/// only what is written in the pod is expanded. `addresses` is asked only when it matters. `file`: reads a variable from a
/// file of a volume; see [`from_file`].
///
/// # Errors
/// [`Error::Config`]: an object or key is not there; a field has no value yet.
pub(crate) fn resolve(
    node: &NodeFacts,
    pod: &DesiredPod,
    container: &Container,
    objects: &Objects,
    addresses: &dyn Fn() -> Addresses,
    file: &dyn Fn(&FileKeyRef) -> Result<Option<String>>,
) -> Result<Vec<(String, String)>> {
    let given = env::variables(&pod.key.namespace, container, objects)
        .map_err(|missing| Error::Config(missing.to_string()))?;
    let mut known: Vec<(String, String)> = Vec::with_capacity(given.len());
    for variable in given {
        let value = match variable.value {
            Given::Written(text) => expand(text, |name| lookup(&known, name)),
            Given::Kept(text) => text.to_owned(),
            Given::Field(wanted) => field(pod, &wanted.field_path, addresses)?,
            Given::Resource(wanted) => resource(node, &pod.pod.spec, container, wanted)?,
            Given::File(wanted) => match file(wanted)? {
                Some(value) => value,
                None => continue,
            },
        };
        known.retain(|(name, _)| *name != variable.name);
        known.push((variable.name, value));
    }
    Ok(known)
}

/// The variable in a file of one of the pod's volumes; none if it is optional and not there. Containers write there, so
/// the kernel is told not to leave the volume.
///
/// # Errors
/// [`Error::Config`]: it is not there, it is no file of variables, or a longer one than
/// [`ENV_FILE_LEN_MAX_BYTES`].
pub(crate) fn from_file(roots: &Roots, pod: &DesiredPod, wanted: &FileKeyRef) -> Result<Option<String>> {
    let FileKeyRef { volume_name, path, key, optional } = wanted;
    let wrong = |why: String| Error::Config(format!("fileKeyRef: {path} in volume {volume_name:?}: {why}"));
    let optional = optional.unwrap_or(false);
    let volume = volumes::source(roots, pod, volume_name)?;
    let base = open_path(&volume, OFlag::O_PATH, ResolveFlag::empty())
        .map_err(Error::sys("open the volume", &volume))?;
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK;
    let inside = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    let file = match open_below(&base, Path::new(path), flags, inside) {
        Ok(file) => File::from(file),
        Err(Errno::ENOENT) if optional => return Ok(None),
        Err(errno) => return Err(wrong(errno.desc().to_owned())),
    };
    let meta = file.metadata().map_err(|error| wrong(error.to_string()))?;
    if !meta.is_file() || meta.len() > ENV_FILE_LEN_MAX_BYTES {
        return Err(wrong(format!("must be a file of at most {ENV_FILE_LEN_MAX_BYTES} bytes")));
    }
    let mut text = String::new();
    file.take(ENV_FILE_LEN_MAX_BYTES).read_to_string(&mut text).map_err(|error| wrong(error.to_string()))?;
    match env_file::value(&text, key).map_err(wrong)? {
        Some(value) if value.contains('\0') => Err(wrong(format!("{key} contains a NUL character"))),
        None if !optional => Err(wrong(format!("there is no {key}"))),
        found => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use berth_core::manifest::{Format, LoadInput, load, merge, objects::Salt};

    const MANIFEST: &str = r"
apiVersion: v1
kind: ConfigMap
metadata: {name: colours}
data: {red: '$(A)', green: '2'}
---
apiVersion: v1
kind: Secret
metadata: {name: word}
stringData: {pass: open sesame}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: w}}
spec:
  containers:
  - name: app
    image: i:1
    resources: {limits: {memory: 1500Ki}, requests: {cpu: 100m}}
    envFrom:
    - {prefix: C_, configMapRef: {name: colours}}
    - {configMapRef: {name: none, optional: true}}
    env:
    - {name: A, value: one}
    - {name: B, value: '$(A) $(C_green) $(LATER)'}
    - {name: C_red, value: overridden}
    - {name: PASS, valueFrom: {secretKeyRef: {name: word, key: pass}}}
    - {name: NONE, valueFrom: {secretKeyRef: {name: word, key: none, optional: true}}}
    - {name: RAW, valueFrom: {configMapKeyRef: {name: colours, key: red}}}
    - {name: NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
    - {name: APP, valueFrom: {fieldRef: {fieldPath: 'metadata.labels[''app'']'}}}
    - {name: MEMORY, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}
    - {name: CPU, valueFrom: {resourceFieldRef: {resource: limits.cpu}}}
    - {name: MILLI, valueFrom: {resourceFieldRef: {resource: requests.cpu, divisor: 1m}}}
    - {name: LATER, value: $(PASS)}
";

    #[test]
    fn variables_come_from_everywhere_in_their_order() {
        let input = LoadInput {
            file: "a",
            bytes: MANIFEST.as_bytes(),
            format: Format::Yaml,
            node: "box",
            source: "file",
        };
        let set = merge(&[("a", load(&input))], &Salt::default());
        assert_eq!(set.problems, []);
        let node = NodeFacts { cpus: 3, ..NodeFacts::default() };
        let container = &set.pods[0].pod.spec.containers[0];
        let got = resolve(&node, &set.pods[0], container, &set.objects, &Addresses::default, &|_| Ok(None))
            .unwrap();
        let got: Vec<String> = got.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            got,
            [
                "C_green=2",
                "A=one",
                "B=one 2 $(LATER)",
                "C_red=overridden",
                "PASS=open sesame",
                "RAW=$(A)",
                "NAME=web-box",
                "APP=w",
                "MEMORY=2",
                "CPU=3",
                "MILLI=100",
                "LATER=open sesame",
            ]
        );
        let error =
            resolve(&node, &set.pods[0], container, &Objects::default(), &Addresses::default, &|_| Ok(None))
                .unwrap_err();
        assert_eq!(error.to_string(), "configmap \"colours\" not found");
    }
}
