//! Who goes first, and what is said of it: kubelet's ranking and sentences.
//!
//! Of memory and disk: who uses more than it asked for before who does not, then the lower priority, then who is
//! further above (or less far below) its request. Of processes: the lower priority, then who has more of them.

use super::Pod;
use crate::{
    ids::PodUid,
    manifest::{
        quantity,
        types::{Container, PodSpec},
    },
    node::{Amounts, priority},
    pressure::{Level, PodUse, Signal, Uses},
};
use std::cmp::Reverse;

/// A pod that uses less than so many bytes of the disk is not worth its end: logs of a few lines, mostly.
const DISK_LEAST_BYTES: u64 = 1 << 20;
/// As [`DISK_LEAST_BYTES`], in inodes.
const INODES_LEAST: u64 = 64;

/// The first of these by the ranking; none if none of them uses anything of it.
pub(super) fn first<'a>(pods: impl Iterator<Item = &'a Pod>, signal: Signal, uses: &Uses) -> Option<PodUid> {
    let worth = pods.filter_map(|pod| {
        let used = uses.get(&pod.desired.uid)?.total;
        (used >= least(signal)).then_some((pod, used))
    });
    let first = worth.min_by_key(|(pod, used)| {
        let spec = &pod.desired.pod.spec;
        let asked = request(spec, signal);
        let over = i128::from(*used) - i128::from(asked);
        (signal != Signal::PidAvailable && over <= 0, priority(spec), Reverse(over), &pod.desired.uid)
    });
    first.map(|(pod, _)| pod.desired.uid.clone())
}

const fn least(signal: Signal) -> u64 {
    match signal {
        Signal::MemoryAvailable | Signal::PidAvailable => 1,
        Signal::NodefsAvailable | Signal::ImagefsAvailable => DISK_LEAST_BYTES,
        Signal::NodefsInodesFree | Signal::ImagefsInodesFree => INODES_LEAST,
    }
}

/// What the pod has asked for of it.
fn request(spec: &PodSpec, signal: Signal) -> u64 {
    Amounts::requests(spec).get(signal.resource()).unwrap_or(0)
}

/// Why the pod goes.
pub(super) fn message(
    pod: &Pod,
    signal: Signal,
    threshold: u64,
    level: Level,
    used: Option<&PodUse>,
) -> String {
    let resource = signal.resource();
    let mut message = format!(
        "The node was low on resource: {resource}. Threshold quantity: {}, available: {}.",
        signal.show(threshold),
        signal.show(level.available)
    );
    if signal == Signal::PidAvailable {
        return message;
    }
    for container in pod.desired.pod.spec.all_containers() {
        let Some(used) = used.and_then(|used| used.containers.get(&container.name)) else { continue };
        let (asked, text) = asked(container, resource);
        if *used > asked {
            message.push_str(&format!(
                " Container {} was using {}, request is {text}, has larger consumption of {resource}.",
                container.name,
                signal.show(*used)
            ));
        }
    }
    message
}

/// A container's request, and how it is written.
fn asked<'a>(container: &'a Container, resource: &str) -> (u64, &'a str) {
    let text = container.resources.requests.get(resource).map_or("0", String::as_str);
    let amount = quantity::parse(text).map_or(0, |quantity| u64::try_from(quantity.value()).unwrap_or(0));
    (amount, text)
}
