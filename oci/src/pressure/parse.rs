//! Reads the kernel's text files. Pure.

use berth_core::usage::{Stall, Stalls};

/// Processes and threads that there are, of /proc/loadavg.
pub(super) fn loadavg_tasks(text: &str) -> Option<u64> {
    text.split_whitespace().nth(3)?.split_once('/')?.1.parse().ok()
}

/// A value of `memory.stat`, `cpu.stat` and the like.
pub(super) fn stat(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

/// Bytes read and bytes written, of all devices of io.stat.
pub(super) fn io(text: &str) -> (u64, u64) {
    let sum = |key: &str| {
        let values = text.split_whitespace().filter_map(|word| word.strip_prefix(key)?.strip_prefix('='));
        values.filter_map(|value| value.parse().ok()).fold(0_u64, u64::saturating_add)
    };
    (sum("rbytes"), sum("wbytes"))
}

/// Of a `.pressure` file. The kernel has no line `full` for CPU before 5.13.
pub(super) fn stalls(text: &str) -> Option<Stalls> {
    let line = |which: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(which)?.strip_prefix(' '))?;
        let value = |key: &str| line.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
        let average = |key| value(key)?.parse().ok();
        Some(Stall {
            averages: [average("avg10")?, average("avg60")?, average("avg300")?],
            total_us: value("total")?.parse().ok()?,
        })
    };
    Some(Stalls { some: line("some")?, full: line("full").unwrap_or_default() })
}

/// Resident pages, of /proc/<pid>/statm.
pub(super) fn statm_resident(text: &str) -> Option<u64> {
    text.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_kernel() {
        assert_eq!(loadavg_tasks("0.20 0.18 0.12 1/80 11206\n"), Some(80));
        assert_eq!(loadavg_tasks(""), None);
        let memory = "anon 5\nfile 7\ninactive_file_x 1\ninactive_file 4096\n";
        assert_eq!(stat(memory, "inactive_file"), Some(4096));
        assert_eq!(stat(memory, "shmem"), None);
        assert_eq!(statm_resident("100 7 3 1 0 9 0\n"), Some(7));
    }

    #[test]
    fn bytes_of_all_devices() {
        for (text, bytes) in [
            ("", (0, 0)),
            ("8:0 rbytes=5 wbytes=7 rios=1 wios=1 dbytes=9 dios=1\n", (5, 7)),
            ("8:0 rbytes=5 wbytes=7\n254:16\n259:0 rbytes=10 wbytes=x\n", (15, 7)),
        ] {
            assert_eq!(io(text), bytes, "{text:?}");
        }
    }

    #[test]
    fn waiting() {
        const SOME: &str = "some avg10=1.50 avg60=0.30 avg300=0.06 total=1234\n";
        const FULL: &str = "full avg10=0.10 avg60=0.00 avg300=0.00 total=5\n";
        let some = Stall { averages: [1.5, 0.3, 0.06], total_us: 1234 };
        let full = Stall { averages: [0.1, 0.0, 0.0], total_us: 5 };
        for (text, found) in [
            (format!("{SOME}{FULL}"), Some(Stalls { some, full })),
            (SOME.to_owned(), Some(Stalls { some, full: Stall::default() })),
            (FULL.to_owned(), None),
            ("some avg10=1.50 total=1\n".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(stalls(&text), found, "{text:?}");
        }
    }
}
