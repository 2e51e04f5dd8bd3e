//! From the rename of a manifest into the directory to the container's own first instruction, Berth and crun
//! by turns.

use super::{Result, containerd::Containerd, peer::Crun, rig, rig::Rig, stats::Row};
use std::{
    fs,
    path::{Path, PathBuf},
    thread::sleep,
    time::Duration,
};

const NS_PER_MS: f64 = 1e6;
/// Between two starts: boxes do not start pods in a tight loop, and what the kernel still tears down of the last
/// one should not be measured with the next.
const APART: Duration = Duration::from_millis(150);

/// What to start.
pub struct Case {
    /// Name of the row; its CPU time is `<name>-cpu`.
    pub name: &'static str,
    /// Name of the row with CPU time.
    pub cpu_name: &'static str,
    /// Lines of the pod's spec.
    pub spec: &'static str,
}

/// Without a seccomp filter: what crun does without one, too. And as a pod is by default.
pub const CASES: [Case; 2] = [
    Case {
        name: "start",
        cpu_name: "start-cpu",
        spec: "  securityContext: {seccompProfile: {type: Unconfined}}\n",
    },
    Case { name: "start-seccomp", cpu_name: "start-seccomp-cpu", spec: "" },
];

/// Measures `case` in `rounds` rounds.
pub fn measure(
    rig: &Rig,
    case: &Case,
    stamp: &Path,
    tier: &str,
    rounds: u32,
    with_peer: bool,
) -> Result<[Row; 2]> {
    // One pod that stays gives the bundle for the peer.
    rig.prepare("model", case.spec, true)?;
    rig.drop_in("model")?;
    rig.stamped("model")?;
    let mut crun =
        if with_peer { Some(Crun::new(&bundle_config(&rig.run)?, stamp, &rig.root)?) } else { None };
    let (mut ours, mut theirs, mut our_cpu, mut their_cpu) = (vec![], vec![], vec![], vec![]);
    for round in 0..rounds {
        let name = format!("{}-{round}", case.name);
        rig.prepare(&name, case.spec, false)?;
        sleep(APART);
        let cpu = rig.cpu_ms()?;
        let begun = rig::boottime_ns()?;
        rig.drop_in(&name)?;
        ours.push(rig.stamped(&name)?.saturating_sub(begun) as f64 / NS_PER_MS);
        rig.remove(&name)?;
        our_cpu.push(rig.cpu_ms()? - cpu);
        if let Some(crun) = &mut crun {
            sleep(APART);
            let cpu = children_ms()?;
            theirs.push(crun.run(&name)? / NS_PER_MS);
            their_cpu.push(children_ms()? - cpu);
        }
    }
    rig.remove("model")?;
    // /proc counts in ticks of 10 ms: only the mean over many rounds means something.
    let mean = |values: Vec<f64>| vec![values.iter().sum::<f64>() / values.len().max(1) as f64];
    let peer = |values: Vec<f64>| with_peer.then_some(("crun-run", values));
    Ok([
        Row { name: case.name.into(), tier: tier.to_owned(), unit: "ms", ours, peer: peer(theirs) },
        Row {
            name: case.cpu_name.into(),
            tier: tier.to_owned(),
            unit: "ms",
            ours: mean(our_cpu),
            peer: peer(mean(their_cpu)),
        },
    ])
}

/// What a network costs: a pod on the bridge against one on the node's network, by turns.
pub fn measure_network(rig: &Rig, tier: &str, rounds: u32) -> Result<Row> {
    let (mut own, mut nodes) = (vec![], vec![]);
    for round in 0..rounds {
        own.push(start(rig, &format!("own-{round}"), "")?);
        nodes.push(start(rig, &format!("nodes-{round}"), "  hostNetwork: true\n")?);
    }
    let tier = tier.to_owned();
    Ok(Row { name: "start-network".into(), tier, unit: "ms", ours: own, peer: Some(("hostNetwork", nodes)) })
}

/// A pod on the bridge against a container of containerd on the bridge of CNI plugins, by turns.
pub fn measure_containerd(rig: &Rig, tier: &str, rounds: u32) -> Result<Row> {
    let peer = Containerd::start(&rig.root.join("images/stamp.tar"), &rig.root)?;
    let (mut ours, mut theirs) = (vec![], vec![]);
    for round in 0..rounds {
        ours.push(start(rig, &format!("beside-{round}"), "")?);
        sleep(APART);
        theirs.push(peer.run(&format!("ctr-{round}"))? / NS_PER_MS);
    }
    let tier = tier.to_owned();
    Ok(Row { name: "start-network-cni".into(), tier, unit: "ms", ours, peer: Some(("ctr-cni", theirs)) })
}

/// Starts a pod and removes it; returns the milliseconds to its first instruction.
fn start(rig: &Rig, name: &str, spec: &str) -> Result<f64> {
    rig.prepare(name, spec, false)?;
    sleep(APART);
    let begun = rig::boottime_ns()?;
    rig.drop_in(name)?;
    let took = rig.stamped(name)?.saturating_sub(begun) as f64 / NS_PER_MS;
    rig.remove(name)?;
    Ok(took)
}

fn children_ms() -> Result<f64> {
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN)?;
    let ms = |t: nix::sys::time::TimeVal| t.tv_sec() as f64 * 1e3 + t.tv_usec() as f64 / 1e3;
    Ok(ms(usage.user_time()) + ms(usage.system_time()))
}

/// The spec of the one container that runs.
fn bundle_config(run: &Path) -> Result<PathBuf> {
    let containers = run.join("containers");
    let entry =
        fs::read_dir(&containers)?.next().ok_or_else(|| format!("{}: empty", containers.display()))??;
    Ok(entry.path().join("config.json"))
}
