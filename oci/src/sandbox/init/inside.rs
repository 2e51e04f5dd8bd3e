//! What the applet does: enters the pod, forks the first process of a new namespace, tells its pid and ends.
//! Single-threaded from its first instruction; must never be called in another process.

use super::{Orders, hard_to_kill, sys};
use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, setns, unshare},
    unistd::{Gid, Uid, chdir, pivot_root, setgroups, setresgid, setresuid},
};
use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::Path,
};

/// Nobody's, as of Kubernetes' own first process of a pod.
const ID: u32 = 65_535;
/// Bytes of orders.
const ORDERS_LEN_MAX_BYTES: u64 = 64 * 1024;
/// Nothing can be put there.
const EMPTY: &str = "mode=0555,size=4k,nr_inodes=2";

/// The applet; its exit status.
pub fn run() -> i32 {
    match begin() {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("{error}");
            1
        }
    }
}

fn begin() -> io::Result<()> {
    let mut text = Vec::new();
    io::stdin().take(ORDERS_LEN_MAX_BYTES).read_to_end(&mut text)?;
    let orders: Orders = serde_json::from_slice(&text)?;
    fs::write(orders.cgroup.join("cgroup.procs"), "0")?;
    hard_to_kill();
    let files: Vec<File> = orders.namespaces.iter().map(File::open).collect::<io::Result<_>>()?;
    for file in files {
        setns(file, CloneFlags::empty())?;
    }
    if orders.own_users {
        // Root, but the pod's.
        setgroups(&[])?;
        setresgid(0.into(), 0.into(), 0.into())?;
        setresuid(0.into(), 0.into(), 0.into())?;
    }
    unshare(CloneFlags::CLONE_NEWPID)?;
    let (mut ready, done) = sys::pipe()?;
    match sys::fork()? {
        None => {
            drop(ready);
            confine(&orders.root)?;
            File::from(done).write_all(b".")?;
            sys::rest()
        }
        Some(pid) => {
            drop(done);
            let mut byte = [0; 1];
            // The end without a byte: it has said why on stderr.
            ready.read_exact(&mut byte).map_err(|_| io::Error::other("it could not confine itself"))?;
            println!("{pid}");
            Ok(())
        }
    }
}

/// Sees nothing, may nothing, is nobody. The containers see it, and may get at what it has.
fn confine(root: &Path) -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWCGROUP)?;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>)?;
    let flags = MsFlags::MS_NODEV | MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC | MsFlags::MS_RDONLY;
    mount(Some("tmpfs"), root, Some("tmpfs"), flags, Some(EMPTY))?;
    chdir(root)?;
    pivot_root(".", ".")?;
    umount2(".", MntFlags::MNT_DETACH)?;
    chdir("/")?;
    setgroups(&[])?;
    let (user, group) = (Uid::from_raw(ID), Gid::from_raw(ID));
    setresgid(group, group, group)?;
    setresuid(user, user, user)?;
    sys::seal()?;
    Ok(())
}
