//! Programs of Debian for guests that need more than busybox: packages unpacked over the root, nothing configured.

use super::dir;
use crate::{apt, arch::Arch, sh::Result};

/// dpkg, to install packages with.
pub(crate) const DPKG: &[&str] = &[
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
/// crun, to be measured against.
pub(crate) const CRUN: &[&str] = &[
    "crun",
    "libc6",
    "libcap2",
    "libgcrypt20",
    "libgpg-error0",
    "liblz4-1",
    "liblzma5",
    "libseccomp2",
    "libsystemd0",
    "libyajl2",
    "libzstd1",
];
/// containerd with what it executes, to be measured against.
pub(crate) const CONTAINERD: &[&str] =
    &["containerd", "containernetworking-plugins", "libc6", "libseccomp2", "runc"];
/// systemd, to be the first process.
pub(crate) const SYSTEMD: &[&str] = &[
    "systemd",
    "libsystemd-shared",
    "libsystemd0",
    "mount",
    "libacl1",
    "libapparmor1",
    "libargon2-1",
    "libaudit1",
    "libblkid1",
    "libc6",
    "libcap-ng0",
    "libcap2",
    "libcrypt1",
    "libcryptsetup12",
    "libdevmapper1.02.1",
    "libfdisk1",
    "libffi8",
    "libgcc-s1",
    "libgcrypt20",
    "libgpg-error0",
    "libip4tc2",
    "libjson-c5",
    "libkmod2",
    "liblz4-1",
    "liblzma5",
    "libmount1",
    "libp11-kit0",
    "libpam0g",
    "libpcre2-8-0",
    "libseccomp2",
    "libselinux1",
    "libsmartcols1",
    "libssl3",
    "libudev1",
    "libuuid1",
    "libzstd1",
    "zlib1g",
];
/// Of the packages, what programs need.
const NEEDED: [&str; 10] = [
    "bin",
    "etc",
    "lib",
    "lib64",
    "sbin",
    "usr/bin",
    "usr/lib",
    "usr/sbin",
    "usr/share/apparmor-features",
    "usr/share/dbus-1",
];

/// The packages' files, each as `vm --put` takes it. One that is the same for all architectures is called `NAME:all`.
pub(crate) fn puts(arch: Arch, packages: &[&str]) -> Result<Vec<String>> {
    let mut puts = Vec::new();
    for package in packages {
        let (name, of) = package.split_once(':').unwrap_or((package, arch.debian()));
        let folder = dir(arch).join("debian").join(name);
        let unpacked = apt::unpack(&format!("{name}:{of}"), &folder)?;
        let there = NEEDED.iter().filter(|part| unpacked.join(part).exists());
        puts.extend(there.map(|part| format!("{}:/{part}", unpacked.join(part).display())));
    }
    Ok(puts)
}
