//! Which system calls a container may make. A profile (ours, or a file of the node's) is compiled once for
//! each set of capabilities, kept as the program that the kernel takes, and loaded by the worker's executor right before
//! the container's own program: compiling costs milliseconds, loading does not.

mod builtin;
mod cache;
mod compile;
mod file;
mod kept;
mod profile;
mod sys;

use self::cache::Cache;
use crate::{
    error::{Error, Result},
    node::Policy,
    paths::Roots,
    spec::capabilities::CapabilitySet,
};
use berth_core::manifest::types::{Container, Pod, SeccompKind};
use std::path::{Path, PathBuf};

pub use sys::{Filter, load};

/// Bytes in a profile of the node's.
pub const PROFILE_LEN_MAX_BYTES: u64 = 1024 * 1024;

/// What a container is confined by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// By nothing.
    Unconfined,
    /// By Berth's own profile.
    RuntimeDefault,
    /// By a file below `<state>/seccomp`, named as in the pod.
    Localhost(String),
}

/// The container's own word, the pod's, else the node's policy; privileged containers are not confined.
pub fn choice(pod: &Pod, container: &Container, policy: &Policy) -> Choice {
    if container.is_privileged() {
        return Choice::Unconfined;
    }
    let own = container.security_context.as_ref().and_then(|sc| sc.seccomp_profile.as_ref());
    let Some(profile) = own.or(pod.spec.security_context.seccomp_profile.as_ref()) else {
        return if policy.seccomp_unconfined { Choice::Unconfined } else { Choice::RuntimeDefault };
    };
    match profile.kind {
        SeccompKind::Unconfined => Choice::Unconfined,
        SeccompKind::RuntimeDefault => Choice::RuntimeDefault,
        SeccompKind::Localhost => Choice::Localhost(profile.localhost_profile.clone().unwrap_or_default()),
    }
}

/// The file with the filter for this choice and these capabilities; compiled now if it is not there. None
/// for an unconfined container.
///
/// # Errors
/// [`Error::Config`]: the profile of the node's is not there, or not usable. [`Error::Io`]: the filter
/// cannot be kept.
pub fn ensure(roots: &Roots, choice: &Choice, capabilities: CapabilitySet) -> Result<Option<PathBuf>> {
    let cache = Cache::new(roots);
    match choice {
        Choice::Unconfined => Ok(None),
        Choice::RuntimeDefault => {
            let capabilities = builtin::relevant(capabilities);
            cache.builtin(capabilities, || compile::compile(&builtin::profile(capabilities)?)).map(Some)
        }
        Choice::Localhost(name) => {
            let bytes = read_profile(roots, name)?;
            cache
                .file(&bytes, capabilities, || compile::compile(&file::parse(&bytes, capabilities)?))
                .map(Some)
                .map_err(|error| match error {
                    Error::Config(message) => Error::Config(format!("seccomp profile {name:?}: {message}")),
                    other => other,
                })
        }
    }
}

/// Has ready what nearly all containers ask for: the profile for the usual capabilities. Where no earlier boot has kept it
/// this takes tens of milliseconds.
///
/// # Errors
/// As [`ensure`].
pub fn make_usual(roots: &Roots) -> Result<()> {
    ensure(roots, &Choice::RuntimeDefault, usual_capabilities()?).map(drop)
}

/// As [`make_usual`], and the profile for no capabilities, so that no start waits for it; and keeps both on the disk, so
/// that the next boot has them.
///
/// # Errors
/// As [`ensure`].
pub fn warm_up(roots: &Roots) -> Result<()> {
    let usual = [usual_capabilities()?, CapabilitySet::default()];
    for capabilities in usual {
        ensure(roots, &Choice::RuntimeDefault, capabilities)?;
    }
    Cache::new(roots).keep(&usual.map(builtin::relevant))
}

fn usual_capabilities() -> Result<CapabilitySet> {
    crate::spec::capability_set(&Container::default())
}

/// Where profiles of the node's are looked for.
pub fn profiles_dir(roots: &Roots) -> PathBuf {
    roots.state.join("seccomp")
}

fn read_profile(roots: &Roots, name: &str) -> Result<Vec<u8>> {
    use std::io::Read;
    let dir = profiles_dir(roots);
    let inside = Path::new(name).components().all(|part| matches!(part, std::path::Component::Normal(_)));
    let path = dir.join(name);
    let wrong = |why: &dyn std::fmt::Display| {
        Error::Config(format!("seccomp profile {name:?}: {}: {why}", path.display()))
    };
    if name.is_empty() || !inside {
        return Err(wrong(&format_args!("must be a relative path below {}", dir.display())));
    }
    let file = std::fs::File::open(&path).map_err(|error| wrong(&error))?;
    if !file.metadata().is_ok_and(|meta| meta.is_file()) {
        return Err(wrong(&"is not a file"));
    }
    let mut bytes = Vec::new();
    file.take(PROFILE_LEN_MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| wrong(&error))?;
    if bytes.len() as u64 > PROFILE_LEN_MAX_BYTES {
        return Err(wrong(&format_args!("is longer than {PROFILE_LEN_MAX_BYTES} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
