//! Has libseccomp compile a profile into the program that the kernel takes.

use super::profile::{Action, Compare, Condition, Further, Profile};
use crate::error::{Error, Result};
use libseccomp::{
    ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall, error::SeccompError,
};
use nix::sys::memfd::{MemFdCreateFlag, memfd_create};
use std::{
    fs::File,
    io::{Read, Seek},
};

/// `SCMP_FLTATR_CTL_OPTIMIZE`: a binary tree by number.
const TREE: u32 = 2;

/// The program's bytes: `struct sock_filter`, one after another.
pub(super) fn compile(profile: &Profile) -> Result<Vec<u8>> {
    let filter = filter(profile).map_err(|error| Error::Config(format!("cannot be compiled: {error}")))?;
    let export = || -> std::io::Result<Vec<u8>> {
        let mut file = File::from(memfd_create(c"seccomp", MemFdCreateFlag::MFD_CLOEXEC)?);
        filter.export_bpf(&file).map_err(std::io::Error::other)?;
        let mut bytes = Vec::new();
        file.rewind()?;
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    export().map_err(Error::io("export", "the seccomp filter"))
}

fn filter(profile: &Profile) -> std::result::Result<ScmpFilterContext, SeccompError> {
    let default = action(profile.default);
    let mut filter = ScmpFilterContext::new(default)?;
    // A tree instead of a list. It takes tens of milliseconds to make, once; but when a filter is loaded the
    // kernel asks it for each system call that there is, and that is at each start.
    filter.set_ctl_optimize(TREE)?;
    for further in &profile.further {
        filter.add_arch(match further {
            Further::X86 => ScmpArch::X86,
            Further::X32 => ScmpArch::X32,
            Further::Arm => ScmpArch::Arm,
        })?;
    }
    for rule in &profile.rules {
        // A name that libseccomp does not know, and a rule that says what holds anyway.
        let Ok(syscall) = ScmpSyscall::from_name(&rule.syscall) else { continue };
        let action = action(rule.action);
        if action == default {
            continue;
        }
        if rule.conditions.is_empty() {
            filter.add_rule(action, syscall)?;
        } else {
            let conditions: Vec<ScmpArgCompare> = rule.conditions.iter().map(condition).collect();
            filter.add_rule_conditional(action, syscall, &conditions)?;
        }
    }
    Ok(filter)
}

fn action(action: Action) -> ScmpAction {
    match action {
        Action::Allow => ScmpAction::Allow,
        Action::Errno(errno) => ScmpAction::Errno(errno),
        Action::KillProcess => ScmpAction::KillProcess,
        Action::KillThread => ScmpAction::KillThread,
        Action::Trap => ScmpAction::Trap,
        Action::Trace(number) => ScmpAction::Trace(number),
        Action::Log => ScmpAction::Log,
    }
}

fn condition(condition: &Condition) -> ScmpArgCompare {
    let (op, value) = match condition.compare {
        Compare::Equal(value) => (ScmpCompareOp::Equal, value),
        Compare::NotEqual(value) => (ScmpCompareOp::NotEqual, value),
        Compare::Less(value) => (ScmpCompareOp::Less, value),
        Compare::LessOrEqual(value) => (ScmpCompareOp::LessOrEqual, value),
        Compare::Greater(value) => (ScmpCompareOp::Greater, value),
        Compare::GreaterOrEqual(value) => (ScmpCompareOp::GreaterEqual, value),
        Compare::Masked(mask, value) => (ScmpCompareOp::MaskedEqual(mask), value),
    };
    ScmpArgCompare::new(condition.argument, op, value)
}
