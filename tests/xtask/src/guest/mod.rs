//! The appliance that the guests boot: Debian's cloud kernel (or its full one), a small root with busybox, Berth as it would
//! be installed. Everything is made below `target/guest`; nothing is taken from the host's own system.

mod cpio;
pub(crate) mod debian;
mod kernel;
pub(crate) mod qemu;
mod root;

pub(crate) use kernel::{Flavour, Kernel, busybox};
pub(crate) use root::{Root, build};

use crate::{arch::Arch, sh};
use std::path::PathBuf;

/// Where the parts of the guests of `arch` are kept.
pub(crate) fn dir(arch: Arch) -> PathBuf {
    sh::target().join("guest").join(arch.name())
}
