//! `bench --berth FILE --stamp FILE [--rounds N] [--watch SECONDS] [--tier NAME] [--peer] [--containerd]
//! [--json FILE]`: the measuring half of `cargo xtask bench`; expects a unified cgroup v2 mount and root.

use berth_tests::bench::{Result, idle, rig::Rig, start, stats};
use std::{path::PathBuf, process::ExitCode, time::Duration};

struct Options {
    berth: PathBuf,
    stamp: PathBuf,
    rounds: u32,
    watch: Duration,
    tier: String,
    peer: bool,
    containerd: bool,
    json: Option<PathBuf>,
}

fn options() -> Result<Options> {
    let mut found = Options {
        berth: PathBuf::new(),
        stamp: PathBuf::new(),
        rounds: 50,
        watch: Duration::from_secs(60),
        tier: "native".to_owned(),
        peer: false,
        containerd: false,
        json: None,
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
        match arg.as_str() {
            "--berth" => found.berth = value()?.into(),
            "--stamp" => found.stamp = value()?.into(),
            "--rounds" => found.rounds = value()?.parse()?,
            "--watch" => found.watch = Duration::from_secs(value()?.parse()?),
            "--tier" => found.tier = value()?,
            "--json" => found.json = Some(value()?.into()),
            "--peer" => found.peer = true,
            "--containerd" => found.containerd = true,
            _ => return Err(format!("unknown option {arg}").into()),
        }
    }
    Ok(found)
}

fn run() -> Result {
    let options = options()?;
    let root = std::env::temp_dir().join(format!("berth-bench-{}", std::process::id()));
    // A network namespace of its own for everything: pods' bridge and rules are not for this machine.
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET)?;
    let rig = Rig::start(&options.berth, &options.stamp, &root, "none")?;
    let mut rows = Vec::new();
    for case in &start::CASES {
        rows.extend(start::measure(&rig, case, &options.stamp, &options.tier, options.rounds, options.peer)?);
    }
    rows.extend(idle::measure(&rig, &options.tier, options.watch)?);
    drop(rig);
    let rig = Rig::start(&options.berth, &options.stamp, &root, "bridge")?;
    rows.push(start::measure_network(&rig, &options.tier, options.rounds)?);
    if options.containerd {
        rows.push(start::measure_containerd(&rig, &options.tier, options.rounds)?);
    }
    drop(rig);
    stats::report(&rows, options.json.as_deref())?;
    std::fs::remove_dir_all(root)?;
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}
