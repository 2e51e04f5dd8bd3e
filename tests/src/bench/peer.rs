//! The peer: one `crun run` of the bundle that Berth made, on a plain directory as root file system.

use super::{Result, rig};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// What every container of a pod has mounted, and the volume with the stamps.
fn mounts(out: &Path) -> Value {
    let mount = |to: &str, kind: &str, options: &[&str]| json!({ "destination": to, "type": kind, "source": kind, "options": options });
    json!([
        mount("/proc", "proc", &["nosuid", "noexec", "nodev"]),
        mount("/dev", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount("/dev/pts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
        mount("/dev/shm", "tmpfs", &["nosuid", "noexec", "nodev", "mode=1777"]),
        mount("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        mount("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
        mount("/sys/fs/cgroup", "cgroup", &["nosuid", "noexec", "nodev", "relatime", "ro"]),
        { "destination": "/out", "type": "bind", "source": out, "options": ["rbind", "rprivate"] },
    ])
}

/// A bundle for crun.
pub struct Crun {
    bundle: PathBuf,
    out: PathBuf,
    config: Value,
}

impl Crun {
    /// Takes the spec that Berth wrote for a container (`config`), gives it a root directory with `stamp` in it and
    /// namespaces of its own instead of the pod's.
    pub fn new(config: &Path, stamp: &Path, root: &Path) -> Result<Self> {
        let bundle = root.join("crun");
        fs::create_dir_all(bundle.join("rootfs"))?;
        fs::copy(stamp, bundle.join("rootfs/stamp"))?;
        let mut config: Value = serde_json::from_slice(&fs::read(config)?)?;
        config["root"]["path"] = json!(bundle.join("rootfs"));
        config["linux"]["cgroupsPath"] = json!("/berth-bench-peer");
        for namespace in config["linux"]["namespaces"].as_array_mut().into_iter().flatten() {
            if let Some(object) = namespace.as_object_mut() {
                object.remove("path");
            }
        }
        let out = root.join("out");
        // Berth's worker mounts these itself, so its spec does not list them; crun is to make the same view.
        config["mounts"] = mounts(&out);
        Ok(Self { bundle, out, config })
    }

    /// Adds a seccomp profile, in the OCI's form.
    pub fn seccomp(&mut self, profile: Value) {
        self.config["linux"]["seccomp"] = profile;
    }

    /// Runs it once; returns nanoseconds from the start of `crun` to the container's first instruction.
    pub fn run(&mut self, name: &str) -> Result<f64> {
        self.config["process"]["args"] = json!(["/stamp", format!("/out/{name}")]);
        fs::write(self.bundle.join("config.json"), serde_json::to_vec(&self.config)?)?;
        let begun = rig::boottime_ns()?;
        let ended = Command::new("crun")
            .args(["--cgroup-manager=cgroupfs", "run", "--bundle"])
            .arg(&self.bundle)
            .arg(name)
            .stdin(Stdio::null())
            .output()?;
        if !ended.status.success() {
            return Err(format!("crun: {}", String::from_utf8_lossy(&ended.stderr)).into());
        }
        let stamp = rig::stamped(&self.out.join(name), String::new)?;
        Ok(stamp.saturating_sub(begun) as f64)
    }
}
