//! `berth image bake`: the vendor's read-only store, made on the machine that builds the system's image.

mod wants;

use super::super::{check, failure::Failure, session::Session};
use berth_images::{Platform, Store};
use std::path::PathBuf;

/// A node's name to read manifests with: which images they name does not depend on it.
const NODE: &str = "node";

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
    /// Fail unless this image is in the store with just this digest (may be given several times)
    #[arg(long, value_name = "NAME@DIGEST")]
    expect: Vec<String>,
    /// Fail unless every image that these manifests name is in the store (may be given several times)
    #[arg(long, value_name = "PATH")]
    manifests: Vec<PathBuf>,
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
    for note in baked.imported.skipped {
        writeln!(session.err, "left out: {note}")?;
    }
    for name in &baked.imported.names {
        writeln!(session.out, "baked {name}")?;
    }
    let loaded = check::load_all(&args.manifests, NODE)?;
    let named = loaded.iter().flat_map(|(file, output)| wants::of_manifest(file, output));
    let expected = args.expect.iter().map(|text| wants::Want::expected(text));
    let missing: Vec<String> = expected.chain(named).filter_map(|want| want.unmet(&baked.images)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::error(format!("bake: {}", missing.join("\nerror: bake: "))))
}
