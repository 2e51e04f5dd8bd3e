//! A machine for the tests: roots in a temporary directory, a zygote, and a keeper's side of it.

use berth_core::{
    action::ImageFacts,
    cpus::Place,
    ids::{ContainerId, PodKey, PodUid},
    manifest::{
        DesiredPod,
        types::{Container, Pod, PodSpec},
    },
};
use berth_keeper::{
    link,
    protocol::{Id as KeeperId, Path as KeeperPath, Work, WorkReport},
};
use berth_oci::{
    bundle::{self, BundleInput, WorkerPlan},
    container::mounts::Bind,
    devices::Given,
    node::NodeFacts,
    paths::Roots,
    users::ProcessUser,
};
use nix::{
    mount::{MsFlags, mount},
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sched::{CloneFlags, unshare},
    sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid},
    unistd::{Pid, pipe2},
};
use std::{
    fs,
    io::Read,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::fs::{PermissionsExt, symlink},
    },
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::{Arc, OnceLock},
};

/// Milliseconds until the tests give up on an answer; nothing waits so long that works.
const ANSWER_MS_MAX: u16 = 20_000;
/// Programs in the tests' image, all of them busybox.
const APPLETS: [&str; 18] = [
    "sh", "true", "cat", "grep", "echo", "id", "mknod", "ls", "pwd", "env", "mount", "touch", "head",
    "sleep", "stat", "hostname", "tty", "awk",
];

static BUSYBOX: OnceLock<PathBuf> = OnceLock::new();

/// Makes this process' mounts and children its own; on error why that is not possible.
pub(crate) fn own_machine() -> Result<(), String> {
    if !nix::unistd::geteuid().is_root() {
        return Err("needs root".into());
    }
    let busybox =
        ["/bin/busybox", "/usr/bin/busybox"].into_iter().map(PathBuf::from).find(|path| path.exists());
    let _ = BUSYBOX.set(busybox.ok_or("needs a static busybox (busybox-static)")?);
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    let wrong = |errno: nix::errno::Errno| format!("no mount namespace: {errno}");
    unshare(CloneFlags::CLONE_NEWNS).map_err(wrong)?;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>).map_err(wrong)?;
    mount(Some("none"), "/sys/fs/cgroup", Some("cgroup2"), MsFlags::empty(), None::<&str>)
        .map_err(|errno| format!("no cgroup2: {errno}"))?;
    nix::sys::prctl::set_child_subreaper(true).map_err(wrong)
}

/// Everything of one test.
pub(crate) struct Machine {
    dir: tempfile::TempDir,
    pub(crate) roots: Roots,
    zygote: Child,
    socket: OwnedFd,
    tickets: u64,
}

/// A container before its start.
pub(crate) struct Ready {
    pub(crate) id: ContainerId,
    pub(crate) bundle: PathBuf,
    pub(crate) plan: WorkerPlan,
}

/// What is wanted of a container, beside the simplest.
#[derive(Default)]
pub(crate) struct Wish {
    pub(crate) container: Container,
    pub(crate) user: ProcessUser,
    pub(crate) binds: Vec<Bind>,
    pub(crate) layers: Vec<PathBuf>,
    /// Not empty: the pod has its own, pinned before.
    pub(crate) namespaces: &'static str,
}

/// What became of a container.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        // Overlays cannot have their upper layer on an overlay.
        for name in ["run", "state"] {
            fs::create_dir(path(name)).unwrap();
            mount(Some("tmpfs"), &path(name), Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
        }
        let roots = Roots {
            run: path("run"),
            state: path("state"),
            log: path("log"),
            cgroup_root: format!("berth-test-{}", std::process::id()),
            ..Roots::default()
        };
        fs::create_dir_all(roots.kubepods().join("besteffort/podtest")).unwrap();
        layer(&path("state/layer"));
        let (ours, theirs) = link::pair().unwrap();
        let zygote = spawn_zygote(theirs);
        let machine = Self { dir, roots, zygote, socket: ours, tickets: 0 };
        assert_eq!(machine.answer(), WorkReport::Ready);
        machine
    }

    pub(crate) fn zygote_pid(&self) -> u32 {
        self.zygote.id()
    }

    /// A bundle for a container.
    pub(crate) fn prepare(&self, name: &str, wish: Wish) -> Ready {
        let shares = wish.namespaces.is_empty();
        let spec = PodSpec {
            host_network: shares,
            host_ipc: shares,
            containers: vec![wish.container],
            ..PodSpec::default()
        };
        let pod = DesiredPod {
            key: PodKey { namespace: "default".into(), name: "web-box".into() },
            uid: PodUid("test".into()),
            base: None,
            values: None,
            pod: Arc::new(Pod { spec, ..Pod::default() }),
            origin: "web.yaml".into(),
        };
        let id = ContainerId(name.into());
        let layers = if wish.layers.is_empty() { vec![self.layer()] } else { wish.layers };
        let image = ImageFacts {
            reference: "busybox".into(),
            layers: layers.iter().map(|layer| layer.to_string_lossy().into_owned()).collect(),
            ..ImageFacts::default()
        };
        let node = NodeFacts { hostname: "box".into(), memory_bytes: 1 << 30, ..NodeFacts::default() };
        let input = BundleInput {
            desired: &pod,
            container: &pod.pod.spec.containers[0],
            image: &image,
            id: &id,
            attempt: 0,
            variables: &[],
            user: &wish.user,
            binds: &wish.binds,
            given: &Given::default(),
            ids: None,
            place: &Place::default(),
            label: None,
        };
        let (spec, plan) = bundle::assemble(&self.roots, &node, &input).unwrap();
        let dir = self.roots.bundle(&id);
        fs::create_dir_all(&dir).unwrap();
        for dir in ["upper", "work"] {
            fs::create_dir_all(self.roots.container_state(&id).join(dir)).unwrap();
        }
        bundle::write(&dir, &spec, &plan).unwrap();
        Ready { id, bundle: dir, plan }
    }

    /// The image's only layer.
    pub(crate) fn layer(&self) -> PathBuf {
        self.path("state/layer")
    }

    /// In the test's own directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Network, IPC and UTS namespaces where a sandbox would pin them.
    pub(crate) fn pin_namespaces(&self) {
        let dir = self.roots.pod_ns(&PodUid("test".into()), "net").parent().unwrap().to_owned();
        fs::create_dir_all(&dir).unwrap();
        fs::create_dir_all(self.roots.pod_shm(&PodUid("test".into()))).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let own = CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS;
                unshare(own).unwrap();
                nix::unistd::sethostname("web-box").unwrap();
                for kind in ["net", "ipc", "uts"] {
                    fs::write(dir.join(kind), "").unwrap();
                    let from = format!("/proc/thread-self/ns/{kind}");
                    mount(Some(from.as_str()), &dir.join(kind), None::<&str>, MsFlags::MS_BIND, None::<&str>)
                        .unwrap();
                }
            });
        });
    }

    /// A shell that runs this script, in the simplest of pods.
    pub(crate) fn shell(&self, name: &str, script: &str) -> Ready {
        self.prepare(name, Wish { container: shell(script), ..Wish::default() })
    }

    pub(crate) fn send(&mut self, ready: &Ready, deadline_ms: u32, fds: [&OwnedFd; 2]) -> u64 {
        self.tickets += 1;
        let work = Work::Create {
            ticket: self.tickets,
            id: KeeperId::try_from(&*ready.id.0).unwrap(),
            bundle: KeeperPath::try_from(ready.bundle.to_str().unwrap()).unwrap(),
            cgroup: KeeperPath::try_from(ready.plan.cgroup.to_str().unwrap()).unwrap(),
            deadline_ms,
        };
        link::send(&self.socket, &work, &fds.map(AsRawFd::as_raw_fd)).unwrap();
        self.tickets
    }

    pub(crate) fn send_exec(&mut self, ready: &Ready, session: &str, tty: bool, fds: &[&OwnedFd]) -> u64 {
        self.tickets += 1;
        let work = Work::Exec {
            ticket: self.tickets,
            session: KeeperId::try_from(session).unwrap(),
            container: KeeperId::try_from(&*ready.id.0).unwrap(),
            bundle: KeeperPath::try_from(ready.bundle.to_str().unwrap()).unwrap(),
            deadline_ms: 10_000,
            tty,
        };
        let fds: Vec<i32> = fds.iter().map(|fd| fd.as_raw_fd()).collect();
        link::send(&self.socket, &work, &fds).unwrap();
        self.tickets
    }

    /// The next answer, of whichever work.
    pub(crate) fn answer(&self) -> WorkReport {
        let mut fds = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut fds, PollTimeout::from(ANSWER_MS_MAX)), Ok(1), "no answer");
        link::recv(&self.socket).unwrap().0
    }

    /// Starts it and waits for its end.
    pub(crate) fn run(&mut self, ready: &Ready) -> Result<Ended, String> {
        let (out, err) = (pipe(), pipe());
        let ticket = self.send(ready, 10_000, [&out.1, &err.1]);
        drop((out.1, err.1));
        let pid = self.started(ticket)?;
        let (stdout, stderr) = (read(out.0), read(err.0));
        Ok(Ended { code: wait(pid), stdout, stderr })
    }

    pub(crate) fn started(&self, expected: u64) -> Result<Pid, String> {
        loop {
            match self.answer() {
                WorkReport::Started { ticket, pid } if ticket == expected => return Ok(Pid::from_raw(pid)),
                WorkReport::Failed { ticket, text, .. } if ticket == expected => return Err(text.to_string()),
                // An earlier worker was killed with its cgroup after its first word, which counts.
                WorkReport::Lost { ticket, .. } if ticket < expected => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.zygote.kill();
        let _ = self.zygote.wait();
        let top = self.roots.cgroup.join(&self.roots.cgroup_root);
        let _ = fs::write(top.join("cgroup.kill"), "1");
        while !matches!(waitpid(None, None), Err(nix::errno::Errno::ECHILD)) {}
        remove_cgroups(&top);
        if std::thread::panicking() {
            eprintln!("cgroup: {}", top.display());
        }
        for name in ["run", "state"] {
            let _ = nix::mount::umount2(&self.dir.path().join(name), nix::mount::MntFlags::MNT_DETACH);
        }
    }
}

pub(crate) fn shell(script: &str) -> Container {
    Container {
        name: "c".into(),
        command: vec!["sh".into(), "-c".into(), script.into()],
        ..Container::default()
    }
}

pub(crate) fn pipe() -> (OwnedFd, OwnedFd) {
    pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap()
}

pub(crate) fn read(fd: OwnedFd) -> String {
    let mut text = String::new();
    fs::File::from(fd).read_to_string(&mut text).unwrap();
    text
}

/// Exit status, or 128 and the signal. The process becomes this one's child when its worker has ended.
pub(crate) fn wait(pid: Pid) -> i32 {
    loop {
        match waitpid(pid, None) {
            Ok(WaitStatus::Exited(_, code)) => return code,
            Ok(WaitStatus::Signaled(_, signal, _)) => return 128 + signal as i32,
            Err(nix::errno::Errno::ECHILD) => {
                waitid(Id::All, WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).unwrap();
            }
            other => panic!("{other:?}"),
        }
    }
}

fn spawn_zygote(socket: OwnedFd) -> Child {
    // The shell puts the socket where a zygote expects it.
    let exe = std::env::current_exe().unwrap();
    let script = format!("exec \"$0\" zygote 3<&{0} {0}<&-", socket.as_raw_fd());
    nix::fcntl::fcntl(socket.as_raw_fd(), nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty()))
        .unwrap();
    Command::new("bash").args(["-c", &script]).arg(exe).env("LISTEN_FDS", "3").spawn().unwrap()
}

fn layer(dir: &Path) {
    for name in ["bin", "etc", "proc", "sys", "dev", "tmp", "root"] {
        fs::create_dir_all(dir.join(name)).unwrap();
    }
    fs::set_permissions(dir.join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
    fs::copy(BUSYBOX.get().unwrap(), dir.join("bin/busybox")).unwrap();
    for applet in APPLETS {
        symlink("busybox", dir.join("bin").join(applet)).unwrap();
    }
    fs::write(dir.join("bin/data"), "no program").unwrap();
    fs::write(dir.join("bin/foreign"), b"\x7fELF\x09\x09 of another world").unwrap();
    fs::set_permissions(dir.join("bin/foreign"), fs::Permissions::from_mode(0o755)).unwrap();
}

fn remove_cgroups(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_cgroups(&entry.path());
        }
    }
    let _ = fs::remove_dir(dir);
}
