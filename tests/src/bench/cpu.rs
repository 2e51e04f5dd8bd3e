//! What processes cost, read from `/proc` (Documentation/filesystems/proc.rst).

use super::Result;
use std::{collections::BTreeMap, fs};

/// Milliseconds in a clock tick of `/proc/<pid>/stat` (USER_HZ is 100 on every Linux architecture of ours).
const TICK_MS: f64 = 10.0;

/// Berth's own processes by applet.
pub fn berth_processes(keeper: u32) -> Result<BTreeMap<String, u32>> {
    let mut found = BTreeMap::from([("keeper".to_owned(), keeper)]);
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else { continue };
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if field(&stat, 4) != f64::from(keeper) {
            continue;
        }
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<&[u8]> = line.split(|b| *b == 0).collect();
        for applet in ["agent", "zygote"] {
            if words.contains(&applet.as_bytes()) {
                found.insert(applet.to_owned(), pid);
            }
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
