//! The whole Berth that the tests drive: started, asked through its socket, killed, looked after.

use berth_images::build::{Entry, ImageBuilder};
use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, unshare},
    sys::signal::{Signal, kill},
    unistd::{Pid, Uid},
};
use serde_json::{Value, json};
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Longer than anything here takes on a loaded machine; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at something that tells nobody when it changes: a log file, a process.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// A pod as the API shows it.
#[derive(Debug, Clone)]
pub(crate) struct Pod {
    pub(crate) name: String,
    pub(crate) uid: String,
    /// The id of its container `c`.
    pub(crate) id: String,
    pub(crate) running: bool,
    pub(crate) restarts: u64,
    /// `status.containerStatuses[0]`.
    pub(crate) status: Value,
}

/// The pod `name` (without the node's suffix) in a list.
pub(crate) fn find(list: &Value, name: &str) -> Option<Pod> {
    let item =
        list["items"].as_array()?.iter().find(|item| item["metadata"]["name"] == format!("{name}-box"))?;
    let status = &item["status"]["containerStatuses"][0];
    let id = status["containerID"].as_str().unwrap_or_default();
    Some(Pod {
        name: name.into(),
        uid: item["metadata"]["uid"].as_str()?.into(),
        id: id.rsplit('/').next().unwrap_or_default().into(),
        running: status["state"]["running"].is_object(),
        restarts: status["restartCount"].as_u64().unwrap_or(0),
        status: status.clone(),
    })
}

/// The pod by name, as long as it is the revision with these words in its spec: of two revisions, both are listed.
pub(crate) fn find_with(list: &Value, name: &str, words: &str) -> Option<Pod> {
    let items = list["items"].as_array()?.iter();
    let with: Vec<_> = items.filter(|item| item["spec"].to_string().contains(words)).cloned().collect();
    find(&json!({ "items": with }), name)
}

/// A Berth.
pub(crate) struct Bench {
    dir: tempfile::TempDir,
    cgroup: PathBuf,
    keeper: Option<Child>,
}

impl Bench {
    /// None where it cannot run, which is said.
    pub(crate) fn start(name: &str) -> Option<Self> {
        if !Uid::effective().is_root() {
            eprintln!("SKIPPED: needs root");
            return None;
        }
        let dir = tempfile::Builder::new().prefix(&format!("berth-{name}-")).tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        for path in ["manifests", "images", "state", "log", "run", "cgroup"] {
            fs::create_dir(at(path)).unwrap();
        }
        if let Err(error) = private_mounts(&at("cgroup"), &at("run")) {
            eprintln!("SKIPPED: no mount namespace of one's own: {error}");
            return None;
        }
        let root = format!("berth-test-{}-{name}", std::process::id());
        let config = json!({
            "staticPodPath": at("manifests"), "imageSourcePaths": [at("images")], "stateDirectory": at("state"),
            "runDirectory": at("run"), "logDirectory": at("log"), "cgroupMount": at("cgroup"),
            "cgroupRoot": root, "hostnameOverride": "box", "logLevel": "debug",
            // The machine's own network is not for tests.
            "network": "none",
        });
        fs::write(at("config.yaml"), config.to_string()).unwrap();
        busybox(&at("images"));
        let cgroup = at("cgroup").join(root);
        let mut bench = Self { dir, cgroup, keeper: None };
        bench.start_again();
        Some(bench)
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Starts the service; done when the agent answers.
    pub(crate) fn start_again(&mut self) {
        let log = fs::File::options().create(true).append(true).open(self.dir().join("berth.log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_berth"))
            .args(["keeper", "--config"])
            .arg(self.dir().join("config.yaml"))
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.keeper = Some(child);
        self.agent_pid();
    }

    /// Stops the service, not the pods.
    pub(crate) fn stop(&mut self) {
        let Some(mut keeper) = self.keeper.take() else { return };
        self.kill_with(i32::try_from(keeper.id()).unwrap(), Signal::SIGTERM);
        let began = Instant::now();
        while keeper.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < PATIENCE, "the keeper does not end");
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// Puts a manifest there as a careful writer does.
    pub(crate) fn manifest(&self, name: &str, text: &str) {
        let beside = self.dir().join("beside");
        fs::write(&beside, text).unwrap();
        fs::rename(beside, self.dir().join("manifests").join(name)).unwrap();
    }

    pub(crate) fn remove_manifest(&self, name: &str) {
        fs::remove_file(self.dir().join("manifests").join(name)).unwrap();
    }

    /// Asks, and hands the replies to `judge` until it says something. Asks again when the agent is away.
    fn ask<T>(&self, request: &Value, mut judge: impl FnMut(&Value) -> Option<T>) -> T {
        let began = Instant::now();
        let mut last = Value::Null;
        while began.elapsed() < PATIENCE {
            let Ok(mut socket) = UnixStream::connect(self.dir().join("run/berth.sock")) else {
                std::thread::sleep(LOOK_AGAIN);
                continue;
            };
            socket.set_read_timeout(Some(PATIENCE.saturating_sub(began.elapsed()).max(LOOK_AGAIN))).unwrap();
            if socket.write_all(format!("{request}\n").as_bytes()).is_err() {
                continue;
            }
            for line in BufReader::new(socket).lines() {
                let Ok(line) = line else { break };
                last = serde_json::from_str(&line).unwrap();
                if let Some(found) = judge(&last["data"]) {
                    return found;
                }
            }
        }
        panic!("in vain: {request}; last heard {last:#}\n{}", self.tell());
    }

    /// Watches the pods until `judge` says something.
    pub(crate) fn until<T>(&self, judge: impl FnMut(&Value) -> Option<T>) -> T {
        self.ask(&json!({"verb": "pods", "watch": true}), judge)
    }

    /// The pod when it runs.
    pub(crate) fn running(&self, name: &str) -> Pod {
        self.until(|list| find(list, name).filter(|pod| pod.running))
    }

    pub(crate) fn until_problem(&self, file: &str) {
        self.ask(&json!({"verb": "problems"}), |problems| problems.to_string().contains(file).then_some(()));
    }

    pub(crate) fn agent_pid(&self) -> i32 {
        self.ask(&json!({"verb": "status"}), |status| {
            status["agent"]["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok())
        })
    }

    pub(crate) fn keeper_pid(&self) -> i64 {
        self.ask(&json!({"verb": "status"}), |status| status["keeper"]["pid"].as_i64())
    }

    /// Waits until the agent that answers runs this program.
    pub(crate) fn until_agent_is(&self, program: &Path) {
        let exe = || fs::read_link(format!("/proc/{}/exe", self.agent_pid())).unwrap_or_default();
        self.wait(|| exe() == program, || format!("{} instead of {}", program.display(), exe().display()));
    }

    /// Runs a verb of the command line: its exit status, stdout, stderr.
    pub(crate) fn berth(&self, args: &[&str]) -> (i32, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_berth"))
            .args(args)
            .env("BERTH_SOCKET", self.dir().join("run/berth.sock"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
    }

    /// The agent's pid as soon as there is one, serving or not.
    pub(crate) fn newborn_agent(&self) -> i32 {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            let config = format!("\0agent\0--config\0{}", self.dir().display());
            if let Some(pid) = processes_with(&config).first() {
                return *pid;
            }
        }
        panic!("no agent\n{}", self.tell());
    }

    /// Kills the agent and waits for the next one; the pid of that.
    pub(crate) fn kill_agent(&self) -> i32 {
        let old = self.agent_pid();
        self.kill(old);
        let began = Instant::now();
        loop {
            let pid = self.agent_pid();
            if pid != old {
                return pid;
            }
            assert!(began.elapsed() < PATIENCE, "no new agent\n{}", self.tell());
        }
    }

    pub(crate) fn kill(&self, pid: i32) {
        self.kill_with(pid, Signal::SIGKILL);
    }

    fn kill_with(&self, pid: i32, signal: Signal) {
        // It may have been killed already, and not be reaped yet.
        let _ = kill(Pid::from_raw(pid), signal);
    }

    pub(crate) fn log_dir(&self, pod: &Pod) -> PathBuf {
        self.dir().join(format!("log/pods/default_{}-box_{}", pod.name, pod.uid))
    }

    /// The text of all its log files, oldest first, without what CRI puts before it.
    fn text(&self, pod: &Pod) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.log_dir(pod).join("c")) else { return Vec::new() };
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort_by_key(|path| (path.ends_with("0.log"), path.clone()));
        let text: String = files.iter().filter_map(|file| fs::read_to_string(file).ok()).collect();
        text.lines().filter_map(|line| line.splitn(4, ' ').nth(3).map(str::to_owned)).collect()
    }

    pub(crate) fn until_log(&self, pod: &Pod, line: &str) {
        self.wait(
            || self.text(pod).iter().any(|l| l == line),
            || format!("{line:?} in {:?}", self.text(pod)),
        );
    }

    /// Waits until there are more lines than now.
    pub(crate) fn lines_grow(&self, pod: &Pod) {
        let count = self.text(pod).len();
        self.wait(|| self.text(pod).len() > count, || "more lines".into());
    }

    /// Every number once, in order, as far as they go.
    pub(crate) fn assert_lines_complete(&self, pod: &Pod, mark: &str) {
        let text = self.text(pod);
        for (number, line) in text.iter().enumerate() {
            assert_eq!(*line, format!("{mark} {number}"), "line {number} of {}", text.len());
        }
    }

    /// How many containers have cgroups.
    pub(crate) fn containers(&self) -> usize {
        let dirs = |dir: &Path| -> Vec<PathBuf> {
            fs::read_dir(dir)
                .into_iter()
                .flatten()
                .flatten()
                .map(|e| e.path())
                .filter(|path| path.is_dir())
                .collect()
        };
        dirs(&self.cgroup.join("kubepods/besteffort")).iter().map(|pod| dirs(pod).len()).sum()
    }

    /// Whether the container's processes are there.
    pub(crate) fn alive(&self, pod: &Pod) -> bool {
        let find = |dir: &Path| find_dir(dir, &pod.id);
        let procs = find(&self.cgroup).and_then(|dir| fs::read_to_string(dir.join("cgroup.procs")).ok());
        procs.is_some_and(|procs| !procs.is_empty())
    }

    /// No process, mount, cgroup or directory of any pod.
    pub(crate) fn nothing_left(&self) {
        let kubepods = self.cgroup.join("kubepods");
        let pods = |dir: &Path| {
            fs::read_dir(dir).map(|d| d.flatten().filter(|e| e.path().is_dir()).count()).unwrap_or(0)
        };
        let leaves: usize = ["", "burstable", "besteffort"].iter().map(|qos| pods(&kubepods.join(qos))).sum();
        // The directories of the QoS classes stay.
        assert!(leaves <= 2, "cgroups are left below {}", kubepods.display());
        for dir in [
            "run/pods",
            "run/containers",
            "run/state",
            "state/pods",
            "state/containers",
            "log/pods",
            "log/containers",
        ] {
            let names: Vec<_> = fs::read_dir(self.dir().join(dir))
                .into_iter()
                .flatten()
                .flatten()
                .map(|e| e.file_name())
                .collect();
            assert!(names.is_empty(), "{dir} has {names:?}");
        }
        let mounts = fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
        let ours = self.dir().to_str().unwrap();
        let left: Vec<&str> = mounts.lines().filter(|line| line.contains(ours)).collect();
        assert_eq!(left.len(), 2, "besides cgroup and run: {left:#?}");
    }

    fn wait(&self, done: impl Fn() -> bool, what: impl Fn() -> String) {
        let began = Instant::now();
        while !done() {
            assert!(began.elapsed() < PATIENCE, "waited in vain for {}\n{}", what(), self.tell());
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// The end of what keeper and agent said.
    fn tell(&self) -> String {
        let text = fs::read_to_string(self.dir().join("berth.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if self.keeper.take().is_some() {
            // A failed test: everything of it goes, by pid and by cgroup.
            for pid in processes_with(self.dir().to_str().unwrap_or("?")) {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
        let _ = fs::write(self.cgroup.join("cgroup.kill"), "1");
        remove_cgroups(&self.cgroup);
        // Before the directory is removed with all that is in it.
        for mounted in ["cgroup", "run"] {
            let _ = umount2(&self.dir().join(mounted), MntFlags::MNT_DETACH);
        }
    }
}

/// Processes with these words in their command line.
fn processes_with(words: &str) -> Vec<i32> {
    let pid = |entry: fs::DirEntry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        String::from_utf8_lossy(&line).contains(words).then_some(pid)
    };
    fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(pid).collect()
}

fn remove_cgroups(dir: &Path) {
    for child in fs::read_dir(dir).into_iter().flatten().flatten().filter(|entry| entry.path().is_dir()) {
        remove_cgroups(&child.path());
    }
    let began = Instant::now();
    while fs::remove_dir(dir).is_err() && dir.exists() && began.elapsed() < Duration::from_secs(5) {
        std::thread::sleep(LOOK_AGAIN);
    }
}

fn find_dir(below: &Path, name: &str) -> Option<PathBuf> {
    fs::read_dir(below).ok()?.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).find_map(
        |path| {
            if path.ends_with(name) { Some(path) } else { find_dir(&path, name) }
        },
    )
}

/// Mounts for this thread and its children only.
fn private_mounts(cgroup: &Path, run: &Path) -> nix::Result<()> {
    const NONE: Option<&str> = None;
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)?;
    mount(Some("none"), cgroup, Some("cgroup2"), MsFlags::empty(), NONE)?;
    mount(Some("none"), run, Some("tmpfs"), MsFlags::empty(), NONE)
}

/// An image with busybox and its links.
fn busybox(into: &Path) {
    let program = fs::read("/bin/busybox").expect("busybox-static is installed");
    let mut entries =
        vec![Entry::dir("bin", 0o755), Entry::dir("tmp", 0o1777), Entry::file("bin/busybox", 0o755, program)];
    for name in ["sh", "echo", "sleep", "usleep", "cat", "true"] {
        entries.push(Entry::symlink(&format!("bin/{name}"), "busybox"));
    }
    let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    ImageBuilder::new(arch)
        .layer(entries)
        .name("busybox:1")
        .write_oci_archive(&into.join("busybox.tar"))
        .unwrap();
}
