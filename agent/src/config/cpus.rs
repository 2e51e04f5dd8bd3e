//! The keys of the CPU manager: what is wrong with them, and what they come to on a machine. Pure.

use super::{Config, ConfigError};
use berth_core::{
    cpus::{CpuSet, Policy, take},
    node::{Amounts, CPU},
};
use std::path::Path;

const POLICY: &str = "cpuManagerPolicy";
const RESERVED: &str = "reservedSystemCPUs";
/// Thousandths in one CPU.
const MILLI: u64 = 1000;

/// Kubelet's keys beside them, and why they are not here.
pub(super) const REFUSED: [(&str, &str); 7] = [
    ("cpuManagerPolicyOptions", "cpuManagerPolicy: static takes whole cores first and has no options"),
    ("cpuManagerReconcilePeriod", "containers are moved as soon as others get CPUs or give them back"),
    ("topologyManagerPolicy", "NUMA nodes are not told apart"),
    ("topologyManagerPolicyOptions", "NUMA nodes are not told apart"),
    ("topologyManagerScope", "NUMA nodes are not told apart"),
    ("memoryManagerPolicy", "NUMA nodes are not told apart"),
    ("reservedMemory", "NUMA nodes are not told apart; kubeReserved and systemReserved keep memory"),
];

/// What is wrong, by key.
pub(super) fn faults(config: &Config) -> Vec<(&'static str, String)> {
    let mut faults = Vec::new();
    if !["none", "static"].contains(&config.cpu_manager_policy.as_str()) {
        faults.push((POLICY, "must be none or static".to_owned()));
    }
    if config.has_static_cpus() && config.reserved_cpu_milli() == 0 {
        let what = format!(
            "static requires systemReserved.cpu + kubeReserved.cpu to be greater than zero, or {RESERVED}: else there may \
             be no CPU left for all other containers"
        );
        faults.push((POLICY, what));
    }
    faults
}

impl Config {
    /// `cpuManagerPolicy: static`.
    pub(crate) fn has_static_cpus(&self) -> bool {
        self.cpu_manager_policy == "static"
    }

    /// Thousandths of a CPU that are kept from pods.
    pub(crate) fn reserved_cpu_milli(&self) -> u64 {
        let reserved = &self.reserved_system_cpus.0;
        if !reserved.is_empty() {
            return u64::try_from(reserved.len()).unwrap_or(u64::MAX).saturating_mul(MILLI);
        }
        let of = |quantities: &_| Amounts::read(quantities).get(CPU).unwrap_or(0);
        of(&self.kube_reserved).saturating_add(of(&self.system_reserved))
    }

    /// The policy on a machine with these cores, if there is one, and the reserved CPUs that it does not have.
    ///
    /// # Errors
    /// It does not have enough.
    pub(crate) fn static_cpus(
        &self,
        file: &Path,
        cores: Vec<CpuSet>,
    ) -> Result<Option<(Policy, CpuSet)>, ConfigError> {
        if !self.has_static_cpus() {
            return Ok(None);
        }
        let online: CpuSet = cores.iter().flat_map(CpuSet::iter).collect();
        let wanted = &self.reserved_system_cpus.0;
        let (reserved, gone) = if wanted.is_empty() {
            let count = usize::try_from(self.reserved_cpu_milli().div_ceil(MILLI)).unwrap_or(usize::MAX);
            let reserved = take(&cores, &online, count.min(online.len() + 1)).ok_or_else(|| {
                let what = format!(
                    "{POLICY}: {count} CPUs are to be reserved, and CPU {online} is all that is online"
                );
                ConfigError::whole(file, what)
            })?;
            (reserved, CpuSet::default())
        } else {
            (wanted.both(&online), wanted.without(&online))
        };
        if reserved.is_empty() {
            let what = format!("{RESERVED}: of CPU {wanted} none is online; {online} is");
            return Err(ConfigError::whole(file, what));
        }
        Ok(Some((Policy { cores, reserved }, gone)))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::parse, *};

    fn on(text: &str, cores: &[&str]) -> String {
        let config = parse(Path::new("c"), text).unwrap();
        let cores = cores.iter().map(|core| core.parse().unwrap()).collect();
        match config.static_cpus(Path::new("c"), cores) {
            Ok(None) => "none".to_owned(),
            Ok(Some((policy, gone))) => format!("{}|{}|{gone}", policy.reserved, policy.allocatable()),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn so_many_are_reserved_as_is_said() {
        let [four, threads] = [&["0", "1", "2", "3"][..], &["0,4", "1,5", "2,6", "3,7"]];
        for (text, cores, expected) in [
            ("", four, "none"),
            ("reservedSystemCPUs: \"1\"", four, "none"),
            ("cpuManagerPolicy: static\nreservedSystemCPUs: 0,3", four, "0,3|1-2|"),
            ("cpuManagerPolicy: static\nreservedSystemCPUs: 2", four, "2|0-1,3|"),
            ("cpuManagerPolicy: static\nreservedSystemCPUs: 0-7\nkubeReserved: {cpu: 1}", four, "0-3||4-7"),
            ("cpuManagerPolicy: static\nkubeReserved: {cpu: 100m}", four, "0|1-3|"),
            ("cpuManagerPolicy: static\nkubeReserved: {cpu: 1}\nsystemReserved: {cpu: 1m}", four, "0-1|2-3|"),
            ("cpuManagerPolicy: static\nsystemReserved: {cpu: 2}", threads, "0,4|1-3,5-7|"),
            (
                "cpuManagerPolicy: static\nsystemReserved: {cpu: 5}",
                four,
                "c: cpuManagerPolicy: 5 CPUs are to be reserved, and CPU 0-3 is all that is online",
            ),
            (
                "cpuManagerPolicy: static\nreservedSystemCPUs: 4-5",
                four,
                "c: reservedSystemCPUs: of CPU 4-5 none is online; 0-3 is",
            ),
        ] {
            assert_eq!(on(text, cores), expected, "{text}");
        }
    }
}
