//! A pod's kernel settings, in its namespaces. Which ones it may have is the core's to say.

use crate::error::{Error, Result};
use berth_core::manifest::types::Sysctl;
use std::{fs, path::Path};

/// A kernel's setting, of the namespaces in which the calling thread is.
pub(super) fn set(sysctl: &Sysctl) -> Result<()> {
    let dotted = sysctl.dotted();
    let file: String = dotted
        .chars()
        .map(|c| match c {
            '.' => '/',
            '/' => '.',
            c => c,
        })
        .collect();
    fs::write(Path::new("/proc/sys").join(file), &sysctl.value).map_err(|error| {
        let why = match error.raw_os_error() {
            Some(libc::ENOENT) => "this kernel has no such setting".to_owned(),
            Some(libc::EINVAL) => "the kernel does not take the value".to_owned(),
            _ => error.to_string(),
        };
        Error::Config(format!("sysctl {dotted}={}: {why}", sysctl.value))
    })
}
