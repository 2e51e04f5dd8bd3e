//! Images against the tools of the field: import and unpack of an image of many files and of one of few large ones,
//! and a pull from a registry on this machine. Each work is timed until all of it is on the disk: ours ends so, the
//! peers leave it to the kernel, so the file system is synced after either. Rounds are interleaved, the first is
//! not counted, and before each run what the last one left is gone from the disk.

mod content;
mod hub;
mod ours;
mod run;

pub use ours::{import, pull};

use super::{Result, stats::Row};
use content::IMAGE_BYTES;
use hub::Hub;
use run::{Disk, Run};
use std::path::Path;

/// An image to be measured with.
pub struct Case {
    name: &'static str,
    file_bytes: usize,
}

/// Many small files, few large ones.
pub const CASES: [Case; 2] =
    [Case { name: "many", file_bytes: 10 << 10 }, Case { name: "large", file_bytes: 25 << 20 }];

/// One work in two hands.
struct Contest {
    name: &'static str,
    /// Which of ours, which of the peers'.
    ours: usize,
    peer: (&'static str, usize),
    /// Without: time alone.
    full: bool,
}

/// A tool that does more or less than Berth is beside one that does the same: `umoci unpack` notes the digest of each
/// file, as Berth does, `umoci raw unpack` does not; skopeo unpacks into a container storage, and not into a layout.
const CONTESTS: [Contest; 5] = [
    Contest { name: "import", ours: 0, peer: ("podman", 0), full: true },
    Contest { name: "unpack", ours: 1, peer: ("umoci-raw", 1), full: true },
    Contest { name: "unpack-noting", ours: 1, peer: ("umoci", 2), full: false },
    Contest { name: "pull", ours: 2, peer: ("skopeo", 3), full: true },
    Contest { name: "pull-and-no-more", ours: 2, peer: ("skopeo-oci", 4), full: false },
];

/// What runs leave, all of which goes before the next.
const LEFT: [&str; 6] = ["store", "storage", "storage-run", "bundle", "copy", "tmp"];

/// All rows of one image.
///
/// # Errors
/// A program that is missing or fails.
pub fn measure(case: &Case, program: &Path, dir: &Path, rounds: u32) -> Result<Vec<Row>> {
    let dir = dir.join(case.name);
    std::fs::create_dir_all(&dir)?;
    let image = content::image(case.file_bytes);
    image.write_oci_archive(&dir.join("image.tar"))?;
    image.write_layout(&dir.join("layout"))?;
    drop(image);
    let hub = Hub::start(&dir)?;
    hub.push(&dir.join("layout"))?;
    let (ours, peers) = commands(&dir, program, &hub);
    let commands: Vec<&Vec<String>> = ours.iter().chain(&peers).collect();
    let disk = Disk::new(&dir)?;
    let mut runs: Vec<Vec<Run>> = commands.iter().map(|_| Vec::new()).collect();
    for round in 0..=rounds {
        for (command, runs) in commands.iter().zip(&mut runs) {
            disk.clear(&LEFT)?;
            let run = disk.timed(command)?;
            // The first round finds programs and image in no cache.
            runs.extend((round > 0).then_some(run));
        }
    }
    disk.clear(&LEFT)?;
    let (ours, peers) = runs.split_at(ours.len());
    Ok(CONTESTS
        .iter()
        .flat_map(|contest| rows(case, contest, &ours[contest.ours], &peers[contest.peer.1]))
        .collect())
}

/// What is ours, and what is the peers', in the order of `CONTESTS`' numbers.
fn commands(dir: &Path, program: &Path, hub: &Hub) -> ([Vec<String>; 3], [Vec<String>; 5]) {
    let path = |name: &str| dir.join(name).to_string_lossy().into_owned();
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let (store, storage, storage_run) = (path("store"), path("storage"), path("storage-run"));
    let (archive, layout, bundle) = (path("image.tar"), path("layout"), path("bundle"));
    let (program, conf) = (program.to_string_lossy(), hub.conf.to_string_lossy());
    let tagged = format!("{layout}:latest");
    let remote = format!("docker://{}", hub.name);
    let stored = format!("containers-storage:[overlay@{storage}+{storage_run}]bench.test/image:1");
    let copied = format!("oci:{}:latest", path("copy"));
    let podman = ["podman", "--root", &storage, "--runroot", &storage_run, "--storage-driver", "overlay"];
    let skopeo = ["skopeo", "copy", "--quiet", "--src-tls-verify=false", &remote];
    (
        [
            words(&[&program, "import", &store, &archive]),
            words(&[&program, "import", &store, &layout]),
            words(&[&program, "pull", &store, &hub.name, &conf]),
        ],
        [
            words(&[&podman[..], &["load", "-q", "-i", &archive]].concat()),
            words(&["umoci", "raw", "unpack", "--image", &tagged, &bundle]),
            words(&["umoci", "unpack", "--image", &tagged, &bundle]),
            words(&[&skopeo[..], &[&stored]].concat()),
            words(&[&skopeo[..], &[&copied]].concat()),
        ],
    )
}

fn rows(case: &Case, contest: &Contest, ours: &[Run], theirs: &[Run]) -> Vec<Row> {
    let row = |figure: &str, unit, of: fn(&Run) -> f64| Row {
        name: format!("{}{figure}-{}", contest.name, case.name),
        tier: "native".to_owned(),
        unit,
        ours: ours.iter().map(of).collect(),
        peer: Some((contest.peer.0, theirs.iter().map(of).collect())),
    };
    let time = row("", "ms", |run| run.durable_ms);
    if !contest.full {
        return vec![time];
    }
    vec![
        time,
        row("-returned", "ms", |run| run.returned_ms),
        row("-cpu", "ms", |run| run.cpu_ms),
        row("-peak", "MiB", |run| run.peak_mib),
        row("-written", "B/B", |run| run.written_bytes / IMAGE_BYTES as f64),
    ]
}
