//! The whole agent against a keeper that only pretends: no process is ever started, but sandboxes, bundles,
//! logs and the socket are real. Needs root and a mount namespace; says so where it has none.

mod keeper;

use super::{boot, run};
use berth_keeper::link;
use keeper::{Mood, Shared, keep};
use nix::{
    fcntl::{FcntlArg, OFlag, fcntl},
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, unshare},
    unistd::Uid,
};
use serde_json::{Value, json};
use std::{
    fs,
    io::{self, BufRead, BufReader, IoSlice, Write},
    os::{fd::AsRawFd, unix::net::UnixStream},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

/// Only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(30);

struct Bench {
    dir: tempfile::TempDir,
    cgroup: PathBuf,
    table: Shared,
}

impl Bench {
    fn new() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        for path in ["manifests", "images", "cgroup", "run"] {
            fs::create_dir(at(path)).unwrap();
        }
        if !Uid::effective().is_root() || private_mounts(&at("cgroup"), &at("run")).is_err() {
            eprintln!("SKIPPED: needs root and a mount namespace of its own");
            return None;
        }
        // The hierarchy is the machine's, wherever it is mounted.
        let root =
            format!("berth-unit-{}", dir.path().file_name().unwrap().to_str().unwrap().replace('.', ""));
        let config = json!({
            "staticPodPath": at("manifests"), "imageSourcePaths": at("images"), "stateDirectory": at("state"),
            "runDirectory": at("run"), "logDirectory": at("log"), "cgroupMount": at("cgroup"),
            "cgroupRoot": root, "hostnameOverride": "box", "network": "none",
            // Whatever the machine has left.
            "evictionHard": {"memory.available": "0%", "nodefs.available": "0%", "nodefs.inodesFree": "0%",
                "imagefs.available": "0%", "imagefs.inodesFree": "0%"},
        });
        fs::write(at("config.yaml"), config.to_string()).unwrap();
        let layer = vec![berth_images::build::Entry::file("bin/true", 0o755, "")];
        let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
        let image = berth_images::build::ImageBuilder::new(arch).layer(layer).name("app:1");
        image.write_oci_archive(&at("images/app.tar")).unwrap();
        let cgroup = at("cgroup").join(root);
        Some(Self { dir, cgroup, table: Shared::default() })
    }

    fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn nothing_left(&self) {
        assert!(self.table.lock().unwrap().slots.is_empty(), "the keeper has let go of all");
        for dir in
            ["run/pods", "run/containers", "state/pods", "state/containers", "log/pods", "log/containers"]
        {
            let left: Vec<_> =
                fs::read_dir(self.at(dir)).into_iter().flatten().flatten().map(|e| e.path()).collect();
            assert!(left.is_empty(), "{left:?}");
        }
    }

    /// Runs an agent while `body` does something, on a thread of its own; then the agent is as good as killed.
    fn with_agent<T: Send + 'static>(&self, body: impl FnOnce(PathBuf) -> T + Send + 'static) -> T {
        let (agent, keeper) = link::pair().unwrap();
        fcntl(agent.as_raw_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        let table = Arc::clone(&self.table);
        let keeping = std::thread::spawn(move || keep(&keeper, &table));
        let env = boot::prepare(Some(&self.at("config.yaml"))).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let dir = self.dir.path().to_owned();
        let result = runtime.block_on(async {
            let body = tokio::task::spawn_blocking(move || body(dir));
            tokio::select! {
                ended = run::run(env, agent, Instant::now()) => panic!("the agent ended: {ended:?}"),
                result = body => result.unwrap(),
            }
        });
        drop(runtime);
        keeping.join().unwrap();
        result
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        remove_cgroups(&self.cgroup);
        // Before the directory is removed with all that is in it.
        for mounted in ["cgroup", "run"] {
            let _ = umount2(&self.at(mounted), MntFlags::MNT_DETACH);
        }
    }
}

/// No process was ever in them.
fn remove_cgroups(dir: &Path) {
    for child in fs::read_dir(dir).into_iter().flatten().flatten().filter(|entry| entry.path().is_dir()) {
        remove_cgroups(&child.path());
    }
    let _ = fs::remove_dir(dir);
}

fn private_mounts(cgroup: &Path, run: &Path) -> nix::Result<()> {
    const NONE: Option<&str> = None;
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)?;
    mount(Some("none"), cgroup, Some("cgroup2"), MsFlags::empty(), NONE)?;
    mount(Some("none"), run, Some("tmpfs"), MsFlags::empty(), NONE)
}

/// Watches the pods until `judge` says something.
fn until<T>(dir: &Path, judge: impl Fn(&Value) -> Option<T>) -> T {
    let began = Instant::now();
    let mut last = Value::Null;
    while began.elapsed() < PATIENCE {
        let Ok(mut socket) = UnixStream::connect(dir.join("run/berth.sock")) else {
            std::thread::yield_now();
            continue;
        };
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.write_all(b"{\"verb\":\"pods\",\"watch\":true}\n").unwrap();
        for line in BufReader::new(socket).lines().map_while(io::Result::ok) {
            last = serde_json::from_str(&line).unwrap();
            if let Some(found) = judge(&last["data"]) {
                return found;
            }
        }
    }
    panic!("in vain; last heard {last:#}");
}

fn running(list: &Value) -> Option<String> {
    let status = &list["items"][0]["status"]["containerStatuses"][0];
    status["state"]["running"].is_object().then(|| status["containerID"].to_string())
}

fn manifest(image: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: web}}\nspec:\n  containers:\n  \
         - {{name: c, image: '{image}', imagePullPolicy: IfNotPresent, command: [/bin/true]}}\n"
    )
}

fn logs(dir: &Path) -> String {
    let Ok(pods) = fs::read_dir(dir.join("log/pods")) else { return String::new() };
    pods.flatten().filter_map(|pod| fs::read_to_string(pod.path().join("c/0.log")).ok()).collect()
}

#[test]
fn a_pod_lives_through_agents() {
    let Some(bench) = Bench::new() else { return };
    let first = bench.with_agent(|dir| {
        fs::write(dir.join("manifests/web.yaml"), manifest("app:1")).unwrap();
        until(&dir, running)
    });
    assert_eq!(bench.table.lock().unwrap().slots.len(), 1);
    for slot in bench.table.lock().unwrap().slots.values_mut() {
        slot.writers[1].write_all(b"meanwhile\n").unwrap();
    }
    let second = bench.with_agent(|dir| until(&dir, running));
    assert_eq!(first, second, "adopted");
    bench.with_agent(|dir| {
        until(&dir, running);
        // Both lines, each once, whichever agent was it.
        let began = Instant::now();
        while logs(&dir).lines().count() < 2 {
            assert!(began.elapsed() < PATIENCE, "{}", logs(&dir));
            std::thread::yield_now();
        }
        fs::remove_file(dir.join("manifests/web.yaml")).unwrap();
        until(&dir, |list| list["items"].as_array().unwrap().is_empty().then_some(()));
    });
    bench.nothing_left();
}

#[test]
fn a_pod_waits_for_its_image_and_starts_when_it_comes() {
    let Some(bench) = Bench::new() else { return };
    bench.with_agent(|dir| {
        fs::write(dir.join("manifests/web.yaml"), manifest("late:1")).unwrap();
        until(&dir, |list| {
            let status = &list["items"][0]["status"]["containerStatuses"][0];
            let reason = status["state"]["waiting"]["reason"].as_str()?;
            matches!(reason, "ErrImagePull" | "ImagePullBackOff").then_some(())
        });
        let layer = vec![berth_images::build::Entry::file("bin/true", 0o755, "")];
        let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
        let image = berth_images::build::ImageBuilder::new(arch).layer(layer).name("late:1");
        image.write_oci_archive(&dir.join("images/late.tar")).unwrap();
        until(&dir, running);
        fs::remove_file(dir.join("manifests/web.yaml")).unwrap();
        until(&dir, |list| list["items"].as_array().unwrap().is_empty().then_some(()));
    });
}

#[test]
fn what_a_container_of_an_earlier_boot_wrote_goes_beside_the_pods_of_this_one() {
    let Some(bench) = Bench::new() else { return };
    let old = bench.at("state/containers/of-an-earlier-boot");
    fs::create_dir_all(old.join("upper/many")).unwrap();
    fs::write(old.join("upper/many/file"), "x").unwrap();
    bench.with_agent(move |dir| {
        fs::write(dir.join("manifests/web.yaml"), manifest("app:1")).unwrap();
        until(&dir, running);
        let began = Instant::now();
        while old.exists() {
            assert!(began.elapsed() < PATIENCE, "it is there still");
            std::thread::yield_now();
        }
        fs::remove_file(dir.join("manifests/web.yaml")).unwrap();
        until(&dir, gone);
    });
    bench.nothing_left();
}

fn gone(list: &Value) -> Option<()> {
    list["items"].as_array().unwrap().is_empty().then_some(())
}

#[test]
fn a_refused_start_is_told_and_tried_again() {
    let Some(bench) = Bench::new() else { return };
    bench.table.lock().unwrap().moods.push_back(Mood::Refuse);
    bench.with_agent(|dir| {
        fs::write(dir.join("manifests/web.yaml"), manifest("app:1")).unwrap();
        until(&dir, |list| list.to_string().contains("exec: no such file").then_some(()));
        fs::remove_file(dir.join("manifests/web.yaml")).unwrap();
        until(&dir, gone);
    });
    bench.nothing_left();
}

#[test]
fn a_start_that_only_the_next_agent_hears_of_counts_once() {
    let Some(bench) = Bench::new() else { return };
    bench.table.lock().unwrap().moods.push_back(Mood::TellTheNext);
    let table = Arc::clone(&bench.table);
    bench.with_agent(move |dir| {
        fs::write(dir.join("manifests/web.yaml"), manifest("app:1")).unwrap();
        while table.lock().unwrap().creates == 0 {
            std::thread::yield_now();
        }
    });
    bench.with_agent(|dir| {
        until(&dir, running);
        let began = Instant::now();
        while logs(&dir).lines().count() < 1 {
            assert!(began.elapsed() < PATIENCE);
            std::thread::yield_now();
        }
        fs::remove_file(dir.join("manifests/web.yaml")).unwrap();
        until(&dir, gone);
    });
    assert_eq!(bench.table.lock().unwrap().creates, 1);
    bench.nothing_left();
}

#[test]
fn a_command_runs_and_its_file_goes() {
    let Some(bench) = Bench::new() else { return };
    bench.with_agent(|dir| {
        fs::write(dir.join("manifests/web.yaml"), manifest("app:1")).unwrap();
        until(&dir, running);
        let socket = UnixStream::connect(dir.join("run/berth.sock")).unwrap();
        let (read, write) = io::pipe().unwrap();
        let line = json!({"verb": "exec", "namespace": "default", "pod": "web", "container": null,
            "command": ["true"], "tty": false});
        let line = format!("{line}\n");
        let fds = [write.as_raw_fd(); 3];
        let control = [nix::sys::socket::ControlMessage::ScmRights(&fds)];
        let flags = nix::sys::socket::MsgFlags::empty();
        nix::sys::socket::sendmsg::<()>(
            socket.as_raw_fd(),
            &[IoSlice::new(line.as_bytes())],
            &control,
            flags,
            None,
        )
        .unwrap();
        drop(write);
        let replies: Vec<String> = BufReader::new(socket).lines().map(Result::unwrap).collect();
        assert_eq!(replies, [r#"{"data":{"started":true}}"#, r#"{"data":{"exitCode":137}}"#]);
        assert_eq!(io::read_to_string(read).unwrap(), "executed\n");
        fs::remove_file(dir.join("manifests/web.yaml")).unwrap();
        until(&dir, gone);
    });
    bench.nothing_left();
}

/// Agents that live for a moment only, while manifests come, change and go; then one that has time.
#[test]
fn agents_that_die_at_any_moment_leave_no_trace() {
    let Some(bench) = Bench::new() else { return };
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = move |n: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % n
    };
    for round in 0..60 {
        let file = bench.at(&format!("manifests/{}.yaml", below(3)));
        let name =
            format!("name: {}", file.file_stem().unwrap().to_str().unwrap().replace(['0', '1', '2'], "pod"));
        let name = format!("{name}{}", below(3));
        match below(3) {
            0 => drop(fs::remove_file(&file)),
            _ => fs::write(&file, manifest("app:1").replace("name: web", &name) + &format!("# {round}\n"))
                .unwrap(),
        }
        let life = Duration::from_micros(below(25_000));
        bench.with_agent(move |_| std::thread::sleep(life));
    }
    for file in 0..3 {
        let text = manifest("app:1").replace("name: web", &format!("name: last{file}"));
        fs::write(bench.at(&format!("manifests/{file}.yaml")), text).unwrap();
    }
    bench.with_agent(|dir| {
        until(&dir, |list| {
            let items = list["items"].as_array().unwrap();
            let runs = |item: &&Value| item["status"]["containerStatuses"][0]["state"]["running"].is_object();
            (items.len() == 3 && items.iter().filter(runs).count() == 3).then_some(())
        });
    });
    assert_eq!(bench.table.lock().unwrap().slots.len(), 3, "one container for each");
    bench.with_agent(|dir| {
        for file in 0..3 {
            fs::remove_file(dir.join(format!("manifests/{file}.yaml"))).unwrap();
        }
        until(&dir, gone);
    });
    bench.nothing_left();
}
