//! What can go wrong here, said so that a person can act on it, and as what Kubernetes calls it.
//! An error never carries the content of a file or an environment variable.

use berth_core::event::{FailReason, Failure};
use std::{
    io,
    path::{Path, PathBuf},
};

/// Failures of sandboxes, containers, records and checkpoints.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A system call failed.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb: "create the directory".
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The pod's or image's description cannot be carried out: the user or the image's author must change it.
    #[error("{0}")]
    Config(String),
    /// A volume cannot be provided.
    #[error("volume {volume:?}: {message}")]
    Volume {
        /// Its name in the pod.
        volume: String,
        /// What is wrong.
        message: String,
    },
    /// A device that the container is to have is not there.
    #[error("{0}")]
    Device(String),
    /// The node cannot give pods a network.
    #[error("network is not ready: {0}")]
    Network(String),
    /// A record, checkpoint or fact of the kernel cannot be understood.
    #[error("{}: {message}", path.display())]
    Malformed {
        /// Where it stands.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// Processes outlive their kill, or a mount its unmount.
    #[error("{} is still in use: {message}", path.display())]
    Busy {
        /// What cannot be removed.
        path: PathBuf,
        /// By whom, and what to look at.
        message: String,
    },
}

impl Error {
    /// For `map_err`: what was being done to which path.
    pub fn io(doing: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, path: path.as_ref().to_owned(), source }
    }

    /// As [`Error::io`], for the errors of system call wrappers.
    pub fn sys(doing: &'static str, path: impl AsRef<Path>) -> impl FnOnce(nix::Error) -> Self {
        move |errno| Self::Io { doing, path: path.as_ref().to_owned(), source: errno.into() }
    }

    /// What the core is told. What the user must mend is `CreateContainerConfigError`; for the rest the
    /// caller says what was being done: `CreatePodSandboxError`, `CreateContainerError`, `Internal`.
    pub fn to_failure(&self, doing: FailReason) -> Failure {
        let reason = match self {
            Self::Config(_) => FailReason::CreateContainerConfigError,
            Self::Device(_) => FailReason::DeviceUnavailable,
            Self::Network(_) => FailReason::NetworkNotReady,
            _ => doing,
        };
        Failure { reason, message: self.to_string() }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        error.to_failure(FailReason::Internal)
    }
}

/// Shorthand.
pub type Result<T> = std::result::Result<T, Error>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_place_and_maps_to_a_reason() {
        let io = Error::io("create the directory", "/x/y")(io::Error::from_raw_os_error(28));
        assert!(io.to_string().starts_with("cannot create the directory /x/y: No space left"));
        for (error, reason) in [
            (io, FailReason::CreatePodSandboxError),
            (Error::Config("no such user".into()), FailReason::CreateContainerConfigError),
        ] {
            assert_eq!(error.to_failure(FailReason::CreatePodSandboxError).reason, reason);
        }
    }
}
