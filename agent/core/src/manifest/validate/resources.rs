//! Requests and limits of a container, and of the pod as a whole.

use crate::{
    devices,
    manifest::{
        finding::{Findings, quote},
        huge_pages,
        path::Path,
        quantity::{self, Quantity},
        types::{Container, PodSpec, RESTART_CONTAINER as RESTART, Resources},
    },
};

/// What a container may ask for, beside pages of a size.
const OF_CONTAINER: &[&str] = &["cpu", "memory", "ephemeral-storage"];
/// What a pod may ask for as a whole.
const OF_POD: &[&str] = &["cpu", "memory"];
/// Bytes of memory under which no container can start: below it the unit is surely wrong.
const MEMORY_PLAUSIBLE_BYTES: i64 = 128 * 1024;

/// Of a container; `path` is that of its resources.
pub(super) fn container(resources: &Resources, path: &Path, findings: &mut Findings) {
    amounts(resources, OF_CONTAINER, path, findings);
    for (name, why) in devices::problems(resources) {
        let list = if resources.limits.contains_key(name) { "limits" } else { "requests" };
        findings.key(&path.field(list).entry(name), format!("Invalid value: {}: {why}", quote(name)));
    }
    huge_pages_rules(resources, path, findings);
}

/// What a change of them does to a container that runs. `never`: it is never to be restarted; `init`: it runs to its
/// end before the others begin.
pub(super) fn policy(container: &Container, never: bool, init: bool, path: &Path, findings: &mut Findings) {
    let path = path.field("resizePolicy");
    if init && !container.resize_policy.is_empty() {
        findings.forbidden(&path, "must not be set for init containers that are no sidecars");
    }
    for (i, policy) in container.resize_policy.iter().enumerate() {
        let here = path.index(i);
        if container.resize_policy.iter().take(i).any(|other| other.resource_name == policy.resource_name) {
            findings.duplicate(
                &here.field("resourceName"),
                &policy.resource_name,
                "one policy for each resource",
            );
        }
        if never && policy.restart_policy == RESTART {
            let why = "must be NotRequired for a container that is never restarted";
            findings.invalid(&here.field("restartPolicy"), RESTART, why);
        }
    }
}

/// Of the pod: no less than its containers ask for together, and no container may use more. `path` is that
/// of the spec.
pub(super) fn pod(spec: &PodSpec, path: &Path, findings: &mut Findings) {
    let Some(resources) = &spec.resources else { return };
    let of_pod = path.field("resources");
    amounts(resources, OF_POD, &of_pod, findings);
    for (name, request) in &resources.requests {
        let all = quantity::sum(spec.lasting_containers().filter_map(|c| c.resources.requests.get(name)));
        if quantity::parse(request).is_ok_and(|request| request.nano() < all.nano()) {
            let why = format!("must be greater than or equal to aggregate container requests of {all}");
            findings.invalid(&of_pod.field("requests").entry(name), request, &why);
        }
    }
    for (container, here) in super::places(spec, path) {
        let here = here.field("resources").field("limits");
        for (name, limit) in &container.resources.limits {
            let Some(of_pod) = resources.limits.get(name) else { continue };
            if exceeds(limit, of_pod) {
                let why = format!("must be less than or equal to pod limits of {of_pod}");
                findings.invalid(&here.entry(name), limit, &why);
            }
        }
    }
}

fn exceeds(one: &str, other: &str) -> bool {
    match (quantity::parse(one), quantity::parse(other)) {
        (Ok(one), Ok(other)) => one.nano() > other.nano(),
        _ => false,
    }
}

fn amounts(resources: &Resources, known: &[&str], path: &Path, findings: &mut Findings) {
    for (name, limit) in &resources.limits {
        amount(name, limit, known, &path.field("limits").entry(name), findings);
    }
    for (name, request) in &resources.requests {
        // A request that equals its limit was most likely filled in from there, and what is wrong with it was
        // said there.
        if resources.limits.get(name) != Some(request) {
            amount(name, request, known, &path.field("requests").entry(name), findings);
        }
    }
    for (name, request) in &resources.requests {
        let Some(limit) = resources.limits.get(name) else { continue };
        if exceeds(request, limit) {
            let why = format!("must be less than or equal to the {name} limit of {limit}");
            findings.invalid(&path.field("requests").entry(name), request, &why);
        }
    }
}

/// They are set aside for who asks for them, so a request is a limit; and they are nothing to run on alone.
fn huge_pages_rules(resources: &Resources, path: &Path, findings: &mut Findings) {
    let pages = |name: &&String| name.starts_with(huge_pages::PREFIX);
    for (name, request) in resources.requests.iter().filter(|(name, _)| pages(name)) {
        let here = path.field("requests").entry(name);
        match resources.limits.get(name) {
            None => findings.required(
                &path.field("limits").entry(name),
                "a limit must be set for what cannot be overcommitted",
            ),
            Some(limit) if exceeds(limit, request) => {
                findings.invalid(&here, request, &format!("must be equal to the {name} limit of {limit}"));
            }
            Some(_) => {}
        }
    }
    let names = || resources.limits.keys().chain(resources.requests.keys());
    if names().any(|name| pages(&name)) && !names().any(|name| OF_POD.contains(&name.as_str())) {
        findings.forbidden(path, "HugePages require cpu or memory");
    }
}

fn amount(name: &str, text: &str, known: &[&str], path: &Path, findings: &mut Findings) {
    if let Some(size) = name.strip_prefix(huge_pages::PREFIX) {
        if huge_pages::bytes(size).is_none() {
            findings
                .key(path, format!("Unsupported value: {}: write a size, like hugepages-2Mi", quote(name)));
        }
    } else if devices::is_counted(name) && known.len() > OF_POD.len() {
        // Looked at by `devices::problems`.
    } else if !known.contains(&name) {
        let (shown, known) = (quote(name), known.join(", "));
        let why = match devices::is_counted(name) {
            true => "devices are asked for by containers",
            false => "devices by the kind of their CDI specification, like example.com/scanner",
        };
        findings.key(path, format!("Unsupported value: {shown}: there are {known}, hugepages-<size>; {why}"));
    }
    // `check` has refused what does not parse.
    let Ok(amount) = quantity::parse(text) else { return };
    if amount.is_negative() {
        findings.invalid(path, text, "must be greater than or equal to 0");
    } else {
        plausible(name, text, amount, path, findings);
    }
}

/// What Kubernetes takes and a user hardly means.
fn plausible(name: &str, text: &str, amount: Quantity, path: &Path, findings: &mut Findings) {
    if name == "memory" && amount.is_positive() && amount.value() < MEMORY_PLAUSIBLE_BYTES {
        let remedy = match text.strip_suffix('m') {
            Some(number) => format!("m means thousandths; was {number}Mi meant?"),
            None => "add a unit, like Mi".to_owned(),
        };
        findings.warn(path, format!("{text} of memory is less than any container needs: {remedy}"));
    }
}
