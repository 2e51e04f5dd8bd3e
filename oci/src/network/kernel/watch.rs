//! Hears when somebody takes interfaces of ours away: a bridge, or a pod's end on it. What is then to be done is
//! `repair`'s.

use crate::network::{
    attachment::LINK_PREFIX,
    netlink::{Head, Netlink, Refused, attributes, messages},
};
use berth_core::network::named;
use std::{io, thread, time::Duration};

/// Notices of interfaces that come, go and change (`RTNLGRP_LINK`).
const GROUP: u32 = 1;
/// An interface is gone, or off its bridge (`RTM_DELLINK`).
const DEL_LINK: u16 = 17;
/// Bytes of `struct ifinfomsg`.
const INFO_LEN: usize = 16;
/// The interface's name (`IFLA_IFNAME`).
const ATTR_NAME: u16 = 3;
/// Who removes interfaces mostly goes on removing them for a moment.
const SETTLE: Duration = Duration::from_millis(200);

/// Hears from now on.
pub(in crate::network) fn open() -> Result<Netlink, Refused> {
    let mut netlink = Netlink::route()?;
    netlink.listen(GROUP)?;
    Ok(netlink)
}

/// Waits until an interface of ours may be gone. That we were it ourselves cannot be told.
///
/// # Errors
/// Nothing can be heard any more.
pub(in crate::network) fn taken_away(ear: &Netlink) -> io::Result<()> {
    loop {
        let told = match ear.hear() {
            Ok(bytes) => messages(&bytes).iter().any(|(head, body)| is_ours(*head, body)),
            // More than there was room for: it may have been about us.
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => true,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => false,
            Err(error) => return Err(error),
        };
        if told {
            thread::sleep(SETTLE);
            return ear.drain();
        }
    }
}

fn is_ours(head: Head, body: &[u8]) -> bool {
    let ours = |name: &[u8]| {
        name.starts_with(LINK_PREFIX.as_bytes()) || std::str::from_utf8(name).is_ok_and(named::is_bridge)
    };
    head.kind == DEL_LINK
        && attributes(body.get(INFO_LEN..).unwrap_or_default())
            .iter()
            .any(|(kind, value)| *kind == ATTR_NAME && value.strip_suffix(b"\0").is_some_and(ours))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_happens_to_our_interfaces_is_heard() {
        let about = |name: &str| {
            let mut body = vec![0; INFO_LEN];
            body.extend((name.len() as u16 + 5).to_ne_bytes());
            body.extend(ATTR_NAME.to_ne_bytes());
            body.extend(name.as_bytes());
            body.extend([0; 4]);
            body
        };
        let head = |kind| Head { kind, sequence: 0, port: 0 };
        for (head, body, ours) in [
            (head(DEL_LINK), about("berth0"), true),
            (head(DEL_LINK), about("bth0123456789ab"), true),
            (head(DEL_LINK), about("berth-plant"), true),
            (head(DEL_LINK), about("eth0"), false),
            (head(DEL_LINK), about("berth00"), false),
            (head(16), about("berth0"), false),
            (head(DEL_LINK), Vec::new(), false),
        ] {
            assert_eq!(is_ours(head, &body), ours, "{head:?} {body:?}");
        }
    }
}
