//! A whole Berth with roots of its own below a temporary directory.

use super::{Result, cpu};
use berth_images::build::{Entry, ImageBuilder};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// How long anything here may take before the benchmark is given up.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// The name of the image with the `stamp` program.
pub const IMAGE: &str = "berth.test/stamp:1";

/// A running Berth.
pub struct Rig {
    /// What lies on a disk: manifests, images, state, logs.
    pub root: PathBuf,
    /// What lies on a tmpfs, as on every box.
    pub run: PathBuf,
    keeper: Child,
}

impl Rig {
    /// Starts `berth` with an image that holds `stamp`; `network` is the configuration's.
    pub fn start(berth: &Path, stamp: &Path, root: &Path, network: &str) -> Result<Self> {
        let _ = fs::remove_dir_all(root);
        for folder in ["manifests", "images", "out", "state", "log"] {
            fs::create_dir_all(root.join(folder))?;
        }
        let run = Path::new("/run").join(root.file_name().unwrap_or_default());
        fs::create_dir_all(&run)?;
        let entries = vec![Entry::file("stamp", 0o755, fs::read(stamp)?)];
        let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
        ImageBuilder::new(arch)
            .layer(entries)
            .name(IMAGE)
            .write_oci_archive(&root.join("images/stamp.tar"))?;
        let at = root.display();
        let config = format!(
            "staticPodPath: {at}/manifests\nimageSourcePaths: {at}/images\nrunDirectory: {}\n\
             stateDirectory: {at}/state\nlogDirectory: {at}/log\nhostnameOverride: bench\ncgroupRoot: berth-bench\n\
             network: {network}\n",
            run.display()
        );
        fs::write(root.join("config.yaml"), config)?;
        let log = fs::File::create(root.join("berth.log"))?;
        let keeper = Command::new(berth)
            .args(["keeper", "--config"])
            .arg(root.join("config.yaml"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let rig = Self { root: root.to_owned(), run, keeper };
        rig.until("Berth serves", || Ok(rig.run.join("berth.sock").exists()))?;
        Ok(rig)
    }

    /// Berth's processes by role.
    pub fn processes(&self) -> Result<BTreeMap<String, u32>> {
        cpu::berth_processes(self.keeper.id(), &self.root.to_string_lossy())
    }

    /// CPU milliseconds that Berth and its containers have used.
    pub fn cpu_ms(&self) -> Result<f64> {
        self.processes()?.values().map(|pid| cpu::used_ms(*pid)).sum()
    }

    /// A manifest of a pod that stamps `out/<name>`, made ready beside the directory; renamed in by [`Self::drop_in`].
    pub fn prepare(&self, name: &str, spec: &str, stay: bool) -> Result {
        let stay = if stay { ", stay" } else { "" };
        let out = self.root.join("out");
        let manifest = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  restartPolicy: Never\n  \
             terminationGracePeriodSeconds: 0\n{spec}  containers:\n  - name: main\n    image: {IMAGE}\n    \
             command: [/stamp, /out/{name}{stay}]\n    volumeMounts: [{{name: out, mountPath: /out}}]\n  \
             volumes: [{{name: out, hostPath: {{path: {}}}}}]\n",
            out.display()
        );
        Ok(fs::write(self.root.join(format!("{name}.yaml")), manifest)?)
    }

    /// Renames the prepared manifest into the directory.
    pub fn drop_in(&self, name: &str) -> Result {
        let file = format!("{name}.yaml");
        Ok(fs::rename(self.root.join(&file), self.root.join("manifests").join(file))?)
    }

    /// The moment that the container's first instruction read, in nanoseconds since boot.
    pub fn stamped(&self, name: &str) -> Result<u64> {
        stamped(&self.root.join("out").join(name), || self.log())
    }

    /// Removes the manifest and waits until the pod has left nothing.
    pub fn remove(&self, name: &str) -> Result {
        fs::remove_file(self.root.join("manifests").join(format!("{name}.yaml")))?;
        let pods = self.root.join("log/pods");
        self.until("the pod is gone", || {
            let prefix = format!("default_{name}-bench_");
            Ok(!fs::read_dir(&pods).is_ok_and(|entries| {
                entries.flatten().any(|e| e.file_name().to_string_lossy().starts_with(&prefix))
            }))
        })
    }

    /// What Berth said, for an error.
    fn log(&self) -> String {
        let text = fs::read_to_string(self.root.join("berth.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    /// Looks again and again, up to [`PATIENCE`].
    pub fn until(&self, what: &str, mut done: impl FnMut() -> Result<bool>) -> Result {
        let begun = Instant::now();
        while !done()? {
            if begun.elapsed() > PATIENCE {
                return Err(format!("{what}: not within {PATIENCE:?}\n{}", self.log()).into());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }
}

/// Waits for a stamp in `file` and removes it.
pub fn stamped(file: &Path, log: impl Fn() -> String) -> Result<u64> {
    let begun = Instant::now();
    loop {
        let text = fs::read_to_string(file).unwrap_or_default();
        if let Some(stamp) = text.strip_suffix('\n').and_then(|t| t.parse().ok()) {
            fs::remove_file(file)?;
            return Ok(stamp);
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("{}: no stamp within {PATIENCE:?}\n{}", file.display(), log()).into());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        for entry in fs::read_dir(self.root.join("manifests")).into_iter().flatten().flatten() {
            let _ = fs::remove_file(entry.path());
        }
        let pods = self.run.join("pods");
        let _ = self
            .until("all pods are gone", || Ok(!fs::read_dir(&pods).is_ok_and(|mut d| d.next().is_some())));
        let _ = Command::new("kill").arg(self.keeper.id().to_string()).status();
        let _ = self.keeper.wait();
    }
}

/// Nanoseconds since boot.
pub fn boottime_ns() -> Result<u64> {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME)?;
    Ok(now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64)
}
