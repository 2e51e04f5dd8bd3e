//! Commands in running containers.

use super::confinement::field;
use crate::fixture::*;
use berth_core::manifest::types::{Container, SecurityContext};
use berth_oci::users::ProcessUser;
use nix::unistd::Pid;
use std::{
    fs,
    io::{Read, Write},
    os::fd::AsRawFd,
};

/// A container that lives until its stdout has no reader, as soon as it says so.
struct Living {
    ready: Ready,
    pid: Pid,
    _out: fs::File,
}

fn living(machine: &mut Machine, wish: Wish) -> Living {
    let container = Container {
        command: vec!["sh".into(), "-c".into(), "echo up; while sleep 1000; do :; done".into()],
        ..wish.container
    };
    let ready = machine.prepare("living", Wish { container, ..wish });
    let out = pipe();
    let ticket = machine.send(&ready, 10_000, [&out.1, &out.1]);
    let pid = machine.started(ticket).unwrap();
    drop(out.1);
    let mut out = fs::File::from(out.0);
    let mut up = [0; 3];
    out.read_exact(&mut up).unwrap();
    Living { ready, pid, _out: out }
}

fn exec(
    machine: &mut Machine,
    living: &Living,
    session: &str,
    args: &[&str],
    stdin: &str,
) -> Result<Ended, String> {
    let plan = serde_json::json!({"args": args, "terminal": false});
    fs::write(living.ready.bundle.join(format!("exec-{session}.json")), plan.to_string()).unwrap();
    let (input, out, err) = (pipe(), pipe(), pipe());
    fs::File::from(input.1).write_all(stdin.as_bytes()).unwrap();
    let ticket = machine.send_exec(&living.ready, session, false, &[&input.0, &out.1, &err.1]);
    drop((out.1, err.1));
    let pid = machine.started(ticket)?;
    let (stdout, stderr) = (read(out.0), read(err.0));
    Ok(Ended { code: wait(pid), stdout, stderr })
}

pub(super) fn confined() {
    let mut machine = Machine::new();
    for sealed in [false, true] {
        let security =
            SecurityContext { allow_privilege_escalation: Some(!sealed), ..SecurityContext::default() };
        let user = ProcessUser { uid: 1000, gid: 1000, groups: vec![1000, 7], home: "/home/u".into() };
        let container = Container {
            security_context: Some(security),
            working_dir: Some("/work".into()),
            ..Container::default()
        };
        let living = living(&mut machine, Wish { container, user, ..Wish::default() });
        let script =
            "cat /proc/self/status; cat /proc/self/cgroup; pwd; echo $HOME; cat /proc/self/oom_score_adj";
        let ended = exec(&mut machine, &living, "s", &["sh", "-c", script], "").unwrap();
        let own = fs::read_to_string(format!("/proc/{}/status", living.pid)).unwrap();
        for name in [
            "Uid",
            "Gid",
            "Groups",
            "CapEff",
            "CapPrm",
            "CapBnd",
            "CapInh",
            "CapAmb",
            "NoNewPrivs",
            "Seccomp",
        ] {
            assert_eq!(field(&ended.stdout, name), field(&own, name), "{name}");
        }
        assert_eq!(field(&ended.stdout, "Seccomp"), "2");
        assert!(ended.stdout.ends_with("0::/\n/work\n/home/u\n1000\n"), "{}", ended.stdout);
        fs::write(living.ready.plan.cgroup.join("cgroup.kill"), "1").unwrap();
        wait(living.pid);
        remove(&machine, living);
    }
}

/// As the agent would, so that the name can be used again.
fn remove(machine: &Machine, living: Living) {
    let _ = fs::remove_dir(&living.ready.plan.cgroup);
    fs::remove_dir_all(living.ready.plan.state_root.join("living")).unwrap();
    fs::remove_dir_all(&living.ready.bundle).unwrap();
    fs::remove_dir_all(machine.roots.container_state(&living.ready.id)).unwrap();
}

pub(super) fn streams() {
    let mut machine = Machine::new();
    let living = living(&mut machine, Wish::default());
    let ended =
        exec(&mut machine, &living, "a", &["sh", "-c", "cat; echo err >&2; exit 9"], "input").unwrap();
    assert_eq!(ended, Ended { code: 9, stdout: "input".into(), stderr: "err\n".into() });
    let ended = exec(&mut machine, &living, "b", &["cat", "/proc/1/cmdline"], "").unwrap();
    assert!(ended.stdout.starts_with("sh\0-c\0"), "the same process numbers: {}", ended.stdout);
}

pub(super) fn failing() {
    let mut machine = Machine::new();
    let living = living(&mut machine, Wish::default());
    for (command, text) in
        [("nope", "not found in $PATH"), ("/bin/foreign", "exec format error"), ("/bin/data", "permission")]
    {
        let error = exec(&mut machine, &living, "f", &[command], "").unwrap_err();
        assert!(error.contains(text) && error.starts_with("exec: "), "{error}");
    }
    let members = fs::read_to_string(living.ready.plan.cgroup.join("cgroup.procs")).unwrap();
    assert!(members.lines().any(|pid| pid == living.pid.to_string()), "the container lives on: {members:?}");
}

pub(super) fn terminal() {
    use nix::sys::socket::{
        AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, socketpair,
    };
    let mut machine = Machine::new();
    let living = living(&mut machine, Wish::default());
    let plan = r#"{"args":["sh","-c","tty; read line; echo got $line; exit 4"],"terminal":true}"#;
    fs::write(living.ready.bundle.join("exec-t.json"), plan).unwrap();
    let (client, console) =
        socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC).unwrap();
    let ticket = machine.send_exec(&living.ready, "t", true, &[&console]);
    let pid = machine.started(ticket).unwrap();
    let mut space = nix::cmsg_space!(i32);
    let mut bytes = [0; 1];
    let mut iov = [std::io::IoSliceMut::new(&mut bytes)];
    let message = recvmsg::<()>(client.as_raw_fd(), &mut iov, Some(&mut space), MsgFlags::empty()).unwrap();
    let Some(ControlMessageOwned::ScmRights(fds)) = message.cmsgs().unwrap().next() else {
        panic!("no master")
    };
    let mut master = fs::File::from(crate::sys::owned(fds[0]));
    master.write_all(b"hello\n").unwrap();
    let mut text = Vec::new();
    let mut buffer = [0; 256];
    // The kernel ends a terminal without a program with an error.
    while let Ok(len @ 1..) = master.read(&mut buffer) {
        text.extend_from_slice(&buffer[..len]);
    }
    assert_eq!(wait(pid), 4);
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("/dev/pts/0") && text.contains("got hello"), "{text:?}");
}

pub(super) fn leave_nothing() {
    let mut machine = Machine::new();
    let living = living(&mut machine, Wish::default());
    let names = |machine: &Machine| -> Vec<String> {
        [living.ready.bundle.clone(), machine.roots.runtime_state().join("living")]
            .iter()
            .flat_map(|dir| {
                fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap())
            })
            .filter(|name| !(name.starts_with("exec-") && name.ends_with(".json")))
            .collect()
    };
    let before = names(&machine);
    for round in 0..10 {
        let session = format!("r{round}");
        assert_eq!(exec(&mut machine, &living, &session, &["true"], "").unwrap().code, 0);
        exec(&mut machine, &living, &session, &["nope"], "").unwrap_err();
    }
    assert_eq!(names(&machine), before);
}
