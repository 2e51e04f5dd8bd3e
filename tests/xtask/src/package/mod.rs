//! `cargo xtask package`: Berth for distributions other than Yocto, made of the same files as the layer's recipe: a Debian
//! package, and a system extension for systemd-sysext. The guests are installed from the same tree.

mod deb;
mod size;
mod sysext;
mod tree;

pub(crate) use tree::tree;

use crate::{
    arch::Arch,
    guest::debian,
    sh::{self, Result},
};
use std::{fs, path::PathBuf};

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
    if args.profile == "release" {
        println!("{} bytes installed, without documents, manual pages and completions", size::check(&tree)?);
    }
    for file in [deb::build(args.arch, &tree, env!("CARGO_PKG_VERSION"))?, sysext::build(args.arch, &tree)?] {
        println!("{} ({} bytes)", file.display(), fs::metadata(&file)?.len());
    }
    Ok(())
}

/// What is installed of a release for `arch` is not more than it may be.
pub(crate) fn fits(arch: Arch) -> Result {
    size::check(&tree(arch, "release")?).map(drop)
}

/// Where the packages of `arch` are made.
fn dir(arch: Arch) -> PathBuf {
    sh::target().join("package").join(arch.name())
}

/// For a guest: dpkg, two versions of the package as /put/package/{one,two}.deb, and the system extension as
/// /put/package/berth.raw; each as `vm --put` takes it.
pub(crate) fn for_guest(arch: Arch, profile: &str) -> Result<Vec<String>> {
    let tree = tree(arch, profile)?;
    let version = env!("CARGO_PKG_VERSION");
    let one = deb::build(arch, &tree, version)?;
    let two = deb::build(arch, &tree, &format!("{version}{LATER}"))?;
    let mut puts = vec![
        format!("{}:/put/package/one.deb", one.display()),
        format!("{}:/put/package/two.deb", two.display()),
        format!("{}:/put/package/berth.raw", sysext::build(arch, &tree)?.display()),
    ];
    puts.extend(debian::puts(arch, debian::DPKG)?);
    Ok(puts)
}
