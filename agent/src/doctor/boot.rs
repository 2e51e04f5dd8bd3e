//! What this boot took: moments from the start of the kernel to the pods, as far as anybody knows them. The
//! kernel's log tells when it handed over to init, /proc when processes began (in steps of 10 ms), the agent since
//! when containers run. Changes nothing.

use nix::unistd::{SysconfVar, sysconf};
use serde::Serialize;
use serde_json::Value;
use std::{fs::File, io::Read, os::unix::fs::OpenOptionsExt, path::Path};

/// Nanoseconds in a second and in a microsecond.
const NS_PER_S: u64 = 1_000_000_000;
const NS_PER_US: u64 = 1_000;
/// Bytes in one record of the kernel's log; a longer one is skipped by the kernel itself (EINVAL).
const RECORD_LEN_MAX_BYTES: usize = 8 * 1024;
/// Records that are looked at, from the oldest on: the hand-over is among the first.
const RECORDS_MAX: usize = 100_000;

/// One moment of this boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Moment {
    /// Nanoseconds since the kernel began to count (`CLOCK_BOOTTIME`).
    pub(crate) at_ns: u64,
    /// Stable name for scripts: `init`, `keeper`, `agent`, `container`.
    pub(crate) id: &'static str,
    /// For people.
    pub(crate) what: String,
}

/// All moments that are known, in their order; `boot` is the agent's answer to `Request::Boot`.
pub(crate) fn report(boot: &Value) -> Vec<Moment> {
    let process = |id, pointer, what: &str| {
        let pid = boot.pointer(pointer)?.as_u64()?;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let at_ns = begun_ns(&stat, ticks_per_s()?)?;
        Some(Moment { at_ns, id, what: what.to_owned() })
    };
    let init = handed_over_ns(Path::new("/dev/kmsg"));
    let init = init.map(|at_ns| Moment { at_ns, id: "init", what: "the kernel hands over to init".into() });
    let processes = [
        process("keeper", "/keeper/pid", "the keeper begins"),
        process("agent", "/agent/pid", "the agent begins"),
    ];
    let mut moments: Vec<_> = init.into_iter().chain(processes.into_iter().flatten()).collect();
    moments.extend(containers(boot));
    moments.sort_by_key(|moment| moment.at_ns);
    moments
}

/// Of the agent's answer: each container that runs.
fn containers(boot: &Value) -> impl Iterator<Item = Moment> {
    let list = boot["containers"].as_array().into_iter().flatten();
    list.filter_map(|container| {
        let text = |key: &str| container[key].as_str().unwrap_or_default();
        let (pod, name) = (format!("{}/{}", text("namespace"), text("pod")), text("container"));
        let again = match container["restarts"].as_u64() {
            None | Some(0) => String::new(),
            Some(restarts) => format!(", restart {restarts}"),
        };
        let at_ns = container["sinceNs"].as_u64()?;
        Some(Moment { at_ns, id: "container", what: format!("{pod}: container {name} runs{again}") })
    })
}

/// Nanoseconds from hand-over to init until the last container of the list runs; None when either is not known.
pub(crate) fn to_the_last_container(moments: &[Moment]) -> Option<u64> {
    let init = moments.iter().find(|moment| moment.id == "init")?;
    let last = moments.iter().rev().find(|moment| moment.id == "container")?;
    last.at_ns.checked_sub(init.at_ns)
}

fn ticks_per_s() -> Option<u64> {
    let ticks = sysconf(SysconfVar::CLK_TCK).ok()??;
    u64::try_from(ticks).ok().filter(|ticks| *ticks > 0)
}

/// When a process began, by its /proc/PID/stat: field 22, in ticks.
fn begun_ns(stat: &str, ticks_per_s: u64) -> Option<u64> {
    // The name, in brackets, may hold anything; field 3 comes after it.
    let ticks: u64 = stat.rsplit_once(')')?.1.split_whitespace().nth(22 - 3)?.parse().ok()?;
    ticks.checked_mul(NS_PER_S)?.checked_div(ticks_per_s)
}

/// When the kernel started init, by its log; None when that is not readable or no longer goes back so far.
fn handed_over_ns(log: &Path) -> Option<u64> {
    // Without O_NONBLOCK the end of the log would be waited at.
    let mut log: File = File::options().read(true).custom_flags(nix::libc::O_NONBLOCK).open(log).ok()?;
    let mut record = vec![0; RECORD_LEN_MAX_BYTES];
    for _ in 0..RECORDS_MAX {
        match log.read(&mut record) {
            Ok(0) => return None,
            Ok(len) => match init_record_ns(&String::from_utf8_lossy(&record[..len])) {
                None => {}
                found => return found,
            },
            // The oldest record was overwritten while we read: the next read is at what is the oldest now.
            Err(error) if error.raw_os_error() == Some(nix::libc::EPIPE) => {}
            Err(_) => return None,
        }
    }
    None
}

/// The time of a record of /dev/kmsg (`priority,sequence,microseconds,flags;text`) if it tells of the hand-over.
fn init_record_ns(record: &str) -> Option<u64> {
    let (head, text) = record.split_once(';')?;
    let told = text.starts_with("Run /") && text.lines().next()?.ends_with(" as init process");
    let micros: u64 = head.split(',').nth(2)?.parse().ok()?;
    told.then(|| micros.saturating_mul(NS_PER_US))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_beginning_of_a_process_whatever_its_name() {
        let rest = "S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 1234 9 9";
        for name in ["berth", "a) S 1 (b", ""] {
            assert_eq!(begun_ns(&format!("7 ({name}) {rest}"), 100), Some(12_340_000_000), "{name}");
        }
        for broken in ["", "7 berth", "7 (berth) S 1", "7 (b) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 0 0 0 0 x"] {
            assert_eq!(begun_ns(broken, 100), None, "{broken}");
        }
    }

    #[test]
    fn the_hand_over_in_the_kernels_log() {
        for (record, found) in [
            ("6,512,1204311,-;Run /sbin/init as init process\n", Some(1_204_311_000)),
            ("6,512,1204311,-,caller=T1;Run /init as init process\n", Some(1_204_311_000)),
            ("7,513,1204320,-;  with arguments:\n", None),
            ("6,512,x,-;Run /init as init process\n", None),
            ("12,9,5,-;somebody: Run /init as init process\n", None),
            ("", None),
        ] {
            assert_eq!(init_record_ns(record), found, "{record}");
        }
    }

    #[test]
    fn containers_in_their_order_and_what_they_took() {
        let container = |pod: &str, restarts: u64, since: u64| json!({"namespace": "default", "pod": pod, "container": "main", "restarts": restarts, "sinceNs": since});
        let boot = json!({"containers": [container("b-box", 2, 900), container("a-box", 0, 500)]});
        let mut moments: Vec<_> = containers(&boot).collect();
        moments.push(Moment { at_ns: 100, id: "init", what: String::new() });
        moments.sort_by_key(|moment| moment.at_ns);
        let told: Vec<_> = moments.iter().map(|moment| moment.what.as_str()).collect();
        let runs =
            ["", "default/a-box: container main runs", "default/b-box: container main runs, restart 2"];
        assert_eq!(told, runs);
        assert_eq!(to_the_last_container(&moments), Some(800));
        assert_eq!(to_the_last_container(&moments[1..]), None);
    }
}
