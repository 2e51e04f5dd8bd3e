//! Facts to findings. Pure: each function looks at one thing and says what it means and what to do.

mod cgroups;
mod kernel;
mod system;

use super::{Finding, facts::Facts};
use std::collections::BTreeMap;

/// All checks, in the order in which they are shown: what pods cannot run without first.
pub(super) fn all(facts: &Facts) -> Vec<Finding> {
    let checks: &[fn(&Facts) -> Finding] = &[
        cgroups::unified,
        cgroups::controllers,
        kernel::version,
        kernel::namespaces,
        kernel::overlay_known,
        kernel::overlay_works,
        kernel::seccomp,
        kernel::device_filter,
        kernel::options,
        system::space,
        system::inodes,
        system::run_directory,
        system::inotify,
        system::rights,
        system::clock,
        kernel::pressure,
        kernel::network,
        kernel::packet_rules,
        kernel::own_addresses,
        system::names_port,
        system::firewall,
        cgroups::fast_moves,
    ];
    checks.iter().map(|check| check(facts)).collect()
}

/// The options of a kernel that is not this one.
pub(super) fn options_of(options: &BTreeMap<String, String>) -> Finding {
    kernel::judge_options(options)
}

#[cfg(test)]
mod tests;
