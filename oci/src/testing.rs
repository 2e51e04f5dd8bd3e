//! For tests that mount: a thread with mounts of its own, temporary roots, and pods to put there.

use crate::{node::NodeFacts, paths::Roots};
use berth_core::{
    ids::{PodKey, PodUid},
    manifest::{
        DesiredPod,
        types::{Pod, PodSpec},
    },
};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};
use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

/// Runs `test` where its mounts are nobody else's; says so and does nothing where that is not allowed.
pub(crate) fn with_roots(test: impl FnOnce(&Roots) + Send) {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: needs root to mount");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        let done = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNS).unwrap();
            let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
            mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
            let used = Used(roots(dir.path()));
            test(&used.0);
        });
        if let Err(panic) = done.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

/// The hierarchy is the machine's: a test leaves nothing in it, whether it passes or fails.
struct Used(Roots);

impl Drop for Used {
    fn drop(&mut self) {
        let top = self.0.cgroup.join(&self.0.cgroup_root);
        let removed = crate::teardown::remove(&top, std::time::Duration::from_secs(5));
        if !std::thread::panicking() {
            removed.unwrap();
        }
    }
}

fn roots(dir: &Path) -> Roots {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let roots = Roots {
        run: dir.join("run"),
        state: dir.join("state"),
        log: dir.join("log"),
        cgroup: dir.join("cgroup"),
        cgroup_root: format!("berth-test-{}-{count}", std::process::id()),
        cdi: Vec::new(),
        node_etc: dir.join("etc"),
        resolv_conf: dir.join("etc/resolv.conf"),
    };
    for path in [&roots.run, &roots.state, &roots.log, &roots.cgroup, &roots.node_etc] {
        fs::create_dir(path).unwrap();
    }
    fs::write(&roots.resolv_conf, "nameserver 10.0.0.1\n").unwrap();
    mount(Some("none"), &roots.cgroup, Some("cgroup2"), MsFlags::empty(), None::<&str>).unwrap();
    fs::create_dir(roots.cgroup.join(&roots.cgroup_root)).unwrap();
    roots
}

/// The node of the tests.
pub(crate) fn node() -> NodeFacts {
    NodeFacts { hostname: "box".into(), memory_bytes: 1 << 28, page_size_bytes: 4096, ..NodeFacts::default() }
}

/// A pod of this specification.
pub(crate) fn pod(spec: PodSpec) -> DesiredPod {
    DesiredPod {
        key: PodKey { namespace: "default".into(), name: "web-box".into() },
        uid: PodUid("0123456789abcdef".into()),
        base: None,
        values: None,
        pod: Arc::new(Pod { spec, ..Pod::default() }),
        origin: "web.yaml".into(),
    }
}
