//! What can go wrong with an image. Each error names the object and what is wrong with it, so that its text
//! can stand in a pod's status as it is. It never holds file content.

use std::{fmt, io};

/// An error of this crate.
#[derive(Debug)]
pub enum Error {
    /// The reference cannot be one.
    InvalidName {
        /// As given.
        name: String,
        /// What is wrong.
        why: String,
    },
    /// Neither the store nor a source has it.
    NotFound {
        /// The normalised reference.
        reference: String,
        /// Where it was looked for.
        looked: Vec<String>,
        /// Names that exist and are like it.
        near: Vec<String>,
        /// Sources that could not be read.
        problems: Vec<String>,
    },
    /// Content is not what its digest, size or format says.
    Corrupt {
        /// Which content, and where.
        what: String,
        /// What it should be.
        expected: String,
        /// What it is.
        got: String,
    },
    /// Understood, but not something that can be run or unpacked here.
    Unsupported {
        /// Which object.
        what: String,
        /// Which media type, format or platform, and what would be right.
        why: String,
    },
    /// The policy does not let it run.
    Refused {
        /// The normalised reference.
        reference: String,
        /// What the policy wants, with the name of the key.
        why: String,
    },
    /// A registry did not give it.
    Registry {
        /// `HOST[:PORT]/REPOSITORY`.
        registry: String,
        /// What kind of trouble it is.
        trouble: Trouble,
        /// What happened.
        why: String,
    },
    /// A named limit was passed.
    Limit {
        /// Which object.
        what: String,
        /// The limit's name, unit last.
        limit: &'static str,
        /// Its value.
        value: u64,
    },
    /// The disk or the quota is full.
    NoSpace {
        /// What was being written.
        what: String,
    },
    /// The operating system refused.
    Io {
        /// What was being done to which path.
        doing: String,
        /// Why not.
        source: io::Error,
    },
}

/// Why a registry did not give what it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// No way to it, no answer, or one that says that it is not well: it may be so later.
    Unreachable,
    /// It does not let us.
    Denied,
    /// It does not have it.
    Missing,
    /// It does not speak the distribution protocol as it should.
    Broken,
}

/// An error's kind, for decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// [`Error::InvalidName`]: waiting does not help.
    InvalidName,
    /// [`Error::NotFound`]: an archive may still be dropped in.
    NotFound,
    /// [`Error::Corrupt`].
    Corrupt,
    /// [`Error::Unsupported`].
    Unsupported,
    /// [`Error::Refused`]: the policy, or the image, must change.
    Refused,
    /// [`Error::Registry`].
    Registry,
    /// [`Error::Limit`].
    Limit,
    /// [`Error::NoSpace`]: room may appear.
    NoSpace,
    /// [`Error::Io`].
    Io,
}

impl Error {
    /// The kind.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::InvalidName { .. } => ErrorKind::InvalidName,
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::Unsupported { .. } => ErrorKind::Unsupported,
            Self::Refused { .. } => ErrorKind::Refused,
            Self::Registry { .. } => ErrorKind::Registry,
            Self::Limit { .. } => ErrorKind::Limit,
            Self::NoSpace { .. } => ErrorKind::NoSpace,
            Self::Io { .. } => ErrorKind::Io,
        }
    }

    /// The one-word reason that Kubernetes shows for a waiting container.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::InvalidName { .. } => "InvalidImageName",
            Self::Refused { .. } => "SignatureValidationFailed",
            Self::Unsupported { .. } | Self::Corrupt { .. } | Self::Limit { .. } => "ImageInspectError",
            _ => "ErrImagePull",
        }
    }

    pub(crate) fn io(doing: impl Into<String>, source: io::Error) -> Self {
        let doing = doing.into();
        // Our own errors travel through `Read` implementations packed in an io::Error.
        match source.downcast::<Error>() {
            Ok(own) => own,
            Err(source) => match source.raw_os_error() {
                Some(libc::ENOSPC | libc::EDQUOT) => Self::NoSpace { what: doing },
                _ => Self::Io { doing, source },
            },
        }
    }

    pub(crate) fn corrupt(
        what: impl Into<String>,
        expected: impl Into<String>,
        got: impl Into<String>,
    ) -> Self {
        Self::Corrupt { what: what.into(), expected: expected.into(), got: got.into() }
    }

    pub(crate) fn unsupported(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Unsupported { what: what.into(), why: why.into() }
    }

    pub(crate) fn limit(what: impl Into<String>, limit: &'static str, value: u64) -> Self {
        Self::Limit { what: what.into(), limit, value }
    }

    /// Packs the error for the way through a `Read` implementation; [`Error::io`] unpacks it.
    pub(crate) fn into_io(self) -> io::Error {
        io::Error::other(self)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidName { name, why } => write!(f, "invalid image name {name:?}: {why}"),
            Self::NotFound { reference, looked, near, problems } => {
                write!(f, "image {reference} is not in the store nor in {}", list(looked, "any source"))?;
                if !near.is_empty() {
                    write!(f, "; similar names there: {}", near.join(", "))?;
                }
                if !problems.is_empty() {
                    write!(f, "; not readable: {}", problems.join("; "))?;
                }
                Ok(())
            }
            Self::Corrupt { what, expected, got } => {
                write!(f, "{what} is damaged: expected {expected}, got {got}")
            }
            Self::Unsupported { what, why } => write!(f, "{what}: {why}"),
            Self::Refused { reference, why } => write!(f, "image {reference} may not run: {why}"),
            Self::Registry { registry, trouble, why } => {
                let what = match trouble {
                    Trouble::Unreachable => "cannot be reached",
                    Trouble::Denied => "refuses",
                    Trouble::Missing => "does not have it",
                    Trouble::Broken => "does not answer as a registry should",
                };
                write!(f, "registry {registry} {what}: {why}")
            }
            Self::Limit { what, limit, value } => write!(f, "{what}: over the limit {limit} = {value}"),
            Self::NoSpace { what } => {
                write!(f, "no space left: {what}; free some room, it is tried again")
            }
            Self::Io { doing, source } => write!(f, "{doing}: {source}"),
        }
    }
}

fn list(items: &[String], none: &str) -> String {
    if items.is_empty() { none.to_owned() } else { items.join(", ") }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// Adds what was being done to an `io::Result`.
pub(crate) trait Doing<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|source| Error::io(what(), source))
    }
}
