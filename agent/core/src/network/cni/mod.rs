//! What is said to CNI plugins and what they answer, by the CNI specification 1.1
//! (github.com/containernetworking/cni, SPEC.md). Pure: no plugin is executed and no file read here.

mod conf;
mod reply;
mod request;

pub use conf::{List, Plugin, choose, is_conf_file};
pub use reply::{Reply, failure};
pub use request::{Attachment, Capabilities, Command, Runtime, container_id};

/// Versions of the specification that are spoken, the newest last.
pub const VERSIONS: [&str; 5] = ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];
/// The first one that knows CHECK.
const CHECK_SINCE: &str = "0.4.0";
/// The first one that knows GC.
const GC_SINCE: &str = "1.1.0";
/// Bytes of a configuration file of a network, and of a plugin's answer.
pub const TEXT_LEN_MAX_BYTES: usize = 1024 * 1024;
/// Plugins in one chain.
const PLUGINS_MAX: usize = 32;

/// Where a version stands among those that are spoken.
fn rank(version: &str) -> Option<usize> {
    VERSIONS.iter().position(|known| *known == version)
}

#[cfg(test)]
mod tests;
