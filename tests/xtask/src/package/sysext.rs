//! The system extension: what of the tree lies below /usr, as an image that systemd-sysext lays over a read-only /usr.

use super::dir;
use crate::{
    apt,
    arch::Arch,
    sh::{self, Result, cmd},
};
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

/// The unit is wanted by this target: an extension has no /etc in which it could be enabled.
const WANTED_BY: &str = "usr/lib/systemd/system/multi-user.target.wants";

/// Makes the extension of `tree`; its file.
pub(crate) fn build(arch: Arch, tree: &Path) -> Result<PathBuf> {
    apt::ensure(&["squashfs-tools"])?;
    let staged = dir(arch).join("sysext");
    let _ = fs::remove_dir_all(&staged);
    fs::create_dir_all(&staged)?;
    sh::run(cmd("cp", ["-a"]).arg(tree.join("usr")).arg(staged.join("usr")))?;
    let release = staged.join("usr/lib/extension-release.d");
    fs::create_dir_all(&release)?;
    // The program is static: any distribution of the architecture will do.
    let architecture = if arch == Arch::Aarch64 { "arm64" } else { "x86-64" };
    fs::write(release.join("extension-release.berth"), format!("ID=_any\nARCHITECTURE={architecture}\n"))?;
    fs::create_dir_all(staged.join(WANTED_BY))?;
    for unit in ["berth.service", "berth-halt.service"] {
        symlink(format!("../{unit}"), staged.join(WANTED_BY).join(unit))?;
    }
    let file = dir(arch).join("berth.raw");
    let options = ["-noappend", "-quiet", "-no-progress", "-all-root"];
    sh::run(cmd("mksquashfs", [&staged, &file]).args(options).stdout(std::io::stderr()))?;
    fs::remove_dir_all(&staged)?;
    Ok(file)
}
