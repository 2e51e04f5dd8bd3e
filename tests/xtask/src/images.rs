//! The images that tests and the demo run: busybox from Debian's package, made by our own builder. Nothing is
//! downloaded as an image.

use crate::{
    arch::Arch,
    guest::{self, busybox},
    sh::Result,
};
use berth_images::build::{Entry, ImageBuilder};
use std::{fs, path::PathBuf};

/// Raised when what is made changes, so that old ones are made again.
const EDITION: &str = "1";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Architecture
    #[arg(long, default_value = "x86_64")]
    arch: Arch,
}

pub(crate) fn run(args: &Args) -> Result {
    for file in ensure(args.arch)? {
        println!("{}", file.display());
    }
    Ok(())
}

/// Where the images of `arch` are.
pub(crate) fn folder(arch: Arch) -> PathBuf {
    guest::dir(arch).join("images")
}

/// Makes the images of `arch` that are missing; returns their files.
pub(crate) fn ensure(arch: Arch) -> Result<Vec<PathBuf>> {
    let folder = folder(arch);
    fs::create_dir_all(&folder)?;
    let file = folder.join(format!("busybox-{EDITION}.tar"));
    if !file.exists() {
        let half = folder.join(".half");
        image(arch)?.write_oci_archive(&half)?;
        fs::rename(half, &file)?;
    }
    Ok(vec![file])
}

/// `berth.test/busybox:1`: every applet, a user, a place to write.
pub(crate) fn image(arch: Arch) -> Result<ImageBuilder> {
    let program = busybox(arch)?;
    let mut entries = vec![
        Entry::dir("bin", 0o755),
        Entry::dir("etc", 0o755),
        Entry::dir("tmp", 0o1777),
        Entry::dir("root", 0o700),
        Entry::file("bin/busybox", 0o755, fs::read(program)?),
        Entry::file(
            "etc/passwd",
            0o644,
            b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/:/bin/sh\n".to_vec(),
        ),
        Entry::file("etc/group", 0o644, b"root:x:0:\napp:x:1000:\n".to_vec()),
    ];
    entries.extend(APPLETS.iter().map(|name| Entry::symlink(&format!("bin/{name}"), "busybox")));
    Ok(ImageBuilder::new(arch.debian())
        .layer(entries)
        .env(["PATH=/bin"])
        .cmd(["sh"])
        .name("berth.test/busybox:1"))
}

/// The applets that the scenarios use.
const APPLETS: [&str; 44] = [
    "ash", "awk", "cat", "chmod", "chown", "cp", "cut", "date", "dd", "df", "echo", "env", "false", "grep",
    "head", "hostname", "httpd", "id", "ip", "kill", "ln", "ls", "mkdir", "mknod", "mount", "mv", "nc",
    "ping", "ps", "readlink", "rm", "sed", "sh", "sleep", "stat", "tail", "touch", "true", "umount",
    "usleep", "wc", "wget", "whoami", "yes",
];
