//! The capabilities of a container: the set that container engines give by default, less what the pod
//! drops, and what it adds.

use berth_core::manifest::types::Container;
use libcontainer::oci_spec::runtime::{Capabilities, Capability, LinuxCapabilities};
use serde::{Deserialize, Serialize};

/// Names without `CAP_`, each at the place of its number.
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// What a container has when its pod says nothing.
const DEFAULT: [&str; 14] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// A set of capabilities, as the kernel has it: bit n is capability n.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CapabilitySet(pub u64);

impl CapabilitySet {
    /// All that this table knows.
    pub const ALL: Self = Self((1 << NAMES.len()) - 1);

    /// Whether the set has the capability of this name (without `CAP_`).
    pub fn has(self, name: &str) -> bool {
        number(name).is_some_and(|number| self.0 & (1 << number) != 0)
    }

    /// The set of these names (without `CAP_`); those that do not exist are left out.
    pub fn of_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(names.into_iter().filter_map(number).fold(0, |set, number| set | (1 << number)))
    }

    /// The names in the set, without `CAP_`.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        NAMES.iter().enumerate().filter(move |(number, _)| self.0 & (1 << number) != 0).map(|(_, name)| *name)
    }

    /// For a spec: bounding, effective and permitted; nothing inheritable, nothing ambient.
    pub(super) fn to_oci(self) -> LinuxCapabilities {
        let set: Capabilities = self.names().filter_map(|name| name.parse::<Capability>().ok()).collect();
        let mut oci = LinuxCapabilities::default();
        oci.set_bounding(Some(set.clone()))
            .set_effective(Some(set.clone()))
            .set_permitted(Some(set))
            .set_inheritable(None)
            .set_ambient(None);
        oci
    }
}

/// The set of a container; on error the message.
pub(super) fn of(container: &Container) -> Result<CapabilitySet, String> {
    if container.is_privileged() {
        return Ok(CapabilitySet::ALL);
    }
    let wanted = container.security_context.as_ref().and_then(|sc| sc.capabilities.as_ref());
    let Some(wanted) = wanted else { return Ok(CapabilitySet(default())) };
    let (add, drop) = (parse(&wanted.add)?, parse(&wanted.drop)?);
    // `ALL` comes first, so that single names win over it: drop ALL, add one.
    let base = match (add.all, drop.all) {
        (_, true) => 0,
        (true, false) => CapabilitySet::ALL.0,
        (false, false) => default(),
    };
    Ok(CapabilitySet((base | add.single) & !drop.single))
}

/// A list of the manifest's: single names, and whether `ALL` is among them.
struct Listed {
    single: u64,
    all: bool,
}

fn parse(list: &[String]) -> Result<Listed, String> {
    let mut listed = Listed { single: 0, all: false };
    for name in list {
        if name.eq_ignore_ascii_case("ALL") || name.eq_ignore_ascii_case("CAP_ALL") {
            listed.all = true;
            continue;
        }
        let number = number(name).ok_or_else(|| {
            format!("there is no capability {name:?}: see capabilities(7), names without CAP_")
        })?;
        listed.single |= 1 << number;
    }
    Ok(listed)
}

fn default() -> u64 {
    CapabilitySet::of_names(DEFAULT).0
}

fn number(name: &str) -> Option<usize> {
    let upper = name.to_ascii_uppercase();
    let plain = upper.strip_prefix("CAP_").unwrap_or(&upper);
    NAMES.iter().position(|known| *known == plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use berth_core::manifest::types::{Capabilities, SecurityContext};

    fn container(add: &[&str], drop: &[&str], privileged: bool) -> Container {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let capabilities = Some(Capabilities { add: list(add), drop: list(drop) });
        let security = SecurityContext { capabilities, privileged: Some(privileged), ..Default::default() };
        Container { security_context: Some(security), ..Container::default() }
    }

    #[test]
    fn the_default_set_is_the_engines() {
        // CapBnd of a container under the usual engines: 00000000a80425fb.
        assert_eq!(of(&Container::default()).unwrap().0, 0xa804_25fb);
        assert_eq!(of(&container(&[], &[], false)).unwrap().0, 0xa804_25fb);
    }

    #[test]
    fn names_are_added_and_dropped() {
        for (add, drop, names) in [
            (&[][..], &["ALL"][..], ""),
            (&["NET_BIND_SERVICE"], &["ALL"], "NET_BIND_SERVICE"),
            (&["cap_sys_time"], &["all"], "SYS_TIME"),
            (&["SYS_TIME"], &["SYS_TIME", "ALL"], ""),
        ] {
            let set = of(&container(add, drop, false)).unwrap();
            assert_eq!(set.names().collect::<Vec<_>>().join(" "), names, "{add:?} {drop:?}");
        }
        let set = of(&container(&["SYS_TIME"], &["MKNOD"], false)).unwrap();
        assert_eq!(set.0, (0xa804_25fb | 1 << 25) & !(1 << 27));
        assert!(set.has("SYS_TIME") && !set.has("MKNOD"));
        let set = of(&container(&["ALL"], &["SYS_ADMIN"], false)).unwrap();
        assert_eq!(set.0, CapabilitySet::ALL.0 & !(1 << 21));
        assert_eq!(of(&container(&[], &["ALL"], true)).unwrap(), CapabilitySet::ALL);
        assert!(of(&container(&["FLY"], &[], false)).unwrap_err().contains("\"FLY\""));
    }

    #[test]
    fn every_name_is_known_to_the_spec() {
        assert_eq!(CapabilitySet::ALL.to_oci().permitted().as_ref().unwrap().len(), NAMES.len());
    }
}
