//! The configuration and the node as source and core want to be told of them. Decides nothing, and reads nothing but the
//! salt of the node's uids.

use super::{
    amounts,
    boot::{Env, Unfit},
};
use crate::{
    config::Config,
    source::{Reports, Settings, UrlSettings, checkpoint, keepsake, salt},
};
use berth_core::{
    network::policy::Reach,
    node::CONTAINERS,
    world::{CONTAINERS_MAX, Labels, WorldConfig},
};
use std::time::Duration;

/// Seconds after a manifest's change when a copy of it is put on disk.
const COPY_AFTER_S: u64 = 5;

/// For the source of manifests.
pub(super) fn source(env: &Env, reports: Reports) -> Result<Settings, Unfit> {
    Ok(Settings {
        paths: env.config.static_pod_path.0.clone(),
        node: env.node.name.clone(),
        rescan: env.config.file_check_frequency.0,
        salt: salt(&env.roots.salt())?,
        copies: env.roots.state.join("lastgood"),
        copy_after: Duration::from_secs(COPY_AFTER_S),
        kept: keepsake::file::dir(&env.roots.state),
        urls: urls(env),
        reports,
    })
}

fn urls(env: &Env) -> UrlSettings {
    let Config { static_pod_u_r_l, static_pod_u_r_l_header, http_check_frequency, .. } = &env.config;
    UrlSettings {
        sources: static_pod_u_r_l.0.clone(),
        headers: static_pod_u_r_l_header.clone(),
        period: http_check_frequency.0,
        config: env.config_file.clone(),
        checkpoints: checkpoint::dir(&env.roots.state),
    }
}

/// For the core.
pub(super) fn world(env: &Env) -> WorldConfig {
    let crash_loop_back_off = &env.config.crash_loop_back_off;
    WorldConfig {
        boot_id: env.node.boot_id.clone(),
        allocatable: amounts::allocatable(&env.node, &env.config).with(CONTAINERS, CONTAINERS_MAX),
        capacity: amounts::capacity(&env.node, &env.config),
        crash_backoff_max_s: crash_loop_back_off.max_container_restart_period.0.as_secs(),
        allowed_unsafe_sysctls: env.config.allowed_unsafe_sysctls.clone(),
        app_armor: env.node.app_armor,
        se_linux: env.node.se_linux,
        node_name: env.node.name.clone(),
        node_labels: node_labels(env),
        policies: match env.config.network.as_str() {
            "bridge" => Reach::Own,
            "cni" => Reach::Plugins,
            _ => Reach::Nothing,
        },
        pressure: env.config.eviction(),
        shutdown: env.config.shutdown(),
        cpus: env.cpus.clone(),
        ..WorldConfig::default()
    }
}

/// The labels that kubelet gives its node, and those of the configuration.
fn node_labels(env: &Env) -> Labels {
    let own = [
        ("kubernetes.io/hostname", env.node.name.as_str()),
        ("kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", env.node.architecture.as_str()),
    ];
    let own = own.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned()));
    own.chain(env.config.node_labels.clone()).collect()
}
