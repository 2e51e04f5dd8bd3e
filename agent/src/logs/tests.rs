//! Kills the pump before every step and in the middle of writes and reads, and compares what is in the files
//! with what was written: nothing lost, nothing twice.

use super::{
    format::StreamKind,
    pump::{Chaos, Limits, Pump, Scratch, Stream, Turn},
};
use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A small generator: the tests must say the same thing each time.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

/// Dies at the n-th step; a step in the middle of a write or read does part of it first.
struct DieAt {
    left: u64,
    part: u64,
    dying: bool,
}

impl Chaos for DieAt {
    fn step(&mut self) -> io::Result<()> {
        if self.left == 0 || self.dying {
            return Err(io::Error::other("killed"));
        }
        self.left -= 1;
        Ok(())
    }

    fn cut(&mut self, len: usize) -> usize {
        if self.left != 0 {
            return len;
        }
        self.dying = true;
        usize::try_from(self.part % (len as u64 + 1)).unwrap()
    }
}

/// What the keeper holds of a container.
struct Pipes {
    ends: Vec<OwnedFd>,
    writers: [Option<fs::File>; 2],
}

impl Pipes {
    fn new() -> Self {
        let pipe =
            || nix::unistd::pipe2(nix::fcntl::OFlag::O_NONBLOCK | nix::fcntl::OFlag::O_CLOEXEC).unwrap();
        let ((out, out_w), (err, err_w), (a, b), (c, d)) = (pipe(), pipe(), pipe(), pipe());
        Self { ends: vec![out, err, a, b, c, d], writers: [Some(out_w.into()), Some(err_w.into())] }
    }

    /// Descriptors as a new agent gets them.
    fn streams(&self) -> Arc<[Stream; 2]> {
        Arc::new(super::streams(self.ends.iter().map(|fd| fd.try_clone().unwrap()).collect()).unwrap())
    }
}

fn limits(dir: &Path) -> Limits {
    Limits { size_max_bytes: 3000, files_max: 1000, total_max_bytes: u64::MAX, pods_dir: dir.join("none") }
}

/// The text of each stream as a reader of all the log files puts it together.
fn read_back(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files: Vec<PathBuf> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains(".log"))
        .collect();
    // `0.log` is the newest; the rotated ones sort by age.
    files.sort_by_key(|path| (path.ends_with("0.log"), path.clone()));
    let mut text: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for file in files {
        for record in fs::read(file).unwrap().split_inclusive(|byte| *byte == b'\n') {
            let parts: Vec<&[u8]> = record.splitn(4, |byte| *byte == b' ').collect();
            let stream = text.entry(String::from_utf8(parts[1].to_vec()).unwrap()).or_default();
            let body = parts[3].strip_suffix(b"\n").expect("a record that was cut");
            stream.extend_from_slice(body);
            if parts[2] == b"F" {
                stream.push(b'\n');
            }
        }
    }
    text
}

fn some_output(random: &mut Random, number: &mut u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..random.below(12) {
        *number += 1;
        let widest = if random.below(20) == 0 { 20_000 } else { 60 };
        let width = usize::try_from(random.below(widest)).unwrap();
        bytes.extend_from_slice(format!("{number} {}", "x".repeat(width)).as_bytes());
        if random.below(5) != 0 {
            bytes.push(b'\n');
        }
    }
    bytes
}

/// One life of a container, with the pump killed again and again.
fn life(seed: u64) {
    let dir = tempfile::tempdir().unwrap();
    let (log, journal) = (dir.path().join("0.log"), dir.path().join("journal"));
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut pipes = Pipes::new();
    let mut written = [Vec::new(), Vec::new()];
    let mut number = 0;
    for _ in 0..30 {
        let mut scratch = Scratch::new().unwrap();
        let chaos = DieAt { left: random.below(40), part: random.below(100_000), dying: false };
        let mut left = fs::read(&log).unwrap_or_default();
        left.truncate(left.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1));
        let mut pump = Pump::open(pipes.streams(), &log, &journal, limits(dir.path()), chaos).unwrap();
        assert!(fs::read(&log).unwrap().starts_with(&left), "seed {seed}: a follower has read what is gone");
        loop {
            for (writer, written) in pipes.writers.iter_mut().zip(&mut written) {
                let bytes = some_output(&mut random, &mut number);
                // A full pipe takes what it can.
                let taken = writer.as_mut().unwrap().write(&bytes).unwrap_or(0);
                written.extend_from_slice(&bytes[..taken]);
            }
            let kind = if random.below(2) == 0 { StreamKind::Stdout } else { StreamKind::Stderr };
            if pump.turn(kind, false, &mut scratch).is_err() {
                break;
            }
        }
    }
    finish(&mut pipes, dir.path(), &log, &journal);
    let read = read_back(dir.path());
    for (kind, mut sent) in [StreamKind::Stdout, StreamKind::Stderr].into_iter().zip(written) {
        if !sent.is_empty() && sent.last() != Some(&b'\n') {
            sent.push(b'\n'); // the end of the output closes its last line
        }
        let got = read.get(kind.as_str()).cloned().unwrap_or_default();
        let at = got.iter().zip(&sent).position(|(a, b)| a != b);
        assert!(
            got == sent || got == sent[..sent.len() - 1],
            "seed {seed} {kind:?}: {} of {} bytes, differ at {at:?}",
            got.len(),
            sent.len()
        );
    }
}

/// The container ends, the last pump runs unharmed.
fn finish(pipes: &mut Pipes, dir: &Path, log: &Path, journal: &Path) {
    pipes.writers = [None, None];
    let calm = super::pump::Calm;
    let mut pump = Pump::open(pipes.streams(), log, journal, limits(dir), calm).unwrap();
    let mut scratch = Scratch::new().unwrap();
    for kind in [StreamKind::Stdout, StreamKind::Stderr] {
        while pump.turn(kind, true, &mut scratch).unwrap() != Turn::Ended {}
    }
}

#[test]
fn killed_anywhere_no_byte_is_lost_or_doubled() {
    for seed in 1..=60 {
        life(seed);
    }
}

#[test]
fn a_line_waits_for_its_end_and_the_last_one_for_the_end_of_all() {
    let dir = tempfile::tempdir().unwrap();
    let (log, journal) = (dir.path().join("0.log"), dir.path().join("journal"));
    let mut pipes = Pipes::new();
    let mut scratch = Scratch::new().unwrap();
    let calm = super::pump::Calm;
    let mut pump = Pump::open(pipes.streams(), &log, &journal, limits(dir.path()), calm).unwrap();
    for (bytes, turn) in [("one", Turn::Idle), ("\ntwo", Turn::Moved(4)), ("", Turn::Idle)] {
        pipes.writers[0].as_mut().unwrap().write_all(bytes.as_bytes()).unwrap();
        assert_eq!(pump.turn(StreamKind::Stdout, false, &mut scratch).unwrap(), turn, "{bytes:?}");
    }
    drop(pump);
    finish(&mut pipes, dir.path(), &log, &journal);
    assert_eq!(read_back(dir.path())["stdout"], b"one\ntwo\n");
}

#[test]
fn writing_byte_by_byte_never_stalls() {
    let dir = tempfile::tempdir().unwrap();
    let (log, journal) = (dir.path().join("0.log"), dir.path().join("journal"));
    let mut pipes = Pipes::new();
    let mut scratch = Scratch::new().unwrap();
    let mut pump =
        Pump::open(pipes.streams(), &log, &journal, limits(dir.path()), super::pump::Calm).unwrap();
    // More writes without a line feed than a pipe has slots for.
    for _ in 0..500 {
        pipes.writers[0].as_mut().unwrap().write_all(b"y").unwrap();
        pump.turn(StreamKind::Stdout, false, &mut scratch).unwrap();
    }
    drop(pump);
    finish(&mut pipes, dir.path(), &log, &journal);
    assert_eq!(read_back(dir.path())["stdout"].iter().filter(|b| **b == b'y').count(), 500);
}

#[tokio::test]
async fn a_finished_container_has_all_its_output_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let roots = berth_oci::paths::Roots { log: dir.path().into(), ..Default::default() };
    let mut logs = super::Logs::new(&crate::config::Config::default(), &roots).unwrap();
    let mut pipes = Pipes::new();
    let id = berth_core::ids::ContainerId("c1".into());
    let log = dir.path().join("pods/ns_p_u/c/0.log");
    let place = super::Place { log: log.clone(), journal: dir.path().join("j"), attempt: 0, speaks: false };
    let fds = pipes.ends.iter().map(|fd| fd.try_clone().unwrap()).collect();
    logs.attach(&id, &place, fds).unwrap();
    pipes.writers[1].as_mut().unwrap().write_all(b"oops\n").unwrap();
    pipes.writers[0].as_mut().unwrap().write_all(b"fine").unwrap();
    pipes.writers = [None, None];
    logs.finish(&id).unwrap().await.unwrap();
    assert!(logs.finish(&id).is_none());
    let text = read_back(log.parent().unwrap());
    assert_eq!((&*text["stdout"], &*text["stderr"]), (&b"fine\n"[..], &b"oops\n"[..]));
}

#[tokio::test]
async fn a_log_that_cannot_be_opened_yet_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let roots = berth_oci::paths::Roots { log: dir.path().into(), ..Default::default() };
    let mut logs = super::Logs::new(&crate::config::Config::default(), &roots).unwrap();
    let mut pipes = Pipes::new();
    let id = berth_core::ids::ContainerId("c1".into());
    // A file where a directory must be made.
    let blocked = dir.path().join("pods");
    fs::write(&blocked, "").unwrap();
    let place = super::Place {
        log: blocked.join("c/0.log"),
        journal: dir.path().join("j"),
        attempt: 0,
        speaks: false,
    };
    let fds = pipes.ends.iter().map(|fd| fd.try_clone().unwrap()).collect();
    logs.attach(&id, &place, fds).unwrap();
    pipes.writers[0].as_mut().unwrap().write_all(b"kept\n").unwrap();
    tokio::task::yield_now().await;
    fs::remove_file(&blocked).unwrap();
    pipes.writers = [None, None];
    logs.finish(&id).unwrap().await.unwrap();
    assert_eq!(read_back(&blocked.join("c"))["stdout"], b"kept\n");
}
