//! News for the core: what the shell tells `world::step`. Every event is a fact, none is a request.

use crate::{
    action::ImageFacts,
    check::{Answer, Standing},
    devices::{Grant, Seen},
    ids::{ActionId, ContainerId, PodKey, PodUid},
    manifest::{DesiredPod, Problem, objects::Objects},
    pressure::{Condition, Observation, Uses},
    resize::{Given, InUse, PodResources},
    storage::StorageUse,
    time::{Mono, Now},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// One piece of news.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// What is really there, read once when the agent starts and before anything else.
    Inventory(Box<Inventory>),
    /// The whole desired set as all sources have it now; replaces the previous one. A file that does
    /// not parse keeps its last good pods in `pods` and stands in `problems`.
    Desired(Arc<DesiredSet>),
    /// An action ended. An answer to an action that is no longer in flight is ignored.
    Done {
        /// The action.
        action: ActionId,
        /// How it ended.
        outcome: Outcome,
    },
    /// A container's init process ended. Repeated by the keeper until the container is removed; the
    /// second telling changes nothing.
    Exited {
        /// The container.
        id: ContainerId,
        /// How and when.
        exit: Exit,
        /// Its termination message; see [`TERMINATION_MESSAGE_LEN_MAX`].
        message: String,
    },
    /// A create that an earlier agent had asked for succeeded: the keeper tells it as an answer to nobody.
    Started {
        /// The container.
        id: ContainerId,
        /// Its pid on the host.
        pid: u32,
        /// When.
        at: Now,
    },
    /// A create that an earlier agent had asked for failed.
    StartFailed {
        /// The container.
        id: ContainerId,
        /// Why.
        failure: Failure,
    },
    /// The kernel does not hold a pod to something that its spec asks for, and it runs all the same. Telling it
    /// again changes nothing.
    NotEnforced {
        /// The pod.
        pod: PodUid,
        /// What it goes without, and why.
        message: String,
    },
    /// The devices that pods ask for, as far as they are there.
    Devices(Arc<Seen>),
    /// Of all pods with a network of ours those whose NetworkPolicies are not in force now, and why.
    Unheld(Vec<(PodKey, String)>),
    /// Somebody has looked at the node.
    Observed(Box<Observation>),
    /// Something changed where images come from (a file was put there, say): waits after failed pulls end.
    ImagesChanged,
}

/// All that the sources say.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct DesiredSet {
    /// Valid pods, one per key (the source layer has settled duplicates: first file by name wins).
    pub pods: Vec<DesiredPod>,
    /// Everything wrong with the rest.
    pub problems: Vec<Problem>,
    /// What is to be shown of the sources, and is wrong with no manifest.
    #[serde(default)]
    pub notices: Vec<Problem>,
    /// Origins of which it is not known what they want: what was theirs must not be cleaned away.
    #[serde(default)]
    pub silent: BTreeSet<Arc<str>>,
    /// All pods are to go, those of lower priority first.
    #[serde(default)]
    pub shutdown: Option<Shutdown>,
    /// ConfigMaps, Secrets and claims, one per key as with pods. Never serialised: values are secret.
    #[serde(skip)]
    pub objects: Objects,
}

/// How far the pods go when all of them do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shutdown {
    /// Nothing of them is left.
    Drain,
    /// Their containers end, for the machine goes down; what else is of them waits for the next boot.
    Halt,
}

/// How an action ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    /// Done, nothing to tell.
    Ok,
    /// The sandbox is made.
    Sandbox {
        /// The pod's addresses, IPv4 first; none if it has the node's network, or loopback only.
        ips: Vec<String>,
    },
    /// The image is unpacked and ready.
    Image(Box<ImageFacts>),
    /// The container's process runs.
    Started {
        /// Its pid on the host.
        pid: u32,
        /// When.
        at: Now,
    },
    /// The container's answer to a check.
    Checked(Answer),
    /// What the pod has on disk.
    Measured(Box<StorageUse>),
    /// The pod's cgroups are as its spec has them; or, but for processors, as they were, because of this.
    Resized(Option<InUse>),
    /// How it is with the node.
    Observed(Box<Observation>),
    /// What pods use of what the node is short of.
    Weighed(Uses),
    /// It did not work.
    Failed(Failure),
}

/// Why an action failed: what Kubernetes calls it, and a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Decides the waiting reason and the retry.
    pub reason: FailReason,
    /// Names the object, what is wrong and what to do.
    pub message: String,
}

/// Waiting reasons as kubelet has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum FailReason {
    ErrImagePull,
    ErrImageNeverPull,
    InvalidImageName,
    SignatureValidationFailed,
    CreateContainerConfigError,
    CreateContainerError,
    RunContainerError,
    CreatePodSandboxError,
    /// A device that the container is to have is not there, or another one has it.
    DeviceUnavailable,
    /// There are too few processors that the container could have to itself.
    UnexpectedAdmissionError,
    /// The node cannot give pods a network of their own.
    NetworkNotReady,
    /// The answer did not come by the deadline.
    Timeout,
    /// The keeper, the zygote or the worker died over it.
    Lost,
    /// Anything else: a full disk under a checkpoint, say.
    Internal,
}

impl FailReason {
    /// As shown in `containerStatuses[].state.waiting.reason` and in events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ErrImagePull => "ErrImagePull",
            Self::ErrImageNeverPull => "ErrImageNeverPull",
            Self::InvalidImageName => "InvalidImageName",
            Self::SignatureValidationFailed => "SignatureValidationFailed",
            Self::CreateContainerConfigError => "CreateContainerConfigError",
            Self::CreateContainerError => "CreateContainerError",
            Self::RunContainerError => "RunContainerError",
            Self::CreatePodSandboxError => "FailedCreatePodSandBox",
            Self::DeviceUnavailable => "DeviceUnavailable",
            Self::UnexpectedAdmissionError => "UnexpectedAdmissionError",
            Self::NetworkNotReady => "NetworkNotReady",
            Self::Timeout => "DeadlineExceeded",
            Self::Lost => "WorkerLost",
            Self::Internal => "InternalError",
        }
    }
}

/// How a container's process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Exit status, or 128 + signal.
    pub code: i32,
    /// The signal that ended it, 0 for none.
    pub signal: i32,
    /// The kernel's OOM killer struck in its cgroup.
    pub oom: bool,
    /// When.
    pub at: Now,
}

/// What the shell found at its start: the keeper's table, the run-time directory, the checkpoints.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Inventory {
    /// `/proc/sys/kernel/random/boot_id`: tells this boot's records from an earlier one's.
    pub boot_id: String,
    /// Pods whose sandbox was begun in this boot.
    pub sandboxes: Vec<SandboxRecord>,
    /// Containers that were begun in this boot.
    pub containers: Vec<ContainerRecord>,
    /// What was remembered of pods, from this boot or an earlier one.
    pub checkpoints: Vec<Checkpoint>,
}

/// A pod's run-time record, written (on tmpfs) before its sandbox is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SandboxRecord {
    /// The pod as it was started: its grace period and volumes hold even when the manifest is gone.
    pub desired: DesiredPod,
    /// The sandbox was completed.
    pub ready: bool,
    /// When its making was asked for.
    #[serde(default)]
    pub begun: Mono,
    /// The pod's addresses, IPv4 first.
    #[serde(default)]
    pub ips: Vec<String>,
    /// A resize was begun and has not come to its end: what the cgroups have is not known.
    #[serde(default)]
    pub unsettled: bool,
    /// What the pod's cgroup was made for, or given later; none: what `desired` has.
    #[serde(default)]
    pub given: Option<PodResources>,
}

impl SandboxRecord {
    /// What the pod's cgroup has.
    pub fn given(&self) -> PodResources {
        self.given.clone().unwrap_or_else(|| PodResources::of(&self.desired.pod.spec))
    }
}

/// A container's run-time record, written (on tmpfs) before it is created, with what the keeper knows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContainerRecord {
    /// The container.
    pub id: ContainerId,
    /// Its pod's revision.
    pub pod: PodUid,
    /// Its name in the pod.
    pub name: String,
    /// The restart count with which it was started.
    pub attempt: u32,
    /// The image it runs.
    pub image: ImageFacts,
    /// The devices that it was given.
    #[serde(default)]
    pub devices: Vec<Grant>,
    /// What its cgroup has; none if that is the pod's record's to say.
    #[serde(default)]
    pub given: Option<Given>,
    /// What the keeper says.
    pub state: RecordState,
    /// What an earlier agent has noted of it.
    #[serde(default)]
    pub standing: Standing,
}

/// What the keeper knows of a recorded container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RecordState {
    /// No slot: the create was never begun, failed, or the exit was acknowledged.
    Unknown,
    /// A worker is at it; `Started` or `Failed` will be told as an answer to nobody, so ask again.
    Creating,
    /// Running since.
    Running {
        /// Pid on the host.
        pid: u32,
        /// Since when.
        at: Now,
    },
    /// Ended, exit kept by the keeper.
    Exited {
        /// When it had started.
        started: Now,
        /// How it ended.
        exit: Exit,
        /// As in [`Event::Exited`].
        message: String,
    },
}

/// What must be remembered of a pod over agent restarts and reboots and cannot be derived: one small,
/// checksummed, atomically replaced file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The revision.
    pub uid: PodUid,
    /// The boot in which the `Mono` values below were read.
    pub boot_id: String,
    /// `status.startTime`.
    pub started: Now,
    /// From when its `activeDeadlineSeconds` count: its turn had come. None in files of older versions (`started`
    /// counts then), and while it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<Mono>,
    /// Since when it is on its way out; it goes on from there, whatever is desired.
    #[serde(default)]
    pub terminating: Option<Now>,
    /// Since when it has finished and its sidecars are being stopped.
    #[serde(default)]
    pub ending: Option<Now>,
    /// It has been active for longer than it may, and has failed for good.
    #[serde(default)]
    pub expired: bool,
    /// The node has ended it, and it begins anew later or not at all.
    #[serde(default)]
    pub evicted: Option<Evicted>,
    /// Per container name.
    pub containers: BTreeMap<String, ContainerMemory>,
    /// By what the pod is found again when its manifest has another revision; none in files of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lineage: Option<Lineage>,
}

/// What stays the same of a pod when a manifest's change is applied in place; see [`crate::manifest::in_place`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lineage {
    /// Namespace and name.
    pub key: PodKey,
    /// The hash of the revision that was applied last.
    pub revision: String,
    /// The hash of what all its revisions share.
    pub shape: String,
}

/// The last time that the node has ended the pod as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evicted {
    /// What for.
    pub cause: Cause,
    /// A sentence for people.
    pub message: String,
    /// When that was decided. `mono` is 0 if that was in an earlier boot.
    pub at: Now,
    /// How often in a row for this cause; from 1.
    pub count: u32,
    /// What the node was short of; none if it went for what it did itself, or for another pod.
    #[serde(default)]
    pub short_of: Option<Condition>,
    /// Bound on the seconds that it has to stop, where that is not the usual one.
    #[serde(default)]
    pub grace_max_s: Option<u64>,
}

/// Why the node ends a pod that is desired; `status.reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// It used more than it may, or the node ran short.
    Evicted,
    /// A pod of a higher priority needs its room.
    Preempting,
}

impl Cause {
    /// As in `status.reason`, and the reason of the event.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Evicted => "Evicted",
            Self::Preempting => "Preempting",
        }
    }
}

/// What is remembered of one container.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerMemory {
    /// The attempt that the next start gets; equal to the restart count then shown.
    pub next_attempt: u32,
    /// How many back-off steps in a row; 0 for none.
    pub backoff_step: u32,
    /// The last end, if there was one.
    pub last: Option<LastRun>,
    /// A run was begun then and its end is not known: it runs, or it ended with the boot (or the keeper).
    pub running: Option<Now>,
    /// The grace of that run is counted from then, and its stop signal has arrived.
    pub stop: Option<Mono>,
    /// That run, or the last one if none is begun since, was found unwell and is to be replaced; the grace that it
    /// has (or had), seconds.
    pub doomed: Option<u64>,
    /// The pod is started anew as a whole, and this container has not come to run again yet: its last end does not count.
    pub again: bool,
}

/// The last completed run of a container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LastRun {
    /// Which run.
    pub id: ContainerId,
    /// When it had started.
    pub started: Now,
    /// How it ended. `at.mono` is 0 if that was in an earlier boot.
    pub exit: Exit,
    /// What Kubernetes calls this kind of end, where `exit` does not say it.
    #[serde(default)]
    pub reason: EndReason,
    /// The termination message of an end that was seen, else a sentence for people; mostly empty.
    #[serde(default)]
    pub message: String,
}

/// Bytes of a sentence for people in [`LastRun::message`]; longer ones are cut.
pub const END_MESSAGE_LEN_MAX: usize = 512;
/// Bytes of a container's termination message; kubelet's. Of a file longer than that the last ones count.
pub const TERMINATION_MESSAGE_LEN_MAX: usize = 4096;
/// Bytes that the termination messages of all containers of a pod share evenly; kubelet's. Longer ones are cut.
pub const POD_TERMINATION_MESSAGES_LEN_MAX: usize = 12 * 1024;

/// Kinds of end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum EndReason {
    /// Its exit was seen: `Completed`, `Error` or `OOMKilled`.
    #[default]
    Exited,
    /// Its program could not be started: `StartError`.
    StartError,
    /// It was gone and nobody had seen how: `ContainerStatusUnknown`.
    Unknown,
}
