//! What is so on this machine. Everything that cannot be seen is `None` or `Unknown`, never an error.

mod devices;
mod kconfig;
mod network;
mod overlay;
mod read;

pub(super) use kconfig::read_file as kernel_config;

use crate::config::Config;
use std::{collections::BTreeMap, path::PathBuf};

/// Namespaces that pods are made of, as in /proc/self/ns.
pub(super) const NAMESPACES: [&str; 6] = ["net", "ipc", "uts", "pid", "mnt", "user"];

/// See the module.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    /// `uname -r`.
    pub(super) kernel: String,
    /// Effective user is root.
    pub(super) is_root: bool,
    /// The cgroup hierarchies.
    pub(super) cgroup: Cgroups,
    /// Of [`NAMESPACES`], those that the kernel has.
    pub(super) namespaces: Vec<&'static str>,
    /// overlayfs is there, or a module for it.
    pub(super) overlay_known: bool,
    /// An overlay on the state directory's file system.
    pub(super) overlay: Trial,
    /// Filters for system calls.
    pub(super) seccomp: bool,
    /// Loading a device filter.
    pub(super) device_filter: Trial,
    /// Inotify instances that a user may have.
    pub(super) inotify_instances: Option<u64>,
    /// Inotify watches that a user may have.
    pub(super) inotify_watches: Option<u64>,
    /// Pressure stall information.
    pub(super) psi: bool,
    /// Kernel options with their values; None when they cannot be read.
    pub(super) kernel_options: Option<BTreeMap<String, String>>,
    /// Pods are to have a network of ours.
    pub(super) network_wanted: bool,
    /// The networks that the configuration has, in words.
    pub(super) networks: Vec<String>,
    /// Bridges of those that firewalld, which runs, does not know.
    pub(super) firewalled: Vec<String>,
    /// A CNI network with all its plugins, if pods are to have that.
    pub(super) cni: Option<Trial>,
    /// A bridge and an interface on it.
    pub(super) network: Trial,
    /// The rules of pods' packets.
    pub(super) packet_rules: Trial,
    /// The rules for the bridge, by which a pod sends as itself only.
    pub(super) own_addresses: Trial,
    /// Another program has the port of names on all addresses of the node.
    pub(super) names_port_taken: bool,
    /// The file system of the state directory.
    pub(super) state: Option<Space>,
    /// The run directory, and whether it is on a tmpfs.
    pub(super) run: Option<(PathBuf, bool)>,
    /// The socket's group: its name, and whether it exists and this user is in it.
    pub(super) group: Option<Group>,
    /// Seconds since 1970.
    pub(super) now_s: u64,
}

/// Result of trying something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trial {
    /// It works.
    Works,
    /// It does not, and why.
    Fails(String),
    /// It cannot be tried, and why.
    Unknown(String),
}

impl Default for Trial {
    fn default() -> Self {
        Self::Unknown("not tried".into())
    }
}

/// The cgroup hierarchies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Cgroups {
    /// Where the unified hierarchy should be.
    pub(super) mount: PathBuf,
    /// What is mounted there: `cgroup2`, `tmpfs`…; None for nothing.
    pub(super) kind: Option<String>,
    /// Its mount options, and those of its super block.
    pub(super) options: Vec<String>,
    /// Where else the unified hierarchy is mounted.
    pub(super) elsewhere: Option<PathBuf>,
    /// Controllers that old (v1) hierarchies have taken.
    pub(super) v1: Vec<String>,
    /// Controllers that pods can be given.
    pub(super) controllers: Vec<String>,
    /// Controllers that the kernel was told to leave out (`cgroup_disable=`).
    pub(super) disabled: Vec<String>,
}

/// A file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Space {
    /// A directory on it.
    pub(super) path: PathBuf,
    /// Bytes that can still be written.
    pub(super) free_bytes: u64,
    /// Files that can still be made; None when the file system does not count them.
    pub(super) free_inodes: Option<u64>,
    /// It is mounted read-only.
    pub(super) read_only: bool,
}

/// A group of users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) exists: bool,
    pub(super) is_member: bool,
}

/// Looks at everything. As root it tries some things out in a mount namespace of its own.
pub(super) fn gather(config: &Config) -> Facts {
    let kernel = read::line("/proc/sys/kernel/osrelease");
    let is_root = nix::unistd::geteuid().is_root();
    let filesystems = read::text("/proc/filesystems");
    let (network, packet_rules, own_addresses) = network::attempt();
    let has_overlay = filesystems.lines().any(|line| line.split_whitespace().last() == Some("overlay"));
    Facts {
        cgroup: read::cgroups(&config.cgroup_mount, &config.cgroup_root),
        namespaces: NAMESPACES
            .into_iter()
            .filter(|ns| read::exists(&format!("/proc/self/ns/{ns}")))
            .collect(),
        overlay_known: has_overlay || read::has_module(&kernel, "overlay"),
        overlay: overlay::attempt(&config.state_directory, is_root),
        seccomp: read::text("/proc/sys/kernel/seccomp/actions_avail").contains("errno"),
        device_filter: devices::load_filter(),
        inotify_instances: read::number("/proc/sys/fs/inotify/max_user_instances"),
        inotify_watches: read::number("/proc/sys/fs/inotify/max_user_watches"),
        psi: !read::text("/proc/pressure/memory").is_empty(),
        kernel_options: kconfig::read(&kernel),
        network_wanted: config.network == "bridge",
        networks: network::configured(config),
        firewalled: network::firewalled(config, is_root),
        cni: network::plugins(config),
        network,
        packet_rules,
        own_addresses,
        names_port_taken: network::is_names_port_taken(),
        state: read::space(&config.state_directory),
        run: read::is_tmpfs(&config.run_directory).map(|tmpfs| (config.run_directory.clone(), tmpfs)),
        group: read::group(&config.api_socket_group),
        now_s: read::now_s(),
        kernel,
        is_root,
    }
}
