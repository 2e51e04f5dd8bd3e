//! The appliance's root: an initramfs that moves itself to a tmpfs (an initramfs cannot be the root of a
//! container's `pivot_root`), mounts what an edge box has mounted, starts Berth and runs one script.

use super::{Kernel, busybox, cpio::Archive};
use crate::{arch::Arch, sh::Result};
use std::{
    fs,
    io::BufWriter,
    path::{Path, PathBuf},
};

const INIT: &str = include_str!("files/init");
const INITTAB: &str = include_str!("files/inittab");
const RCS: &str = include_str!("files/rcS");
const RUN_SCRIPT: &str = include_str!("files/run-script");

/// What goes into an appliance.
pub(crate) struct Root {
    pub(crate) arch: Arch,
    /// What Berth's package installs; none for a system without it.
    pub(crate) package: Option<PathBuf>,
    /// Files and folders, and where to put them.
    pub(crate) puts: Vec<(PathBuf, String)>,
    /// The script; none for a console.
    pub(crate) script: Option<Vec<u8>>,
    /// Start Berth at boot.
    pub(crate) start: bool,
    /// Marks the line that carries the script's exit status.
    pub(crate) marker: String,
}

/// Writes the archive that the kernel boots to `file`.
pub(crate) fn build(root: &Root, kernel: &Kernel, file: &Path) -> Result {
    let mut cpio = Archive::new(BufWriter::new(fs::File::create(file)?));
    for folder in
        ["proc", "sys", "dev", "tmp", "run", "var", "root", "mnt", "usr/bin", "usr/sbin", "sbin", "new"]
    {
        cpio.dir(folder)?;
    }
    cpio.file("bin/busybox", 0o755, &fs::read(busybox(root.arch)?)?)?;
    cpio.link("bin/sh", "busybox")?;
    cpio.file("init", 0o755, INIT.as_bytes())?;
    cpio.file("etc/inittab", 0o644, INITTAB.as_bytes())?;
    cpio.file("etc/init.d/rcS", 0o755, RCS.as_bytes())?;
    cpio.file("etc/run-script", 0o755, RUN_SCRIPT.replace("@MARKER@", &root.marker).as_bytes())?;
    cpio.file("etc/passwd", 0o644, b"root:x:0:0:root:/root:/bin/sh\n")?;
    cpio.file("etc/group", 0o644, b"root:x:0:\nberth:x:900:\n")?;
    cpio.file("etc/hostname", 0o644, b"edge\n")?;
    cpio.file("etc/hosts", 0o644, b"127.0.0.1 localhost\n")?;
    if let Some(package) = &root.package {
        put(&mut cpio, package, "")?;
    }
    if root.start {
        cpio.file("etc/berth/start", 0o644, b"")?;
    }
    if let Some(script) = &root.script {
        cpio.file("script", 0o755, script)?;
    }
    let mut order = String::new();
    for module in &kernel.modules {
        let name = module.file_name().unwrap_or_default().to_string_lossy().into_owned();
        cpio.file(&format!("lib/modules/{name}"), 0o644, &fs::read(module)?)?;
        if kernel.loads(module) {
            order.push_str(&format!("{name}\n"));
        }
    }
    cpio.file("lib/modules/order", 0o644, order.as_bytes())?;
    for (from, to) in &root.puts {
        put(&mut cpio, from, to)?;
    }
    cpio.finish()?;
    Ok(())
}

/// Adds `from`, with all below it, as `to`.
fn put<W: std::io::Write>(cpio: &mut Archive<W>, from: &Path, to: &str) -> Result {
    use std::os::unix::fs::PermissionsExt;
    let meta = fs::symlink_metadata(from).map_err(|e| format!("{}: {e}", from.display()))?;
    if meta.is_dir() {
        cpio.dir(to)?;
        let mut entries: Vec<_> = fs::read_dir(from)?.collect::<std::io::Result<_>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            put(cpio, &entry.path(), &format!("{to}/{}", entry.file_name().to_string_lossy()))?;
        }
    } else if meta.is_symlink() {
        cpio.link(to, &fs::read_link(from)?.to_string_lossy())?;
    } else {
        cpio.file(to, meta.permissions().mode() & 0o7777, &fs::read(from)?)?;
    }
    Ok(())
}
