//! What has gone over a pod's interface: the kernel's counters, read from sysfs at its end on the node's side. Changes
//! nothing and asks nobody else.

use crate::network::{INTERFACE, attachment::link_name};
use berth_core::ids::PodUid;
use std::{fs, path::Path};

/// Where the kernel lists interfaces.
const INTERFACES: &str = "/sys/class/net";

/// A pod's interface and its counters, as the pod sees them, since it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traffic {
    /// The interface's name in the pod.
    pub inside: &'static str,
    /// The name of its other end, on the bridge or what CNI plugins have instead.
    pub outside: String,
    /// Bytes that came to the pod.
    pub received_bytes: u64,
    /// Packets that came to the pod.
    pub received_packets: u64,
    /// Bytes that the pod sent.
    pub sent_bytes: u64,
    /// Packets that the pod sent.
    pub sent_packets: u64,
    /// Packets lost on either way.
    pub dropped_packets: u64,
}

/// Of the pod; none if it has no interface of ours.
pub fn traffic(uid: &PodUid) -> Option<Traffic> {
    traffic_at(link_name(uid))
}

/// Of a pod whose interface has this other end on the node.
pub fn traffic_at(outside: String) -> Option<Traffic> {
    read(&Path::new(INTERFACES).join(&outside), outside)
}

/// The first that is no bridge: plugins name that, too, beside the pod's end.
pub(in crate::network) fn end_of(outside: &[String]) -> Option<&String> {
    outside.iter().find(|name| !Path::new(INTERFACES).join(name).join("bridge").exists())
}

/// What one end sends the other one receives.
fn read(dir: &Path, outside: String) -> Option<Traffic> {
    let count = |name: &str| -> Option<u64> {
        fs::read_to_string(dir.join("statistics").join(name)).ok()?.trim().parse().ok()
    };
    Some(Traffic {
        inside: INTERFACE,
        outside,
        received_bytes: count("tx_bytes")?,
        received_packets: count("tx_packets")?,
        sent_bytes: count("rx_bytes")?,
        sent_packets: count("rx_packets")?,
        dropped_packets: count("tx_dropped")?.saturating_add(count("rx_dropped")?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_the_pods_not_the_bridges() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path(), "bth0".into()), None);
        let statistics = dir.path().join("statistics");
        fs::create_dir(&statistics).unwrap();
        for (i, name) in ["tx_bytes", "tx_packets", "rx_bytes", "rx_packets", "tx_dropped", "rx_dropped"]
            .iter()
            .enumerate()
        {
            fs::write(statistics.join(name), format!("{}\n", i + 1)).unwrap();
        }
        let traffic = read(dir.path(), "bth0".into()).unwrap();
        assert_eq!((traffic.received_bytes, traffic.received_packets), (1, 2));
        assert_eq!((traffic.sent_bytes, traffic.sent_packets, traffic.dropped_packets), (3, 4, 11));
    }
}
