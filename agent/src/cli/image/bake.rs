//! `berth image bake`: the vendor's read-only store, made on the machine that builds the system's image.

use super::super::{failure::Failure, session::Session};
use berth_images::{Platform, Store};
use std::path::PathBuf;

/// Of `berth image bake`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  berth image bake --output rootfs/usr/share/berth/store --platform linux/arm64 web.tar db.tar"
)]
pub(crate) struct Args {
    /// Where to make the store, or add to one that was baked before
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Which platform of images that have several [default: this machine's]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<String>,
    /// Archives, layouts, or directories of these
    #[arg(value_name = "PATH", required = true)]
    sources: Vec<PathBuf>,
}

pub(super) fn run(args: &Args, session: &mut Session<'_>) -> Result<(), Failure> {
    let platform = match &args.platform {
        Some(text) => Platform::parse(text).map_err(|error| Failure::Usage(error.to_string()))?,
        None => Platform::host(),
    };
    if !nix::unistd::Uid::effective().is_root() {
        let why = "owners, devices and marks of removed files need root's rights (or fakeroot, pseudo)";
        return Err(Failure::error(format!("bake: {why}")));
    }
    let baked = Store::bake(&args.output, &args.sources, &platform).map_err(Failure::error)?;
    for note in baked.skipped {
        writeln!(session.err, "left out: {note}")?;
    }
    baked.names.iter().try_for_each(|name| Ok(writeln!(session.out, "baked {name}")?))
}
