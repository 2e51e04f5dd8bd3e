//! Before anything else: configuration, logging, and whether this machine is one on which pods can run.

use super::{
    ahead,
    amounts::{reserved, withheld},
};
use crate::config::{Config, ConfigError, DEFAULT_PATH};
use berth_core::{
    cpus,
    node::{CPU, MEMORY},
    storage::EPHEMERAL,
};
use berth_images::{Platform, RecoveryReport, Registries, RegistrySettings, Store, StoreConfig};
use berth_oci::{
    cgroup,
    network::{Net, Network, Setup, cni},
    node::{self, MemoryQos, NodeFacts, Policy},
    paths::Roots,
    sandbox::Spares,
};
use std::{
    fmt, io, panic,
    path::{Path, PathBuf},
    sync::Arc,
    thread::{self, JoinHandle},
};
use tokio::sync::Notify;
use tracing::level_filters::LevelFilter;

/// What does not change while the agent lives.
#[derive(Debug)]
pub(crate) struct Env {
    /// The effective configuration.
    pub(crate) config: Config,
    /// The file that it is from, for messages.
    pub(crate) config_file: PathBuf,
    /// Where everything is.
    pub(crate) roots: Roots,
    /// The machine.
    pub(crate) node: NodeFacts,
    /// The image store.
    pub(crate) store: Store,
    /// The way to registries, if they may be asked.
    pub(crate) registries: Option<Registries>,
    /// Which images run here.
    pub(crate) platform: Platform,
    /// Containers may have processors to themselves.
    pub(crate) cpus: Option<cpus::Policy>,
    /// Namespaces for the next pod.
    pub(crate) spares: Spares,
    /// Where pods get their addresses.
    pub(crate) network: Arc<Network>,
    /// Rings when names of pods may have changed.
    pub(crate) names_changed: Arc<Notify>,
}

/// Why the agent cannot run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unfit {
    /// The configuration file is wrong.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// No unified cgroup hierarchy.
    #[error("{0}")]
    Cgroups(String),
    /// Directories, records or the node's facts.
    #[error("{0}")]
    Oci(#[from] berth_oci::Error),
    /// The image store.
    #[error("{0}")]
    Images(#[from] berth_images::Error),
    /// Something of the operating system.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl Unfit {
    /// It stays so until a person does something: another start would only say it again. A disk, on the other
    /// hand, may be there or have room in a moment.
    pub(super) fn is_lasting(&self) -> bool {
        matches!(self, Self::Config(_) | Self::Cgroups(_) | Self::Oci(berth_oci::Error::Config(_)))
    }
}

/// The store, and what was found in it.
type Opened = Result<(Store, RecoveryReport), berth_images::Error>;

/// Reads the configuration, looks at the machine, opens the store.
pub(super) fn prepare(config: Option<&Path>) -> Result<Env, Unfit> {
    let config_file = config.unwrap_or(Path::new(DEFAULT_PATH)).to_owned();
    let config = Config::load(config)?;
    start_logging(&config.log_level);
    raise_descriptor_limit();
    let roots = Roots {
        run: config.run_directory.clone(),
        state: config.state_directory.clone(),
        log: config.log_directory.clone(),
        cgroup: config.cgroup_mount.clone(),
        cgroup_root: config.cgroup_root.clone(),
        ..Roots::default()
    };
    roots.check()?;
    let opening = open_store(&config, &roots)?;
    let name = Some(&*config.hostname_override).filter(|name| !name.is_empty());
    let mut node = NodeFacts::read(&roots, name)?;
    let cpus = static_cpus(&config, &config_file)?;
    let names_changed = Arc::new(Notify::new());
    let bell = Arc::clone(&names_changed);
    let network = Network::new(&roots, network_setup(&config)).with_cni(cni_settings(&config));
    let network = Arc::new(network.ringing(move || bell.notify_one()));
    let spares = Spares::default();
    ahead::begin(&config, &roots, &network, &spares);
    node.policy = Policy {
        // -1 is kubelet's word for none.
        pod_pids_max: u64::try_from(config.pod_pids_limit).unwrap_or(0),
        seccomp_unconfined: !config.seccomp_default,
        cpu_unlimited: !config.cpu_c_f_s_quota,
        cpus_assigned: config.has_static_cpus(),
        memory_qos: config.memory_qos.then(|| MemoryQos {
            throttling_permille: config.memory_throttling_permille(),
            reserve: config.memory_reservation_policy == "TieredReservation",
        }),
        swap_limited: config.memory_swap.swap_behavior == "LimitedSwap",
        cluster_dns: config.cluster_d_n_s.clone(),
        pod_dns: network.name_server(),
        cluster_domain: config.cluster_domain.clone(),
        reserved_milli: reserved(&config).get(CPU).unwrap_or(0),
        reserved_memory_bytes: reserved(&config).get(MEMORY).unwrap_or(0),
        withheld_memory_bytes: withheld(&node, &config, MEMORY),
        withheld_storage_bytes: withheld(&node, &config, EPHEMERAL),
    };
    if !node.cgroup_unified {
        return Err(Unfit::Cgroups(no_unified_hierarchy(&roots.cgroup)));
    }
    if let Err(error) = cgroup::refresh_all(&roots, &node) {
        tracing::warn!(%error, "what all pods may use together stays as it was");
    }
    let (store, report) = opening.join().unwrap_or_else(|panic| panic::resume_unwind(panic))?;
    if !report.leftovers_removed.is_empty() {
        let count = report.leftovers_removed.len();
        tracing::info!(count, "what interrupted imports left in the image store is removed");
    }
    for what in &report.quarantined {
        tracing::warn!(what, "an image is set aside");
    }
    if report.verity_missing {
        let store = roots.store();
        tracing::warn!(store = %store.display(), "imageFsVerity: the store's file system has no fs-verity \
            (ext4: tune2fs -O verity); images are unpacked without");
    }
    let registries = config.registry_pull_enabled.then(|| {
        Registries::new(RegistrySettings {
            registries_conf: config.registries_conf_path.clone(),
            auth_file: config.registry_auth_path.clone(),
            certs_dirs: config.registry_certs_paths.0.clone(),
        })
    });
    let platform = Platform::host();
    let env = Env {
        config,
        config_file,
        roots,
        node,
        cpus,
        store,
        registries,
        platform,
        spares,
        network,
        names_changed,
    };
    Ok(env)
}

/// Opens the image store beside all else that is read and made first.
fn open_store(config: &Config, roots: &Roots) -> io::Result<JoinHandle<Opened>> {
    let config = StoreConfig {
        vendor_dirs: config.image_store_paths.0.clone(),
        policy_file: Some(config.image_policy_path.clone()),
        fs_verity: config.image_fs_verity,
        ..StoreConfig::new(roots.store(), config.image_source_paths.0.clone())
    };
    thread::Builder::new().name("berth-store".into()).spawn(move || Store::open(config))
}

/// Who may have which processors, by the configuration and those that are online now.
fn static_cpus(config: &Config, file: &Path) -> Result<Option<cpus::Policy>, ConfigError> {
    let cores = if config.has_static_cpus() { node::cores() } else { Vec::new() };
    let Some((policy, gone)) = config.static_cpus(file, cores)? else { return Ok(None) };
    if !gone.is_empty() {
        tracing::warn!(cpus = %gone, "reservedSystemCPUs: these are not online");
    }
    let (exclusive, reserved) = (policy.allocatable(), &policy.reserved);
    tracing::info!(%exclusive, %reserved, "cpuManagerPolicy static: CPUs that containers can have to themselves");
    Ok(Some(policy))
}

fn network_setup(config: &Config) -> Option<Setup> {
    let mtu = (config.pod_m_t_u > 0).then_some(config.pod_m_t_u);
    let named = config.networks.iter().map(|(name, network)| Net {
        name: name.clone(),
        ranges: network.pod_cidr,
        mtu: config.mtu_of(network),
        internal: network.internal,
    });
    let default = Net::default(config.pod_c_i_d_r, mtu);
    (config.network == "bridge").then(|| Setup { default, named: named.collect() })
}

/// CNI's part of the configuration.
pub(crate) fn cni_settings(config: &Config) -> cni::Settings {
    cni::Settings {
        wanted: config.network == "cni",
        conf_dir: config.cni_conf_dir.clone(),
        bin_dirs: config.cni_bin_dir.0.clone(),
        network: config.cni_network.clone(),
    }
}

/// What is wrong with a machine without cgroups v2 at `mount`, and what to do.
fn no_unified_hierarchy(mount: &Path) -> String {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let at = mount.display();
    let unified = mounts.lines().find_map(|line| {
        let mut words = line.split(' ');
        let place = words.nth(1)?;
        (words.next()? == "cgroup2").then(|| place.to_owned())
    });
    let found = match unified {
        Some(place) => format!("a unified hierarchy is at {place}, beside v1 controllers (\"hybrid\")"),
        None => "there is none".to_owned(),
    };
    format!(
        "{at} is not a unified cgroup hierarchy (cgroups v2), which Berth needs: {found}. With systemd, boot \
         with the kernel parameter systemd.unified_cgroup_hierarchy=1; without, `mount -t cgroup2 none {at}` \
         at boot and keep other programs from mounting cgroups v1. The key cgroupMount names another place. \
         `berth doctor` tells more."
    )
}

/// To stderr; journald has the time already. Ends silently if a subscriber is there (in tests).
fn start_logging(level: &str) {
    let wanted = std::env::var("BERTH_LOG").unwrap_or_else(|_| level.to_owned());
    let level = wanted.parse().unwrap_or(LevelFilter::INFO);
    let to_journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let format = tracing_subscriber::fmt().with_writer(io::stderr).with_max_level(level).with_target(false);
    let _ = match to_journal {
        true => tracing::subscriber::set_global_default(format.with_ansi(false).without_time().finish()),
        false => {
            let colour = io::IsTerminal::is_terminal(&io::stderr());
            tracing::subscriber::set_global_default(format.with_ansi(colour).finish())
        }
    };
}

/// A container costs eight descriptors, and there may be hundreds.
fn raise_descriptor_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        if soft < hard { setrlimit(Resource::RLIMIT_NOFILE, hard, hard) } else { Ok(()) }
    });
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit of open files cannot be raised");
    }
}

impl fmt::Display for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NodeFacts { name, kernel_release, architecture, .. } = &self.node;
        write!(f, "node {name}, kernel {kernel_release}, {architecture}")
    }
}

#[cfg(test)]
impl Env {
    /// Of a Berth that lives in `dir`.
    pub(crate) fn for_test(dir: &Path) -> Self {
        let roots = Roots {
            run: dir.join("run"),
            state: dir.join("state"),
            log: dir.join("log"),
            ..Roots::default()
        };
        let node = NodeFacts::read(&roots, Some("box")).unwrap();
        let (store, _) = Store::open(StoreConfig::new(roots.store(), Vec::new())).unwrap();
        let network = Arc::new(Network::none(&roots));
        Self {
            config: Config::default(),
            config_file: DEFAULT_PATH.into(),
            roots,
            node,
            cpus: None,
            store,
            registries: None,
            platform: Platform::host(),
            spares: Spares::default(),
            network,
            names_changed: Arc::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_unified_cgroups_is_told_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config.yaml");
        std::fs::write(&file, format!("cgroupMount: {}\n", dir.path().display())).unwrap();
        let error = prepare(Some(&file)).unwrap_err();
        assert!(error.is_lasting());
        let text = error.to_string();
        assert!(text.starts_with(&format!("{} is not a unified", dir.path().display())), "{text}");
        assert!(
            text.contains("systemd.unified_cgroup_hierarchy=1") && text.contains("berth doctor"),
            "{text}"
        );
    }
}
