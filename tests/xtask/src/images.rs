//! The images that tests and the demo run: busybox from Debian's package, and a small program on top of it, made by our
//! own builder. Nothing is downloaded as an image.

use crate::{
    arch::Arch,
    guest::{self, busybox},
    sh::Result,
};
use berth_images::build::{Entry, ImageBuilder};
use std::{
    fs,
    path::{Path, PathBuf},
};

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

/// The program of `berth.test/actor:1`.
const ACTOR: &[u8] = include_bytes!("images/actor.sh");

/// Its health service of gRPC: to whoever asks, the settings of a server of HTTP/2 and the first stream's data, one message with the
/// one field that says SERVING (1) or NOT_SERVING (2).
const GRPC: &str = "#!/bin/sh\nif [ -e /well ]; then status=1; else status=2; fi\n\
    printf \"\\0\\0\\0\\4\\0\\0\\0\\0\\0\\0\\0\\7\\0\\0\\0\\0\\0\\1\\0\\0\\0\\0\\2\\10\\\\$status\"\ncat >/dev/null\n";

/// A program of its web server, which leads to another server.
const AWAY: &str = "#!/bin/sh\nprintf 'Status: 302 Found\\r\\nLocation: http://192.0.2.1/\\r\\n\\r\\n'\n";

/// Makes the images of `arch` that are missing; returns their files.
pub(crate) fn ensure(arch: Arch) -> Result<Vec<PathBuf>> {
    let folder = folder(arch);
    fs::create_dir_all(&folder)?;
    let file = folder.join(format!("busybox-{EDITION}.tar"));
    if !file.exists() {
        write(&image(arch)?, &file)?;
    }
    Ok(vec![file])
}

/// An image that not every guest has, made anew: its file.
pub(crate) fn ensure_one(arch: Arch, name: &str) -> Result<PathBuf> {
    if name != "actor" {
        return Err(format!("there is no test image {name:?}").into());
    }
    // Beside those that are imported wherever this folder is an image source.
    let folder = guest::dir(arch).join("more-images");
    fs::create_dir_all(&folder)?;
    let file = folder.join("actor.tar");
    write(&actor(arch)?, &file)?;
    Ok(file)
}

fn write(image: &ImageBuilder, file: &Path) -> Result {
    let half = file.with_extension("half");
    image.write_oci_archive(&half)?;
    Ok(fs::rename(half, file)?)
}

/// `berth.test/actor:1`: a container of a scenario (`tests/src/scenarios`), with the one file that its probes find well.
fn actor(arch: Arch) -> Result<ImageBuilder> {
    let entries = vec![
        Entry::file("actor", 0o755, ACTOR),
        Entry::file("well", 0o644, ""),
        Entry::file("grpc", 0o755, GRPC),
        Entry::dir("there", 0o755),
        Entry::file("there/index.html", 0o644, "well\n"),
        Entry::dir("cgi-bin", 0o755),
        Entry::file("cgi-bin/away", 0o755, AWAY),
    ];
    Ok(image(arch)?.nameless().layer(entries).entrypoint(["/actor"]).cmd([""; 0]).name("berth.test/actor:1"))
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
