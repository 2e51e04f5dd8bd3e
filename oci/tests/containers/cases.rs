//! The cases.

mod confinement;
mod exec;
mod failures;

use crate::fixture::*;
use berth_core::manifest::types::{Container, SecurityContext};
use berth_oci::container::mounts::Bind;
use std::{fs, path::PathBuf};

pub(crate) const ALL: &[(&str, fn())] = &[
    ("a container runs, and its end is its parent's to see", runs),
    ("the root file system is the image's, and writing stays in the run", root_file_system),
    ("an image may have more layers than a page of options can name", many_layers),
    ("volumes and files are where they should be", binds),
    ("the pod's namespaces are joined", namespaces),
    ("a read-only root is read-only", read_only_root),
    ("limits and scores are set, and what cannot be is told", limits),
    ("more creates than workers at one time", crowd),
    ("user, groups, capabilities, privileges and filter are as wished", confinement::identity),
    ("the kernel's file systems are there, and masked", confinement::kernel_file_systems),
    ("a privileged container is not confined", confinement::privileged),
    ("devices outside the list are denied", confinement::devices),
    ("signals are as a program expects them", confinement::signals),
    ("the zygote runs from a read-only view of its program", confinement::sealed),
    ("a profile of the node's is loaded", confinement::localhost_profile),
    ("what cannot run says why", failures::texts),
    ("failing creates leave nothing", failures::leave_nothing),
    ("a refusal that is the machine's is told as such", failures::the_machines),
    ("a worker that hangs is killed at its deadline", failures::deadline),
    ("a worker that dies is told as lost", failures::lost),
    ("a command runs in a container, confined like it", exec::confined),
    ("a command has its own exit code and streams", exec::streams),
    ("a command that cannot run says why", exec::failing),
    ("a command has a terminal", exec::terminal),
    ("commands leave nothing", exec::leave_nothing),
];

fn runs() {
    let mut machine = Machine::new();
    let ready = machine.shell("hello", "echo out; echo err >&2; exit 7");
    let ended = machine.run(&ready).unwrap();
    assert_eq!(ended, Ended { code: 7, stdout: "out\n".into(), stderr: "err\n".into() });
    // Nothing is mounted where others see it.
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(ready.bundle.to_str().unwrap()), "{mounts}");
    assert!(
        !ready.bundle.join("warnings").exists()
            || !controllers().is_empty()
            || warnings(&ready).contains("cpu.weight")
    );
}

fn controllers() -> String {
    fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap()
}

fn warnings(ready: &Ready) -> String {
    fs::read_to_string(ready.bundle.join("warnings")).unwrap_or_default()
}

fn root_file_system() {
    let mut machine = Machine::new();
    let script = "pwd; touch /new && echo x >/etc/made; ls /";
    let container = Container { working_dir: Some("/deep/er".into()), ..shell(script) };
    let ready = machine.prepare("root", Wish { container, ..Wish::default() });
    let ended = machine.run(&ready).unwrap();
    assert_eq!(
        ended.stdout, "/deep/er\nbin\ndeep\ndev\netc\nnew\nproc\nroot\nsys\ntmp\n",
        "{}",
        ended.stderr
    );
    let upper = ready.plan.overlay.unwrap().upper;
    assert!(upper.join("etc/made").exists() && !machine.layer().join("etc/made").exists());
}

fn many_layers() {
    let mut machine = Machine::new();
    let long = "a-name-as-long-as-the-digest-of-a-layer-0123456789abcdef0123456789abcdef";
    let mut layers: Vec<PathBuf> = (0..100)
        .map(|index| {
            let layer = machine.path("state").join(format!("{index}-{long}"));
            fs::create_dir(&layer).unwrap();
            fs::write(layer.join("top"), index.to_string()).unwrap();
            layer
        })
        .collect();
    layers.push(machine.layer());
    let ready = machine.prepare("layers", Wish { container: shell("cat /top"), layers, ..Wish::default() });
    assert_eq!(machine.run(&ready).unwrap().stdout, "0", "the first is the top");
}

fn binds() {
    let mut machine = Machine::new();
    let (volume, file) = (machine.path("state/volume"), machine.path("state/file"));
    fs::create_dir(&volume).unwrap();
    fs::write(&file, "content\n").unwrap();
    let bind = |source: &PathBuf, destination: &str, read_only| Bind {
        source: source.clone(),
        destination: destination.into(),
        read_only,
        ..Bind::default()
    };
    let binds = vec![
        bind(&volume, "/data", false),
        bind(&volume, "/link/ro", true),
        bind(&file, "/etc/new/file", false),
        bind(&file, "/data/below", true),
    ];
    // A link of the image's is followed as the container will follow it.
    std::os::unix::fs::symlink("/tmp", machine.layer().join("link")).unwrap();
    let script = "echo a >/data/a; cat /etc/new/file /data/below /tmp/ro/a; echo b >/link/ro/b || echo ro; echo c >/data/below || echo ro";
    let ready = machine.prepare("binds", Wish { container: shell(script), binds, ..Wish::default() });
    let ended = machine.run(&ready).unwrap();
    assert_eq!(ended.stdout, "content\ncontent\na\nro\nro\n", "{}", ended.stderr);
    assert_eq!(fs::read_to_string(volume.join("a")).unwrap(), "a\n");
}

fn namespaces() {
    let mut machine = Machine::new();
    machine.pin_namespaces();
    let script = "hostname; ls /sys/class/net; ls -d /proc/[0-9]* | wc -l; echo x >/dev/shm/x; cat /proc/self/cgroup; stat -Lc %i /proc/self/ns/net";
    let container = shell(script);
    let ready = machine.prepare("ns", Wish { container, namespaces: "own", ..Wish::default() });
    let ended = machine.run(&ready).unwrap();
    let pin = machine.roots.pod_ns(&berth_core::ids::PodUid("test".into()), "net");
    let inode = std::os::unix::fs::MetadataExt::ino(&fs::metadata(pin).unwrap());
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines[0], "web-box", "{ended:?}");
    assert!(lines.contains(&"lo") && !lines.contains(&"eth0"), "{ended:?}");
    assert_eq!(lines[lines.len() - 2..], ["0::/", &inode.to_string()], "{ended:?}");
    assert!(machine.roots.pod_shm(&berth_core::ids::PodUid("test".into())).join("x").exists());
}

fn read_only_root() {
    let mut machine = Machine::new();
    let security = SecurityContext { read_only_root_filesystem: Some(true), ..SecurityContext::default() };
    let container = Container {
        security_context: Some(security),
        ..shell("echo x >/new || echo x >/dev/null && echo ok")
    };
    let ready = machine.prepare("ro", Wish { container, ..Wish::default() });
    let ended = machine.run(&ready).unwrap();
    assert_eq!(ended.stdout, "ok\n");
    assert!(ended.stderr.contains("Read-only file system"), "{}", ended.stderr);
}

fn limits() {
    let mut machine = Machine::new();
    let score = |pid: u32| fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap();
    let before = score(machine.zygote_pid());
    let ready = machine.shell("limits", "cat /proc/self/oom_score_adj");
    assert_eq!(machine.run(&ready).unwrap().stdout, "1000\n", "best effort");
    assert_eq!(score(machine.zygote_pid()), before);
    let missing = !controllers().contains("memory");
    assert_eq!(warnings(&ready).contains("memory.oom.group=1 has no effect"), missing);
}

fn crowd() {
    const CONTAINERS: u64 = 24;
    let mut machine = Machine::new();
    let out = pipe();
    let ready: Vec<Ready> = (0..CONTAINERS).map(|n| machine.shell(&format!("crowd{n}"), "echo x")).collect();
    for ready in &ready {
        machine.send(ready, 30_000, [&out.1, &out.1]);
    }
    drop(out.1);
    let mut tickets = Vec::new();
    for _ in 0..CONTAINERS {
        match machine.answer() {
            berth_keeper::protocol::WorkReport::Started { ticket, .. } => tickets.push(ticket),
            other => panic!("{other:?}"),
        }
    }
    tickets.sort_unstable();
    assert_eq!(tickets, (1..=CONTAINERS).collect::<Vec<_>>());
    assert_eq!(read(out.0), "x\n".repeat(usize::try_from(CONTAINERS).unwrap()));
}
