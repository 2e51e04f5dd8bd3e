//! The language between the command line and the agent, over the unix socket: one JSON document a line,
//! a [`Request`] and then [`Reply`] lines until the agent closes. Terminals and files travel as
//! descriptors (`SCM_RIGHTS`), so that no byte of an `exec` passes through the agent.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Bytes in one request line; a longer one is refused.
pub(crate) const REQUEST_LEN_MAX_BYTES: usize = 64 * 1024;

/// What a client may ask: one per connection.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "camelCase", deny_unknown_fields)]
pub(crate) enum Request {
    /// All pods, as a `v1.PodList` with status. With `watch`: the list again after each change.
    #[serde(rename_all = "camelCase")]
    Pods {
        /// Go on telling.
        #[serde(default)]
        watch: bool,
    },
    /// The events, oldest first, as a `v1.EventList`. With `watch`: then each new one as a `v1.Event`.
    #[serde(rename_all = "camelCase")]
    Events {
        /// Go on telling.
        #[serde(default)]
        watch: bool,
    },
    /// The image store: `{"items":[{"names":[…],"id":…,"digest":…,"sizeBytes":…,"usedBy":[…]}]}`.
    Images,
    /// Do something with the image store; answers are said at each operation.
    #[serde(rename_all = "camelCase")]
    Image {
        /// What.
        operation: ImageOperation,
    },
    /// The problems of manifests, and what is to be said of sources and is wrong with no manifest:
    /// `{"items":[core::manifest::Problem…],"notices":[…]}`.
    Problems,
    /// ConfigMaps, Secrets and PersistentVolumeClaims, without their values:
    /// `{"items":[{"kind":…,"namespace":…,"name":…,"type":…,"keys":[…],"immutable":…,"storage":…,"file":…}]}`.
    Objects,
    /// Where manifests come from, in order: `{"items":[{"kind":"Path"|"URL","location":…,"state":…,"message":…,
    /// "pods":n,"failures":n,"lastAsked":…,"lastGood":…}…]}`; of a path only the first two and the pods.
    Sources,
    /// The node, as a `v1.Node`.
    Node,
    /// What node and pods use at this moment, as kubelet's Summary API (`stats/v1alpha1`) has it and
    /// `core::view::summary` says: `{"node":{…},"pods":[…]}`, without rates.
    #[serde(rename_all = "camelCase")]
    Usage {
        /// Count what pods have on disk, too: that may take seconds.
        #[serde(default)]
        storage: bool,
    },
    /// The effective configuration as JSON.
    Config,
    /// Where a container's log lies: `{"directory":…,"restartCount":n,"running":bool,"pod":…}`.
    #[serde(rename_all = "camelCase")]
    LogLocation {
        /// Namespace.
        namespace: String,
        /// Pod name, with or without the node's suffix.
        pod: String,
        /// Container; may be left out when the pod has one.
        container: Option<String>,
    },
    /// Run a command in a container. Beside the request: stdin, stdout, stderr; with `tty` one socket that
    /// receives the pty's master. Replies: `{"started":true}`, at the end `{"exitCode":n}`.
    #[serde(rename_all = "camelCase")]
    Exec {
        /// Namespace.
        namespace: String,
        /// Pod name, with or without the node's suffix.
        pod: String,
        /// Container; may be left out when the pod has one.
        container: Option<String>,
        /// The command; not empty.
        command: Vec<String>,
        /// A terminal is wanted.
        tty: bool,
    },
    /// Replace keeper and agent by the program at `path`, pods running on: `{"keeperPid":n,"agentPid":n}` of the
    /// keeper that runs it now and of the agent that answers, which then makes room for one of the new program.
    #[serde(rename_all = "camelCase")]
    Upgrade {
        /// Absolute path of the new program.
        path: String,
    },
    /// Version, pids, start times of the agent and the keeper.
    Status,
    /// Stop all pods as if no manifest were there, until the agent is started again: `{}`.
    Drain,
    /// Stop all containers because the machine goes down, and begin nothing until the agent is started again: `{}`.
    Halt,
    /// What this boot took: `{"keeper":{"pid":…},"agent":{"pid":…},"containers":[{"namespace":…,"pod":…,
    /// "container":…,"restarts":n,"sinceNs":n}]}`, of each container that runs since when (`CLOCK_BOOTTIME`).
    Boot,
}

/// What can be done with the image store. Images are named by reference, or by id or its beginning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) enum ImageOperation {
    /// Take in all images of an archive, a layout or a directory of these: `{"names":[…],"skipped":[…]}`.
    Import {
        /// Absolute, as the agent sees it.
        path: String,
    },
    /// Fetch an image from its registry, if the store does not have it as it is there: `{"name":…,"digest":…}`.
    Pull {
        /// Which.
        image: String,
    },
    /// What is being unpacked and what is being fetched, by whomever:
    /// `{"items":[{"name":…,"doing":"unpacking","bytes":n,"ofBytes":n}]}`, or `fetching`; `ofBytes` is 0 while the size is
    /// not known.
    Progress,
    /// Write an image as an OCI archive to the one descriptor beside the request: `{"name":…,"digest":…}`.
    Export {
        /// Which.
        image: String,
    },
    /// Remove images, or names of images that have several: `{"removed":[…],"untagged":[…]}`. What is in use or
    /// pinned stays unless forced.
    Remove {
        /// Which.
        images: Vec<String>,
        /// Also what a manifest names or the owner pinned; never what a container uses.
        #[serde(default)]
        force: bool,
    },
    /// Keep images from being collected, or let them go again: `{}`.
    Pin {
        /// Which.
        images: Vec<String>,
        /// False to let go.
        keep: bool,
    },
    /// Remove images that nothing needs: `{"removed":[…],"freedBytes":n}`.
    #[serde(rename_all = "camelCase")]
    Prune {
        /// Those with names too.
        #[serde(default)]
        all: bool,
        /// Only tell.
        #[serde(default)]
        dry_run: bool,
    },
    /// All about one image.
    Inspect {
        /// Which.
        image: String,
    },
    /// Read all and hold it against its digests:
    /// `{"images":n,"layers":n,"unknown":n,"damage":[{"images":[…],"what":…,"repaired":bool,"whyNot":…}]}`.
    Verify {
        /// Import again what is damaged.
        #[serde(default)]
        repair: bool,
    },
}

/// One line of an answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Reply {
    /// What was asked for; its form is said at each request.
    Data(Value),
    /// It did not work; the last line.
    #[serde(rename_all = "camelCase")]
    Error {
        /// Kubernetes' reason: `NotFound`, `BadRequest`, `Conflict`, `InternalError`.
        reason: String,
        /// For people.
        message: String,
    },
}
