//! A netlink socket in a pod's network namespace. A socket belongs for ever to the namespace in which it was
//! made, so a thread goes there, makes it and ends; who talks through it stays where he is.

use crate::network::{
    host,
    netlink::{Netlink, Refused},
};
use nix::sched::{CloneFlags, setns};
use std::{fs::File, io, thread};

/// Bytes of stack for a thread that makes a handful of system calls.
const STACK_BYTES: usize = 128 * 1024;

/// A socket in the namespace that `ns` is open on; `v6`: the interfaces to come there will speak IPv6.
pub(in crate::network) fn socket(ns: &File, v6: bool) -> Result<Netlink, Refused> {
    let enter = || {
        setns(ns, CloneFlags::CLONE_NEWNET).map_err(io::Error::from)?;
        host::quiet(v6)?;
        Netlink::route()
    };
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("berth-netns".into()).stack_size(STACK_BYTES);
        let made = thread.spawn_scoped(scope, enter)?.join();
        made.unwrap_or_else(|_| Err(io::Error::other("the thread panicked").into()))
    })
}
