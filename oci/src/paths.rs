//! Every path that Berth makes, in one place. Pure: no path is looked at here.
//!
//! All roots come from the configuration, so that a whole Berth can live in a temporary directory.

use crate::error::{Error, Result};
use berth_core::{
    ids::{ContainerId, PodUid},
    manifest::{
        DesiredPod,
        qos::{self, QosClass},
    },
};
use berth_keeper::protocol::{ID_LEN_MAX, PATH_LEN_MAX};
use std::path::{Path, PathBuf};

/// Bytes in a pod's uid; a manifest's own `metadata.uid` may not be longer.
pub const UID_LEN_MAX: usize = 64;
/// Bytes in a file name on all file systems in question.
pub const NAME_LEN_MAX: usize = 255;
/// The longest name of a QoS class' directory, with its slash.
const QOS_DIR_LEN_MAX: usize = "/besteffort".len();

/// The directories under which everything lies. Absolute, without a slash at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roots {
    /// On tmpfs, gone with the boot: `/run/berth`.
    pub run: PathBuf,
    /// On disk: `/var/lib/berth`.
    pub state: PathBuf,
    /// Logs: `/var/log`; `pods` and `containers` are below.
    pub log: PathBuf,
    /// Mount point of the unified cgroup hierarchy: `/sys/fs/cgroup`.
    pub cgroup: PathBuf,
    /// Above `kubepods`, relative to `cgroup`, normally empty: kubelet's `cgroupRoot`.
    pub cgroup_root: String,
    /// Directories of CDI specifications, the last one counting most: `/etc/cdi`, `/var/run/cdi`.
    pub cdi: Vec<PathBuf>,
    /// The node's own files, for pods that share them: `/etc`.
    pub node_etc: PathBuf,
    /// The resolver's file for pods whose dnsPolicy is `Default`: kubelet's `resolvConf`.
    pub resolv_conf: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Self {
            run: "/run/berth".into(),
            state: "/var/lib/berth".into(),
            log: "/var/log".into(),
            cgroup: "/sys/fs/cgroup".into(),
            cgroup_root: String::new(),
            cdi: vec!["/etc/cdi".into(), "/var/run/cdi".into()],
            node_etc: "/etc".into(),
            resolv_conf: "/etc/resolv.conf".into(),
        }
    }
}

impl Roots {
    /// Whether every path below these roots fits the keeper's messages, and the roots are absolute.
    ///
    /// # Errors
    /// [`Error::Config`] naming the root.
    pub fn check(&self) -> Result<()> {
        let named =
            [("run", &self.run), ("state", &self.state), ("log", &self.log), ("cgroup", &self.cgroup)];
        for (name, root) in named {
            if !root.is_absolute() {
                return Err(Error::Config(format!("{name} directory {root:?} is not an absolute path")));
            }
        }
        let bundle = self.run.as_os_str().len() + "/containers/".len() + ID_LEN_MAX;
        let cgroup = self.kubepods().as_os_str().len() + QOS_DIR_LEN_MAX + "/pod".len() + UID_LEN_MAX + 1;
        let longest = [("run", &self.run, bundle), ("cgroup", &self.cgroup, cgroup + ID_LEN_MAX)];
        for (name, root, len) in longest {
            if len > PATH_LEN_MAX {
                return Err(Error::Config(format!(
                    "{name} directory {root:?} is {} bytes too long: paths below it would not fit {PATH_LEN_MAX} bytes",
                    len - PATH_LEN_MAX
                )));
            }
        }
        Ok(())
    }

    /// The API's socket.
    pub fn socket(&self) -> PathBuf {
        self.run.join("berth.sock")
    }

    /// All pods' run-time directories.
    pub fn pods_run(&self) -> PathBuf {
        self.run.join("pods")
    }

    /// A pod's run-time directory.
    pub fn pod_run(&self, uid: &PodUid) -> PathBuf {
        self.pods_run().join(&*uid.0)
    }

    /// Which ids of the node stand for the pod's own, over reboots.
    pub fn pod_users(&self, uid: &PodUid) -> PathBuf {
        self.pod_state(uid).join(crate::users::ids::FILE)
    }

    /// A pod's record, written before anything else of its sandbox.
    pub fn pod_record(&self, uid: &PodUid) -> PathBuf {
        self.pod_run(uid).join("record.json")
    }

    /// Exists when the sandbox is complete.
    pub fn pod_ready(&self, uid: &PodUid) -> PathBuf {
        self.pod_run(uid).join("ready")
    }

    /// What its running containers were given after their start.
    pub fn pod_resized(&self, uid: &PodUid) -> PathBuf {
        self.pod_run(uid).join("resized.json")
    }

    /// A pod's pinned namespace: `net`, `ipc` or `uts`.
    pub fn pod_ns(&self, uid: &PodUid, kind: &str) -> PathBuf {
        self.pod_run(uid).join("ns").join(kind)
    }

    /// What the pod has on the network, written before any of it is made.
    pub fn pod_network(&self, uid: &PodUid) -> PathBuf {
        self.pod_run(uid).join("network.json")
    }

    /// There if the pod is on the node's network and asks our name server.
    pub fn pod_asks(&self, uid: &PodUid) -> PathBuf {
        self.pod_run(uid).join("asks-for-names")
    }

    /// NetworkPolicies as they were last in force.
    pub fn policies(&self) -> PathBuf {
        self.run.join("policies.json")
    }

    /// Which pod has which address, over reboots.
    pub fn leases(&self) -> PathBuf {
        self.state.join("network").join("leases.json")
    }

    /// What CNI plugins have made for the pod; there only if they have.
    pub fn pod_plugged(&self, uid: &PodUid) -> PathBuf {
        self.pod_run(uid).join("cni.json")
    }

    /// What CNI plugins were asked to make, over reboots: a file for each pod.
    pub fn cni_caches(&self) -> PathBuf {
        self.state.join("network").join("cni")
    }

    /// As [`Self::cni_caches`], the pod's.
    pub fn cni_cache(&self, uid: &PodUid) -> PathBuf {
        self.cni_caches().join(format!("{uid}.json"))
    }

    /// The cgroup of the plugins that work for a pod; there only while they do.
    pub fn cni_cgroup(&self, uid: &PodUid) -> PathBuf {
        self.cgroup.join(&self.cgroup_root).join("berth-cni").join(&*uid.0)
    }

    /// Interfaces of the node that the pod has, or gets.
    pub fn pod_attachments(&self, uid: &PodUid) -> PathBuf {
        self.pod_run(uid).join("attachments.json")
    }

    /// A small tmpfs with the pod's `hosts`, `hostname` and `resolv.conf`.
    pub fn pod_etc(&self, uid: &PodUid) -> PathBuf {
        self.pod_run(uid).join("etc")
    }

    /// The tmpfs that the pod's containers see as `/dev/shm`.
    pub fn pod_shm(&self, uid: &PodUid) -> PathBuf {
        self.pod_run(uid).join("shm")
    }

    /// Mount point of an emptyDir volume with medium `Memory`.
    pub fn pod_memory_volume(&self, uid: &PodUid, volume: &str) -> PathBuf {
        self.pod_run(uid).join("volumes").join(volume)
    }

    /// Where the subPath mounts of one run are held.
    pub fn pod_subpaths(&self, uid: &PodUid, id: &ContainerId) -> PathBuf {
        self.pod_run(uid).join("subpaths").join(&*id.0)
    }

    /// All pods' directories on disk.
    pub fn pods_state(&self) -> PathBuf {
        self.state.join("pods")
    }

    /// A pod's directory on disk.
    pub fn pod_state(&self, uid: &PodUid) -> PathBuf {
        self.pods_state().join(&*uid.0)
    }

    /// An emptyDir volume on disk.
    pub fn pod_disk_volume(&self, uid: &PodUid, volume: &str) -> PathBuf {
        self.pod_state(uid).join("volumes").join(volume)
    }

    /// What PersistentVolumeClaims stand for; never removed.
    pub fn claims(&self) -> PathBuf {
        self.state.join("claims")
    }

    /// A claim's directory.
    pub fn claim(&self, namespace: &str, name: &str) -> PathBuf {
        self.claims().join(namespace).join(name)
    }

    /// A pod's checkpoint.
    pub fn checkpoint(&self, uid: &PodUid) -> PathBuf {
        self.pod_state(uid).join("checkpoint")
    }

    /// All containers' run-time directories.
    pub fn containers_run(&self) -> PathBuf {
        self.run.join("containers")
    }

    /// A container's bundle.
    pub fn bundle(&self, id: &ContainerId) -> PathBuf {
        self.containers_run().join(&*id.0)
    }

    /// A container's record, written before anything else of it.
    pub fn container_record(&self, id: &ContainerId) -> PathBuf {
        self.bundle(id).join("record.json")
    }

    /// The directory that libcontainer is given; a directory per container is in it.
    pub fn runtime_state(&self) -> PathBuf {
        self.run.join("state")
    }

    /// All containers' directories on disk.
    pub fn containers_state(&self) -> PathBuf {
        self.state.join("containers")
    }

    /// A container's directory on disk: `upper`, `work`, `termination-log`.
    pub fn container_state(&self, id: &ContainerId) -> PathBuf {
        self.containers_state().join(&*id.0)
    }

    /// The file mounted at a container's `terminationMessagePath`. On disk, because the container may
    /// write as much as it likes.
    pub fn termination_log(&self, id: &ContainerId) -> PathBuf {
        self.container_state(id).join("termination-log")
    }

    /// Random bytes that hide the values of objects in the uids of pods.
    pub fn salt(&self) -> PathBuf {
        self.state.join("salt")
    }

    /// Compiled seccomp filters for the next boot.
    pub(crate) fn filters(&self) -> PathBuf {
        self.state.join("filters")
    }

    /// The image store.
    pub fn store(&self) -> PathBuf {
        self.state.join("store")
    }

    /// Where images are dropped.
    pub fn images(&self) -> PathBuf {
        self.state.join("images")
    }

    /// The `kubepods` cgroup.
    pub fn kubepods(&self) -> PathBuf {
        match self.cgroup_root.trim_matches('/') {
            "" => self.cgroup.join("kubepods"),
            root => self.cgroup.join(root).join("kubepods"),
        }
    }

    /// A pod's cgroup, by its class.
    pub fn pod_cgroup(&self, pod: &DesiredPod) -> PathBuf {
        let class = match qos::of(&pod.pod) {
            QosClass::Guaranteed => "",
            QosClass::Burstable => "burstable",
            QosClass::BestEffort => "besteffort",
        };
        self.kubepods().join(class).join(format!("pod{}", pod.uid))
    }

    /// A container's cgroup: a leaf for the keeper, though the container may make its own below it.
    pub fn container_cgroup(&self, pod: &DesiredPod, id: &ContainerId) -> PathBuf {
        self.pod_cgroup(pod).join(&*id.0)
    }

    /// All pods' log directories.
    pub fn pods_log(&self) -> PathBuf {
        self.log.join("pods")
    }

    /// A pod's log directory.
    pub fn pod_log(&self, pod: &DesiredPod) -> PathBuf {
        self.pods_log().join(format!("{}_{}_{}", pod.key.namespace, pod.key.name, pod.uid))
    }

    /// A container's log directory, with `<attempt>.log` in it.
    pub fn container_log(&self, pod: &DesiredPod, container: &str) -> PathBuf {
        self.pod_log(pod).join(container)
    }

    /// The log of one run.
    pub fn log_file(&self, pod: &DesiredPod, container: &str, attempt: u32) -> PathBuf {
        self.container_log(pod, container).join(format!("{attempt}.log"))
    }

    /// All links to logs, where collectors look for them.
    pub fn log_links(&self) -> PathBuf {
        self.log.join("containers")
    }

    /// The link to the log of one run; its name is cut as kubelet cuts it.
    pub fn log_link(&self, pod: &DesiredPod, container: &str, id: &ContainerId) -> PathBuf {
        const SUFFIX: &str = ".log";
        let mut name = format!("{}_{}_{container}-{id}", pod.key.name, pod.key.namespace);
        let mut end = name.len().min(NAME_LEN_MAX - SUFFIX.len());
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        name.truncate(end);
        self.log_links().join(name + SUFFIX)
    }
}

/// Whether a pod's uid can be a directory's name. One from a manifest's own `metadata.uid` might not be, and
/// what lies under `..` is nobody's to remove.
pub fn is_file_name(uid: &PodUid) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let name = &*uid.0;
    !matches!(name, "" | "." | "..") && name.len() <= UID_LEN_MAX && name.bytes().all(plain)
}

/// `path` as text, for messages and JSON that cannot carry other bytes.
///
/// # Errors
/// [`Error::Config`]: the path is not UTF-8.
pub fn utf8(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| Error::Config(format!("path {path:?} is not UTF-8: rename it")))
}

#[cfg(test)]
mod tests;
