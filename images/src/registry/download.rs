//! Brings one blob into a layout's directory: goes on where an earlier attempt was cut, after a power cut too,
//! and lets no file have its final name before its digest is right.

use super::session::{Ask, Session};
use crate::{
    digest::{Digest, Hasher},
    error::{Doing as _, Error, Trouble},
    limits::COPY_BUFFER_BYTES,
};
use std::{
    fs::{self, File},
    io::{self, Read, Write as _},
    path::Path,
};

/// Attempts in a row that may bring no byte.
const FRUITLESS_MAX_COUNT: u32 = 4;

/// What is to be brought.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// `blobs/sha256:…`.
    pub(super) path: &'a str,
    pub(super) accept: &'a str,
    pub(super) digest: &'a Digest,
    /// Bytes that it may have.
    pub(super) max: u64,
}

/// Downloads to `target`.
///
/// # Errors
/// `Registry`, `Corrupt`, `Limit`, `Io`, `NoSpace`. What has arrived stays for the next attempt, unless it is wrong.
pub(super) fn blob(session: &Session, wanted: Wanted<'_>, target: &Path) -> Result<(), Error> {
    let part = target.with_extension("part");
    let mut fruitless = 0;
    loop {
        let before = length(&part);
        let error = match attempt(session, wanted, &part) {
            Ok(got) => return settle(session, wanted, got, &part, target),
            Err(error) => error,
        };
        fruitless = if length(&part) > before { 0 } else { fruitless + 1 };
        let lasting = !matches!(&error, Error::Registry { trouble: Trouble::Unreachable, .. });
        if lasting || fruitless >= FRUITLESS_MAX_COUNT {
            return Err(error);
        }
    }
}

fn length(path: &Path) -> u64 {
    path.metadata().map_or(0, |metadata| metadata.len())
}

/// The file, and the digest of all that is in it: what came is not read again for that.
type Got = (File, Digest);

/// Takes what the registry sends until it stops.
fn attempt(session: &Session, wanted: Wanted<'_>, part: &Path) -> Result<Got, Error> {
    let doing = || format!("write {}", part.display());
    let mut file = File::options().create(true).read(true).append(true).open(part).doing(doing)?;
    // From earlier attempts; appending does not mind where it was read to.
    let mut hash = Hasher::default();
    let have = io::copy(&mut file, &mut hash).doing(|| format!("read {}", part.display()))?;
    let ask = Ask { path: wanted.path, accept: wanted.accept, from: have, head: false };
    let answer = match session.get(ask) {
        // Nothing comes after the end: it is whole, or not what it should be.
        Err(Error::Registry { trouble: Trouble::Broken, .. }) if have > 0 => {
            return Ok((file, hash.finish()));
        }
        answer => answer?,
    };
    let mut have = have;
    if answer.status() == 200 && have > 0 {
        // It cannot begin in the middle.
        file.set_len(0).doing(doing)?;
        have = 0;
        hash = Hasher::default();
    }
    let stated = answer.body().content_length();
    let mut body = answer.into_body().into_with_config().limit(u64::MAX).reader();
    let mut buffer = vec![0; COPY_BUFFER_BYTES];
    let mut got = 0_u64;
    loop {
        let read = body.read(&mut buffer);
        let count =
            read.map_err(|error| session.error(Trouble::Unreachable, format!("{}: {error}", wanted.path)))?;
        if count == 0 {
            break;
        }
        got += count as u64;
        if have.saturating_add(got) > wanted.max {
            let what = format!("{} of {}", wanted.path, session.name());
            drop(fs::remove_file(part));
            return Err(Error::corrupt(what, format!("at most {} bytes", wanted.max), "more"));
        }
        hash.update(&buffer[..count]);
        file.write_all(&buffer[..count]).doing(doing)?;
    }
    match stated {
        Some(stated) if stated > got => {
            Err(session.error(Trouble::Unreachable, format!("{} was cut", wanted.path)))
        }
        _ => Ok((file, hash.finish())),
    }
}

/// Checks the digest; then the file gets its name.
fn settle(
    session: &Session,
    wanted: Wanted<'_>,
    (file, got): Got,
    part: &Path,
    target: &Path,
) -> Result<(), Error> {
    if got != *wanted.digest {
        drop(fs::remove_file(part));
        let what = format!("{} of {}", wanted.path, session.name());
        return Err(Error::corrupt(what, wanted.digest.to_string(), got.to_string()));
    }
    file.sync_all().doing(|| format!("write {}", part.display()))?;
    fs::rename(part, target).doing(|| format!("write {}", target.display()))
}
