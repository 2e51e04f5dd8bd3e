//! A specification file of the Container Device Interface, version 0.3 to 1.0, as far as Berth carries it out. What
//! it does not is an error of the device that asks for it.

use serde::Deserialize;

/// A file: one kind of device.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SpecFile {
    /// Of the format.
    pub(super) cdi_version: String,
    /// `vendor/class`.
    pub(super) kind: String,
    /// For people.
    #[serde(default, rename = "annotations")]
    _annotations: serde::de::IgnoredAny,
    /// By their names.
    #[serde(default)]
    pub(super) devices: Vec<Device>,
    /// With each of them.
    #[serde(default)]
    pub(super) container_edits: Edits,
}

/// One device.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Device {
    /// In its kind.
    pub(super) name: String,
    /// For people.
    #[serde(default, rename = "annotations")]
    _annotations: serde::de::IgnoredAny,
    /// What a container with it gets.
    #[serde(default)]
    pub(super) container_edits: Edits,
}

/// What a container gets.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Edits {
    /// `NAME=value`.
    pub(crate) env: Vec<String>,
    /// Device nodes.
    pub(crate) device_nodes: Vec<Node>,
    /// Files and directories of the node's.
    pub(crate) mounts: Vec<Mount>,
    /// Programs of the node's that prepare the container.
    pub(crate) hooks: Vec<Hook>,
    /// Groups of its process.
    #[serde(rename = "additionalGids")]
    pub(crate) additional_gids: Vec<u32>,
    /// Not carried out.
    pub(crate) intel_rdt: Option<serde::de::IgnoredAny>,
    /// Not carried out.
    pub(crate) net_devices: Vec<serde::de::IgnoredAny>,
}

/// A device node; what is not said is as on the node.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Node {
    /// In the container.
    pub(crate) path: String,
    /// On the node, if that is another one.
    pub(crate) host_path: String,
    /// `c`, `u` (the same) or `b`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// Numbers.
    pub(crate) major: Option<u32>,
    /// See `major`.
    pub(crate) minor: Option<u32>,
    /// Permissions.
    pub(crate) file_mode: Option<u32>,
    /// Letters of `rwm`; all if there are none.
    pub(crate) permissions: String,
    /// Owner.
    pub(crate) uid: Option<u32>,
    /// Group.
    pub(crate) gid: Option<u32>,
}

/// A file or directory of the node's.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Mount {
    /// On the node.
    pub(crate) host_path: String,
    /// In the container.
    pub(crate) container_path: String,
    /// As of mount(8).
    pub(crate) options: Vec<String>,
    /// Only `bind`, or nothing.
    #[serde(rename = "type")]
    pub(crate) kind: String,
}

/// A program.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Hook {
    /// When.
    pub(crate) hook_name: String,
    /// Of the node's.
    pub(crate) path: String,
    /// With its name first.
    pub(crate) args: Option<Vec<String>>,
    /// `NAME=value`.
    pub(crate) env: Option<Vec<String>>,
    /// Seconds.
    pub(crate) timeout: Option<i64>,
}

/// When hooks are run here.
pub(crate) const HOOKS: [&str; 4] = ["prestart", "createRuntime", "createContainer", "startContainer"];
/// Options of mounts that have an effect here, or none anywhere.
const OPTIONS: [&str; 10] =
    ["ro", "rw", "bind", "rbind", "nosuid", "nodev", "noexec", "private", "rprivate", "relatime"];

impl Edits {
    /// Both together.
    pub(super) fn and(mut self, other: &Self) -> Self {
        self.env.extend(other.env.iter().cloned());
        self.device_nodes.extend(other.device_nodes.iter().cloned());
        self.mounts.extend(other.mounts.iter().cloned());
        self.hooks.extend(other.hooks.iter().cloned());
        self.additional_gids.extend(&other.additional_gids);
        self.intel_rdt = self.intel_rdt.or(other.intel_rdt);
        self.net_devices.extend(other.net_devices.iter().copied());
        self
    }

    /// What of them cannot be carried out.
    ///
    /// # Errors
    /// The first of it, in words.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.intel_rdt.is_some() || !self.net_devices.is_empty() {
            return Err("intelRdt and netDevices are not supported".to_owned());
        }
        if let Some(line) = self.env.iter().find(|line| line.find('=').is_none_or(|at| at == 0)) {
            return Err(format!("env {line:?} is not NAME=value"));
        }
        for node in &self.device_nodes {
            let host = if node.host_path.is_empty() { &node.path } else { &node.host_path };
            if !super::is_clean(&node.path) || !node.path.starts_with("/dev/") || !super::is_clean(host) {
                return Err(format!("device node {:?} is no path below /dev", node.path));
            }
            if !["", "b", "c", "u"].contains(&&*node.kind) {
                return Err(format!("device node {}: type {:?} is neither b nor c", node.path, node.kind));
            }
            if node.permissions.chars().any(|c| !"rwm".contains(c)) {
                return Err(format!("device node {}: permissions {:?}", node.path, node.permissions));
            }
        }
        for mount in &self.mounts {
            if !super::is_clean(&mount.host_path) || !super::is_clean(&mount.container_path) {
                return Err(format!("mount {:?} is no absolute path", mount.container_path));
            }
            if !["", "bind"].contains(&&*mount.kind) {
                return Err(format!(
                    "mount {}: type {:?} is not supported",
                    mount.container_path, mount.kind
                ));
            }
            if let Some(option) = mount.options.iter().find(|option| !OPTIONS.contains(&option.as_str())) {
                return Err(format!("mount {}: option {option:?} is not supported", mount.container_path));
            }
        }
        match self.hooks.iter().find(|hook| !HOOKS.contains(&hook.hook_name.as_str())) {
            Some(hook) => Err(format!("hook {:?}: there are {}", hook.hook_name, HOOKS.join(", "))),
            None => match self.hooks.iter().find(|hook| !super::is_clean(&hook.path)) {
                Some(hook) => Err(format!("hook {:?} is no absolute path", hook.path)),
                None => Ok(()),
            },
        }
    }
}
