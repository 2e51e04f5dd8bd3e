//! What a connection asks of the main loop, which alone knows. Answers are values; nothing is shared.

use berth_core::pressure::Weighing;
use serde_json::Value;
use std::os::fd::OwnedFd;
use tokio::sync::{mpsc, oneshot};

/// Questions that wait for the main loop; a connection waits when there are more.
pub(crate) const ASKS_MAX: usize = 64;

/// Why a request is refused, in Kubernetes' words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// `NotFound`, `BadRequest`, `Conflict`, `InternalError`…
    pub(crate) reason: &'static str,
    /// For people.
    pub(crate) message: String,
}

impl Refusal {
    /// There is no such thing.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self { reason: "NotFound", message: message.into() }
    }

    /// The request makes no sense.
    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self { reason: "BadRequest", message: message.into() }
    }

    /// It cannot be done as things stand.
    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self { reason: "Conflict", message: message.into() }
    }

    /// It should have worked.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self { reason: "InternalError", message: message.into() }
    }
}

/// The answer to most questions.
pub(crate) type Answer = Result<Value, Refusal>;

/// A question.
#[derive(Debug)]
pub(crate) enum Ask {
    /// The `v1.PodList`.
    Pods(oneshot::Sender<Answer>),
    /// Events that changed after this number (0: all), with the number to ask with next.
    Events(u64, oneshot::Sender<(u64, Vec<Value>)>),
    /// Problems of manifests.
    Problems(oneshot::Sender<Answer>),
    /// Objects beside the pods, without their values.
    Objects(oneshot::Sender<Answer>),
    /// Where manifests come from.
    Sources(oneshot::Sender<Answer>),
    /// All pods, with the present runs of their containers.
    Weighings(oneshot::Sender<Vec<Weighing>>),
    /// The `v1.Node`.
    Node(oneshot::Sender<Answer>),
    /// Remove images: the loop knows which are used.
    RemoveImages(Removal, oneshot::Sender<Answer>),
    /// Images came into the store: who waits for one goes on.
    ImagesChanged,
    /// Versions, pids, start times.
    Status(oneshot::Sender<Answer>),
    /// Stop all pods.
    Drain(oneshot::Sender<Answer>),
    /// Stop all containers.
    Halt(oneshot::Sender<Answer>),
    /// Since when containers run.
    Boot(oneshot::Sender<Answer>),
    /// Run a command in a container.
    Exec(Box<ExecAsk>, oneshot::Sender<Result<Session, Refusal>>),
    /// The client of a session has gone.
    HangUp(String),
    /// Replace the program.
    Upgrade(String, oneshot::Sender<Answer>),
}

/// Which images are to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Removal {
    /// These, by reference or id.
    Named {
        /// Which.
        images: Vec<String>,
        /// Also what a manifest names or the owner pinned.
        force: bool,
    },
    /// All that nothing needs.
    Unused {
        /// Those with names too.
        all: bool,
        /// Only tell.
        dry_run: bool,
    },
}

/// A command to run.
#[derive(Debug)]
pub(crate) struct ExecAsk {
    /// The container's id.
    pub(crate) container: String,
    /// The command, not empty.
    pub(crate) command: Vec<String>,
    /// A terminal is wanted.
    pub(crate) tty: bool,
    /// stdin, stdout, stderr; or the console socket.
    pub(crate) fds: Vec<OwnedFd>,
}

/// A command that runs.
#[derive(Debug)]
pub(crate) struct Session {
    /// The session's id.
    pub(crate) id: String,
    /// Its exit status, once; dropped if it will never be known.
    pub(crate) exit: oneshot::Receiver<i32>,
}

/// The way to the main loop.
pub(crate) type Asks = mpsc::Sender<Ask>;

/// Asks and waits.
///
/// # Errors
/// What the loop answers; `InternalError` when it answers nothing.
pub(crate) async fn ask<T>(
    asks: &Asks,
    question: impl FnOnce(oneshot::Sender<T>) -> Ask,
) -> Result<T, Refusal> {
    let (answer, answered) = oneshot::channel();
    let gone = || Refusal::internal("the agent is busy ending; ask again");
    asks.send(question(answer)).await.map_err(|_| gone())?;
    answered.await.map_err(|_| gone())
}
