//! The peer that has daemon, shim and CNI plugins: containerd, with one `ctr run --cni` for each start. Only for guests:
//! it takes CNI plugins and networks from where they are for the whole machine.

use super::{
    Result,
    rig::{self, IMAGE, PATIENCE},
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

/// Where `ctr` looks for networks.
const NETWORK: &str = "/etc/cni/net.d/10-bench.conflist";
/// A bridge as ours, but without the way out, which would have the plugin execute iptables.
const CONFLIST: &str = r#"{"cniVersion": "1.0.0", "name": "bench", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.89.0.0/16"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
"#;
/// What only a kubelet asks for is left out: it wants interfaces that this network namespace does not have.
const CONFIG: &str = "version = 2\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n";
/// Between two looks at whether the daemon serves.
const LOOK: Duration = Duration::from_millis(50);

/// A running containerd with the image of stamps.
pub struct Containerd {
    daemon: Child,
    address: PathBuf,
    out: PathBuf,
    image: String,
}

impl Containerd {
    /// Starts it with roots of its own below `root`, and gives it the image in `archive`.
    pub fn start(archive: &Path, root: &Path) -> Result<Self> {
        let home = root.join("containerd");
        fs::create_dir_all(&home)?;
        fs::create_dir_all("/etc/cni/net.d")?;
        fs::write(NETWORK, CONFLIST)?;
        let address = Path::new("/run/berth-bench-containerd.sock").to_owned();
        fs::write(home.join("config.toml"), CONFIG)?;
        let log = fs::File::create(home.join("log"))?;
        let daemon = Command::new("containerd")
            .arg("--config")
            .arg(home.join("config.toml"))
            .arg("--root")
            .arg(home.join("root"))
            .args(["--state", "/run/berth-bench-containerd", "--address"])
            .arg(&address)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let mut peer = Self { daemon, address, out: root.join("out"), image: String::new() };
        peer.until_it_serves().map_err(|error| {
            let log = fs::read_to_string(home.join("log")).unwrap_or_default();
            format!("{error}\n{log}")
        })?;
        peer.ctr(&["image", "import", &archive.to_string_lossy()])?;
        // It has a prefix with the date.
        let names = peer.ctr(&["image", "ls", "-q"])?;
        peer.image = names.lines().next().ok_or_else(|| format!("ctr: {IMAGE} is not there"))?.to_owned();
        Ok(peer)
    }

    /// Runs it once; returns nanoseconds from the start of `ctr` to the container's first instruction.
    pub fn run(&self, name: &str) -> Result<f64> {
        let mount = format!("type=bind,src={},dst=/out,options=rbind:rw", self.out.display());
        let begun = rig::boottime_ns()?;
        let stamp = format!("/out/{name}");
        self.ctr(&["run", "--rm", "--cni", "--mount", &mount, &self.image, name, "/stamp", &stamp])?;
        Ok(rig::stamped(&self.out.join(name), String::new)?.saturating_sub(begun) as f64)
    }

    fn until_it_serves(&self) -> Result {
        let begun = Instant::now();
        while let Err(error) = self.ctr(&["version"]) {
            if begun.elapsed() > PATIENCE {
                return Err(error);
            }
            sleep(LOOK);
        }
        Ok(())
    }

    fn ctr(&self, args: &[&str]) -> Result<String> {
        let ended = Command::new("ctr").arg("--address").arg(&self.address).args(args).output()?;
        if !ended.status.success() {
            return Err(format!("ctr {}: {}", args.join(" "), String::from_utf8_lossy(&ended.stderr)).into());
        }
        Ok(String::from_utf8(ended.stdout)?)
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}
