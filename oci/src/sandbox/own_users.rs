//! Namespaces of a pod with users of its own. A user namespace cannot be made by one of several threads, so this
//! program is executed once more as a process that makes it, with all others that are to belong to it, and lives until
//! they are pinned.

use super::{applet, namespaces::Pin};
use crate::{
    error::{Error, Result},
    users::ids::Ids,
};
use nix::sched::{CloneFlags, setns, unshare};
use std::{
    fs::{self, File},
    io::{self, Read, Write},
    process::Child,
};

/// The argument by which this program becomes it; the kinds of namespaces follow.
pub const APPLET: &str = "pod-users";
/// The kind, as under `/proc/<pid>/ns`.
pub(super) const USER: &str = "user";

/// The process that has the new namespaces; it ends when this is dropped.
pub(super) struct Holder(Child);

impl Holder {
    /// Makes them, with these ids.
    pub(super) fn make(pins: &[Pin], ids: Ids) -> Result<Self> {
        let wrong = |error| Error::io("make", "the pod's user namespace")(error);
        let child = applet::command(APPLET).args(pins.iter().map(Pin::kind)).spawn().map_err(wrong)?;
        let mut holder = Self(child);
        let mut byte = [0; 1];
        let told = holder.0.stdout.as_mut().map(|stdout| stdout.read_exact(&mut byte));
        if !matches!(told, Some(Ok(()))) {
            let mut why = String::new();
            if let Some(mut stderr) = holder.0.stderr.take() {
                let _ = stderr.read_to_string(&mut why);
            }
            let help = "hostUsers: false needs CONFIG_USER_NS and room in /proc/sys/user/max_user_namespaces";
            return Err(wrong(io::Error::other(format!("{}: {help}", why.trim()))));
        }
        for file in ["uid_map", "gid_map"] {
            let path = holder.path(file);
            fs::write(&path, ids.map()).map_err(Error::io("write", &path))?;
        }
        Ok(holder)
    }

    /// Something of the process' under `/proc`.
    pub(super) fn path(&self, name: &str) -> String {
        format!("/proc/{}/{name}", self.0.id())
    }

    /// Brings the calling thread into those of the namespaces that threads can enter.
    pub(super) fn enter(&self, pins: &[Pin]) -> Result<()> {
        for kind in pins.iter().map(Pin::kind).filter(|kind| *kind != USER) {
            let path = self.path(&format!("ns/{kind}"));
            let file = File::open(&path).map_err(Error::io("open the namespace", &path))?;
            setns(file, CloneFlags::empty()).map_err(Error::sys("join the namespace", &path))?;
        }
        Ok(())
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // The end of its input is its end.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// The applet: its exit status.
pub fn run(kinds: &[String]) -> i32 {
    let flags = kinds.iter().fold(CloneFlags::empty(), |flags, kind| flags | super::namespaces::flag(kind));
    let made = unshare(flags).map_err(io::Error::from).and_then(|()| {
        let mut stdout = io::stdout();
        stdout.write_all(b".")?;
        stdout.flush()?;
        io::stdin().read_to_end(&mut Vec::new())
    });
    match made {
        Ok(_) => 0,
        Err(error) => {
            eprintln!("{error}");
            1
        }
    }
}
