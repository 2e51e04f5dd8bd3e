//! `logs -f`: sleeps until the kernel says that a log file changed or the agent says that a pod did. Goes on
//! over restarts of the agent; ends when no container followed can write any more.

use super::{
    super::{client::Watch, failure::Failure, json, session::Session},
    printer::{Limit, Printer},
    reader::Reader,
    run::Run,
};
use crate::api::wire::Request;
use inotify::{Inotify, WatchMask};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use std::{io, os::fd::AsFd};

/// Bytes for events of the kernel that are read at one time.
const EVENTS_LEN_BYTES: usize = 4096;

/// One container that is followed.
pub(super) struct Source {
    pub(super) run: Run,
    pub(super) reader: Reader,
    pub(super) printer: Printer,
}

/// Prints what comes until nothing more can.
///
/// # Errors
/// The logs cannot be read or watched, or the agent does not come back.
pub(super) fn follow(
    mut sources: Vec<Source>,
    limit: &mut Limit,
    session: &mut Session<'_>,
) -> Result<(), Failure> {
    let cannot = |error: io::Error| Failure::error(format!("cannot watch the log files: {error}"));
    let mut inotify = Inotify::init().map_err(cannot)?;
    let mut watch = Watch::begin(&session.client, Request::Pods { watch: true })?;
    loop {
        let pods = watch.newest()?;
        watch_directories(&inotify, &sources).map_err(cannot)?;
        // What is over in this list has all its output in the file already: told before read.
        for source in &mut sources {
            let print = |line: &[u8]| source.printer.print(line, limit, session.out);
            source.reader.read_on(print).map_err(|error| error.told_of(&source.run))?;
        }
        session.out.flush()?;
        if let Some(pods) = pods {
            sources.retain(|source| !source.run.is_over(json::list(&pods, "/items")));
        }
        if sources.is_empty() || limit.reached() {
            return Ok(());
        }
        sleep(&mut inotify, &watch).map_err(cannot)?;
    }
}

/// Adding a watch again changes nothing; a directory that is not there yet comes with its container's start,
/// which the agent tells.
fn watch_directories(inotify: &Inotify, sources: &[Source]) -> io::Result<()> {
    let mask = WatchMask::MODIFY
        | WatchMask::CREATE
        | WatchMask::MOVED_TO
        | WatchMask::MOVED_FROM
        | WatchMask::DELETE;
    for source in sources {
        match inotify.watches().add(source.reader.files().directory(), mask) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            added => drop(added?),
        }
    }
    Ok(())
}

/// Until a file changed or the agent says something. Which file it was does not matter: all are looked at.
fn sleep(inotify: &mut Inotify, watch: &Watch) -> io::Result<()> {
    let in_flags = PollFlags::POLLIN;
    let mut fds = [PollFd::new(inotify.as_fd(), in_flags), PollFd::new(watch.as_fd(), in_flags)];
    match poll(&mut fds, PollTimeout::NONE) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(error) => return Err(error.into()),
    }
    let mut events = [0; EVENTS_LEN_BYTES];
    match inotify.read_events(&mut events) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        Err(error) => Err(error),
    }
}
