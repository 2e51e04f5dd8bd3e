//! `cargo xtask bench`: figures of this machine and of the guests, with a peer where one can be had fairly.
//! The measuring itself is `tests/src/bench`; here it is built, carried to its place and its table merged.

mod bare;
mod boot;

use crate::{
    apt,
    arch::Arch,
    compile,
    guest::{debian, qemu},
    sh::{self, Result, cmd},
    vm,
};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Mounts for this process alone a unified cgroup hierarchy (no controllers where the host has them in v1) and a
/// tmpfs under all that is measured. A build machine's ext4 would measure something else: whoever creates a
/// file there looks at every inode that anybody deleted in the last minutes (`recently_deleted` in
/// fs/ext4/ialloc.c), some milliseconds a start after a build. The guests have a disk of their own.
const INSIDE: &str = "mount -t cgroup2 none /sys/fs/cgroup && mount -t tmpfs -o mode=755 none /run \
     && mkdir /run/tmp && TMPDIR=/run/tmp exec \"$@\"";
/// Mounts for this process alone the disk of images, where paths are short, as podman wants them; the kernel gives it
/// up with the last who uses it. What is written to it goes to the disk below at once, and not into one more cache.
const ON_DISK: &str = "mount -o loop \"$1\" /mnt && losetup --direct-io=on \"$(findmnt -no SOURCE /mnt)\" \
     && shift && exec \"$@\"";
/// The disk of images: two images, each as archive, as layout and in the registry, unpacked and in temporary files.
const IMAGE_DISK_BYTES: u64 = 4 << 30;
/// Rounds of images at most: each takes seconds.
const IMAGE_ROUNDS_MAX: u32 = 7;
/// Memory of a guest that holds containerd's programs in its root, too, MiB.
const GUEST_MEMORY_MIB: u32 = 1280;
/// Marks the lines of JSON on a guest's console.
const JSON_MARK: &str = "bench-json:";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Rounds of each start
    #[arg(long, default_value_t = 100)]
    rounds: u32,
    /// Seconds of idling that are watched
    #[arg(long, default_value_t = 60)]
    watch: u32,
    /// Only this machine, no guests
    #[arg(long)]
    native: bool,
    /// Instead: images, against podman, umoci and skopeo
    #[arg(long)]
    images: bool,
    /// Instead: only how long guests take to boot into a pod
    #[arg(long, conflicts_with_all = ["native", "images"])]
    boots: bool,
    /// Only guests of this architecture
    #[arg(long, conflicts_with_all = ["native", "images"])]
    arch: Option<Arch>,
    /// Write the rows as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl Args {
    /// As few rounds as show that it works.
    pub(crate) fn smoke() -> Self {
        Self { rounds: 3, watch: 2, native: true, images: false, boots: false, arch: None, json: None }
    }

    fn archs(&self) -> impl Iterator<Item = Arch> {
        Arch::ALL.into_iter().filter(|arch| self.arch.is_none_or(|only| only == *arch))
    }
}

pub(crate) fn run(args: &Args) -> Result {
    let rows = if args.images {
        images(args)?
    } else if args.boots {
        let all = args.archs().map(|arch| boot::rows(arch, &stamp(arch)?, None));
        all.collect::<Result<Vec<_>>>()?.concat()
    } else {
        starts(args)?
    };
    if let Some(file) = &args.json {
        fs::write(file, serde_json::to_vec_pretty(&json!({ "rows": rows }))?)?;
    }
    Ok(())
}

fn starts(args: &Args) -> Result<Vec<Value>> {
    let mut rows = native(args)?;
    if !args.native {
        for arch in args.archs() {
            rows.extend(guest(args, arch)?);
        }
        for arch in [Arch::Aarch64, Arch::X86_64] {
            rows.push(size(arch)?);
        }
    }
    Ok(rows)
}

/// The programs for `arch`: berth, bench and stamp.
fn programs(arch: Arch) -> Result<[PathBuf; 3]> {
    let berth = compile::binary(arch, "release")?;
    compile::build(arch, "release", &["--package", "berth-tests", "--bin", "bench"])?;
    Ok([berth, compile::out_dir(arch, "release").join("bench"), stamp(arch)?])
}

/// The program of which the first instruction is told.
fn stamp(arch: Arch) -> Result<PathBuf> {
    compile::build(arch, "release", &["--package", "berth-test-programs"])?;
    Ok(compile::out_dir(arch, "release").join("stamp"))
}

/// On a disk of its own, an ext4 in a file: durability is part of what is measured, the kernel counts what is written
/// to it, and neither is anybody else's work.
fn images(args: &Args) -> Result<Vec<Value>> {
    apt::ensure(&["podman", "umoci", "skopeo", "docker-registry", "time", "e2fsprogs", "util-linux"])?;
    compile::build(Arch::host(), "release", &["--package", "berth-tests", "--bin", "image-bench"])?;
    let program = compile::out_dir(Arch::host(), "release").join("image-bench");
    let dir = sh::target().join("bench-images");
    let (disk, json) = (dir.join("disk.img"), dir.join("rows.json"));
    fs::create_dir_all(&dir)?;
    // Anew, and not what an earlier run left.
    drop(fs::remove_file(&disk));
    fs::File::create_new(&disk)?.set_len(IMAGE_DISK_BYTES)?;
    sh::run(cmd("mkfs.ext4", ["-q", "-F"]).arg(&disk))?;
    let rounds = args.rounds.min(IMAGE_ROUNDS_MAX).to_string();
    let mut command = cmd("unshare", ["-m", "sh", "-c", ON_DISK, "sh"]);
    sh::run(command.arg(&disk).arg(program).arg("/mnt").arg(rounds).arg(&json))?;
    fs::remove_file(&disk)?;
    rows(&fs::read_to_string(json)?)
}

fn native(args: &Args) -> Result<Vec<Value>> {
    apt::ensure(&["crun", "util-linux", "binutils"])?;
    let [berth, bench, stamp] = programs(Arch::host())?;
    let json = qemu::scratch(Arch::host(), "bench.json")?;
    let mut command = cmd("unshare", ["-m", "sh", "-c", INSIDE, "sh"]);
    command
        .arg(bench)
        .arg("--berth")
        .arg(berth)
        .arg("--stamp")
        .arg(stamp)
        .arg("--json")
        .arg(&json)
        .arg("--peer");
    command.args([
        "--tier",
        "native",
        "--rounds",
        &args.rounds.to_string(),
        "--watch",
        &args.watch.to_string(),
    ]);
    sh::run(&mut command)?;
    rows(&fs::read_to_string(json)?)
}

/// In a guest of `arch`, where all controllers are: fewer rounds, for it is emulated. Then how long guests take to
/// boot into a pod.
fn guest(args: &Args, arch: Arch) -> Result<Vec<Value>> {
    let [_, bench, stamp] = programs(arch)?;
    let script = qemu::scratch(arch, "bench.sh")?;
    let (rounds, watch) = (args.rounds.min(30), args.watch);
    fs::write(
        &script,
        format!(
            "#!/bin/sh\nmkdir -p /opt/cni && ln -s /usr/lib/cni /opt/cni/bin\n\
             /put/bench --berth /usr/bin/berth --stamp /put/stamp --tier guest-{arch} --peer --containerd \
             --rounds {rounds} --watch {watch} --json /tmp/rows || exit 1\nsed 's/^/{JSON_MARK}/' /tmp/rows\necho\n"
        ),
    )?;
    let put = |file: &Path, to: &str| format!("{}:{to}", file.display());
    let mut puts = vec![put(&bench, "/put/bench"), put(&stamp, "/put/stamp")];
    puts.extend(debian::puts(arch, debian::CRUN)?);
    puts.extend(debian::puts(arch, debian::CONTAINERD)?);
    let memory = GUEST_MEMORY_MIB;
    let vm = vm::Args { put: puts, no_start: true, memory, ..vm::Args::script(arch, script) };
    let mut json = String::new();
    let status = vm::run(&vm, |line| match line.strip_prefix(JSON_MARK) {
        Some(part) => json.push_str(part),
        None => qemu::stream(line),
    })?;
    if status != 0 {
        return Err(format!("the bench in the {arch} guest ended with {status}").into());
    }
    let mut rows = rows(&json)?;
    let crun_ms = rows.iter().find(|row| row["name"] == "start").and_then(|row| row["peer_p50"].as_f64());
    rows.extend(boot::rows(arch, &stamp, crun_ms)?);
    Ok(rows)
}

fn rows(text: &str) -> Result<Vec<Value>> {
    let value: Value = serde_json::from_str(text)?;
    Ok(value["rows"].as_array().cloned().unwrap_or_default())
}

/// The release binary as packaging ships it: stripped.
fn size(arch: Arch) -> Result<Value> {
    let binary = compile::binary(arch, "release")?;
    let stripped = qemu::scratch(arch, "berth.stripped")?;
    let strip = if arch == Arch::host() { "strip".to_owned() } else { format!("{}-strip", arch.triplet()) };
    sh::run(cmd(&strip, ["-o"]).arg(&stripped).arg(&binary))?;
    let mib = fs::metadata(&stripped)?.len() as f64 / f64::from(1 << 20);
    println!("binary-size            {arch:<7} MiB {mib:>9.2}");
    Ok(json!({ "name": "binary-size", "tier": arch.name(), "unit": "MiB", "p50": mib }))
}
