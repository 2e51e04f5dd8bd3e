//! What the core wants done: the vocabulary of a plan. An action is complete in itself, so that the hand
//! that carries it out has no choice to make; each is answered by one `Event::Done`, or by none and then
//! its deadline passes. Every action is idempotent: carried out twice, the world is as after once.

use crate::{
    check::Check,
    cpus::Place,
    devices::Grant,
    event::Checkpoint,
    ids::{ActionId, ContainerId, PodKey, PodUid},
    manifest::{DesiredPod, objects::Objects, types::PullPolicy},
    pressure::{Signal, Weighing},
    resize::Running,
    time::{Mono, Now},
};
use serde::{Deserialize, Serialize};

/// What one `step` decided.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Plan {
    /// To be begun now, in this order; they run side by side.
    pub actions: Vec<Action>,
    /// To be shown, as Kubernetes events.
    pub events: Vec<PodEvent>,
    /// Call `step` again no later than this, even without news.
    pub wake: Option<Mono>,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Action {
    /// Comes back in `Event::Done`.
    pub id: ActionId,
    /// The pod that it serves; empty for the node.
    pub pod: PodUid,
    /// After this moment the core takes it for lost, so the hand begins nothing more of it.
    pub deadline: Mono,
    /// What.
    pub kind: ActionKind,
}

/// The kinds of action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ActionKind {
    /// Find the image in the store, or import it. Answer: `Image` or `Failed`.
    EnsureImage {
        /// As written in the manifest.
        image: String,
        /// Whether a source may be asked.
        policy: PullPolicy,
    },
    /// Record, cgroup, namespaces, addresses, volumes, /etc files, log directory. Answer: `Sandbox`, `Ok` or
    /// `Failed`.
    CreateSandbox {
        /// The whole pod.
        desired: Box<DesiredPod>,
        /// When: what a container did before this it did in an earlier sandbox.
        begun: Mono,
        /// The objects that its volumes name, as far as they are there. Never serialised: values are secret.
        #[serde(skip)]
        objects: Objects,
    },
    /// The pod as it is now: its record, and the labels by which NetworkPolicies select it. Nothing that runs is touched.
    /// Answer: `Ok` or `Failed`.
    Update {
        /// The whole pod.
        desired: Box<DesiredPod>,
    },
    /// Bring the files of its volumes up to the pod and these objects, each volume at once. Answer: `Ok` or `Failed`.
    RefreshFiles {
        /// The whole pod.
        desired: Box<DesiredPod>,
        /// As in `CreateSandbox`.
        #[serde(skip)]
        objects: Objects,
    },
    /// Record, bundle, create and start. Answer: `Started` or `Failed`.
    StartContainer {
        /// The whole pod.
        desired: Box<DesiredPod>,
        /// Which container of it, by name.
        container: String,
        /// Restart count; the log file's number.
        attempt: u32,
        /// The run's id.
        id: ContainerId,
        /// The image, as `EnsureImage` gave it.
        image: Box<ImageFacts>,
        /// Images that it has as volumes, by the volume's name.
        #[serde(default)]
        volumes: Vec<(String, ImageFacts)>,
        /// The objects that the pod names, as far as they are there. Never serialised: values are secret.
        #[serde(skip)]
        objects: Objects,
        /// The devices that it gets.
        #[serde(default)]
        devices: Vec<Grant>,
        /// Where it may run.
        #[serde(default)]
        place: Place,
    },
    /// Bring the cgroups of the pod and of these runs up to the pod's spec: what grows grows from the pod down, what
    /// shrinks from the containers up. A memory limit is not lowered below what is in use: then only processors
    /// change. Answer: `Resized` or `Failed`.
    Resize {
        /// The whole pod, with its resources as they are to be.
        desired: Box<DesiredPod>,
        /// Those that run.
        runs: Vec<Running>,
    },
    /// Send a signal to the container's init process. Already gone is `Ok`.
    Signal {
        /// The container.
        id: ContainerId,
        /// Signal number.
        signal: i32,
    },
    /// Ask a container that runs, or tell it. A hook is noted in the run's record before it is begun. Answer:
    /// `Checked`; or `Failed` when it could not be asked.
    Check {
        /// The container.
        id: ContainerId,
        /// What, and how.
        check: Box<Check>,
    },
    /// Note in the run's record how the container is, for the agent after this one.
    Note {
        /// The container.
        id: ContainerId,
        /// See `Standing`.
        started: bool,
        /// See `Standing`.
        ready: bool,
    },
    /// Count what the pod has on disk, for at most the time that there is. Answer: `Measured` or `Failed`.
    Measure {
        /// The whole pod.
        desired: Box<DesiredPod>,
        /// The present runs of its containers, by the container's name.
        runs: Vec<(String, ContainerId)>,
    },
    /// Look at the node: what is left of memory, disks and process numbers. Answer: `Observed`.
    Observe,
    /// Remove all that is on the disk and can be had again: images that nobody needs, what is left of downloads.
    Reclaim,
    /// Find out what these pods use of what the signal is about. Answer: `Weighed` or `Failed`.
    Weigh {
        /// What is short.
        signal: Signal,
        /// Those that may have to go.
        pods: Vec<Weighing>,
    },
    /// Kill all that is in the container's cgroup (`cgroup.kill`). Already gone is `Ok`.
    Kill {
        /// The container.
        id: ContainerId,
    },
    /// After the end (or a failed start) of a run: empty and remove its cgroup, release its slot in the
    /// keeper (which acknowledges the exit), remove its bundle, state and writable layer. Its log stays.
    RemoveContainer {
        /// The container.
        id: ContainerId,
    },
    /// Undo `CreateSandbox`, logs included. No container is left when this is planned.
    RemoveSandbox {
        /// The whole pod.
        desired: Box<DesiredPod>,
    },
    /// Write the checkpoint durably.
    SaveCheckpoint {
        /// The content.
        checkpoint: Box<Checkpoint>,
    },
    /// Remove the checkpoint durably.
    DropCheckpoint,
}

/// An image ready to run, as far as pods care.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ImageFacts {
    /// The reference by which it was asked for.
    pub reference: String,
    /// `sha256:…` of the image's config: the image's id.
    pub id: String,
    /// `sha256:…` of its manifest.
    pub digest: String,
    /// Unpacked layers, top first: the lowerdirs of an overlay.
    pub layers: Vec<String>,
    /// `config.Env`.
    pub env: Vec<String>,
    /// `config.Entrypoint`.
    pub entrypoint: Vec<String>,
    /// `config.Cmd`.
    pub cmd: Vec<String>,
    /// `config.WorkingDir`; empty for `/`.
    pub working_dir: String,
    /// `config.User`; empty for root.
    pub user: String,
    /// `config.StopSignal`; empty for SIGTERM.
    pub stop_signal: String,
    /// Why nobody could be asked whether there is a newer one, where the pod wants that; empty otherwise.
    #[serde(default)]
    pub unasked: String,
}

/// A Kubernetes event of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodEvent {
    /// The pod.
    pub pod: PodKey,
    /// The revision.
    pub uid: PodUid,
    /// `Warning` instead of `Normal`.
    pub warning: bool,
    /// One word, as kubelet has it: `Pulled`, `Created`, `Started`, `Killing`, `BackOff`…
    pub reason: String,
    /// A sentence.
    pub message: String,
    /// When.
    pub at: Now,
}
