//! A container's own variables, as its pod gives them: from objects, from what the pod and the node know of
//! themselves, and as written, with `$(VAR)` expanded.

use crate::{
    downward::{Addresses, field, resource},
    error::{Error, Result},
    expand::{expand, lookup},
    node::{NodeFacts, addresses},
};
use berth_core::manifest::{
    DesiredPod,
    objects::{
        Objects,
        env::{self, Given},
    },
    types::Container,
};

/// Names and values, each name once. `$(VAR)` may name what stands before it, the variables of `envFrom` too;
/// only what is written in the pod is expanded. `own`: the pod's addresses on its own network.
///
/// # Errors
/// [`Error::Config`]: an object or key is not there; a field has no value yet.
pub fn resolve(
    node: &NodeFacts,
    pod: &DesiredPod,
    container: &Container,
    objects: &Objects,
    own: &[String],
) -> Result<Vec<(String, String)>> {
    let given = env::variables(&pod.key.namespace, container, objects)
        .map_err(|missing| Error::Config(missing.to_string()))?;
    let of_pod = || Addresses::of(&pod.pod.spec, addresses(), own);
    let mut known: Vec<(String, String)> = Vec::with_capacity(given.len());
    for variable in given {
        let value = match variable.value {
            Given::Written(text) => expand(text, |name| lookup(&known, name)),
            Given::Kept(text) => text.to_owned(),
            Given::Field(wanted) => field(pod, &wanted.field_path, of_pod)?,
            Given::Resource(wanted) => resource(node, &pod.pod.spec, container, wanted)?,
        };
        known.retain(|(name, _)| *name != variable.name);
        known.push((variable.name, value));
    }
    Ok(known)
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
        let got = resolve(&node, &set.pods[0], container, &set.objects, &[]).unwrap();
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
        let error = resolve(&node, &set.pods[0], container, &Objects::default(), &[]).unwrap_err();
        assert_eq!(error.to_string(), "configmap \"colours\" not found");
    }
}
