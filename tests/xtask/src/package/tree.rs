//! The files of the package, as they lie in an installed system.

use super::dir;
use crate::{
    arch::Arch,
    compile,
    sh::{self, Result, cmd},
};
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

/// Below the layer's recipes: what is installed where, with which permissions.
const FILES: [(&str, &str, u32); 16] = [
    ("berth/files/berth.service", "usr/lib/systemd/system/berth.service", 0o644),
    ("berth/files/berth-halt.service", "usr/lib/systemd/system/berth-halt.service", 0o644),
    ("berth/files/berth-health.service", "usr/lib/systemd/system/berth-health.service", 0o644),
    ("berth/files/berth-healthy.target", "usr/lib/systemd/system/berth-healthy.target", 0o644),
    ("berth/files/berth.network", "usr/lib/systemd/network/10-berth.network", 0o644),
    ("berth/files/berth.tmpfiles", "usr/lib/tmpfiles.d/berth.conf", 0o644),
    ("berth/files/berth.init", "etc/init.d/berth", 0o755),
    ("berth/files/berth.apparmor", "etc/apparmor.d/berth-default", 0o644),
    ("berth-conf/files/config.yaml", "etc/berth/config.yaml", 0o644),
    ("berth/files/hooks/rauc.conf", "usr/share/doc/berth/examples/rauc.conf", 0o644),
    ("berth/files/hooks/swupdate", "usr/share/doc/berth/examples/swupdate", 0o755),
    ("berth/files/hooks/swupdate.service", "usr/share/doc/berth/examples/swupdate.service", 0o644),
    (
        "berth/files/hooks/ArtifactCommit_Enter_50_berth",
        "usr/share/doc/berth/examples/ArtifactCommit_Enter_50_berth",
        0o755,
    ),
    ("berth/files/hooks/greenboot", "usr/share/doc/berth/examples/greenboot", 0o755),
    ("../../../LICENSE", "usr/share/doc/berth/copyright", 0o644),
    ("../../../CHANGELOG.md", "usr/share/doc/berth/changelog", 0o644),
];
/// Folders that are there although nothing is in them.
const FOLDERS: [&str; 3] = ["etc/berth/manifests", "usr/share/berth/manifests", "usr/share/berth/images"];
/// Scripts that teach shells the command line.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "usr/share/bash-completion/completions/berth"),
    ("zsh", "usr/share/zsh/vendor-completions/_berth"),
    ("fish", "usr/share/fish/vendor_completions.d/berth.fish"),
];

/// Makes the tree for `arch` anew; where it is.
pub(crate) fn tree(arch: Arch, profile: &str) -> Result<PathBuf> {
    let root = dir(arch).join("root");
    let _ = fs::remove_dir_all(&root);
    for folder in FOLDERS {
        fs::create_dir_all(root.join(folder))?;
    }
    let recipes = sh::root().join("yocto-layer/meta-berth/recipes-containers");
    for (from, to, mode) in FILES {
        install(&recipes.join(from), &root.join(to), mode)?;
    }
    let program = root.join("usr/bin/berth");
    install(&compile::binary(arch, profile)?, &program, 0o755)?;
    let strip = if arch == Arch::host() { "strip".to_owned() } else { format!("{}-strip", arch.triplet()) };
    sh::run(&mut cmd(&strip, [&program]))?;
    Ok(root)
}

fn install(from: &Path, to: &Path, mode: u32) -> Result {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::copy(from, to).map_err(|error| format!("{}: {error}", from.display()))?;
    Ok(fs::set_permissions(to, fs::Permissions::from_mode(mode))?)
}

/// Adds manual pages and completions, made by the program itself, or by this machine's own build of it.
pub(super) fn pages(root: &Path, arch: Arch) -> Result {
    let berth = |args: &[&str]| {
        if arch == Arch::host() {
            return cmd(&root.join("usr/bin/berth").display().to_string(), args);
        }
        let mut run = sh::cargo();
        run.args(["run", "--quiet", "--locked", "--package", "berth", "--"]).args(args);
        run
    };
    let man = root.join("usr/share/man/man1");
    sh::run(&mut berth(&["man", &man.display().to_string()]))?;
    for (shell, to) in COMPLETIONS {
        let to = root.join(to);
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(to, sh::output(&mut berth(&["completion", shell]))?)?;
    }
    Ok(())
}
