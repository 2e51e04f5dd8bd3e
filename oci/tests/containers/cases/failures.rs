//! What does not work, and what it leaves.

use crate::fixture::*;
use berth_core::manifest::types::Container;
use berth_keeper::protocol::{FailClass, WorkReport};
use berth_oci::container::mounts::Bind;
use nix::{sys::stat::Mode, unistd::mkfifo};
use std::{fs, path::Path};

pub(super) fn texts() {
    let mut machine = Machine::new();
    fs::write(machine.layer().join("bin/script"), "#!/no/interpreter\n").unwrap();
    fs::set_permissions(
        machine.layer().join("bin/script"),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    for (name, command, text) in [
        ("none", "nope", "exec: \"nope\": executable file not found in $PATH"),
        ("nopath", "/bin/nope", "exec: \"/bin/nope\": no such file or directory"),
        ("data", "/bin/data", "exec: \"/bin/data\": permission denied"),
        ("dir", "/bin", "exec: \"/bin\": is a directory"),
        ("foreign", "/bin/foreign", "exec: \"/bin/foreign\": exec format error"),
        ("script", "script", "interpreter"),
    ] {
        let container = Container { name: "c".into(), command: vec![command.into()], ..Container::default() };
        let ready = machine.prepare(name, Wish { container, ..Wish::default() });
        let error = machine.run(&ready).unwrap_err();
        assert!(error.contains(text), "{name}: {error}");
        assert!(!error.contains('\n') && error.len() < 200, "{error}");
    }
}

/// Mistakes of other kinds than the program's.
fn mistakes(machine: &Machine) -> Vec<(&'static str, Ready, &'static str)> {
    let bind = |source: &Path, destination: &str| Bind {
        source: source.to_owned(),
        destination: destination.into(),
        read_only: false,
        ..Bind::default()
    };
    let wish = |binds| Wish { container: shell("true"), binds, ..Wish::default() };
    let gone = machine.path("gone");
    let missing = machine.prepare("missing", wish(vec![bind(&gone, "/x")]));
    let late = machine.prepare("late", wish(vec![bind(&gone, "/proc/x")]));
    let onfile = machine.prepare("onfile", wish(vec![bind(&machine.layer(), "/bin/data/x")]));
    let layers = vec![gone];
    let layer = machine.prepare("layer", Wish { container: shell("true"), layers, ..Wish::default() });
    let container = Container { working_dir: Some("/bin/data".into()), ..shell("true") };
    let cwd = machine.prepare("cwd", Wish { container, ..Wish::default() });
    vec![
        ("a missing source", missing, "No such file"),
        ("a mount in /proc", late, "No such file or directory (os error 2) (failed to prepare rootfs)"),
        (
            "a mount below a file",
            onfile,
            "/bin/data/x cannot be made in the container: something that is no directory",
        ),
        ("a missing layer", layer, "layer"),
        ("a working directory that is a file", cwd, "/bin/data cannot be made"),
    ]
}

pub(super) fn leave_nothing() {
    const TIMES: usize = 10;
    let mut machine = Machine::new();
    let count = |machine: &Machine, what: &str| {
        fs::read_dir(format!("/proc/{}/{what}", machine.zygote_pid())).unwrap().count()
    };
    let children = |machine: &Machine| {
        fs::read_to_string(format!("/proc/{0}/task/{0}/children", machine.zygote_pid())).unwrap()
    };
    let fds = count(&machine, "fd");
    let cgroups: Vec<(&str, Ready, &str)> = mistakes(&machine);
    for (what, ready, text) in &cgroups {
        for _ in 0..TIMES {
            let error = machine.run(ready).unwrap_err();
            assert!(error.contains(text), "{what}: {error}");
            // The writable layer was volatile: as `prepare` does before another try.
            let upper = ready.plan.overlay.as_ref().unwrap();
            for dir in [&upper.upper, &upper.work] {
                fs::remove_dir_all(dir).unwrap();
                fs::create_dir(dir).unwrap();
            }
        }
    }
    let fine = machine.shell("fine", "exit 3");
    assert_eq!(machine.run(&fine).unwrap().code, 3);
    assert_eq!(count(&machine, "fd"), fds, "descriptors of the zygote");
    // The last worker may not be through with its end.
    assert!(
        children(&machine).split_whitespace().count() <= 1,
        "children of the zygote: {}",
        children(&machine)
    );
    for (what, ready, _) in &cgroups {
        let members = fs::read_to_string(ready.plan.cgroup.join("cgroup.procs")).unwrap();
        assert_eq!(members, "", "{what}");
        assert!(!ready.plan.state_root.join(&*ready.id.0).exists(), "{what}: state");
    }
}

/// The program is still being written: it is not the pod's fault, and another try may have more luck.
pub(super) fn the_machines() {
    let mut machine = Machine::new();
    let host = machine.path("host");
    fs::create_dir(&host).unwrap();
    fs::copy(machine.layer().join("bin/busybox"), host.join("app")).unwrap();
    let binds = vec![Bind { source: host.clone(), destination: "/host".into(), ..Bind::default() }];
    let container = Container { command: vec!["/host/app".into()], ..shell("true") };
    let ready = machine.prepare("busy", Wish { container, binds, ..Wish::default() });
    let writer = fs::OpenOptions::new().append(true).open(host.join("app")).unwrap();
    let out = pipe();
    let sent = machine.send(&ready, 20_000, [&out.1, &out.1]);
    match machine.answer() {
        WorkReport::Failed { ticket, class: FailClass::Machine, .. } if ticket == sent => drop(writer),
        other => panic!("{other:?}"),
    }
}

pub(super) fn deadline() {
    let mut machine = Machine::new();
    let ready = machine.shell("hang", "true");
    // The worker waits for a writer for ever.
    let plan = ready.bundle.join("config.json");
    fs::remove_file(&plan).unwrap();
    mkfifo(&plan, Mode::S_IRWXU).unwrap();
    let out = pipe();
    let ticket = machine.send(&ready, 100, [&out.1, &out.1]);
    assert_eq!(machine.answer(), WorkReport::Lost { ticket, class: FailClass::Timeout });
    let other = machine.shell("other", "exit 5");
    assert_eq!(machine.run(&other).unwrap().code, 5, "the zygote goes on");
}

pub(super) fn lost() {
    let mut machine = Machine::new();
    let ready = machine.shell("lost", "true");
    let plan = ready.bundle.join("config.json");
    fs::remove_file(&plan).unwrap();
    mkfifo(&plan, Mode::S_IRWXU).unwrap();
    let out = pipe();
    let ticket = machine.send(&ready, 20_000, [&out.1, &out.1]);
    // The worker has been born in the cgroup when this opens: it is reading there.
    let writer = fs::OpenOptions::new().write(true).open(&plan).unwrap();
    fs::write(ready.plan.cgroup.join("cgroup.kill"), "1").unwrap();
    assert_eq!(machine.answer(), WorkReport::Lost { ticket, class: FailClass::Lost });
    drop(writer);
}
