//! Debian's kernels with the modules that an appliance needs, and a static busybox.

use super::dir;
use crate::{apt, arch::Arch, sh::Result};
use clap::ValueEnum;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// What the appliance loads at boot; what these need comes with them. The first two are built into the cloud kernel;
/// of the checksum's implementation nobody says that he needs it.
const MODULES: [&str; 21] = [
    "crc32c_generic",
    "ext4",
    "virtio_pci",
    "virtio_mmio",
    "virtio_blk",
    "virtio_net",
    "virtio_rng",
    "overlay",
    "veth",
    "bridge",
    "nf_conntrack_netlink",
    "nf_tables",
    "nft_chain_nat",
    "nft_ct",
    "nft_fib_inet",
    "nft_fib_ipv4",
    "nft_fib_ipv6",
    "nft_masq",
    "nft_meta_bridge",
    "nft_nat",
    "sctp",
];

/// Which of Debian's kernels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Flavour {
    /// Without drivers that only real machines need: smaller, and up sooner.
    #[default]
    Cloud,
    /// With all of them, CAN among them.
    Full,
}

impl Flavour {
    /// The meta-package that depends on the newest of them, and the folder below the guests' where it is unpacked.
    const fn package(self) -> (&'static str, &'static str) {
        match self {
            Self::Cloud => ("linux-image-cloud-", "kernel"),
            Self::Full => ("linux-image-", "kernel-full"),
        }
    }
}

/// A kernel to boot.
pub(crate) struct Kernel {
    /// The image.
    pub(crate) image: PathBuf,
    /// The module files in loading order.
    pub(crate) modules: Vec<PathBuf>,
    /// Names of those that are there and not loaded at boot.
    without: Vec<String>,
}

impl Kernel {
    /// Fetches the kernel of `arch`; `more`: modules beside the usual ones, `without`: which of these are not loaded.
    pub(crate) fn fetch(arch: Arch, flavour: Flavour, more: &[String], without: &[String]) -> Result<Self> {
        let deb = arch.debian();
        let (meta, folder) = flavour.package();
        let unpacked = dir(arch).join(folder);
        if !unpacked.join(".unpacked").exists() {
            let package = apt::dependency(&format!("{meta}{deb}:{deb}"), "linux-image-")?;
            let package = package.split(':').next().unwrap_or(&package);
            apt::unpack(&format!("{package}:{deb}"), &unpacked)?;
        }
        let image = only(&unpacked.join("boot"), "vmlinuz-")?;
        let tree = only(&unpacked.join("lib/modules"), "")?;
        let modules = closure(&tree, more)?;
        if let Some(unknown) =
            without.iter().find(|name| !modules.iter().any(|file| module_name(file) == **name))
        {
            return Err(format!("{unknown} is no module of the guest's, so it cannot be left out").into());
        }
        Ok(Self { image, modules, without: without.to_vec() })
    }

    /// The appliance loads it at boot.
    pub(crate) fn loads(&self, module: &Path) -> bool {
        !self.without.contains(&module_name(module))
    }
}

/// The static busybox of `arch`.
pub(crate) fn busybox(arch: Arch) -> Result<PathBuf> {
    let package = format!("busybox-static:{}", arch.debian());
    Ok(apt::unpack(&package, &dir(arch).join("busybox"))?.join("bin/busybox"))
}

/// The entry of `folder` whose name starts with `prefix`.
fn only(folder: &Path, prefix: &str) -> Result<PathBuf> {
    for entry in fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            return Ok(entry.path());
        }
    }
    Err(format!("nothing called {prefix}… in {}", folder.display()).into())
}

/// `MODULES`, `more` and all that they depend on, dependencies first. The package has no modules.dep (its
/// installation makes it), so the modules' own `depends=` is read.
fn closure(tree: &Path, more: &[String]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    walk(tree, &mut files)?;
    let (mut order, mut seen) = (Vec::new(), BTreeSet::new());
    for name in MODULES.into_iter().chain(more.iter().map(String::as_str)) {
        visit(name, &files, &mut seen, &mut order)?;
    }
    Ok(order)
}

fn visit(name: &str, files: &[PathBuf], seen: &mut BTreeSet<String>, order: &mut Vec<PathBuf>) -> Result {
    if !seen.insert(name.to_owned()) {
        return Ok(());
    }
    // Built in, if there is no such file.
    let Some(file) = files.iter().find(|f| module_name(f) == name) else { return Ok(()) };
    let bytes = fs::read(file)?;
    for dep in depends(&bytes) {
        visit(&dep, files, seen, order)?;
    }
    order.push(file.clone());
    Ok(())
}

fn module_name(file: &Path) -> String {
    file.file_stem().unwrap_or_default().to_string_lossy().replace('-', "_")
}

/// The `depends=a,b` of a module's `.modinfo`.
fn depends(module: &[u8]) -> Vec<String> {
    let key = b"\0depends=";
    let Some(at) = module.windows(key.len()).position(|w| w == key) else { return Vec::new() };
    let value: Vec<u8> = module[at + key.len()..].iter().copied().take_while(|&b| b != 0).collect();
    String::from_utf8_lossy(&value)
        .split(',')
        .filter(|d| !d.is_empty())
        .map(|d| d.replace('-', "_"))
        .collect()
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && !path.is_symlink() {
            walk(&path, files)?;
        } else if path.extension().is_some_and(|e| e == "ko") {
            files.push(path);
        }
    }
    Ok(())
}
