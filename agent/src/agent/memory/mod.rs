//! Gives memory back when there is nothing to do: program text that only starting needed, and free heap.
//!
//! Text is not lost by that: it stays in the page cache, from where the next use maps it again (about 1 µs for each
//! 64 KiB), but it no longer counts as used by this process and the kernel may drop it first. Must never touch a
//! page that holds anything of this process' own.

mod sys;

use std::{fs, ops::Range};

/// Gives back what can be had again. To be called when a look around has found nothing new: at most once for each
/// `fileCheckFrequency`, and without a wake-up of its own.
pub(super) fn give_back() {
    match fs::read_to_string("/proc/self/smaps") {
        Ok(text) => {
            for pages in clean_files(&text) {
                if let Err(error) = sys::unmap_clean(&pages) {
                    tracing::debug!(%error, ?pages, "the kernel keeps them mapped");
                }
            }
        }
        Err(error) => tracing::debug!(%error, "/proc/self/smaps"),
    }
    sys::trim_heap();
}

/// A private mapping of a file, not writable, of which no page differs from its file. Only [`clean_files`] makes one.
#[derive(Debug, PartialEq, Eq)]
struct Clean(Range<usize>);

/// The mappings in /proc/PID/smaps (proc(5)) that are private, of a file, not writable, and have no page that
/// differs from the file: relocated data, for one, is not writable either, but not the file's any more.
fn clean_files(smaps: &str) -> Vec<Clean> {
    let mut found = Vec::new();
    let mut open: Option<Clean> = None;
    for line in smaps.lines() {
        if let Some(head) = heading(line) {
            found.extend(open.take());
            open = head;
        } else if let Some((key, value)) = line.split_once(':')
            && matches!(key, "Anonymous" | "Swap")
            && value.trim() != "0 kB"
        {
            open = None;
        }
    }
    found.extend(open);
    found
}

/// A line that begins a mapping; and its range if it is one of a file, private and not writable.
fn heading(line: &str) -> Option<Option<Clean>> {
    let mut fields = line.split_ascii_whitespace();
    let (from, to) = fields.next()?.split_once('-')?;
    let address = |text| usize::from_str_radix(text, 16).ok();
    let range = address(from)?..address(to)?;
    let rights = fields.next()?;
    let inode = fields.nth(2)?;
    let fits = matches!(rights, "r--p" | "r-xp") && inode != "0";
    Some(fits.then_some(Clean(range)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_that_are_still_the_files_are_given_back() {
        let smaps = "\
00400000-00500000 r--p 00000000 fe:00 17 /usr/bin/berth
Rss:                1292 kB
Anonymous:             0 kB
Swap:                  0 kB
00500000-00900000 r-xp 00100000 fe:00 17 /usr/bin/berth
Anonymous:             0 kB
Swap:                  0 kB
VmFlags: rd ex mr mw me
00900000-00910000 r--p 00500000 fe:00 17 /usr/bin/berth
Anonymous:            64 kB
Swap:                  0 kB
00910000-00911000 r--p 00510000 fe:00 17 /usr/bin/berth
Anonymous:             0 kB
Swap:                  4 kB
00911000-00912000 rw-p 00511000 fe:00 17 /usr/bin/berth
Anonymous:             0 kB
Swap:                  0 kB
00a00000-00b00000 rw-p 00000000 00:00 0 [heap]
Anonymous:           632 kB
7f0000000000-7f0000001000 r--s 00000000 fe:00 18 /etc/shared
Anonymous:             0 kB
7ffd00000000-7ffd00002000 r-xp 00000000 00:00 0 [vdso]
Anonymous:             0 kB
";
        assert_eq!(clean_files(smaps), [Clean(0x40_0000..0x50_0000), Clean(0x50_0000..0x90_0000)]);
        assert!(clean_files("no smaps\n-\n00-zz r--p\n").is_empty());
    }

    #[test]
    fn the_program_runs_on() {
        let mapped = || fs::read_to_string("/proc/self/smaps").unwrap();
        assert!(!clean_files(&mapped()).is_empty(), "a program has text");
        give_back();
        assert!(!clean_files(&mapped()).is_empty());
    }
}
