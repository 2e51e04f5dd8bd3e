//! The units of systemd, by systemd's own judgement.

use crate::sh::{self, Result, cmd};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Programs of the target that this machine does not have; a unit that names one is judged with `/bin/true`.
const PROGRAMS: [&str; 2] = ["/usr/bin/berth", "/usr/libexec/berth/swupdate"];

/// The service to which RAUC's drop-in belongs, as far as the drop-in is concerned.
const MARK_GOOD: &str = "rauc-mark-good.service";

/// What is exposed at most, in tenths, by `systemd-analyze security`; docs/updates.md has the figures and why the service
/// itself is not among them.
const EXPOSURE: [(&str, u32); 3] =
    [("berth-halt.service", 20), ("berth-health.service", 20), ("berth-swupdate.service", 60)];

/// `systemd-analyze verify` has nothing to say about any of them, and what can be sandboxed is.
pub(super) fn verify(layer: &Path) -> Result {
    if cmd("systemd-analyze", ["--version"]).output().is_err() {
        println!("-- SKIP units: there is no systemd-analyze (Debian's package systemd)");
        return Ok(());
    }
    let files = layer.join("recipes-containers/berth/files");
    let scratch = sh::target().join("layer/units");
    fs::create_dir_all(&scratch)?;
    let mut units = Vec::new();
    for (from, to) in [
        ("berth.service", "berth.service"),
        ("berth-halt.service", "berth-halt.service"),
        ("berth-health.service", "berth-health.service"),
        ("berth-healthy.target", "berth-healthy.target"),
        ("hooks/swupdate.service", "berth-swupdate.service"),
    ] {
        let mut text = fs::read_to_string(files.join(from))?;
        for program in PROGRAMS {
            text = text.replace(program, "/bin/true");
        }
        fs::write(scratch.join(to), text)?;
        units.push(scratch.join(to));
    }
    units.push(with_drop_in(&scratch, &files.join("hooks/rauc.conf"))?);
    let out =
        cmd("systemd-analyze", ["verify", "--man=no", "--recursive-errors=one"]).args(&units).output()?;
    let said = String::from_utf8_lossy(&out.stderr);
    // The machine's own units are not our matter.
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("berth")).collect();
    for line in &ours {
        println!("   {line}");
    }
    if !ours.is_empty() || !out.status.success() {
        return Err(format!("{}: {said}", out.status).into());
    }
    EXPOSURE.iter().try_for_each(|(unit, most)| sandboxed(&scratch.join(unit), *most))
}

/// A stand-in for RAUC's service, with the drop-in beside it; its file.
fn with_drop_in(scratch: &Path, drop_in: &Path) -> Result<PathBuf> {
    let unit = scratch.join(MARK_GOOD);
    fs::write(&unit, "[Unit]\nDescription=Stand-in\n[Service]\nType=oneshot\nExecStart=/bin/true\n")?;
    let folder = scratch.join(format!("{MARK_GOOD}.d"));
    fs::create_dir_all(&folder)?;
    // Named so that what is said of it is taken for ours.
    fs::copy(drop_in, folder.join("berth.conf"))?;
    Ok(unit)
}

/// The unit exposes no more than `most` tenths.
fn sandboxed(unit: &Path, most: u32) -> Result {
    let threshold = format!("--threshold={most}");
    let out =
        cmd("systemd-analyze", ["security", "--offline=yes", "--no-pager", &threshold]).arg(unit).output()?;
    if out.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&out.stdout);
    let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    Err(format!("{}: {last}: more than {most} tenths", unit.display()).into())
}
