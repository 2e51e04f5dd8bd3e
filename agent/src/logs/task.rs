//! The task that runs one container's pump whenever its pipes have something.

use super::{
    format::StreamKind,
    pump::{Pump, Scratch, Turn},
};
use crate::agent::sys::watched;
use std::{
    io,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::oneshot,
    time::sleep,
};

/// Pause after a small batch, so that a container that writes line by line costs a few hundred wake-ups a
/// second and not many thousand. Milliseconds.
const SMALL_BATCH_PAUSE_MS: u64 = 5;
/// Below this a batch counts as small. Bytes.
const SMALL_BATCH_MAX_BYTES: usize = 16 * 1024;
/// Pause after an error. Milliseconds.
const ERROR_PAUSE_MS: u64 = 1000;
/// Batches taken at the very end of a container; its pipes hold fewer when nobody writes any more.
const LAST_TURNS_MAX: usize = 64;

const KINDS: [StreamKind; 2] = [StreamKind::Stdout, StreamKind::Stderr];

pub(super) type Finish = oneshot::Receiver<oneshot::Sender<()>>;

/// Runs until `finish` says that the container is dead; empties the pipes then, and answers.
pub(super) async fn run(
    open: impl Fn() -> io::Result<Pump>,
    scratch: Arc<Mutex<Scratch>>,
    mut finish: Finish,
) {
    let (pump, mut done) = opened(&open, &mut finish).await;
    if let Some(mut pump) = pump {
        if done.is_none() {
            done = match follow(&mut pump, &scratch, &mut finish).await {
                Ok(done) => done,
                Err(error) => {
                    tracing::error!(%error, "a container's output cannot be followed");
                    finish.await.ok()
                }
            };
        }
        empty(&mut pump, &scratch);
    }
    if let Some(done) = done {
        let _ = done.send(());
    }
}

/// Opens the log, again and again while that fails (a full disk, say). Without a pump if the container ends
/// first and its log still cannot be opened.
async fn opened(
    open: &impl Fn() -> io::Result<Pump>,
    finish: &mut Finish,
) -> (Option<Pump>, Option<oneshot::Sender<()>>) {
    let mut told = false;
    loop {
        let error = match open() {
            Ok(pump) => return (Some(pump), None),
            Err(error) => error,
        };
        if !std::mem::replace(&mut told, true) {
            tracing::error!(%error, "a log cannot be opened; the output waits in its pipe");
        }
        tokio::select! {
            order = &mut *finish => return (open().ok(), order.ok()),
            () = sleep(Duration::from_millis(ERROR_PAUSE_MS)) => {}
        }
    }
}

/// Takes all that is there.
fn empty(pump: &mut Pump, scratch: &Mutex<Scratch>) {
    for kind in KINDS {
        for _ in 0..LAST_TURNS_MAX {
            match turn(pump, kind, true, scratch) {
                Ok(Turn::Moved(_)) => {}
                Ok(Turn::Idle | Turn::Ended) => break,
                Err(error) => {
                    tracing::error!(%error, "the last output of a container is lost");
                    break;
                }
            }
        }
    }
}

async fn follow(
    pump: &mut Pump,
    scratch: &Mutex<Scratch>,
    finish: &mut Finish,
) -> io::Result<Option<oneshot::Sender<()>>> {
    let mut pipes = [None, None];
    for (pipe, kind) in pipes.iter_mut().zip(KINDS) {
        *pipe = Some(watched(pump.source(kind), Interest::READABLE)?);
    }
    loop {
        let [stdout, stderr] = &pipes;
        let (kind, mut ready) = tokio::select! {
            order = &mut *finish => return Ok(order.ok()),
            ready = readable(stdout.as_ref()) => (StreamKind::Stdout, ready?),
            ready = readable(stderr.as_ref()) => (StreamKind::Stderr, ready?),
        };
        let turn = turn(pump, kind, false, scratch);
        if let Ok(Turn::Idle) = turn {
            ready.clear_ready();
        }
        let pause_ms = match turn {
            Ok(Turn::Moved(n)) if n < SMALL_BATCH_MAX_BYTES => SMALL_BATCH_PAUSE_MS,
            Ok(Turn::Ended) => {
                pipes[kind as usize] = None;
                continue;
            }
            Ok(_) => continue,
            Err(e) => {
                tracing::warn!(error = %e, "a container's output waits");
                ERROR_PAUSE_MS
            }
        };
        tokio::select! {
            order = &mut *finish => return Ok(order.ok()),
            () = sleep(Duration::from_millis(pause_ms)) => {}
        }
    }
}

type Ready<'a> = tokio::io::unix::AsyncFdReadyGuard<'a, Arc<OwnedFd>>;

/// Never, for a pipe that has ended.
async fn readable(pipe: Option<&AsyncFd<Arc<OwnedFd>>>) -> io::Result<Ready<'_>> {
    match pipe {
        Some(pipe) => pipe.readable().await,
        None => std::future::pending().await,
    }
}

fn turn(pump: &mut Pump, kind: StreamKind, last: bool, scratch: &Mutex<Scratch>) -> io::Result<Turn> {
    pump.turn(kind, last, &mut scratch.lock().unwrap_or_else(PoisonError::into_inner))
}
