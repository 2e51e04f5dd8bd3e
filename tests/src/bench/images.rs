//! Images against the tools of the field: import and unpack of an image of many files and of one of few large ones,
//! and a pull from a registry on this machine. Ours end when everything is on the disk; the peers leave that to the
//! kernel.

use super::{Result, stats::Row};
use berth_images::{
    Platform, Registries, RegistrySettings, Store, StoreConfig,
    build::{Compression, Entry, ImageBuilder},
};
use std::{
    fs::{self, File},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Bytes of all files of an image.
const IMAGE_BYTES: usize = 200 << 20;
/// Layers of an image.
const LAYERS: usize = 4;
/// Bytes in the unit of `%O`: a block.
const BLOCK_BYTES: f64 = 512.0;
/// The registry listens within this.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks whether it does.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// An image to be measured with.
pub struct Case {
    name: &'static str,
    file_bytes: usize,
}

/// Many small files, few large ones.
pub const CASES: [Case; 2] =
    [Case { name: "many", file_bytes: 10 << 10 }, Case { name: "large", file_bytes: 25 << 20 }];

/// What one run of a program took.
struct Run {
    ms: f64,
    peak_mib: f64,
    written_bytes: f64,
}

/// Runs a program; it must succeed.
fn timed(command: &[&str], dir: &Path) -> Result<Run> {
    let figures = dir.join("figures");
    let begun = Instant::now();
    let ended = Command::new("/usr/bin/time")
        .args(["--format=%M %O", "--output"])
        .arg(&figures)
        .args(command)
        .stdin(Stdio::null())
        .output()?;
    let ms = begun.elapsed().as_secs_f64() * 1e3;
    if !ended.status.success() {
        return Err(format!("{command:?}: {}", String::from_utf8_lossy(&ended.stderr)).into());
    }
    let text = fs::read_to_string(figures)?;
    let mut numbers = text.split_whitespace().filter_map(|word| word.parse::<f64>().ok());
    let (Some(peak_kib), Some(blocks)) = (numbers.next(), numbers.next()) else {
        return Err(format!("time(1) says {text:?}").into());
    };
    Ok(Run { ms, peak_mib: peak_kib / 1024.0, written_bytes: blocks * BLOCK_BYTES })
}

/// Removes what the last round left, and waits until it is gone from the disk, so that no round pays for another's.
fn clear(dir: &Path, names: &[&str]) -> Result {
    for name in names {
        if dir.join(name).exists() {
            fs::remove_dir_all(dir.join(name))?;
        }
    }
    let synced = Command::new("sync").arg("--file-system").arg(dir).status()?;
    if synced.success() { Ok(()) } else { Err("sync failed".into()) }
}

/// All rows of one image.
///
/// # Errors
/// A program that is missing or fails.
pub fn measure(case: &Case, program: &Path, dir: &Path, rounds: u32) -> Result<Vec<Row>> {
    let dir = dir.join(case.name);
    fs::create_dir_all(&dir)?;
    let (archive, layout) = (dir.join("image.tar"), dir.join("layout"));
    if !layout.exists() {
        let image = image(case);
        image.write_oci_archive(&archive)?;
        image.write_layout(&layout)?;
    }
    let hub = Hub::start(&dir)?;
    hub.push(&layout)?;
    let path = |name: &str| dir.join(name).to_string_lossy().into_owned();
    let (store, root, runroot, bundle, copy) =
        (path("store"), path("podman"), path("podman-run"), path("bundle"), path("copy"));
    let (archive, layout, program) =
        (path("image.tar"), path("layout"), program.to_string_lossy().into_owned());
    let conf = hub.conf.to_string_lossy().into_owned();
    let podman = [
        "podman",
        "--root",
        &root,
        "--runroot",
        &runroot,
        "--storage-driver",
        "overlay",
        "load",
        "-q",
        "-i",
        &archive,
    ];
    let tagged = format!("{layout}:latest");
    let (remote, copied) = (format!("docker://{}", hub.name), format!("oci:{copy}:latest"));
    let skopeo = ["skopeo", "copy", "--quiet", "--src-tls-verify=false", &remote, &copied];
    let mut all: [Vec<Run>; 6] = Default::default();
    for _ in 0..rounds {
        let runs: [&[&str]; 6] = [
            &[&program, "import", &store, &archive],
            &podman,
            &[&program, "import", &store, &layout],
            &["umoci", "unpack", "--image", &tagged, &bundle],
            &[&program, "pull", &store, &hub.name, &conf],
            &skopeo,
        ];
        for (run, all) in runs.iter().zip(&mut all) {
            clear(&dir, &["store", "podman", "podman-run", "bundle", "copy"])?;
            all.push(timed(run, &dir)?);
        }
    }
    clear(&dir, &["store", "podman", "podman-run", "bundle", "copy"])?;
    Ok(rows(case, &all))
}

fn rows(case: &Case, [import, podman, unpack, umoci, pull, skopeo]: &[Vec<Run>; 6]) -> Vec<Row> {
    let of = |runs: &[Run], figure: fn(&Run) -> f64| runs.iter().map(figure).collect::<Vec<f64>>();
    let row = |name: &str, unit, figure: fn(&Run) -> f64, ours: &[Run], peer, theirs: &[Run]| Row {
        name: format!("{name}-{}", case.name),
        tier: "native".to_owned(),
        unit,
        ours: of(ours, figure),
        peer: Some((peer, of(theirs, figure))),
    };
    let written = |run: &Run| run.written_bytes / IMAGE_BYTES as f64;
    vec![
        row("import", "ms", |run| run.ms, import, "podman", podman),
        row("import-peak", "MiB", |run| run.peak_mib, import, "podman", podman),
        row("import-written", "B/B", written, import, "podman", podman),
        row("unpack", "ms", |run| run.ms, unpack, "umoci", umoci),
        row("unpack-peak", "MiB", |run| run.peak_mib, unpack, "umoci", umoci),
        row("pull", "ms", |run| run.ms, pull, "skopeo", skopeo),
        row("pull-peak", "MiB", |run| run.peak_mib, pull, "skopeo", skopeo),
    ]
}

/// An image whose files compress to about the half, as programs do.
fn image(case: &Case) -> ImageBuilder {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut content = vec![0; case.file_bytes];
    let each = IMAGE_BYTES / LAYERS / case.file_bytes;
    let mut image = ImageBuilder::new(Platform::host().architecture.as_str()).name("bench.test/image:1");
    for layer in 0..LAYERS {
        let mut entries = vec![Entry::dir(&format!("l{layer}"), 0o755)];
        for number in 0..each {
            for word in content.chunks_exact_mut(8) {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                // Half of each word is noise.
                word.copy_from_slice(&(state & 0xffff_ffff).to_le_bytes());
            }
            entries.push(Entry::file(&format!("l{layer}/f{number}"), 0o644, content.clone()));
        }
        image = image.layer(entries);
    }
    image.compression(Compression::Gzip)
}

/// Debian's registry, on this machine alone; ends with the run.
struct Hub {
    server: Child,
    name: String,
    conf: PathBuf,
}

impl Hub {
    fn start(dir: &Path) -> Result<Self> {
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

    fn push(&self, layout: &Path) -> Result {
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

/// What is measured of ours, in a process of its own: into a new store, from a file or a layout.
///
/// # Errors
/// Of the store.
pub fn import(store: &Path, source: &Path) -> Result {
    let (store, _) = Store::open(StoreConfig::new(store, Vec::new()))?;
    store.import_path(source, &Platform::host())?;
    Ok(())
}

/// The same from a registry.
///
/// # Errors
/// Of the store.
pub fn pull(store: &Path, reference: &str, registries_conf: &Path) -> Result {
    let (store, _) = Store::open(StoreConfig::new(store, Vec::new()))?;
    let settings = RegistrySettings {
        registries_conf: registries_conf.to_owned(),
        auth_file: PathBuf::from("/nonexistent"),
        certs_dirs: Vec::new(),
    };
    store.pull(reference, &Platform::host(), &Registries::new(settings))?;
    Ok(())
}
