//! How long a box takes from the kernel's hand-over to init until the first instruction of a pod that was baked into
//! it, with busybox and with systemd as init. Only measures; whether pods come up at a boot is the scenarios' matter.

use super::bare;
use crate::{
    arch::Arch,
    guest::{self, debian},
    sh::{self, Result},
    vm,
};
use berth_images::build::{Entry, ImageBuilder};
use serde_json::{Value, json};
use std::{fmt, fs, path::Path};

/// Boots that are measured of each init, after one in which the image is unpacked.
const BOOTS: u32 = 5;
/// A boot may last so long, seconds.
const BOOT_MAX_S: u64 = 180;
/// The pod of each boot; what it writes is gone with the boot.
const MANIFEST: &str = "apiVersion: v1
kind: Pod
metadata: {name: boot}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {name: main, image: 'berth.test/stamp:1', command: [/stamp, /out/at, stay], volumeMounts: [{name: out, mountPath: /out}]}
  volumes: [{name: out, hostPath: {path: /run/stamp, type: DirectoryOrCreate}}]
";
/// Marks what the guest has measured.
const REPORT_MARK: &str = "boot-report:";
const STAMP_MARK: &str = "boot-stamp:";
/// Waits without asking Berth anything, and looks seldom: where processors are emulated each look would be measured, too.
const SCRIPT: &str = "#!/bin/sh
left=60
while [ ! -s /run/stamp/at ] && [ $left -gt 0 ]; do left=$((left - 1)); sleep 1; done
. /put/lib.sh
ready boot
sync
echo boot-report:$(berth doctor --boot-report -o json)
echo boot-stamp:$(head -n 1 /run/stamp/at)
";

/// Under systemd the script is no unit of the boot: `multi-user.target` would start it, and what it starts, beside a
/// Berth that serves before its pods run, but after a `crun run`, which is done when its container is.
const AFTER_THE_STAMP: [(&str, &str, &str); 3] = [
    ("scenario.path", "/etc/systemd/system/scenario.path", "[Path]\nPathExists=/run/stamp/at\n"),
    (
        "condition.conf",
        "/etc/systemd/system/scenario.service.d/condition.conf",
        "[Unit]\nConditionPathExists=/run/stamp/at\n",
    ),
    ("wants.conf", "/etc/systemd/system/multi-user.target.d/wants.conf", "[Unit]\nWants=scenario.path\n"),
];

/// The first process of a guest.
#[derive(Clone, Copy)]
enum Init {
    Busybox,
    Systemd,
}

impl fmt::Display for Init {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Busybox => "busybox",
            Self::Systemd => "systemd",
        })
    }
}

/// Who runs the container.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    Berth,
    Crun,
}

/// Milliseconds until the first instruction of the container.
struct Boot {
    /// From the kernel's hand-over to init; only with Berth.
    from_init: f64,
    /// From the start of the agent, or of crun.
    of_it: f64,
}

/// The rows of `arch`; `crun_ms` is what one `crun run` takes in such a guest, beside which the agent's part is shown.
pub(super) fn rows(arch: Arch, stamp: &Path, crun_ms: Option<f64>) -> Result<Vec<Value>> {
    let mut rows = Vec::new();
    for init in [Init::Busybox, Init::Systemd] {
        let (berth, crun) = measure(arch, init, stamp)?;
        let of = |boots: &[Boot], part: fn(&Boot) -> f64| boots.iter().map(part).collect::<Vec<_>>();
        let (agent, at_boot) = (of(&berth, |boot| boot.of_it), middle(of(&crun, |boot| boot.of_it)));
        rows.push(row(&format!("boot-{init}"), arch, &of(&berth, |boot| boot.from_init), None));
        rows.push(row(&format!("boot-{init}-agent"), arch, &agent, crun_ms.map(|ms| ("crun-run", ms))));
        rows.push(row(&format!("boot-{init}-cold"), arch, &agent, Some(("crun-cold", at_boot))));
    }
    Ok(rows)
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn row(name: &str, arch: Arch, values: &[f64], peer: Option<(&str, f64)>) -> Value {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |place: usize| sorted.get(place).copied().unwrap_or_default();
    let (min, p50, max) = (at(0), at(sorted.len() / 2), at(sorted.len().saturating_sub(1)));
    let mut row = json!({
        "name": name, "tier": format!("guest-{arch}"), "unit": "ms", "n": sorted.len(), "min": min, "p50": p50, "p99": max,
    });
    print!("{name:<22} {arch:<7}   ms {min:>9.2} {p50:>9.2} {max:>9.2}");
    if let Some((peer, ms)) = peer {
        row["peer"] = json!(peer);
        row["peer_p50"] = json!(ms);
        row["ratio"] = json!(p50 / ms);
        print!("  {peer:<10} {ms:>19.2} {:>16.2}", p50 / ms);
    }
    println!();
    row
}

/// Boots with Berth and boots with crun, in turn: a machine that others use, too, is slow for both then.
fn measure(arch: Arch, init: Init, stamp: &Path) -> Result<(Vec<Boot>, Vec<Boot>)> {
    let folder = guest::dir(arch).join(format!("boot-{init}-{}", std::process::id()));
    let [berth, crun] = [Who::Berth, Who::Crun].map(|who| -> Result<vm::Args> {
        let own = folder.join(if who == Who::Crun { "crun" } else { "berth" });
        fs::create_dir_all(&own)?;
        guest_of(&own, arch, init, stamp, who)
    });
    let (berth, crun) = (berth?, crun?);
    let boots = (0..=BOOTS).map(|_| Ok((boot(&berth)?, boot(&crun)?))).collect::<Result<Vec<_>>>();
    fs::remove_dir_all(&folder)?;
    // The first has unpacked the image.
    Ok(boots?.into_iter().skip(1).unzip())
}

/// The guest that is booted again and again.
fn guest_of(folder: &Path, arch: Arch, init: Init, stamp: &Path, who: Who) -> Result<vm::Args> {
    let [image, manifest, script, disk] =
        ["stamp.tar", "boot.yaml", "script.sh", "disk"].map(|name| folder.join(name));
    let files = vec![Entry::file("stamp", 0o755, fs::read(stamp)?)];
    ImageBuilder::new(arch.debian()).layer(files).name("berth.test/stamp:1").write_oci_archive(&image)?;
    fs::write(&manifest, MANIFEST)?;
    fs::write(&script, if who == Who::Crun { bare::SCRIPT } else { SCRIPT })?;
    let guests = sh::root().join("tests/guest");
    let mut put = vec![format!("{}:/put/lib.sh", guests.join("lib.sh").display())];
    if matches!(init, Init::Systemd) {
        put.extend(debian::puts(arch, debian::SYSTEMD)?);
        put.push(format!("{}:/", guests.join("systemd/root").display()));
        for (name, to, text) in AFTER_THE_STAMP {
            let file = folder.join(name);
            fs::write(&file, text)?;
            put.push(format!("{}:{to}", file.display()));
        }
    }
    if who == Who::Crun {
        put.extend(debian::puts(arch, debian::CRUN)?);
        put.extend(bare::puts(folder, stamp)?);
    }
    Ok(vm::Args {
        manifest: vec![manifest],
        image: vec![image],
        put,
        keep_disk: Some(disk),
        no_start: matches!(init, Init::Systemd) || who == Who::Crun,
        timeout: Some(BOOT_MAX_S),
        ..vm::Args::script(arch, script)
    })
}

fn boot(args: &vm::Args) -> Result<Boot> {
    let (mut report, mut stamp, mut said) = (Value::Null, None, Vec::new());
    let status = vm::run(args, |line| {
        if let Some((_, text)) = line.split_once(REPORT_MARK) {
            report = serde_json::from_str(text).unwrap_or_default();
        } else if let Some((_, text)) = line.split_once(STAMP_MARK) {
            stamp = text.trim().parse::<u64>().ok();
        }
        said.push(line.to_owned());
    })?;
    let moment = |id: &str| {
        let moments = report["moments"].as_array().into_iter().flatten();
        moments.filter(|moment| moment["id"] == id).find_map(|moment| moment["atNs"].as_u64())
    };
    let begun = moment("agent").or_else(|| report["begun"].as_u64());
    match (status, begun, stamp) {
        (0, Some(begun), Some(stamp)) => {
            let ms = |from: u64| stamp.saturating_sub(from) as f64 / 1e6;
            Ok(Boot { from_init: moment("init").map_or(0.0, ms), of_it: ms(begun) })
        }
        _ => Err(format!("a boot of the {} guest told no times:\n{}", args.arch, said.join("\n")).into()),
    }
}
