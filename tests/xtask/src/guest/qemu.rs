//! Boots a guest under QEMU's software emulation, streams its console, and finds out how its script ended.

use crate::{
    apt,
    arch::Arch,
    sh::{self, Result, cmd},
};
use std::{
    fs,
    io::{self, BufRead, BufReader, IsTerminal, Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

/// A machine to boot.
pub(crate) struct Machine<'a> {
    pub(crate) arch: Arch,
    pub(crate) kernel: &'a Path,
    pub(crate) initrd: &'a Path,
    /// A raw ext4 image, seen as /dev/vda.
    pub(crate) disk: &'a Path,
    /// MiB.
    pub(crate) memory: u32,
    /// Ports of the host's loopback that lead to ports of the guest.
    pub(crate) forwards: &'a [(u16, u16)],
    /// Write-back without the guest's flushes ever reaching the host's disk: fast, for disks that are thrown away.
    pub(crate) unsafe_cache: bool,
    /// More words for the kernel's command line.
    pub(crate) append: &'a str,
}

/// The largest disk image that is made: sparse, so that it costs what is written to it.
const DISK_LEN_BYTES: u64 = 2 << 30;
/// Lines of a console that may wait to be looked at.
const LINES_WAITING_MAX: usize = 256;

/// Makes an empty ext4 image at `path` if there is none.
pub(crate) fn ensure_disk(path: &Path) -> Result {
    if path.exists() {
        return Ok(());
    }
    apt::ensure(&["e2fsprogs"])?;
    let half = path.with_extension("half");
    fs::File::create(&half)?.set_len(DISK_LEN_BYTES)?;
    let mke2fs = if Path::new("/sbin/mke2fs").exists() { "/sbin/mke2fs" } else { "mke2fs" };
    sh::run(
        cmd(
            mke2fs,
            ["-q", "-t", "ext4", "-F", "-O", "verity", "-E", "lazy_itable_init=1,lazy_journal_init=1"],
        )
        .arg(&half),
    )?;
    fs::rename(half, path)?;
    Ok(())
}

impl Machine<'_> {
    /// The command that boots it, console on standard input and output.
    pub(crate) fn command(&self) -> Result<Command> {
        let (program, package, tty) = match self.arch {
            Arch::X86_64 => ("qemu-system-x86_64", "qemu-system-x86", "ttyS0"),
            Arch::Aarch64 => ("qemu-system-aarch64", "qemu-system-arm", "ttyAMA0"),
        };
        apt::ensure(&[package])?;
        let mut qemu = Command::new(program);
        match self.arch {
            Arch::X86_64 => qemu.args(["-machine", "q35", "-cpu", "Nehalem,+rdrand"]),
            Arch::Aarch64 => qemu.args(["-machine", "virt", "-cpu", "cortex-a72"]),
        };
        let forwards: String = self
            .forwards
            .iter()
            .map(|(host, guest)| format!(",hostfwd=tcp:127.0.0.1:{host}-:{guest}"))
            .collect();
        let cache = if self.unsafe_cache { "unsafe" } else { "writeback" };
        qemu.args(["-accel", "tcg,thread=multi", "-smp", "2", "-m", &self.memory.to_string()])
            .args(["-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio"])
            .arg("-kernel")
            .arg(self.kernel)
            .arg("-initrd")
            .arg(self.initrd)
            .arg("-append")
            // A processor that stands still for two minutes ends the guest instead of hanging its caller.
            .arg(format!(
                "console={tty} quiet loglevel=3 panic=-1 random.trust_cpu=on softlockup_panic=1 watchdog_thresh=60 {}",
                self.append
            ))
            .arg("-drive")
            .arg(format!("if=none,id=d0,format=raw,cache={cache},file={}", self.disk.display()))
            .args(["-device", "virtio-blk-pci,drive=d0", "-device", "virtio-rng-pci"])
            .arg("-netdev")
            .arg(format!("user,id=n0{forwards}"))
            .args(["-device", "virtio-net-pci,netdev=n0,romfile="]);
        Ok(qemu)
    }
}

/// The first line that a guest of ours says, before it touches its disk.
const UP: &str = "appliance: the kernel is up";
/// A kernel may take so long until then. Where the processors are emulated one may stand still for ever when the other
/// patches the kernel's code.
const UP_MAX: Duration = Duration::from_secs(180);

/// A guest whose console is read line by line.
pub(crate) struct Guest {
    pub(crate) child: Child,
    marker: String,
}

impl Guest {
    /// Boots it.
    pub(crate) fn boot(machine: &Machine<'_>, marker: &str) -> Result<Self> {
        let mut command = machine.command()?;
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        Ok(Self { child, marker: marker.to_owned() })
    }

    /// Passes each line of the console to `line` until the guest ends; returns the script's status. A guest that
    /// lives longer than `most` is switched off; so is one whose kernel does not
    /// come up. None: it did not.
    pub(crate) fn follow(mut self, most: Option<Duration>, mut line: impl FnMut(&str)) -> Result<Option<u8>> {
        let stdout = self.child.stdout.take().ok_or("the guest has no console")?;
        let begun = Instant::now();
        let lines = read_lines(stdout);
        let (mut status, mut is_up) = (None, false);
        loop {
            let until = if is_up { most } else { Some(UP_MAX) }.map(|most| begun + most);
            let next = match until {
                Some(until) => lines.recv_timeout(until.saturating_duration_since(Instant::now())),
                None => lines.recv().map_err(Into::into),
            };
            let raw = match next {
                Ok(raw) => raw?,
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    self.child.kill()?;
                    self.child.wait()?;
                    if !is_up {
                        return Ok(None);
                    }
                    return Err(format!("switched off: it had not ended after {most:?}").into());
                }
            };
            let text = String::from_utf8_lossy(&raw);
            let text = text.trim_end_matches('\r');
            if text.ends_with(UP) {
                is_up = true;
                continue;
            }
            match text.split_once(&self.marker) {
                Some((_, code)) => status = code.trim().parse().ok(),
                None => line(text),
            }
        }
        let ended = self.child.wait()?;
        if !is_up {
            return Ok(None);
        }
        let untold = || format!("the guest ended ({ended}) before its script told a status").into();
        status.map(Some).ok_or_else(untold)
    }
}

/// Reads on a thread of its own, so that the wait for a line can have an end.
fn read_lines(console: impl Read + Send + 'static) -> Receiver<io::Result<Vec<u8>>> {
    let (send, lines) = mpsc::sync_channel(LINES_WAITING_MAX);
    thread::spawn(move || {
        for line in BufReader::new(console).split(b'\n') {
            if send.send(line).is_err() {
                break;
            }
        }
    });
    lines
}

/// Prints `text` to standard output at once, ignoring a reader that went away. The guest's console is a terminal
/// for what runs in it, so there are colours in what it says: they are left out where ours is none.
pub(crate) fn stream(text: &str) {
    let mut out = std::io::stdout().lock();
    let plain = if out.is_terminal() { text.to_owned() } else { without_colours(text) };
    let _ = writeln!(out, "{plain}").and_then(|()| out.flush());
}

/// `text` without its escape sequences of the form `ESC [ … letter`.
fn without_colours(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str(part.split_once(|c: char| c.is_ascii_alphabetic()).map_or("", |(_, rest)| rest));
    }
    plain
}

/// A fresh path below `target/guest` for this thread.
pub(crate) fn scratch(arch: Arch, name: &str) -> Result<PathBuf> {
    let me = thread::current();
    let dir = super::dir(arch).join(format!("run-{}-{}", std::process::id(), me.name().unwrap_or_default()));
    fs::create_dir_all(&dir)?;
    Ok(dir.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_left_out() {
        assert_eq!(without_colours("a  \x1b[31mError\x1b[0m  0\x1b[1;2mx\x1b["), "a  Error  0x");
    }
}
