//! What Berth costs when nothing happens: memory, wake-ups and writes with ten pods running.

use super::{Result, cpu, rig::Rig, stats::Row};
use std::{thread::sleep, time::Duration};

const PODS: u32 = 10;
/// Until start-up work has settled.
const SETTLE: Duration = Duration::from_secs(5);

/// Measures over `watch`.
pub fn measure(rig: &Rig, tier: &str, watch: Duration) -> Result<Vec<Row>> {
    for pod in 0..PODS {
        let name = format!("idle-{pod}");
        rig.prepare(&name, "", true)?;
        rig.drop_in(&name)?;
        rig.stamped(&name)?;
    }
    sleep(SETTLE);
    let processes = rig.processes()?;
    let pss_kib = |applets: &[&str]| -> Result<f64> {
        applets
            .iter()
            .filter_map(|a| processes.get(*a))
            .map(|pid| Ok(cpu::value(*pid, "smaps_rollup", "Pss:")? as f64))
            .sum()
    };
    let counts = || -> Result<(u64, u64)> {
        let wakeups: Result<u64> = processes.values().map(|pid| cpu::wakeups(*pid)).sum();
        let written: Result<u64> = processes.values().map(|pid| cpu::value(*pid, "io", "write_bytes:")).sum();
        Ok((wakeups?, written?))
    };
    let row = |name: &str, unit, value| Row {
        name: name.into(),
        tier: tier.to_owned(),
        unit,
        ours: vec![value],
        peer: None,
    };
    let before = counts()?;
    sleep(watch);
    let after = counts()?;
    let a_minute = |more: u64| more as f64 * 60.0 / watch.as_secs_f64();
    // After the watch: with the slow rescan, once a minute, the agent gives back what it no longer needs.
    let rows = vec![
        row("idle-pss", "MiB", pss_kib(&["keeper", "agent"])? / 1024.0),
        row("idle-pss-with-front", "MiB", pss_kib(&["front", "keeper", "agent"])? / 1024.0),
        row("idle-pss-all", "MiB", pss_kib(&["front", "keeper", "agent", "zygote"])? / 1024.0),
        row("idle-wakeups", "/min", a_minute(after.0.saturating_sub(before.0))),
        row("idle-written", "B/min", a_minute(after.1.saturating_sub(before.1))),
    ];
    for pod in 0..PODS {
        rig.remove(&format!("idle-{pod}"))?;
    }
    Ok(rows)
}
