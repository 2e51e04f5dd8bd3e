//! Reads Berth's own profile, which is built in. Its form is described in the file itself.

use super::profile::{Action, Compare, Condition, Profile, Rule};
use crate::{
    error::{Error, Result},
    spec::capabilities::CapabilitySet,
};

/// The profile.
pub(super) const TEXT: &str = include_str!("default.profile");

/// The built-in profile for these capabilities.
pub(super) fn profile(capabilities: CapabilitySet) -> Result<Profile> {
    read(TEXT, capabilities)
}

/// Those of the capabilities that the profile asks for: containers that differ in others only have the same
/// filter.
pub(super) fn relevant(capabilities: CapabilitySet) -> CapabilitySet {
    let heads = TEXT.lines().filter(|line| line.starts_with('['));
    let words = heads.flat_map(|line| line.split(['[', ']', ' ']));
    let named = words.filter_map(|word| word.strip_prefix("CAP_")).filter(|name| capabilities.has(name));
    CapabilitySet::of_names(named)
}

fn read(text: &str, capabilities: CapabilitySet) -> Result<Profile> {
    let mut rules = Vec::new();
    let mut group = None;
    for (number, line) in text.lines().enumerate() {
        let wrong =
            |what: &str| Error::Config(format!("built-in seccomp profile, line {}: {what}", number + 1));
        let line = line.split('#').next().unwrap_or_default().trim();
        if let Some(head) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            group = Some(self::group(head, capabilities).ok_or_else(|| wrong("not a group"))?);
            continue;
        }
        for (syscall, conditions) in calls(line).ok_or_else(|| wrong("not a condition"))? {
            match group {
                None => return Err(wrong("before the first group")),
                Some(None) => {}
                Some(Some(action)) => rules.push(Rule { syscall, action, conditions }),
            }
        }
    }
    Ok(Profile { default: Action::Errno(libc::EPERM), further: Vec::new(), rules })
}

/// What becomes of the calls of a group; inner none if the group does not concern this container.
fn group(head: &str, capabilities: CapabilitySet) -> Option<Option<Action>> {
    let (names, action) = match head.split_once(" errno ") {
        None => (head, Action::Allow),
        Some((names, "ENOSYS")) => (names, Action::Errno(libc::ENOSYS)),
        Some(_) => return None,
    };
    if names == "always" {
        return Some(Some(action));
    }
    let (names, wanted) = names.strip_prefix("unless ").map_or((names, true), |names| (names, false));
    let mut any = false;
    for name in names.split_whitespace() {
        any |= capabilities.has(name.strip_prefix("CAP_")?);
    }
    Some((any == wanted).then_some(action))
}

/// The calls of a line, each with its condition.
fn calls(line: &str) -> Option<Vec<(String, Vec<Condition>)>> {
    match line.strip_suffix(')') {
        Some(call) => {
            let (name, condition) = call.split_once('(')?;
            Some(vec![(name.to_owned(), vec![self::condition(condition)?])])
        }
        None => Some(line.split_whitespace().map(|name| (name.to_owned(), Vec::new())).collect()),
    }
}

fn condition(text: &str) -> Option<Condition> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (argument, compare) = match words[..] {
        [argument, "&", mask, "==", value] => (argument, Compare::Masked(number(mask)?, number(value)?)),
        [argument, "==", value] => (argument, Compare::Equal(number(value)?)),
        [argument, "!=", value] => (argument, Compare::NotEqual(number(value)?)),
        _ => return None,
    };
    Some(Condition { argument: argument.parse().ok()?, compare })
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(capabilities: CapabilitySet, syscall: &str) -> Option<(Action, usize)> {
        let profile = profile(capabilities).unwrap();
        let rule = profile.rules.into_iter().find(|rule| rule.syscall == syscall)?;
        Some((rule.action, rule.conditions.len()))
    }

    #[test]
    fn what_a_container_may_do_depends_on_its_capabilities() {
        let (none, all) = (CapabilitySet(0), CapabilitySet::ALL);
        for (syscall, without, with) in [
            ("read", Some((Action::Allow, 0)), Some((Action::Allow, 0))),
            ("socket", Some((Action::Allow, 1)), Some((Action::Allow, 1))),
            ("clone", Some((Action::Allow, 1)), Some((Action::Allow, 0))),
            ("clone3", Some((Action::Errno(libc::ENOSYS), 0)), Some((Action::Allow, 0))),
            ("mount", None, Some((Action::Allow, 0))),
            ("reboot", None, Some((Action::Allow, 0))),
            ("unshare", None, Some((Action::Allow, 0))),
            ("bpf", None, Some((Action::Allow, 0))),
            ("keyctl", None, None),
            ("add_key", None, None),
            ("kexec_load", None, None),
            ("io_uring_setup", None, None),
            ("userfaultfd", None, None),
        ] {
            assert_eq!((action(none, syscall), action(all, syscall)), (without, with), "{syscall}");
        }
    }

    #[test]
    fn capabilities_that_the_profile_does_not_know_make_no_other_filter() {
        let of = |names: &[&str]| CapabilitySet::of_names(names.iter().copied());
        let all = of(&["NET_BIND_SERVICE", "SYS_CHROOT", "CHOWN", "SYS_TIME"]);
        assert_eq!(relevant(all), of(&["SYS_CHROOT", "SYS_TIME"]));
        let (some, fewer) = (profile(all).unwrap(), profile(relevant(all)).unwrap());
        assert_eq!(some, fewer);
    }

    #[test]
    fn the_file_is_well_formed_and_others_are_told_so() {
        assert!(profile(CapabilitySet(0)).unwrap().rules.len() > 300);
        for text in ["read", "[CAP]\nread", "[always]\nread(0)", "[always]\nread(x == 1)", "[always errno X]"]
        {
            assert!(read(text, CapabilitySet(0)).is_err(), "{text}");
        }
    }
}
