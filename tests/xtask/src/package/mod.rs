//! `cargo xtask package`: Berth for distributions other than Yocto, made of the same files as the layer's recipe: a Debian
//! package, and a system extension for systemd-sysext. The guests are installed from the same tree.

mod deb;
mod sysext;
mod tree;

pub(crate) use tree::tree;

use crate::{
    apt,
    arch::Arch,
    guest,
    sh::{self, Result},
};
use std::{fs, path::PathBuf};

/// dpkg with all that it needs, for a guest that has busybox only.
const DPKG: [&str; 11] = [
    "dpkg",
    "tar",
    "libacl1",
    "libbz2-1.0",
    "libc6",
    "liblzma5",
    "libmd0",
    "libpcre2-8-0",
    "libselinux1",
    "libzstd1",
    "zlib1g",
];
/// Of those packages, what programs need.
const NEEDED: [&str; 6] = ["bin", "lib", "lib64", "usr/bin", "usr/lib", "usr/sbin"];
/// Added to the version of the second package that a guest gets.
const LATER: &str = "+later";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Architecture
    #[arg(long, default_value = "x86_64")]
    arch: Arch,
    /// Cargo profile
    #[arg(long, default_value = "release")]
    profile: String,
}

pub(crate) fn run(args: &Args) -> Result {
    let tree = tree(args.arch, &args.profile)?;
    tree::pages(&tree, args.arch)?;
    for file in [deb::build(args.arch, &tree, env!("CARGO_PKG_VERSION"))?, sysext::build(args.arch, &tree)?] {
        println!("{} ({} bytes)", file.display(), fs::metadata(&file)?.len());
    }
    Ok(())
}

/// Where the packages of `arch` are made.
fn dir(arch: Arch) -> PathBuf {
    sh::target().join("package").join(arch.name())
}

/// For a guest: dpkg, and two versions of the package as /put/package/{one,two}.deb; each as `vm --put` takes it.
pub(crate) fn for_guest(arch: Arch) -> Result<Vec<String>> {
    let tree = tree(arch, "release")?;
    let version = env!("CARGO_PKG_VERSION");
    let one = deb::build(arch, &tree, version)?;
    let two = deb::build(arch, &tree, &format!("{version}{LATER}"))?;
    let mut puts = vec![
        format!("{}:/put/package/one.deb", one.display()),
        format!("{}:/put/package/two.deb", two.display()),
    ];
    for name in DPKG {
        let folder = guest::dir(arch).join("debian").join(name);
        let unpacked = apt::unpack(&format!("{name}:{}", arch.debian()), &folder)?;
        let there = NEEDED.iter().filter(|part| unpacked.join(part).exists());
        puts.extend(there.map(|part| format!("{}:/{part}", unpacked.join(part).display())));
    }
    Ok(puts)
}
