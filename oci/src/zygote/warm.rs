//! A throwaway create at the zygote's start: the first one of a boot pays for cold caches, and nobody should
//! wait for that. It runs in a forked worker like any other, on a tmpfs that only it sees, with an empty layer for
//! an image and nothing in the place of a program; and with the lowest priority, for a box that boots has pods to
//! start with its processors. Nobody waits for it, and work that comes meanwhile goes before it.

use super::sys::{self, Fork};
use crate::{
    bundle::{self, OverlayPlan},
    error::Error,
    spec::{self, PodNamespaces, ROOTFS, SpecInput},
    users::ProcessUser,
    worker,
};
use berth_core::{
    action::ImageFacts,
    ids::{ContainerId, PodKey, PodUid},
    manifest::{
        DesiredPod,
        types::{Container, Pod},
    },
};
use nix::{
    mount::{MsFlags, mount},
    sys::{
        signal::{Signal, kill},
        wait::waitpid,
    },
};
use std::{fs, path::Path, sync::Arc};

/// Seconds that it may take; a cold eMMC is slow.
const WARM_UP_S_MAX: u32 = 10;
/// Every system has it, and what is on it is not needed here.
const PLACE: &str = "/run";

/// Begins it; the zygote reaps it as it reaps its workers. That it fails (no cgroup2, say) is told by the real ones too.
pub(super) fn warm_up() {
    match sys::fork_into(None) {
        Ok(Fork::Child { .. }) => {
            worker::sys::unblock_signals();
            sys::give_way();
            // The default action of SIGALRM ends the process.
            nix::unistd::alarm::set(WARM_UP_S_MAX);
            let status = i32::from(create().is_none());
            worker::sys::exit(status)
        }
        Ok(Fork::Parent(_)) => {}
        Err(errno) => eprintln!("zygote: cannot fork: {errno}"),
    }
}

fn create() -> Option<()> {
    worker::own_mounts().ok()?;
    mount(Some("tmpfs"), PLACE, Some("tmpfs"), MsFlags::empty(), Some("mode=0700,size=4m")).ok()?;
    let procs = Path::new("/sys/fs/cgroup/cgroup.procs");
    mount(Some("/dev/null"), procs, None::<&str>, MsFlags::MS_BIND, None::<&str>).ok()?;
    let bundle = Path::new(PLACE).join("bundle");
    let shm = bundle.join("shm");
    fs::create_dir_all(bundle.join(ROOTFS)).ok()?;
    fs::create_dir(&shm).ok()?;
    // Where it fails, so it will for the real ones, which say so.
    let _ = overlay(&bundle);
    let spec = spec(&shm)?;
    worker::mount_below(&bundle.join(ROOTFS), &bundle::early_mounts(&spec)).ok()?;
    bundle::put(&bundle.join(bundle::CONFIG), &bundle::for_libcontainer(&spec)).ok()?;
    let mut container =
        worker::bare_create("warm", &bundle, &Path::new(PLACE).join("state"), None, worker::Nothing).ok()?;
    let started = container.start();
    if let (Err(_), Some(pid)) = (&started, container.pid()) {
        let _ = kill(pid, Signal::SIGKILL);
    }
    while waitpid(None, None).is_ok() {}
    started.ok()
}

/// A root file system of one empty layer.
fn overlay(bundle: &Path) -> crate::error::Result<()> {
    let [lower, upper, work] = ["lower", "upper", "work"].map(|name| bundle.join(name));
    for dir in [&lower, &upper, &work] {
        fs::create_dir(dir).map_err(Error::io("create the directory", dir))?;
    }
    let lower = vec![lower.to_string_lossy().into_owned()];
    worker::overlay(
        bundle,
        &bundle.join(ROOTFS),
        &OverlayPlan { lower, upper, work, volatile: true, label: None },
        None,
    )
}

/// As a container's of a pod that asks for nothing.
fn spec(shm: &Path) -> Option<libcontainer::oci_spec::runtime::Spec> {
    let desired = DesiredPod {
        key: PodKey { namespace: "warm".into(), name: "warm".into() },
        uid: PodUid("warm".into()),
        base: None,
        values: None,
        pod: Arc::new(Pod::default()),
        origin: "".into(),
    };
    spec::build(&SpecInput {
        desired: &desired,
        container: &Container { command: vec!["/warm".to_owned()], ..Container::default() },
        image: &ImageFacts::default(),
        id: &ContainerId("warm".into()),
        attempt: 0,
        variables: &[],
        hostname: "warm",
        user: &ProcessUser { home: "/".into(), ..ProcessUser::default() },
        binds: &[],
        namespaces: &PodNamespaces::default(),
        shm,
        devices: &[],
        throttled_cpus: 0,
        hooks: None,
        ids: None,
        label: None,
        cgroup: Path::new("/"),
    })
    .ok()
}
