//! Asks one address, again and again: what it says is judged and kept on a thread of its own, that ends with each
//! request.

use super::{
    checkpoint::{self, Kept},
    pace::Pace,
};
use berth_core::{
    manifest::{
        DesiredPod, LoadOutput, Problem,
        answer::{Answer, answer},
        objects,
    },
    time::Wall,
};
use berth_images::{
    Digest,
    http::{Client, Fetched, Settings, Validators},
};
use berth_oci::clock;
use std::{
    fs,
    hash::{BuildHasher as _, RandomState},
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::sync::{mpsc, oneshot};

/// Bytes of the stack of a thread that asks.
const STACK_BYTES: usize = 512 * 1024;
/// Distributions give this file the time of their release; systemd never lets the clock be before it.
const CLOCK_EPOCH: &str = "/usr/lib/clock-epoch";

/// What a request came to.
#[derive(Debug)]
pub(super) enum Heard {
    /// The address says the same as before.
    Unchanged,
    /// It says this now, and that is kept.
    Taken(Arc<LoadOutput>),
    /// It says what cannot be acted on.
    Refused(Vec<Problem>),
    /// It says nothing, or what it says could not be kept.
    Failed(String),
}

/// What is needed to ask.
#[derive(Debug, Clone)]
pub(super) struct Asker {
    pub(super) http: Settings,
    pub(super) checkpoint: PathBuf,
    pub(super) node: String,
    pub(super) url: Arc<str>,
}

/// What an address said last, as far as it was right.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    pub(super) output: Arc<LoadOutput>,
    validators: Validators,
    /// Of the body; none if nothing is kept.
    digest: Option<Digest>,
    /// When it said so.
    pub(super) received: Option<Wall>,
}

impl Known {
    /// Only what runs is known.
    pub(super) fn running(pods: Vec<DesiredPod>) -> Self {
        Self { output: Arc::new(LoadOutput { pods, ..LoadOutput::default() }), ..Self::default() }
    }

    /// From a checkpoint.
    ///
    /// # Errors
    /// It cannot be acted on by this Berth: the first problem.
    pub(super) fn from_kept(kept: Kept, url: &str, node: &str) -> Result<Self, Problem> {
        match answer(url, &kept.body, node) {
            Answer::Taken(output) => Ok(Self {
                output: Arc::new(output),
                validators: Validators { etag: kept.etag, last_modified: kept.last_modified },
                digest: Some(Digest::of(&kept.body)),
                received: Some(Wall(kept.received_ns)),
            }),
            Answer::Refused(problems) => {
                Err(problems.into_iter().next().unwrap_or_else(|| super::whole(url, "cannot be read".into())))
            }
        }
    }
}

/// Asks until nobody listens.
pub(super) async fn run(
    index: usize,
    asker: Asker,
    mut known: Known,
    pace: Pace,
    tell: mpsc::Sender<(usize, Heard)>,
) {
    let (mut failures, mut answered) = (0_u32, false);
    loop {
        let (now, heard) = on_a_thread(asker.clone(), known.clone()).await;
        known = now;
        match heard {
            Heard::Unchanged | Heard::Taken(_) => (failures, answered) = (0, true),
            Heard::Refused(_) => (failures, answered) = (failures.saturating_add(1), true),
            Heard::Failed(_) => failures = failures.saturating_add(1),
        }
        if tell.send((index, heard)).await.is_err() {
            return;
        }
        tokio::time::sleep(pace.wait(failures, answered, RandomState::new().hash_one(index))).await;
    }
}

/// Not one of the runtime's threads: these are few, and pods wait for them.
async fn on_a_thread(asker: Asker, known: Known) -> (Known, Heard) {
    let (done, ended) = oneshot::channel();
    let before = known.clone();
    let began = thread::Builder::new().name("url".into()).stack_size(STACK_BYTES).spawn(move || {
        let _ = done.send(asker.ask(known));
    });
    let failed = |why: String| (before.clone(), Heard::Failed(why));
    match began {
        Err(error) => failed(format!("no thread to ask with: {error}")),
        Ok(_) => ended.await.unwrap_or_else(|_| failed("the thread that asked has ended".into())),
    }
}

impl Asker {
    /// Asks once: what is known then, and what that is called.
    fn ask(&self, known: Known) -> (Known, Heard) {
        let fetched = Client::new(self.http.clone(), floor(known.received))
            .map_err(|error| error.to_string())
            .and_then(|client| client.fetch(&known.validators).map_err(|error| error.to_string()));
        match fetched {
            Err(why) => (known, Heard::Failed(why)),
            Ok(Fetched::Unchanged) => (known, Heard::Unchanged),
            Ok(Fetched::Body { bytes, validators }) => self.judge(known, bytes, validators),
        }
    }

    fn judge(&self, known: Known, body: Vec<u8>, validators: Validators) -> (Known, Heard) {
        let digest = Digest::of(&body);
        if known.digest.as_ref() == Some(&digest) {
            return (Known { validators, ..known }, Heard::Unchanged);
        }
        let mut output = match answer(&self.url, &body, &self.node) {
            Answer::Taken(output) => output,
            Answer::Refused(problems) => return (known, Heard::Refused(problems)),
        };
        objects::keep_immutable(&mut output, &known.output);
        if !output.problems.is_empty() {
            return (known, Heard::Refused(output.problems));
        }
        let received = clock::now().wall;
        let Validators { etag, last_modified } = validators.clone();
        let kept = Kept { url: self.url.to_string(), received_ns: received.0, etag, last_modified, body };
        if let Err(error) = checkpoint::write(&self.checkpoint, &kept) {
            return (
                known,
                Heard::Failed(format!(
                    "{}: its answer is not used, for it cannot be kept: {error}",
                    self.url
                )),
            );
        }
        let output = Arc::new(output);
        let now =
            Known { output: Arc::clone(&output), validators, digest: Some(digest), received: Some(received) };
        (now, Heard::Taken(output))
    }
}

/// The latest moment that has surely passed, whatever the clock says: the release of the system, the making of this
/// program, and the last good answer (over TLS its certificate was valid then).
pub(super) fn floor(received: Option<Wall>) -> SystemTime {
    let made = |path: &str| fs::metadata(path).and_then(|meta| meta.modified()).ok();
    let received = received.map(|at| UNIX_EPOCH + Duration::from_nanos(at.0));
    [made(CLOCK_EPOCH), made("/proc/self/exe"), received].into_iter().flatten().max().unwrap_or(UNIX_EPOCH)
}
