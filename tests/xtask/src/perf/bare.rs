//! What Berth's part of a boot is measured against: a bare `crun run` in Berth's place of the same boot, of the same
//! program, as unprepared as Berth is. One in a guest that has run it before is several times faster where processors
//! are emulated, for their code is translated then.

use crate::sh::Result;
use serde_json::{Value, json};
use std::{fs, path::Path};

/// Notes when it begins, then runs the container, which notes its own first instruction.
const START: &str = "#!/bin/sh
mkdir -p /run/stamp
/put/stamp /run/stamp/begun
exec crun --cgroup-manager=cgroupfs run --bundle /put/bundle boot
";
/// In the place of Berth's unit, at the same point of the boot.
const UNIT: &str = "[Unit]
After=local-fs.target
[Service]
Type=oneshot
StartupCPUWeight=1000
ExecStart=/put/crun-boot
";
/// For a guest without units.
pub(super) const SCRIPT: &str = "#!/bin/sh
[ -d /run/systemd ] || /put/crun-boot
left=60
while [ ! -s /run/stamp/at ] && [ $left -gt 0 ]; do left=$((left - 1)); sleep 1; done
sync
echo boot-report:{\\\"begun\\\":$(head -n 1 /run/stamp/begun)}
echo boot-stamp:$(head -n 1 /run/stamp/at)
";

/// Writes all of it to `folder`; returns what is to be put where.
pub(super) fn puts(folder: &Path, stamp: &Path) -> Result<Vec<String>> {
    let bundle = folder.join("bundle");
    fs::create_dir_all(bundle.join("rootfs"))?;
    fs::copy(stamp, bundle.join("rootfs/stamp"))?;
    fs::write(bundle.join("config.json"), serde_json::to_vec(&config())?)?;
    let [start, unit] = [("crun-boot", START), ("berth.service", UNIT)].map(|(name, text)| {
        let file = folder.join(name);
        fs::write(&file, text).map(|()| file)
    });
    let start = start?;
    make_executable(&start)?;
    Ok([
        (bundle.as_path(), "/put/bundle"),
        (&start, "/put/crun-boot"),
        (&unit?, "/etc/systemd/system/berth.service"),
        (stamp, "/put/stamp"),
    ]
    .map(|(from, to)| format!("{}:{to}", from.display()))
    .into())
}

fn make_executable(file: &Path) -> Result {
    use std::os::unix::fs::PermissionsExt;
    Ok(fs::set_permissions(file, fs::Permissions::from_mode(0o755))?)
}

/// The namespaces and mounts of a container of a pod.
fn config() -> Value {
    let mount = |to: &str, kind: &str, options: &[&str]| json!({ "destination": to, "type": kind, "source": kind, "options": options });
    let namespaces = ["pid", "network", "ipc", "uts", "mount", "cgroup"].map(|kind| json!({ "type": kind }));
    json!({
        "ociVersion": "1.0.2",
        "process": { "cwd": "/", "args": ["/stamp", "/out/at"], "user": { "uid": 0, "gid": 0 }, "noNewPrivileges": true },
        "root": { "path": "rootfs" },
        "hostname": "boot",
        "mounts": [
            mount("/proc", "proc", &["nosuid", "noexec", "nodev"]),
            mount("/dev", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
            mount("/dev/pts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
            mount("/dev/shm", "tmpfs", &["nosuid", "noexec", "nodev", "mode=1777"]),
            mount("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
            mount("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
            mount("/sys/fs/cgroup", "cgroup", &["nosuid", "noexec", "nodev", "relatime", "ro"]),
            { "destination": "/out", "type": "bind", "source": "/run/stamp", "options": ["rbind", "rprivate"] },
        ],
        "linux": { "cgroupsPath": "/boot", "namespaces": namespaces },
    })
}
