//! Debian's cloud kernel with the modules that an appliance needs, and a static busybox.

use super::dir;
use crate::{apt, arch::Arch, sh::Result};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// What the appliance loads at boot; what these need comes with them.
const MODULES: [&str; 18] = [
    "virtio_pci",
    "virtio_mmio",
    "virtio_blk",
    "virtio_net",
    "virtio_rng",
    "overlay",
    "veth",
    "bridge",
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

/// A kernel to boot.
pub(crate) struct Kernel {
    /// The image.
    pub(crate) image: PathBuf,
    /// The module files in loading order.
    pub(crate) modules: Vec<PathBuf>,
}

impl Kernel {
    /// Fetches the kernel of `arch`; `more`: modules beside the usual ones.
    pub(crate) fn fetch(arch: Arch, more: &[String]) -> Result<Self> {
        let deb = arch.debian();
        let unpacked = dir(arch).join("kernel");
        if !unpacked.join(".unpacked").exists() {
            let package = apt::dependency(&format!("linux-image-cloud-{deb}:{deb}"), "linux-image-")?;
            let package = package.split(':').next().unwrap_or(&package);
            apt::unpack(&format!("{package}:{deb}"), &unpacked)?;
        }
        let image = only(&unpacked.join("boot"), "vmlinuz-")?;
        let tree = only(&unpacked.join("lib/modules"), "")?;
        Ok(Self { image, modules: closure(&tree, more)? })
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
