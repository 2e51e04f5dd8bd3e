//! What a container, a pod or the node uses at one moment, and what two such moments come to. Pure: read elsewhere, and
//! only when somebody asks. What the kernel does not tell is none.

use crate::{
    ids::ContainerId,
    manifest::DesiredPod,
    time::{Mono, NS_PER_S, Now},
};

/// The readings of one cgroup, or of the node. Memory in bytes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reading {
    /// When the CPU time was read.
    pub at: Now,
    /// CPU time since the cgroup was made, nanoseconds.
    pub cpu_ns: Option<u64>,
    /// Of the time since, how long it was kept from running by its limit, nanoseconds.
    pub throttled_ns: Option<u64>,
    /// All memory, the page cache included.
    pub memory: Option<u64>,
    /// Without what the page cache could give back at once.
    pub working_set: Option<u64>,
    /// Anonymous memory: kubelet's `rssBytes`.
    pub rss: Option<u64>,
    /// The bound of `memory`; none if it has none.
    pub memory_max: Option<u64>,
    /// Faults that found their page in memory, or did not need one.
    pub page_faults: Option<u64>,
    /// Faults that had to wait for a disk.
    pub major_page_faults: Option<u64>,
    /// Memory that is swapped out.
    pub swap: Option<u64>,
    /// Processes and threads.
    pub tasks: Option<u64>,
    /// Bytes read from block devices, and bytes written.
    pub io: Option<(u64, u64)>,
    /// Waiting for CPU, for memory, for block devices.
    pub stalls: [Option<Stalls>; 3],
}

/// Of one thing that is waited for, the kernel's Pressure Stall Information.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Stalls {
    /// Some task waited.
    pub some: Stall,
    /// All of them did.
    pub full: Stall,
}

/// Shares of the time in percent, and all of it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Stall {
    /// Over the last 10, 60 and 300 seconds.
    pub averages: [f64; 3],
    /// Since the cgroup was made, microseconds.
    pub total_us: u64,
}

/// One pod.
#[derive(Debug, Clone, PartialEq)]
pub struct PodReading<'a> {
    /// Which.
    pub pod: &'a DesiredPod,
    /// As a whole.
    pub whole: Reading,
    /// Its containers that are there, by their names.
    pub containers: Vec<(&'a str, &'a ContainerId, Reading)>,
    /// What its interface of ours has carried.
    pub network: Option<Network>,
    /// What it has on disk; none if it was not asked for, or could not be counted.
    pub disk: Option<Disk>,
}

/// What went over an interface since it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Its name in the pod.
    pub name: &'static str,
    /// Bytes and packets that came.
    pub received: (u64, u64),
    /// Bytes and packets that went.
    pub sent: (u64, u64),
}

/// What a pod has on the node's disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disk {
    /// Bytes in volumes on disk, writable layers and logs.
    pub bytes: u64,
    /// Files and directories.
    pub inodes: u64,
    /// There is more than could be counted.
    pub cut: bool,
}

/// CPU time in billionths of a processor between two readings of `(when, CPU time in nanoseconds)`; none if no time has
/// passed, or if the second is not of the same cgroup as the first (it has had less).
pub fn nano_cores(first: (Mono, u64), second: (Mono, u64)) -> Option<u64> {
    let used = u128::from(second.1.checked_sub(first.1)?);
    let passed = u128::from(second.0.since(first.0));
    u64::try_from(used.saturating_mul(u128::from(NS_PER_S)).checked_div(passed)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_what_was_used_in_the_time_between() {
        for (first, second, cores) in [
            ((0, 0), (NS_PER_S, NS_PER_S), Some(NS_PER_S)),
            ((5 * NS_PER_S, 7), (7 * NS_PER_S, 7 + NS_PER_S / 2), Some(NS_PER_S / 4)),
            ((5, 100), (NS_PER_S + 5, 100), Some(0)),
            ((5, 100), (5, 200), None),
            ((9, 100), (5, 200), None),
            ((5, 100), (6, 99), None),
            ((0, 0), (u64::MAX, u64::MAX), Some(NS_PER_S)),
        ] {
            let at = |(at, cpu)| (Mono(at), cpu);
            assert_eq!(nano_cores(at(first), at(second)), cores, "{first:?} {second:?}");
        }
    }
}
