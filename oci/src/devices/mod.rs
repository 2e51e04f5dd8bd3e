//! Which devices a container may use. The cgroup v2 kernel asks a program; ours is assembled here from a
//! list of rules and attached to the container's cgroup before anything runs in it.

mod cdi;
mod given;
mod host;
mod program;
mod sys;

pub use given::{Given, Looked, give, look};
pub use host::{DeviceNode, host_devices};

use serde::{Deserialize, Serialize};
use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};

/// Kinds of device, as in `mknod(1)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    /// Character device.
    Char,
    /// Block device.
    Block,
}

/// What may be done with a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Access(u8);

impl Access {
    /// Make a node for it.
    pub const MKNOD: Self = Self(1);
    /// Open it for reading.
    pub const READ: Self = Self(2);
    /// Open it for writing.
    pub const WRITE: Self = Self(4);
    /// All three.
    pub const ALL: Self = Self(7);

    /// Of a device that is given: its node can be made, and opened so.
    pub const fn of(read: bool, write: bool) -> Self {
        let mut access = Self::MKNOD.0;
        if read {
            access |= Self::READ.0;
        }
        if write {
            access |= Self::WRITE.0;
        }
        Self(access)
    }

    /// Opening for writing is among it.
    pub const fn writes(self) -> bool {
        self.0 & Self::WRITE.0 != 0
    }
}

/// Devices that are allowed; what no rule allows is denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRule {
    /// Kind.
    pub kind: DeviceKind,
    /// Major number; none for every.
    pub major: Option<u32>,
    /// Minor number; none for every.
    pub minor: Option<u32>,
    /// What is allowed.
    pub access: Access,
}

impl DeviceRule {
    const fn char(major: u32, minor: Option<u32>) -> Self {
        Self { kind: DeviceKind::Char, major: Some(major), minor, access: Access::ALL }
    }
}

/// Most rules of one container; keeps the program far below the kernel's limit.
pub const RULES_MAX: usize = 256;

/// What every container may use: null, zero, full, random, urandom, tty, ptmx and pseudo terminals.
pub fn default_rules() -> Vec<DeviceRule> {
    let mut rules: Vec<DeviceRule> = [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 2)]
        .into_iter()
        .map(|(major, minor)| DeviceRule::char(major, Some(minor)))
        .collect();
    rules.push(DeviceRule::char(136, None));
    // The overlay's own whiteouts: older kernels ask for them too. No driver can ever have 0:0.
    rules.push(DeviceRule { kind: DeviceKind::Char, major: Some(0), minor: Some(0), access: Access::MKNOD });
    rules
}

/// Why devices are not confined.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// More than [`RULES_MAX`] rules.
    #[error("{0} device rules, {RULES_MAX} are the most")]
    TooMany(usize),
    /// The kernel does not load the program.
    #[error(
        "the kernel does not take the device program: {0} (CONFIG_CGROUP_BPF, CONFIG_BPF_SYSCALL, or the privilege for it, is missing)"
    )]
    Load(#[source] io::Error),
    /// The kernel does not attach it.
    #[error("the device program cannot be attached to the cgroup: {0}")]
    Attach(#[source] io::Error),
}

/// Rules that the kernel has taken; can be attached to any number of cgroups.
#[derive(Debug)]
pub struct Program(OwnedFd);

impl Program {
    /// Has the kernel take the rules.
    ///
    /// # Errors
    /// [`DeviceError::TooMany`], [`DeviceError::Load`].
    pub fn load(rules: &[DeviceRule]) -> Result<Self, DeviceError> {
        if rules.len() > RULES_MAX {
            return Err(DeviceError::TooMany(rules.len()));
        }
        sys::load(&program::assemble(rules)).map(Self).map_err(|errno| DeviceError::Load(errno.into()))
    }

    /// Confines all that runs in the cgroup (an open directory), from now until it is removed.
    ///
    /// # Errors
    /// [`DeviceError::Attach`]; nothing is confined then.
    pub fn attach(&self, cgroup: impl AsFd) -> Result<(), DeviceError> {
        sys::attach(cgroup.as_fd(), &self.0).map_err(|errno| DeviceError::Attach(errno.into()))
    }
}

#[cfg(test)]
mod tests;
