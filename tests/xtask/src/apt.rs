//! Debian packages: installed when missing (root or sudo), or only fetched and unpacked below `target/`.

use crate::sh::{self, Result, cmd};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Held while packages are looked up, fetched or installed: apt lets one do that at a time.
static APT: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    APT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Installs those of `packages` that are missing. `name:arch` for a foreign architecture.
pub(crate) fn ensure(packages: &[&str]) -> Result {
    let _alone = alone();
    let missing: Vec<&str> = packages.iter().copied().filter(|p| !installed(p)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    prepare(missing.iter().any(|p| p.ends_with(":arm64")))?;
    let mut install = privileged("apt-get");
    install.args(["install", "-y", "-q", "--no-install-recommends"]).args(&missing);
    sh::run(install.env("DEBIAN_FRONTEND", "noninteractive").stdout(std::io::stderr()))
}

/// Fetches `package` (with `:arch`) and unpacks it to `into`, once.
pub(crate) fn unpack(package: &str, into: &Path) -> Result<PathBuf> {
    let _alone = alone();
    let done = into.join(".unpacked");
    if fs::read_to_string(&done).is_ok_and(|name| name == package) {
        return Ok(into.to_owned());
    }
    prepare(package.ends_with(":arm64"))?;
    let _ = fs::remove_dir_all(into);
    let debs = into.with_extension("deb.d");
    let _ = fs::remove_dir_all(&debs);
    fs::create_dir_all(&debs)?;
    let download =
        || sh::run(cmd("apt-get", ["download", "-q", package]).current_dir(&debs).stdout(std::io::stderr()));
    // What is installed may be older than what is offered, or the lists older than the archive.
    download().or_else(|_| update().and_then(|()| download()))?;
    let deb = fs::read_dir(&debs)?.next().ok_or_else(|| format!("{package}: nothing was fetched"))??.path();
    sh::run(cmd("dpkg-deb", ["-x"]).arg(&deb).arg(into))?;
    fs::remove_dir_all(&debs)?;
    fs::write(done, package)?;
    Ok(into.to_owned())
}

/// The newest package on which the meta-package `name` depends whose name starts with `prefix`.
pub(crate) fn dependency(name: &str, prefix: &str) -> Result<String> {
    let _alone = alone();
    prepare(name.ends_with(":arm64"))?;
    let text = sh::output(&mut cmd("apt-cache", ["depends", name]))?;
    text.lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "))
        .find(|dep| dep.starts_with(prefix))
        .map(str::to_owned)
        .ok_or_else(|| format!("{name} depends on nothing that starts with {prefix}").into())
}

/// A package name alone means the machine's own architecture: dpkg-query would take any.
fn installed(package: &str) -> bool {
    let qualified = package.contains(':');
    let native = sh::output(&mut cmd("dpkg", ["--print-architecture"])).unwrap_or_default();
    let query = cmd("dpkg-query", ["-W", "-f", "${db:Status-Status} ${Architecture}\n", package])
        .stderr(Stdio::null())
        .output();
    query.is_ok_and(|out| {
        out.status.success()
            && String::from_utf8_lossy(&out.stdout).lines().any(|line| {
                matches!(line.split_once(' '), Some(("installed", arch))
                    if qualified || arch == native.trim() || arch == "all")
            })
    })
}

/// Makes the package lists usable, with those of arm64 when they are needed.
fn prepare(arm64: bool) -> Result {
    let foreign = sh::output(&mut cmd("dpkg", ["--print-foreign-architectures"]))?;
    let native = sh::output(&mut cmd("dpkg", ["--print-architecture"]))?;
    let add = arm64 && native.trim() != "arm64" && !foreign.lines().any(|a| a == "arm64");
    if add {
        sh::run(privileged("dpkg").args(["--add-architecture", "arm64"]))?;
    }
    let known = cmd("apt-cache", ["show", if arm64 { "busybox-static:arm64" } else { "busybox-static" }])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if add || !known.is_ok_and(|s| s.success()) {
        update()?;
    }
    Ok(())
}

fn update() -> Result {
    sh::run(privileged("apt-get").args(["update", "-q"]).stdout(std::io::stderr()))
}

fn privileged(program: &str) -> Command {
    let root = sh::output(&mut cmd("id", ["-u"])).is_ok_and(|uid| uid.trim() == "0");
    if root { Command::new(program) } else { cmd("sudo", [program]) }
}
