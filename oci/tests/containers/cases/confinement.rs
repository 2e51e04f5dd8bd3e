//! What a container is and is not.

use crate::fixture::*;
use berth_core::manifest::types::{Capabilities, Container, SeccompKind, SeccompProfile, SecurityContext};
use berth_oci::users::ProcessUser;
use std::fs;

const STATUS: &str =
    "grep -E '^(Uid|Gid|Groups|CapPrm|CapEff|CapBnd|CapInh|CapAmb|NoNewPrivs|Seccomp):' /proc/self/status";

/// Lines of /proc/self/status, name and values.
pub(super) fn field(status: &str, name: &str) -> String {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("{name} in {status}")).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// As the kernel prints a set, without what this machine itself does not have.
fn set(bits: u64) -> String {
    let own = fs::read_to_string("/proc/self/status").unwrap();
    let bound = u64::from_str_radix(&field(&own, "CapBnd"), 16).unwrap();
    format!("{:016x}", bits & bound)
}

pub(super) fn identity() {
    const DEFAULT: u64 = 0xa804_25fb;
    let mut machine = Machine::new();
    let user = || ProcessUser { uid: 1000, gid: 1000, groups: vec![1000, 7, 2000], home: String::new() };
    let drop_all = Some(Capabilities { add: vec!["NET_BIND_SERVICE".into()], drop: vec!["ALL".into()] });
    let sealed = SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: drop_all,
        ..SecurityContext::default()
    };
    let unconfined = SecurityContext {
        seccomp_profile: Some(SeccompProfile { kind: SeccompKind::Unconfined, localhost_profile: None }),
        ..SecurityContext::default()
    };
    for (name, security, user, uid, effective, bounding, sealed, filter) in [
        ("root", None, ProcessUser::default(), "0", DEFAULT, DEFAULT, "0", "2"),
        ("user", None, user(), "1000", 0, DEFAULT, "0", "2"),
        ("sealed", Some(sealed.clone()), user(), "1000", 0, 1 << 10, "1", "2"),
        ("sealedroot", Some(sealed), ProcessUser::default(), "0", 1 << 10, 1 << 10, "1", "2"),
        ("unconfined", Some(unconfined), ProcessUser::default(), "0", DEFAULT, DEFAULT, "0", "0"),
    ] {
        let container = Container { security_context: security, ..shell(STATUS) };
        let groups = user.groups.len();
        let ready = machine.prepare(name, Wish { container, user, ..Wish::default() });
        let status = machine.run(&ready).unwrap().stdout;
        assert_eq!(field(&status, "Uid"), [uid; 4].join(" "), "{name}");
        assert_eq!(field(&status, "Gid"), [uid; 4].join(" "), "{name}");
        assert_eq!(field(&status, "Groups"), if groups > 0 { "7 1000 2000" } else { "" }, "{name}");
        assert_eq!(field(&status, "CapEff"), set(effective), "{name}");
        assert_eq!(field(&status, "CapPrm"), set(effective), "{name}");
        assert_eq!(field(&status, "CapBnd"), set(bounding), "{name}");
        assert_eq!((field(&status, "CapInh"), field(&status, "CapAmb")), (set(0), set(0)), "{name}");
        assert_eq!(field(&status, "NoNewPrivs"), sealed, "{name}");
        assert_eq!(field(&status, "Seccomp"), filter, "{name}");
    }
}

pub(super) fn kernel_file_systems() {
    let mut machine = Machine::new();
    let script = "
        echo $(ls /dev); head -c3 /dev/zero | cat >/dev/null && echo devices; [ -e /dev/pts/ptmx ] && echo pts
        cat /proc/kcore /proc/keys /proc/timer_list; ls /proc/acpi /sys/firmware; echo masked
        echo 1 >/proc/sys/kernel/core_pattern || echo x >/proc/sysrq-trigger || echo protected
        touch /sys/x || touch /sys/fs/cgroup/x || echo read-only; ls /sys/fs/cgroup/cgroup.type
        id -u; env | grep -E '^(HOME|HOSTNAME|PATH)='; ls /proc/1/fd | wc -l";
    let ready = machine.shell("kernel", script);
    let ended = machine.run(&ready).unwrap();
    let expected = "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero
devices
pts
masked
protected
read-only
/sys/fs/cgroup/cgroup.type
0
";
    // Machines that have them have two more names in /dev, and empty directories where others have nothing.
    let optional = |line: &&str| !matches!(*line, "/proc/acpi:" | "/sys/firmware:" | "");
    let out = ended.stdout.replace("core fd", "fd").replace("full kcore", "full");
    let out: String = out.lines().filter(optional).map(|line| format!("{line}\n")).collect();
    assert!(out.starts_with(expected), "{out}\n{}", ended.stderr);
    assert!(out.contains("HOME=/\n") && out.contains("PATH=/usr/local/sbin:"), "{out}");
    // 0, 1, 2, and the one by which the directory is listed; none of the worker's.
    assert!(matches!(out.lines().last(), Some("3" | "4")), "{out}");
}

pub(super) fn privileged() {
    let mut machine = Machine::new();
    let security = SecurityContext { privileged: Some(true), ..SecurityContext::default() };
    let script = format!(
        "{STATUS}; [ -e /proc/acpi ]; mount -t tmpfs none /tmp && echo mounted; mknod /tmp/k c 1 11 && head -c0 /tmp/k && echo node; stat -c %F /dev/full; ls /dev | wc -l"
    );
    let container = Container { security_context: Some(security), ..shell(&script) };
    let ready = machine.prepare("priv", Wish { container, ..Wish::default() });
    let ended = machine.run(&ready).unwrap();
    let status = &ended.stdout;
    assert_eq!(field(status, "CapEff"), set((1 << 41) - 1));
    assert_eq!(field(status, "Seccomp"), "0");
    assert!(status.contains("mounted\nnode\ncharacter special file\n"), "{ended:?}");
}

pub(super) fn devices() {
    let mut machine = Machine::new();
    let script = "mknod /ok c 1 5 && head -c1 /ok | grep -q . ; mknod /mem c 1 1 || echo denied; mknod /disk b 8 0 || echo denied; mknod /kmsg c 1 11 || echo denied";
    let ready = machine.shell("devices", script);
    let ended = machine.run(&ready).unwrap();
    let warnings = fs::read_to_string(ready.bundle.join("warnings")).unwrap_or_default();
    if warnings.contains("not confined") {
        eprintln!("containers: skipped: {warnings}");
        return;
    }
    assert_eq!(ended.stdout, "denied\n".repeat(3), "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("Operation not permitted").count(), 3, "{}", ended.stderr);
}

pub(super) fn signals() {
    let mut machine = Machine::new();
    let ready = machine.shell("signals", "exec grep -E '^Sig(Ign|Blk):' /proc/self/status");
    let ended = machine.run(&ready).unwrap();
    assert_eq!(
        (field(&ended.stdout, "SigIgn"), field(&ended.stdout, "SigBlk")),
        ("0".repeat(16), "0".repeat(16))
    );
}

pub(super) fn sealed() {
    let machine = Machine::new();
    let program = format!("/proc/{}/exe", machine.zygote_pid());
    let view = nix::sys::statvfs::statvfs(program.as_str()).unwrap();
    assert!(view.flags().contains(nix::sys::statvfs::FsFlags::ST_RDONLY), "{:?}", view.flags());
}

pub(super) fn localhost_profile() {
    let mut machine = Machine::new();
    let dir = machine.roots.state.join("seccomp");
    fs::create_dir(&dir).unwrap();
    let json = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":122}]}"#;
    fs::write(dir.join("p.json"), json).unwrap();
    let profile = SeccompProfile { kind: SeccompKind::Localhost, localhost_profile: Some("p.json".into()) };
    let security = SecurityContext { seccomp_profile: Some(profile), ..SecurityContext::default() };
    let container = Container { security_context: Some(security), ..shell("mkdir /x; echo $?") };
    let ready = machine.prepare("local", Wish { container, ..Wish::default() });
    let ended = machine.run(&ready).unwrap();
    assert_eq!(ended.stdout, "1\n");
    assert!(ended.stderr.contains("uota"), "{}", ended.stderr);
}
