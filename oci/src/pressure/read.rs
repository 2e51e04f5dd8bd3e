//! Reads what a cgroup uses, or the node, when somebody asks. A dozen small files of the kernel's; what is not there
//! (an older kernel, a controller that is not enabled) is none.

use super::{memory, parse, text, weigh};
use crate::{clock, node::meminfo_bytes, paths::Roots};
use berth_core::usage::Reading;
use std::{fs, path::Path};

/// Of a cgroup and all below it; none if it is not there.
pub fn cgroup(dir: &Path) -> Option<Reading> {
    let mut reading = common(dir)?;
    let stat = text(dir.join("memory.stat"));
    reading.memory = weigh::number(&dir.join("memory.current"));
    reading.working_set = weigh::working_set(dir);
    reading.rss = parse::stat(&stat, "anon").or_else(|| weigh::resident(dir).filter(|_| stat.is_empty()));
    reading.memory_max = weigh::number(&dir.join("memory.max"));
    reading.swap = weigh::number(&dir.join("memory.swap.current"));
    reading.tasks = weigh::tasks(dir);
    Some(reading)
}

/// Of the node: its root cgroup tells some of it, /proc the rest.
pub fn node(roots: &Roots) -> Reading {
    let mut reading =
        common(&roots.cgroup).unwrap_or_else(|| Reading { at: clock::now(), ..Reading::default() });
    let info = text("/proc/meminfo");
    let less = |all, rest| Some(meminfo_bytes(&info, all)?.saturating_sub(meminfo_bytes(&info, rest)?));
    reading.memory = less("MemTotal", "MemFree");
    reading.working_set = memory(&info).map(|level| level.capacity.saturating_sub(level.available));
    reading.memory_max = meminfo_bytes(&info, "MemTotal");
    reading.rss = meminfo_bytes(&info, "AnonPages");
    reading.swap = less("SwapTotal", "SwapFree");
    reading
}

/// What the root has as well as the others.
fn common(dir: &Path) -> Option<Reading> {
    let cpu = fs::read_to_string(dir.join("cpu.stat")).ok()?;
    let at = clock::now();
    let memory = text(dir.join("memory.stat"));
    let us = |key| parse::stat(&cpu, key).map(|us| us.saturating_mul(NS_PER_US));
    let stalls = |what: &str| parse::stalls(&text(dir.join(format!("{what}.pressure"))));
    Some(Reading {
        at,
        cpu_ns: us("usage_usec"),
        throttled_ns: us("throttled_usec"),
        page_faults: parse::stat(&memory, "pgfault"),
        major_page_faults: parse::stat(&memory, "pgmajfault"),
        io: fs::read_to_string(dir.join("io.stat")).ok().map(|text| parse::io(&text)),
        stalls: ["cpu", "memory", "io"].map(stalls),
        ..Reading::default()
    })
}

/// Nanoseconds in a microsecond.
const NS_PER_US: u64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;
    use berth_core::usage::{Stall, Stalls};

    #[test]
    fn a_cgroups_files_are_read_and_what_is_not_there_is_none() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(cgroup(dir.path()), None);
        let write = |files: &[(&str, &str)]| {
            files.iter().for_each(|(name, text)| fs::write(dir.path().join(name), text).unwrap());
        };
        write(&[("cpu.stat", "usage_usec 1500\nuser_usec 1000\nsystem_usec 500\n"), ("cgroup.procs", "")]);
        let bare = cgroup(dir.path()).unwrap();
        let expected = Reading { at: bare.at, cpu_ns: Some(1_500_000), ..Reading::default() };
        assert_eq!(Reading { working_set: None, rss: None, ..bare }, expected);
        assert_eq!((bare.working_set, bare.rss), (Some(0), Some(0)), "no process, so nothing is resident");
        write(&[
            ("cpu.stat", "usage_usec 2000\nnr_periods 5\nnr_throttled 3\nthrottled_usec 7\n"),
            ("memory.current", "5000\n"),
            ("memory.max", "max\n"),
            ("memory.swap.current", "12\n"),
            ("memory.stat", "anon 3000\nfile 2000\ninactive_file 1500\npgfault 40\npgmajfault 4\n"),
            ("pids.current", "3\n"),
            ("io.stat", "254:0 rbytes=100 wbytes=200 rios=1 wios=2 dbytes=0 dios=0\n"),
            ("cpu.pressure", "some avg10=1.50 avg60=0.00 avg300=0.00 total=9\n"),
        ]);
        let full = cgroup(dir.path()).unwrap();
        let some = Stall { averages: [1.5, 0.0, 0.0], total_us: 9 };
        let expected = Reading {
            at: full.at,
            cpu_ns: Some(2_000_000),
            throttled_ns: Some(7_000),
            memory: Some(5000),
            working_set: Some(3500),
            rss: Some(3000),
            memory_max: None,
            page_faults: Some(40),
            major_page_faults: Some(4),
            swap: Some(12),
            tasks: Some(3),
            io: Some((100, 200)),
            stalls: [Some(Stalls { some, full: Stall::default() }), None, None],
        };
        assert_eq!(full, expected);
    }

    #[test]
    fn this_machine_uses_something() {
        let seen = node(&Roots::default());
        let (Some(memory), Some(set), Some(max)) = (seen.memory, seen.working_set, seen.memory_max) else {
            panic!("{seen:?}");
        };
        assert!(0 < set && set <= memory && memory < max, "{seen:?}");
    }
}
