//! `cargo xtask power-cuts`: a guest that works on its disk is killed at random moments, as a power cut would, and
//! booted again on the same disk. What it works on, image store or checkpoints, is the scenario's `script.sh` below
//! `tests/guest`: after each boot it looks whether all is well, says what was found and repaired, and works on until the
//! next cut.
//! What the guest had not synced is in its memory, and lost with it.

use crate::{
    arch::Arch,
    guest, images,
    scenario::BOOT_MAX_S,
    sh::{self, Result},
    vm,
};
use berth_images::build::{Compression, Entry, ImageBuilder, write_oci_archive};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// What the script says when it has begun to work: from then on the power may go.
const WORKING: &str = "power-cut: working";
/// Milliseconds of work, at most, before the cut.
const WORK_MAX_MS: u64 = 12_000;
/// Small files in each image that is imported over and over.
const FILES: u32 = 400;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How often the power goes
    #[arg(long, default_value_t = 200)]
    pub(crate) cuts: u32,
    /// Architecture of the guest
    #[arg(long, default_value = "x86_64")]
    pub(crate) arch: Arch,
    /// Number from which the moments of the cuts follow [default: the clock]
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Folder below tests/guest with the guest's half: power-cut works on the image store, checkpoint on checkpoints
    #[arg(long, default_value = "power-cut")]
    pub(crate) scenario: String,
    /// Cargo profile of the binary in the guest
    #[arg(long, default_value = "release")]
    pub(crate) profile: String,
}

/// Passes what happens and what the guest says to `tell`.
pub(crate) fn run(args: &Args, tell: &(dyn Fn(&str) + Sync)) -> Result {
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_secs());
    let seed = args.seed.unwrap_or_else(clock).max(1);
    tell(&format!("{} power cuts on {}, --seed {seed}", args.cuts, args.arch));
    let folder = guest::dir(args.arch).join(format!("{}-{}", args.scenario, std::process::id()));
    fs::create_dir_all(&folder)?;
    let done = cut_and_boot(args, seed, &folder, tell);
    fs::remove_dir_all(&folder)?;
    done
}

fn cut_and_boot(args: &Args, seed: u64, folder: &Path, tell: &(dyn Fn(&str) + Sync)) -> Result {
    let vm = machine(args, folder)?;
    let mut random = seed;
    for boot in 0..=args.cuts {
        let last = boot == args.cuts;
        fs::write(folder.join("boot"), if last { "last" } else { "work" })?;
        random = next(random);
        let delay = Duration::from_millis(random % WORK_MAX_MS);
        let then = if last { "the end".into() } else { format!("a cut after {delay:?} of work") };
        tell(&format!("-- boot {} of {}, then {then}", boot + 1, args.cuts + 1));
        let mut cut = false;
        let ended = vm::run_watched(&vm, |pid, line| {
            tell(line);
            if line.contains(WORKING) && !last {
                cut = true;
                // The console is read on meanwhile.
                thread::spawn(move || {
                    thread::sleep(delay);
                    let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
                });
            }
        });
        match (ended, cut) {
            (Ok(0), false) if last => {}
            // No status: it was killed in the middle of its work.
            (Err(_), true) => {}
            (Ok(status), _) => {
                return Err(
                    format!("boot {}: the script ended with {status} (--seed {seed})", boot + 1).into()
                );
            }
            (Err(error), false) => return Err(format!("boot {}: {error} (--seed {seed})", boot + 1).into()),
        }
    }
    Ok(())
}

/// xorshift64: enough to spread moments.
fn next(mut x: u64) -> u64 {
    x ^= x << 13;
    x ^= x >> 7;
    x ^ x << 17
}

fn machine(args: &Args, folder: &Path) -> Result<vm::Args> {
    let arch = args.arch;
    let put = |file: &Path, to: &str| format!("{}:{to}", file.display());
    let mut puts = vec![
        put(&sh::root().join("tests/guest/lib.sh"), "/put/lib.sh"),
        put(&folder.join("boot"), "/put/boot"),
    ];
    for (name, file) in churn(arch, folder)? {
        puts.push(put(&file, &format!("/put/{name}")));
    }
    Ok(vm::Args {
        put: puts,
        keep_disk: Some(folder.join("disk")),
        no_start: true,
        timeout: Some(BOOT_MAX_S),
        profile: args.profile.clone(),
        ..vm::Args::script(arch, sh::root().join("tests/guest").join(&args.scenario).join("script.sh"))
    })
}

/// Two images of one name: many small files and a large one on top of busybox.
fn churn(arch: Arch, folder: &Path) -> Result<Vec<(&'static str, PathBuf)>> {
    let mut made = Vec::new();
    for (name, version) in [("one.tar", "one"), ("two.tar", "two")] {
        let mut entries = vec![Entry::dir("data", 0o755), Entry::file("version", 0o644, version)];
        entries.extend(
            (0..FILES)
                .map(|n| Entry::file(&format!("data/{n}"), 0o644, format!("{version} {n}\n").repeat(50))),
        );
        let large: Vec<u8> =
            (0..1_000_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        entries.push(Entry::file("large", 0o644, large));
        let image: ImageBuilder = images::image(arch)?.layer(entries).nameless().name("berth.test/churn:1");
        let file = folder.join(name);
        write_oci_archive(&file, &[&image], false, Compression::None)?;
        made.push((name, file));
    }
    Ok(made)
}
