//! The whole agent against a keeper that only pretends: no process is ever started, but sandboxes, bundles,
//! logs and the socket are real. Needs root and a mount namespace; says so where it has none.

use super::{boot, run};
use berth_keeper::{
    link,
    protocol::{ExitStatus, Id, Notice, Request, SlotState, VERSION},
};
use nix::{
    fcntl::{FcntlArg, OFlag, fcntl},
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    unistd::{Uid, pipe2},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufRead, BufReader, Write},
    os::{
        fd::{AsRawFd, OwnedFd, RawFd},
        unix::net::UnixStream,
    },
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// Only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(30);

/// A container that is only said to run.
struct Pretended {
    state: SlotState,
    fds: Vec<OwnedFd>,
    writers: Vec<File>,
}

/// What a keeper remembers while agents come and go.
type Table = Arc<Mutex<BTreeMap<String, Pretended>>>;

fn boot_ns() -> u64 {
    berth_oci::clock::now().mono.0
}

fn pretend() -> Pretended {
    let mut fds = Vec::new();
    let mut writers: Vec<File> = Vec::new();
    for _ in 0..2 {
        let (read, write) = pipe2(OFlag::O_CLOEXEC).unwrap();
        fds.push(read);
        writers.push(write.into());
    }
    for _ in 0..2 {
        let (read, write) = pipe2(OFlag::O_CLOEXEC).unwrap();
        fds.extend([read, write]);
    }
    writers[0].write_all(b"hello\n").unwrap();
    Pretended { state: SlotState::Running { pid: 4242, started_ns: boot_ns() }, fds, writers }
}

/// Answers one agent until that is gone.
fn keep(socket: OwnedFd, table: &Table) {
    let say = |notice: Notice, fds: &[OwnedFd]| {
        let raw: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
        let _ = link::send(&socket, &notice, &raw);
    };
    while let Ok((request, _)) = link::recv::<Request>(&socket) {
        let mut table = table.lock().unwrap();
        match request {
            Request::Hello { .. } => {
                say(
                    Notice::Welcome { version: VERSION, pid: 1, slots: u16::try_from(table.len()).unwrap() },
                    &[],
                );
                for (id, slot) in table.iter() {
                    say(
                        Notice::Slot { id: Id::try_from(id.as_str()).unwrap(), state: slot.state },
                        &slot.fds,
                    );
                }
                say(Notice::ListEnd, &[]);
            }
            Request::Create { op, id, .. } => {
                let slot = pretend();
                say(Notice::Started { op, id: id.clone(), pid: 4242, at_ns: boot_ns() }, &slot.fds);
                table.insert(id.as_str().to_owned(), slot);
            }
            Request::Signal { op, id, signal } => {
                let slot = table.get_mut(id.as_str()).unwrap();
                let exit = ExitStatus { code: 0, signal, at_ns: boot_ns() };
                slot.state = SlotState::Exited { started_ns: 1, exit };
                slot.writers.clear();
                say(Notice::Done { op }, &[]);
                say(Notice::Exited { id, exit }, &[]);
            }
            Request::Release { op, id } => {
                table.remove(id.as_str());
                say(Notice::Done { op }, &[]);
            }
            other => panic!("{other:?}"),
        }
    }
}

struct Bench {
    dir: tempfile::TempDir,
    table: Table,
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
        let root = format!("berth-unit-{}", std::process::id());
        let config = json!({
            "staticPodPath": at("manifests"), "imageSourcePaths": at("images"), "stateDirectory": at("state"),
            "runDirectory": at("run"), "logDirectory": at("log"), "cgroupMount": at("cgroup"),
            "cgroupRoot": root, "hostnameOverride": "box",
        });
        fs::write(at("config.yaml"), config.to_string()).unwrap();
        let layer = vec![berth_images::build::Entry::file("bin/true", 0o755, "")];
        let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
        let image = berth_images::build::ImageBuilder::new(arch).layer(layer).name("app:1");
        image.write_oci_archive(&at("images/app.tar")).unwrap();
        Some(Self { dir, table: Table::default() })
    }

    fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    /// Runs an agent while `body` does something, on a thread of its own; then the agent is as good as killed.
    fn with_agent<T: Send + 'static>(&self, body: impl FnOnce(PathBuf) -> T + Send + 'static) -> T {
        let (agent, keeper) = link::pair().unwrap();
        fcntl(agent.as_raw_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        let table = Arc::clone(&self.table);
        let keeping = std::thread::spawn(move || keep(keeper, &table));
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
    assert_eq!(bench.table.lock().unwrap().len(), 1);
    bench
        .table
        .lock()
        .unwrap()
        .values_mut()
        .for_each(|slot| slot.writers[1].write_all(b"meanwhile\n").unwrap());
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
    assert!(bench.table.lock().unwrap().is_empty(), "the keeper has let go of it");
    for dir in ["run/pods", "run/containers", "state/pods", "state/containers", "log/pods"] {
        let left: Vec<_> =
            fs::read_dir(bench.at(dir)).into_iter().flatten().flatten().map(|e| e.path()).collect();
        assert!(left.is_empty(), "{left:?}");
    }
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
