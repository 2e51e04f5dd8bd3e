//! Whether a configuration file is right: every unknown key with a guess at what was meant, every value in
//! its range, all at once and with its place. Pure.

use super::{Config, KEYS, Key, cpus, eviction, networks};
use berth_core::{manifest::quantity, world::sysctl};
use std::{
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

/// Everything wrong with a configuration file.
#[derive(Debug, thiserror::Error)]
pub(crate) struct ConfigError {
    file: PathBuf,
    /// (line, column, what), line 0 for the file as a whole.
    faults: Vec<(usize, usize, String)>,
}

impl ConfigError {
    /// A fault of the file as a whole.
    pub(super) fn whole(file: &Path, what: String) -> Self {
        Self { file: file.into(), faults: vec![(0, 0, what)] }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (line, column, what)) in self.faults.iter().enumerate() {
            let newline = if i == 0 { "" } else { "\n" };
            match line {
                0 => write!(f, "{newline}{}: {what}", self.file.display())?,
                _ => write!(f, "{newline}{}:{line}:{column}: {what}", self.file.display())?,
            }
        }
        Ok(())
    }
}

/// The configuration that `text` says; `file` is for messages only.
///
/// # Errors
/// All unknown keys and all values out of range; of values of the wrong type only the first.
pub(crate) fn parse(file: &Path, text: &str) -> Result<Config, ConfigError> {
    let fault = |faults| ConfigError { file: file.into(), faults };
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(Config::default());
    }
    let tree: serde_yaml::Value = serde_yaml::from_str(text).map_err(|e| fault(vec![located(&e)]))?;
    let unknown = unknown_keys(&tree, text);
    if !unknown.is_empty() {
        return Err(fault(unknown));
    }
    let mut config: Config = serde_yaml::from_str(text).map_err(|e| fault(vec![located(&e)]))?;
    eviction::complete(&mut config);
    config.static_pod_u_r_l.locate(text, line_of(text, "staticPodURL"));
    let ranges = out_of_range(&config);
    let mut faults: Vec<_> =
        ranges.into_iter().map(|(key, what)| (line_of(text, key), 1, format!("{key}: {what}"))).collect();
    faults.extend(networks::faults(&config, text));
    if faults.is_empty() { Ok(config) } else { Err(fault(faults)) }
}

/// A fault of the YAML reader.
fn located(e: &serde_yaml::Error) -> (usize, usize, String) {
    let (line, column) = e.location().map_or((0, 0), |at| (at.line(), at.column()));
    let what = e.to_string();
    // The reader repeats the place at the end of its sentence.
    (line, column, what.split(" at line ").next().unwrap_or_default().to_owned())
}

/// Kubelet's keys for what is done otherwise here.
const REFUSED: [(&str, &str); 1] = [(
    "shutdownGracePeriodByPodPriority",
    "pods go from the lowest priority to the highest and share shutdownGracePeriod; set that and \
     shutdownGracePeriodCriticalPods",
)];

/// Keys at the top level that do not exist.
fn unknown_keys(tree: &serde_yaml::Value, text: &str) -> Vec<(usize, usize, String)> {
    let serde_yaml::Value::Mapping(map) = tree else {
        return Vec::new(); // the typed reading says what is wrong
    };
    let known: Vec<String> = KEYS.iter().map(Key::name).collect();
    let unknown = map.keys().filter_map(|k| k.as_str()).filter(|k| !known.iter().any(|n| n == k));
    unknown
        .map(|key| {
            if let Some((_, why)) = REFUSED.iter().chain(&cpus::REFUSED).find(|(refused, _)| *refused == key)
            {
                return (line_of(text, key), 1, format!("{key}: not supported: {why}"));
            }
            let guess = nearest(key, &known).map(|n| format!("; did you mean {n}?")).unwrap_or_default();
            let advice = if guess.is_empty() { " (`berth config` lists all keys)" } else { "" };
            (line_of(text, key), 1, format!("unknown key {key}{guess}{advice}"))
        })
        .collect()
}

/// The line, from 1, on which the top-level `key` stands; 0 when it is written in some unusual way.
pub(super) fn line_of(text: &str, key: &str) -> usize {
    let is_here = |line: &str| {
        let line = line.trim_start_matches(['"', '\'', '{']);
        line.strip_prefix(key).is_some_and(|rest| rest.trim_start_matches(['"', '\'', ' ']).starts_with(':'))
    };
    text.lines().position(is_here).map_or(0, |i| i + 1)
}

/// The known key that is at most a third of its letters away.
fn nearest<'a>(key: &str, known: &'a [String]) -> Option<&'a str> {
    let distance = |name: &str| edits(&key.to_lowercase(), &name.to_lowercase());
    let best = known.iter().min_by_key(|name| distance(name))?;
    (distance(best) * 3 <= best.len().max(key.len())).then_some(best)
}

/// Levenshtein's distance in characters.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// Values that their type allows and their meaning does not, by key.
fn out_of_range(config: &Config) -> Vec<(&'static str, String)> {
    let mut faults = Vec::new();
    let mut expect = |ok: bool, key: &'static str, what: &str| {
        if !ok {
            faults.push((key, what.to_owned()));
        }
    };
    expect((1..=256).contains(&config.max_pods), "maxPods", "must be 1 to 256");
    expect(
        config.pod_pids_limit == -1 || config.pod_pids_limit > 0,
        "podPidsLimit",
        "must be -1 or more than 0",
    );
    let (factor, swap) = (config.memory_throttling_factor, config.memory_swap.swap_behavior.as_str());
    expect((0.0..=1.0).contains(&factor), "memoryThrottlingFactor", "must be 0 to 1");
    expect(
        ["None", "TieredReservation"].contains(&config.memory_reservation_policy.as_str()),
        "memoryReservationPolicy",
        "must be None or TieredReservation",
    );
    expect(
        ["NoSwap", "LimitedSwap"].contains(&swap),
        "memorySwap",
        "swapBehavior must be NoSwap or LimitedSwap",
    );
    let networks = ["bridge", "cni", "none"];
    expect(networks.contains(&config.network.as_str()), "network", "must be bridge, cni or none");
    let mtu = config.pod_m_t_u;
    // RFC 8200 section 5: IPv6 needs 1280.
    expect(mtu == 0 || (1280..=65_535).contains(&mtu), "podMTU", "must be 0, or 1280 to 65535");
    let addresses = config.cluster_d_n_s.iter().all(|server| server.parse::<IpAddr>().is_ok());
    expect(addresses, "clusterDNS", "must be IP addresses, like 192.0.2.1 or 2001:db8::1");
    let domain = &config.cluster_domain;
    expect(domain.is_empty() || is_dns_name(domain), "clusterDomain", "must be a DNS name in lower case");
    let own = config.allowed_unsafe_sysctls.iter().all(|pattern| sysctl::is_namespaced(pattern));
    expect(
        own,
        "allowedUnsafeSysctls",
        "each must be a setting that a pod has for itself: net.*, kernel.shm*, kernel.msg*, kernel.sem, fs.mqueue.*",
    );
    for (key, reserved) in
        [("kubeReserved", &config.kube_reserved), ("systemReserved", &config.system_reserved)]
    {
        let known = |name: &str| ["cpu", "memory", "ephemeral-storage"].contains(&name);
        let amount = |text: &str| quantity::parse(text).is_ok_and(|amount| !amount.is_negative());
        let right = reserved.iter().all(|(name, text)| known(name) && amount(text));
        expect(
            right,
            key,
            "must have amounts of cpu, memory and ephemeral-storage only, like {memory: 64Mi}",
        );
    }
    let second = Duration::from_secs(1);
    expect(config.file_check_frequency.0 >= second, "fileCheckFrequency", "must be 1s or more");
    expect(config.http_check_frequency.0 >= second, "httpCheckFrequency", "must be 1s or more");
    expect(config.container_log_max_size.0 >= 16 << 10, "containerLogMaxSize", "must be 16Ki or more");
    expect((2..=100).contains(&config.container_log_max_files), "containerLogMaxFiles", "must be 2 to 100");
    let longest = config.crash_loop_back_off.max_container_restart_period.0;
    let period = (second..=Duration::from_secs(300)).contains(&longest);
    expect(period, "crashLoopBackOff", "maxContainerRestartPeriod must be 1s to 300s");
    let (all, critical) = (config.shutdown_grace_period.0, config.shutdown_grace_period_critical_pods.0);
    expect(all.is_zero() || all >= second, "shutdownGracePeriod", "must be 0s or 1s or more");
    expect(
        all.is_zero() || critical <= all,
        "shutdownGracePeriodCriticalPods",
        "must be no more than shutdownGracePeriod; it is 20s where nothing is said",
    );
    let name = &config.hostname_override;
    expect(name.is_empty() || is_dns_name(name), "hostnameOverride", "must be a DNS name in lower case");
    expect(!config.cgroup_root.split('/').any(|part| part == ".."), "cgroupRoot", "must not contain ..");
    let levels = ["error", "warn", "info", "debug", "trace"];
    expect(levels.contains(&&*config.log_level), "logLevel", "must be error, warn, info, debug or trace");
    let absolute = |paths: &[PathBuf]| paths.iter().all(|path| path.is_absolute());
    expect(!config.static_pod_path.0.is_empty(), "staticPodPath", "must name at least one path");
    expect(config.static_pod_path.0.len() <= 16, "staticPodPath", "must name at most 16 paths");
    expect(absolute(&config.static_pod_path.0), "staticPodPath", "must be absolute");
    expect(!config.cni_bin_dir.0.is_empty(), "cniBinDir", "must name at least one directory");
    expect(absolute(&config.cni_bin_dir.0), "cniBinDir", "must be absolute");
    expect(absolute(&config.image_source_paths.0), "imageSourcePaths", "must be absolute");
    expect(absolute(&config.image_store_paths.0), "imageStorePaths", "must be absolute");
    expect(absolute(&config.registry_certs_paths.0), "registryCertsPaths", "must be absolute");
    let (high, low) = (config.image_gc_high_threshold_percent, config.image_gc_low_threshold_percent);
    expect(high <= 100, "imageGCHighThresholdPercent", "must be 0 to 100");
    expect(
        low < high || high == 0,
        "imageGCLowThresholdPercent",
        "must be below imageGCHighThresholdPercent",
    );
    let (least, most) = (config.image_minimum_gc_age.0, config.image_maximum_gc_age.0);
    expect(most.is_zero() || most > least, "imageMaximumGCAge", "must be 0s or more than imageMinimumGCAge");
    for (key, path) in [
        ("imagePolicyPath", &config.image_policy_path),
        ("registriesConfPath", &config.registries_conf_path),
        ("registryAuthPath", &config.registry_auth_path),
        ("cniConfDir", &config.cni_conf_dir),
        ("runDirectory", &config.run_directory),
        ("stateDirectory", &config.state_directory),
        ("logDirectory", &config.log_directory),
        ("cgroupMount", &config.cgroup_mount),
    ] {
        expect(path.is_absolute(), key, "must be an absolute path");
    }
    faults.extend(eviction::faults(config));
    faults.extend(cpus::faults(config));
    faults
}

/// RFC 1123 subdomain, as Kubernetes wants a node's name.
fn is_dns_name(name: &str) -> bool {
    let label = |label: &str| {
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        !label.is_empty()
            && label.len() <= 63
            && label.chars().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        parse(Path::new("c.yaml"), text).unwrap_err().to_string()
    }

    #[test]
    fn an_empty_file_means_defaults() {
        for text in ["", "\n", "# nothing\n  # here\n"] {
            assert_eq!(parse(Path::new("c"), text).unwrap(), Config::default());
        }
    }

    #[test]
    fn values_are_read_as_kubelet_spells_them() {
        let text = "staticPodPath: /a\nfileCheckFrequency: 1m30s\ncontainerLogMaxSize: 1Mi\n\
                    crashLoopBackOff: {maxContainerRestartPeriod: 20s}\nimageSourcePaths: [/b, /c]\n";
        let config = parse(Path::new("c"), text).unwrap();
        assert_eq!(config.static_pod_path.0, [PathBuf::from("/a")]);
        assert_eq!(config.file_check_frequency.0.as_secs(), 90);
        assert_eq!(config.container_log_max_size.0, 1 << 20);
        assert_eq!(config.crash_loop_back_off.max_container_restart_period.0.as_secs(), 20);
        assert_eq!(config.image_source_paths.0.len(), 2);
    }

    #[test]
    fn every_fault_has_its_place() {
        for (text, expected) in [
            ("maxPods: 1\nmaxpod: 2\n", "c.yaml:2:1: unknown key maxpod; did you mean maxPods?"),
            (
                "\nauthentication: {}\n",
                "c.yaml:2:1: unknown key authentication (`berth config` lists all keys)",
            ),
            (
                "shutdownGracePeriodByPodPriority: []\n",
                "c.yaml:1:1: shutdownGracePeriodByPodPriority: not supported: pods go from the lowest",
            ),
            (
                "shutdownGracePeriod: 10s\n",
                "c.yaml: shutdownGracePeriodCriticalPods: must be no more than shutdownGracePeriod",
            ),
            ("shutdownGracePeriod: 10ms\n", "c.yaml:1:1: shutdownGracePeriod: must be 0s or 1s or more"),
            ("maxPods: 0\n", "c.yaml:1:1: maxPods: must be 1 to 256"),
            (
                "# x\nhostnameOverride: Box_1\n",
                "c.yaml:2:1: hostnameOverride: must be a DNS name in lower case",
            ),
            ("runDirectory: run\n", "c.yaml:1:1: runDirectory: must be an absolute path"),
            ("memoryThrottlingFactor: 2\n", "c.yaml:1:1: memoryThrottlingFactor: must be 0 to 1"),
            ("memoryReservationPolicy: All\n", "c.yaml:1:1: memoryReservationPolicy: must be None or"),
            ("memorySwap: {swapBehavior: Some}\n", "c.yaml:1:1: memorySwap: swapBehavior must be NoSwap or"),
            ("kubeReserved: {cpus: 1}\n", "c.yaml:1:1: kubeReserved: must have amounts of cpu, memory and"),
            ("systemReserved: {memory: -1}\n", "c.yaml:1:1: "),
            ("systemReserved: {memory: \"-1\"}\n", "c.yaml:1:1: systemReserved: must have amounts of"),
            ("kubeReserved: {memory: 64MB}\n", "c.yaml:1:1: kubeReserved: must have amounts of"),
            (
                "evictionHard: {memory: 1Mi}\n",
                "c.yaml:1:16: evictionHard: unknown variant `memory`, expected one",
            ),
            (
                "\nevictionHard:\n  memory.available: some\n",
                "c.yaml:3:21: evictionHard.memory.available: \"some\" is",
            ),
            (
                "evictionSoft: {pid.available: 5%}\n",
                "c.yaml:1:1: evictionSoft: pid.available needs a time in",
            ),
            (
                "evictionSoftGracePeriod: {pid.available: 1m}\n",
                "c.yaml:1:1: evictionSoftGracePeriod: pid.available has no threshold in evictionSoft",
            ),
            (
                "evictionSoft: {pid.available: 5%}\nevictionSoftGracePeriod: {pid.available: 0s}\n",
                "c.yaml:2:1: evictionSoftGracePeriod: must be 1s or more",
            ),
            ("evictionMaxPodGracePeriod: -1\n", "c.yaml:1:28: evictionMaxPodGracePeriod: invalid type"),
            ("evictionPressureTransitionPeriod: 5\n", "c.yaml:1:35: evictionPressureTransitionPeriod: "),
            ("cpuManagerPolicy: dynamic\n", "c.yaml:1:1: cpuManagerPolicy: must be none or static"),
            (
                "cpuManagerPolicy: static\nkubeReserved: {memory: 1Mi}\n",
                "c.yaml:1:1: cpuManagerPolicy: static requires systemReserved.cpu + kubeReserved.cpu to be greater than \
                 zero, or reservedSystemCPUs",
            ),
            (
                "reservedSystemCPUs: 3-1\n",
                "c.yaml:1:21: reservedSystemCPUs: \"3-1\" is no list of processors",
            ),
            (
                "maxPods: 1\ncpuManagerPolicyOptions: {full-pcpus-only: \"true\"}\n",
                "c.yaml:2:1: cpuManagerPolicyOptions: not supported: cpuManagerPolicy: static takes",
            ),
            ("topologyManagerPolicy: none\n", "c.yaml:1:1: topologyManagerPolicy: not supported: NUMA"),
            ("network: flat\n", "c.yaml:1:1: network: must be bridge, cni or none"),
            ("cniBinDir: bin\n", "c.yaml:1:1: cniBinDir: must be absolute"),
            ("podMTU: 576\n", "c.yaml:1:1: podMTU: must be 0, or 1280 to 65535"),
            ("podCIDR: 10.0.0.1/8\n", "c.yaml:1:1: 10.0.0.1/8 has bits behind its prefix: write 10.0.0.0/8"),
            ("clusterDNS: [dns.local]\n", "c.yaml:1:1: clusterDNS: must be IP addresses"),
            ("clusterDomain: .local\n", "c.yaml:1:1: clusterDomain: must be a DNS name"),
            ("allowedUnsafeSysctls: [vm.swappiness]\n", "c.yaml:1:1: allowedUnsafeSysctls: each must be"),
            ("fileCheckFrequency: soon\n", "c.yaml:1:21: fileCheckFrequency: \"soon\" is no duration"),
            ("a: [\n", "c.yaml:2:1: "),
        ] {
            let got = message(text);
            assert!(got.starts_with(expected), "{text:?}: {got}");
        }
    }

    #[test]
    fn all_unknown_keys_are_told_at_once() {
        assert_eq!(message("foo: 1\nbar: 2\n").lines().count(), 2);
    }
}
