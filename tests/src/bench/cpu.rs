//! What processes cost, read from `/proc` (Documentation/filesystems/proc.rst).

use super::Result;
use std::{collections::BTreeMap, fs};

/// Milliseconds in a clock tick of `/proc/<pid>/stat` (USER_HZ is 100 on every Linux architecture of ours).
const TICK_MS: f64 = 10.0;

/// Berth's own processes by role: the `front` that was started, the `keeper` that it starts, and the keeper's
/// `agent` and `zygote`. `marker` is a word of the command line that only this Berth's have.
pub fn berth_processes(front: u32, marker: &str) -> Result<BTreeMap<String, u32>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else { continue };
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<_> = line.split(|b| *b == 0).map(String::from_utf8_lossy).collect();
        let role = match words.get(1).map(AsRef::as_ref) {
            _ if pid == front => "front",
            Some("keeper") if words.iter().any(|word| word.starts_with(marker)) => "keeper",
            _ => continue,
        };
        found.insert(role.to_owned(), pid);
    }
    let keeper = *found.get("keeper").ok_or("Berth has no keeper")?;
    for pid in fs::read_to_string(format!("/proc/{keeper}/task/{keeper}/children"))?.split_whitespace() {
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if let Some(applet) = ["agent", "zygote"].into_iter().find(|a| line.split('\0').nth(1) == Some(a)) {
            found.insert(applet.to_owned(), pid.parse()?);
        }
    }
    Ok(found)
}

/// CPU milliseconds that `pid` and the children it has waited for have used.
pub fn used_ms(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    Ok((14..=17).map(|n| field(&stat, n)).sum::<f64>() * TICK_MS)
}

/// Field `n` (from 1, as proc(5) counts) of a stat line.
fn field(stat: &str, n: usize) -> f64 {
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    rest.split_whitespace().nth(n.saturating_sub(3)).and_then(|v| v.parse().ok()).unwrap_or(0.0)
}

/// The number behind `key:` in the file of `/proc/<pid>`.
pub fn value(pid: u32, file: &str, key: &str) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}"))?;
    let line =
        text.lines().find(|l| l.starts_with(key)).ok_or_else(|| format!("/proc/{pid}/{file}: no {key}"))?;
    Ok(line.split_whitespace().nth(1).and_then(|v| v.parse().ok()).unwrap_or(0))
}

/// How often the threads of `pid` that live now have gone to sleep of themselves: each time they were awake.
pub fn wakeups(pid: u32) -> Result<u64> {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let task = task?.file_name();
        sum += value(pid, &format!("task/{}/status", task.to_string_lossy()), "voluntary_ctxt_switches:")?;
    }
    Ok(sum)
}
