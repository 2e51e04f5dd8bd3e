//! Reads a profile of the node's: the JSON of the OCI specification, or the wider one of container
//! engines, with rules that depend on capabilities, architectures and kernels.

use super::profile::{Action, Compare, Condition, Further, Profile, Rule};
use crate::{
    error::{Error, Result},
    spec::capabilities::CapabilitySet,
};
use serde::Deserialize;
use std::env::consts::ARCH;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Json {
    default_action: String,
    default_errno_ret: Option<i32>,
    #[serde(default)]
    architectures: Vec<String>,
    #[serde(default)]
    arch_map: Vec<ArchMap>,
    #[serde(default)]
    syscalls: Vec<Syscalls>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ArchMap {
    architecture: String,
    #[serde(default)]
    sub_architectures: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Syscalls {
    #[serde(default)]
    names: Vec<String>,
    name: Option<String>,
    action: String,
    errno_ret: Option<i32>,
    args: Option<Vec<Arg>>,
    #[serde(default)]
    includes: Option<When>,
    #[serde(default)]
    excludes: Option<When>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Arg {
    index: u32,
    value: u64,
    #[serde(default)]
    value_two: u64,
    op: String,
}

/// All that is said must hold for an inclusion; any for an exclusion.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct When {
    #[serde(default)]
    caps: Vec<String>,
    #[serde(default)]
    arches: Vec<String>,
    #[serde(default)]
    min_kernel: Option<String>,
}

/// The profile for these capabilities on this machine.
pub(super) fn parse(bytes: &[u8], capabilities: CapabilitySet) -> Result<Profile> {
    let json: Json = serde_json::from_slice(bytes)
        .map_err(|error| Error::Config(format!("not a seccomp profile: {error}")))?;
    let kernel = kernel();
    let mut rules = Vec::new();
    for group in &json.syscalls {
        if group.applies(capabilities, kernel) {
            group.rules(&mut rules)?;
        }
    }
    let default = action(&json.default_action, json.default_errno_ret)?;
    Ok(Profile { default, further: further(&json), rules })
}

impl Syscalls {
    fn applies(&self, capabilities: CapabilitySet, kernel: (u32, u32)) -> bool {
        let has = |name: &String| capabilities.has(name.strip_prefix("CAP_").unwrap_or(name));
        let here = |name: &String| name == go_arch();
        let new_enough = |wanted: &String| version(wanted).is_some_and(|wanted| kernel >= wanted);
        let included = self.includes.as_ref().is_none_or(|when| {
            when.caps.iter().all(has)
                && (when.arches.is_empty() || when.arches.iter().any(here))
                && when.min_kernel.iter().all(new_enough)
        });
        let excluded = self.excludes.as_ref().is_some_and(|when| {
            when.caps.iter().any(has)
                || when.arches.iter().any(here)
                || when.min_kernel.iter().any(new_enough)
        });
        included && !excluded
    }

    fn rules(&self, rules: &mut Vec<Rule>) -> Result<()> {
        let action = action(&self.action, self.errno_ret)?;
        let conditions =
            self.args.iter().flatten().map(Arg::condition).collect::<Result<Vec<Condition>>>()?;
        let mut arguments: Vec<u32> = conditions.iter().map(|condition| condition.argument).collect();
        arguments.sort_unstable();
        let twice = arguments.windows(2).any(|pair| pair[0] == pair[1]);
        for name in self.names.iter().chain(&self.name) {
            let mut push = |conditions: Vec<Condition>| {
                rules.push(Rule { syscall: name.clone(), action, conditions });
            };
            if twice {
                // One argument more than once means "any of these", as engines read it.
                conditions.iter().for_each(|condition| push(vec![*condition]));
            } else {
                push(conditions.clone());
            }
        }
        Ok(())
    }
}

impl Arg {
    fn condition(&self) -> Result<Condition> {
        let compare = match self.op.as_str() {
            "SCMP_CMP_EQ" => Compare::Equal(self.value),
            "SCMP_CMP_NE" => Compare::NotEqual(self.value),
            "SCMP_CMP_LT" => Compare::Less(self.value),
            "SCMP_CMP_LE" => Compare::LessOrEqual(self.value),
            "SCMP_CMP_GT" => Compare::Greater(self.value),
            "SCMP_CMP_GE" => Compare::GreaterOrEqual(self.value),
            "SCMP_CMP_MASKED_EQ" => Compare::Masked(self.value, self.value_two),
            other => return Err(Error::Config(format!("operator {other:?} is not known"))),
        };
        Ok(Condition { argument: self.index, compare })
    }
}

fn action(name: &str, errno: Option<i32>) -> Result<Action> {
    let errno = errno.unwrap_or(libc::EPERM);
    match name {
        "SCMP_ACT_ALLOW" => Ok(Action::Allow),
        "SCMP_ACT_ERRNO" => Ok(Action::Errno(errno)),
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => Ok(Action::KillThread),
        "SCMP_ACT_KILL_PROCESS" => Ok(Action::KillProcess),
        "SCMP_ACT_TRAP" => Ok(Action::Trap),
        "SCMP_ACT_LOG" => Ok(Action::Log),
        "SCMP_ACT_TRACE" => u16::try_from(errno)
            .map(Action::Trace)
            .map_err(|_| Error::Config(format!("{errno} is not a number for a tracer"))),
        "SCMP_ACT_NOTIFY" => Err(Error::Config(
            "SCMP_ACT_NOTIFY is not supported: nobody would answer the notifications".into(),
        )),
        other => Err(Error::Config(format!("action {other:?} is not known"))),
    }
}

/// Architectures that this machine runs beside its own and that the profile speaks of.
fn further(json: &Json) -> Vec<Further> {
    let native = match ARCH {
        "x86_64" => "SCMP_ARCH_X86_64",
        "aarch64" => "SCMP_ARCH_AARCH64",
        _ => return Vec::new(),
    };
    let mapped = json.arch_map.iter().filter(|map| map.architecture == native);
    let named = mapped.flat_map(|map| map.sub_architectures.iter().flatten()).chain(&json.architectures);
    let mut found = Vec::new();
    for name in named {
        let further = match (ARCH, name.as_str()) {
            ("x86_64", "SCMP_ARCH_X86") => Further::X86,
            ("x86_64", "SCMP_ARCH_X32") => Further::X32,
            ("aarch64", "SCMP_ARCH_ARM") => Further::Arm,
            _ => continue,
        };
        if !found.contains(&further) {
            found.push(further);
        }
    }
    found
}

/// As engines' profiles name architectures.
fn go_arch() -> &'static str {
    match ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn kernel() -> (u32, u32) {
    let uname = nix::sys::utsname::uname().ok();
    uname.and_then(|uname| version(&uname.release().to_string_lossy())).unwrap_or((0, 0))
}

/// Major and minor at the beginning of a release.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next().and_then(|part| part.parse().ok()).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: &str = r#"{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":38,
        "archMap":[{"architecture":"SCMP_ARCH_X86_64","subArchitectures":["SCMP_ARCH_X86","SCMP_ARCH_X32"]},
                   {"architecture":"SCMP_ARCH_AARCH64","subArchitectures":["SCMP_ARCH_ARM"]}],
        "syscalls":[
          {"names":["read","write"],"action":"SCMP_ACT_ALLOW"},
          {"names":["ptrace"],"action":"SCMP_ACT_ALLOW","includes":{"minKernel":"4.8"}},
          {"names":["future"],"action":"SCMP_ACT_ALLOW","includes":{"minKernel":"99.0"}},
          {"names":["mount"],"action":"SCMP_ACT_ALLOW","includes":{"caps":["CAP_SYS_ADMIN"]}},
          {"names":["clone"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":2114060288,"valueTwo":0,"op":"SCMP_CMP_MASKED_EQ"}],
           "excludes":{"caps":["CAP_SYS_ADMIN"],"arches":["s390"]}},
          {"names":["mips"],"action":"SCMP_ACT_ALLOW","includes":{"arches":["mips"]}},
          {"names":["personality"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":0,"op":"SCMP_CMP_EQ"},{"index":0,"value":8,"op":"SCMP_CMP_EQ"}]},
          {"name":"old","action":"SCMP_ACT_TRACE","errnoRet":7}
        ]}"#;

    fn names(profile: &Profile) -> String {
        profile.rules.iter().map(|rule| rule.syscall.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn rules_depend_on_capabilities_kernel_and_architecture() {
        let plain = parse(WIDE.as_bytes(), CapabilitySet(0)).unwrap();
        assert_eq!(names(&plain), "read write ptrace clone personality personality old");
        assert_eq!(plain.default, Action::Errno(38));
        assert_eq!(plain.rules[3].conditions[0].compare, Compare::Masked(0x7e02_0000, 0));
        assert_eq!(plain.rules[6].action, Action::Trace(7));
        let admin = parse(WIDE.as_bytes(), CapabilitySet::ALL).unwrap();
        assert_eq!(names(&admin), "read write ptrace mount personality personality old");
        if ARCH == "x86_64" {
            assert_eq!(plain.further, [Further::X86, Further::X32]);
        }
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (json, word) in [
            ("{", "not a seccomp profile"),
            (r#"{"defaultAction":"X"}"#, "\"X\""),
            (r#"{"defaultAction":"SCMP_ACT_NOTIFY"}"#, "notifications"),
            (
                r#"{"defaultAction":"SCMP_ACT_LOG","syscalls":[{"names":["a"],"action":"SCMP_ACT_LOG","args":[{"index":0,"value":0,"op":"~"}]}]}"#,
                "\"~\"",
            ),
        ] {
            let error = parse(json.as_bytes(), CapabilitySet(0)).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
