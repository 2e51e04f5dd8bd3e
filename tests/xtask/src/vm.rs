//! `cargo xtask vm`: an appliance with Berth in QEMU, for a script or for a person.

use crate::{
    arch::Arch,
    guest::{self, Flavour, Kernel, Root, qemu},
    images, package,
    sh::Result,
};
use std::{
    fs,
    path::PathBuf,
    process::ExitCode,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// How often a guest is switched on at most until its kernel comes up.
const BOOTS_MAX: u32 = 3;
/// Memory of a guest, MiB.
const MEMORY_MIB: u32 = 768;

#[derive(clap::Args, Clone)]
pub(crate) struct Args {
    /// Architecture of the guest
    #[arg(long, default_value = "x86_64")]
    pub(crate) arch: Arch,
    /// A manifest for /usr/share/berth/manifests (may be given several times)
    #[arg(long, value_name = "FILE")]
    pub(crate) manifest: Vec<PathBuf>,
    /// An OCI layout or archive for /usr/share/berth/images (may be given several times)
    #[arg(long, value_name = "PATH")]
    pub(crate) image: Vec<PathBuf>,
    /// Any file or folder, and where to put it in the guest (may be given several times)
    #[arg(long, value_name = "SRC:DST")]
    pub(crate) put: Vec<String>,
    /// Run this script as root in the guest, then power off; its status is ours
    #[arg(long, value_name = "FILE", required_unless_present = "interactive")]
    pub(crate) script: Option<PathBuf>,
    /// A console instead of a script
    #[arg(long, conflicts_with = "script")]
    pub(crate) interactive: bool,
    /// Keep the guest's disk (/var) in this file and boot on it again next time
    #[arg(long, value_name = "FILE")]
    pub(crate) keep_disk: Option<PathBuf>,
    /// Leave it to the script to start Berth (/etc/init.d/berth start)
    #[arg(long)]
    pub(crate) no_start: bool,
    /// Leave Berth out, for a script that installs it
    #[arg(long)]
    pub(crate) bare: bool,
    /// Memory of the guest in MiB
    #[arg(long, default_value_t = MEMORY_MIB)]
    pub(crate) memory: u32,
    /// Forward a port of the host's loopback to the guest (may be given several times)
    #[arg(long, value_name = "HOST:GUEST")]
    pub(crate) forward: Vec<String>,
    /// Which of Debian's kernels is booted
    #[arg(long, default_value = "cloud")]
    pub(crate) kernel: Flavour,
    /// Load this kernel module beside the usual ones (may be given several times)
    #[arg(long, value_name = "NAME")]
    pub(crate) module: Vec<String>,
    /// Do not load this one of the usual kernel modules; it lies in /lib/modules (may be given several times)
    #[arg(long, value_name = "NAME")]
    pub(crate) without: Vec<String>,
    /// More words for the kernel's command line
    #[arg(long, value_name = "WORDS", default_value = "")]
    pub(crate) append: String,
    /// Switch the guest off when its script has not ended after so many seconds
    #[arg(long, value_name = "SECONDS")]
    pub(crate) timeout: Option<u64>,
    /// Cargo profile of the binary in the guest
    #[arg(long, default_value = "release")]
    pub(crate) profile: String,
}

impl Args {
    /// A guest that runs this script and nothing else.
    pub(crate) fn script(arch: Arch, script: PathBuf) -> Self {
        Self {
            arch,
            manifest: Vec::new(),
            image: Vec::new(),
            put: Vec::new(),
            script: Some(script),
            interactive: false,
            keep_disk: None,
            no_start: false,
            bare: false,
            memory: MEMORY_MIB,
            forward: Vec::new(),
            kernel: Flavour::default(),
            module: Vec::new(),
            without: Vec::new(),
            append: String::new(),
            timeout: None,
            profile: "release".to_owned(),
        }
    }
}

pub(crate) fn main(args: &Args) -> ExitCode {
    match run(args, qemu::stream) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("xtask vm: {error}");
            ExitCode::from(125)
        }
    }
}

/// Boots the guest that `args` describe, passes the lines of its console to `line`, and returns its script's status.
pub(crate) fn run(args: &Args, mut line: impl FnMut(&str)) -> Result<u8> {
    run_watched(args, |_, text| line(text))
}

/// Held by whoever makes what guests share: programs, packages, images, their cache.
static PREPARING: Mutex<()> = Mutex::new(());

/// Waits until nobody else makes what guests share.
pub(crate) fn preparing() -> MutexGuard<'static, ()> {
    PREPARING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As [`run`], with the pid of the machine before each line.
pub(crate) fn run_watched(args: &Args, mut line: impl FnMut(u32, &str)) -> Result<u8> {
    let prepared = preparing();
    let kernel = Kernel::fetch(args.arch, args.kernel, &args.module, &args.without)?;
    let marker = format!("berth-vm-status-{:x}:", std::process::id());
    let root = Root {
        arch: args.arch,
        package: if args.bare { None } else { Some(package::tree(args.arch, &args.profile)?) },
        puts: puts(args)?,
        script: args.script.as_ref().map(fs::read).transpose()?,
        start: !args.no_start && !args.bare,
        marker: marker.clone(),
    };
    let initrd = qemu::scratch(args.arch, "initrd")?;
    guest::build(&root, &kernel, &initrd)?;
    let disk = match &args.keep_disk {
        Some(file) => file.clone(),
        None => qemu::scratch(args.arch, "disk")?,
    };
    qemu::ensure_disk(&disk)?;
    drop(prepared);
    let forwards = args.forward.iter().map(|f| parse_forward(f)).collect::<Result<Vec<_>>>()?;
    let machine = qemu::Machine {
        arch: args.arch,
        kernel: &kernel.image,
        initrd: &initrd,
        disk: &disk,
        memory: args.memory,
        forwards: &forwards,
        unsafe_cache: args.keep_disk.is_none(),
        append: &args.append,
    };
    let status = if args.interactive {
        machine.command()?.status().map(|s| u8::from(!s.success())).map_err(Into::into)
    } else {
        boot(&machine, &marker, args.timeout.map(Duration::from_secs), &mut line)
    };
    if let Some(scratch) = initrd.parent() {
        let _ = fs::remove_dir_all(scratch);
    }
    status
}

/// Again, while the kernel does not come up: nothing that is tried here was reached then.
fn boot(
    machine: &qemu::Machine<'_>,
    marker: &str,
    most: Option<Duration>,
    mut line: impl FnMut(u32, &str),
) -> Result<u8> {
    for _ in 0..BOOTS_MAX {
        let guest = qemu::Guest::boot(machine, marker)?;
        let pid = guest.child.id();
        if let Some(status) = guest.follow(most, |text| line(pid, text))? {
            return Ok(status);
        }
        eprintln!("xtask: the kernel of the {} guest does not come up: it is switched on anew", machine.arch);
    }
    Err(format!("the kernel of the {} guest did not come up {BOOTS_MAX} times", machine.arch).into())
}

fn parse_forward(text: &str) -> Result<(u16, u16)> {
    let parsed =
        text.split_once(':').and_then(|(host, guest)| Some((host.parse().ok()?, guest.parse().ok()?)));
    parsed.ok_or_else(|| format!("--forward {text}: give it as HOSTPORT:GUESTPORT").into())
}

/// What goes into the guest, and where: the test images, and what the command line names.
fn puts(args: &Args) -> Result<Vec<(PathBuf, String)>> {
    let mut puts = Vec::new();
    let into = |file: &PathBuf, folder: &str| {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        (file.clone(), format!("{folder}/{name}"))
    };
    for image in images::ensure(args.arch)? {
        puts.push(into(&image, "/usr/share/berth/images"));
    }
    puts.extend(args.image.iter().map(|f| into(f, "/usr/share/berth/images")));
    puts.extend(args.manifest.iter().map(|f| into(f, "/usr/share/berth/manifests")));
    for put in &args.put {
        let (from, to) = put.split_once(':').ok_or_else(|| format!("--put {put}: give it as SRC:DST"))?;
        puts.push((from.into(), to.to_owned()));
    }
    Ok(puts)
}
