//! Debian's registry with the image in it, on this machine alone; ends with the run.

use crate::bench::Result;
use std::{
    fs::{self, File},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// The registry listens within this.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks whether it does.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The running server.
pub(super) struct Hub {
    server: Child,
    /// The image, as it is asked for.
    pub(super) name: String,
    /// A registries.conf that lets it be asked without TLS.
    pub(super) conf: PathBuf,
}

impl Hub {
    pub(super) fn start(dir: &Path) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let (config, conf) = (dir.join("hub.yml"), dir.join("registries.conf"));
        let data = dir.join("hub");
        fs::write(
            &config,
            format!(
                "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n\
                 http: {{addr: \"127.0.0.1:{port}\"}}\n",
                data.display()
            ),
        )?;
        fs::write(&conf, format!("[[registry]]\nlocation = \"127.0.0.1:{port}\"\ninsecure = true\n"))?;
        let log = File::create(dir.join("hub.log"))?;
        let mut command = Command::new("docker-registry");
        let server = command.arg("serve").arg(&config).stdout(Stdio::null()).stderr(log).spawn()?;
        let hub = Self { server, name: format!("127.0.0.1:{port}/bench/image:1"), conf };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if begun.elapsed() > PATIENCE {
                return Err("the registry does not listen".into());
            }
            thread::sleep(LOOK_AGAIN);
        }
        Ok(hub)
    }

    pub(super) fn push(&self, layout: &Path) -> Result {
        let from = format!("oci:{}", layout.display());
        let to = format!("docker://{}", self.name);
        let ended = Command::new("skopeo")
            .args(["copy", "--quiet", "--dest-tls-verify=false", &from, &to])
            .output()?;
        if ended.status.success() {
            return Ok(());
        }
        Err(format!("skopeo: {}", String::from_utf8_lossy(&ended.stderr)).into())
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
