//! Reads the kernel's text files. Pure.

/// Processes and threads that there are, of /proc/loadavg.
pub(super) fn loadavg_tasks(text: &str) -> Option<u64> {
    text.split_whitespace().nth(3)?.split_once('/')?.1.parse().ok()
}

/// A value of memory.stat.
pub(super) fn stat_bytes(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
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
        let stat = "anon 5\nfile 7\ninactive_file_x 1\ninactive_file 4096\n";
        assert_eq!(stat_bytes(stat, "inactive_file"), Some(4096));
        assert_eq!(stat_bytes(stat, "shmem"), None);
        assert_eq!(statm_resident("100 7 3 1 0 9 0\n"), Some(7));
    }
}
