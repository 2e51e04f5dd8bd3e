//! Has what was unpacked of a large layer written to the disk while the rest is unpacked, so that the disk does not lie
//! idle first and is waited for afterwards. It makes nothing durable: that is the commit's `syncfs`, which finds less to
//! do. A small layer has no thread for it and no write more.

use crate::{limits::FLUSH_STEP_BYTES, sys, tarstream::Input};
use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    sync::mpsc::{SyncSender, sync_channel},
    thread::{Builder, Scope, ScopedJoinHandle},
};

/// The thread, once there is something to do.
pub(super) struct Flusher<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    /// Opened before anything is written: it is told of all failures since.
    dir: Option<File>,
    thread: Option<(SyncSender<()>, ScopedJoinHandle<'scope, io::Result<()>>)>,
}

impl<'scope, 'env> Flusher<'scope, 'env> {
    /// For the file system of `dir`.
    pub(super) fn new(scope: &'scope Scope<'scope, 'env>, dir: &Path) -> io::Result<Self> {
        Ok(Self { scope, dir: Some(File::open(dir)?), thread: None })
    }

    /// Begins to write what there is; who is at it goes on when he is done.
    fn kick(&mut self) -> io::Result<()> {
        if let Some(dir) = self.dir.take() {
            let (kick, kicked) = sync_channel(1);
            let write = move || kicked.iter().try_for_each(|()| sys::syncfs(&dir));
            let thread = Builder::new().name("flush".into()).spawn_scoped(self.scope, write)?;
            self.thread = Some((kick, thread));
        }
        if let Some((kick, _)) = &self.thread {
            // Full: it will look again. Gone: `finish` says why.
            let _ = kick.try_send(());
        }
        Ok(())
    }

    /// The last of a layer that is being written already.
    pub(super) fn rest(&mut self) -> io::Result<()> {
        if self.thread.is_some() { self.kick() } else { Ok(()) }
    }

    /// Waits for the thread.
    ///
    /// # Errors
    /// What was written did not arrive.
    pub(super) fn finish(self) -> io::Result<()> {
        let Some((kick, thread)) = self.thread else { return Ok(()) };
        drop(kick);
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread that writes to the disk is gone")))
    }
}

/// Counts a layer's stream as it goes by, for what is unpacked of it is written at once.
pub(super) struct Flushing<'a, 'scope, 'env, R> {
    input: R,
    flusher: &'a mut Flusher<'scope, 'env>,
    since: u64,
}

impl<'a, 'scope, 'env, R> Flushing<'a, 'scope, 'env, R> {
    pub(super) fn new(input: R, flusher: &'a mut Flusher<'scope, 'env>) -> Self {
        Self { input, flusher, since: 0 }
    }
}

impl<R: Read> Read for Flushing<'_, '_, '_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.since += count as u64;
        if self.since >= FLUSH_STEP_BYTES {
            self.since = 0;
            self.flusher.kick()?;
        }
        Ok(count)
    }
}

impl<R: Read> Input for Flushing<'_, '_, '_, R> {}
