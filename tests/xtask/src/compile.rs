//! The static binary for either architecture. The host's own is made by the toolchain that runs this;
//! the other by Debian's cross compiler and its standard library.

use crate::{
    apt,
    arch::Arch,
    sh::{self, Result},
};
use std::{path::PathBuf, process::Command};

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
    let path = binary(args.arch, &args.profile)?;
    println!("{} ({} bytes)", path.display(), std::fs::metadata(&path)?.len());
    Ok(())
}

/// Static, and at a fixed address: a position-independent program dirties 0.7 MiB of relocated tables in each
/// of its processes. Without what only unwinding needs, a tenth of the program: a panic ends the process, and there are
/// no symbols to make a trace of.
fn static_flags() -> String {
    let script = sh::root().join("tests/xtask/src/compile/no-unwind.ld");
    format!(
        "-C target-feature=+crt-static -C relocation-model=static -C force-unwind-tables=no \
         -C link-arg=-Wl,--no-eh-frame-hdr -C link-arg=-Wl,-T,{}",
        script.display()
    )
}

/// Builds `berth` for `arch` and returns its path.
pub(crate) fn binary(arch: Arch, profile: &str) -> Result<PathBuf> {
    build(arch, profile, &["--package", "berth", "--bin", "berth"])?;
    Ok(out_dir(arch, profile).join("berth"))
}

/// Builds what `what` says for `arch`, statically linked.
pub(crate) fn build(arch: Arch, profile: &str, what: &[&str]) -> Result {
    let native = arch == Arch::host();
    let mut cargo = if native { host_cargo()? } else { cross_cargo(arch)? };
    let upper = arch.target().to_uppercase().replace('-', "_");
    cargo
        .args(["build", "--locked", "--profile", profile, "--target", arch.target()])
        .arg("--target-dir")
        .arg(target_dir(arch))
        .args(what)
        .env("LIBSECCOMP_LIB_PATH", format!("/usr/lib/{}", arch.triplet()))
        .env("LIBSECCOMP_LINK_TYPE", "static")
        .env(format!("CARGO_TARGET_{upper}_RUSTFLAGS"), static_flags());
    sh::run(&mut cargo)
}

/// Where `build` leaves the programs.
pub(crate) fn out_dir(arch: Arch, profile: &str) -> PathBuf {
    let folder = if profile == "dev" { "debug" } else { profile };
    target_dir(arch).join(arch.target()).join(folder)
}

/// Apart from the ordinary target directory: other flags would make cargo build everything anew each time. One for
/// each architecture, as each has its own compiler and cargo lets one build at a time into a directory.
fn target_dir(arch: Arch) -> PathBuf {
    sh::target().join("static").join(arch.name())
}

fn host_cargo() -> Result<Command> {
    apt::ensure(&["gcc", "libc6-dev", "libseccomp-dev", "pkg-config"])?;
    Ok(sh::cargo())
}

fn cross_cargo(arch: Arch) -> Result<Command> {
    let deb = arch.debian();
    let std = format!("libstd-rust-web-dev:{deb}");
    let seccomp = format!("libseccomp-dev:{deb}");
    let gcc = format!("gcc-{}", arch.triplet());
    let libc = format!("libc6-dev-{deb}-cross");
    apt::ensure(&["rustc-web", "cargo-web", "libstd-rust-web-dev", &std, &seccomp, &gcc, &libc])?;
    let mut cargo = Command::new("/usr/bin/cargo");
    sh::clean_env(&mut cargo).current_dir(sh::root());
    let upper = arch.target().to_uppercase().replace('-', "_");
    for name in ["CARGO", "RUSTUP_TOOLCHAIN", "RUSTUP_HOME", "RUSTDOC", "LD_LIBRARY_PATH"] {
        cargo.env_remove(name);
    }
    cargo
        .env("RUSTC", "/usr/bin/rustc")
        .env(format!("CARGO_TARGET_{upper}_LINKER"), format!("{}-gcc", arch.triplet()));
    Ok(cargo)
}
