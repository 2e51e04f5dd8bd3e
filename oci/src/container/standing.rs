//! What an agent notes of a container that runs, for the agent after it: an empty file for each word, in the
//! container's bundle on tmpfs. No disk is touched, and all of it goes with the run.

use crate::{
    error::{Error, Result},
    fsys,
    paths::Roots,
};
use berth_core::{
    check::{Purpose, Standing},
    ids::ContainerId,
};
use std::{fs::OpenOptions, path::Path};

/// The hook after the start was begun.
const POST_START: &str = "post-start";
/// The hook before the stop was begun.
const PRE_STOP: &str = "pre-stop";
/// It has come up.
const STARTED: &str = "started";
/// It can be used.
const READY: &str = "is-ready";

/// Notes that a hook is about to be begun; probes leave no trace.
///
/// # Errors
/// [`Error::Io`]: then it must not be begun, for the next agent would begin it again.
pub fn note_hook(roots: &Roots, id: &ContainerId, purpose: Purpose) -> Result<()> {
    match purpose {
        Purpose::PostStart => set(&roots.bundle(id).join(POST_START), true),
        Purpose::PreStop => set(&roots.bundle(id).join(PRE_STOP), true),
        Purpose::Startup | Purpose::Liveness | Purpose::Readiness => Ok(()),
    }
}

/// Notes what the probes have found.
///
/// # Errors
/// [`Error::Io`].
pub fn note(roots: &Roots, id: &ContainerId, started: bool, ready: bool) -> Result<()> {
    let bundle = roots.bundle(id);
    set(&bundle.join(STARTED), started)?;
    set(&bundle.join(READY), ready)
}

/// What was noted.
pub(crate) fn read(roots: &Roots, id: &ContainerId) -> Standing {
    let bundle = roots.bundle(id);
    let is = |name: &str| bundle.join(name).exists();
    Standing { post_start: is(POST_START), pre_stop: is(PRE_STOP), started: is(STARTED), ready: is(READY) }
}

fn set(path: &Path, there: bool) -> Result<()> {
    if !there {
        return fsys::remove_file(path);
    }
    let made = OpenOptions::new().create(true).truncate(false).write(true).open(path);
    made.map(drop).map_err(Error::io("note a container's state at", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_is_read_until_it_is_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let roots = Roots { run: dir.path().to_owned(), ..Roots::default() };
        let id = ContainerId("c".into());
        std::fs::create_dir_all(roots.bundle(&id)).unwrap();
        assert_eq!(read(&roots, &id), Standing::default());
        note(&roots, &id, true, true).unwrap();
        note_hook(&roots, &id, Purpose::PostStart).unwrap();
        note_hook(&roots, &id, Purpose::Liveness).unwrap();
        let started = Standing { post_start: true, started: true, ..Standing::default() };
        assert_eq!(read(&roots, &id), Standing { ready: true, ..started });
        note(&roots, &id, true, false).unwrap();
        note(&roots, &id, true, false).unwrap();
        assert_eq!(read(&roots, &id), started);
    }
}
