//! sd_notify: a few words to the service manager, if it listens.

use crate::sys;
use std::{
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            ffi::OsStrExt as _,
            net::{SocketAddr, UnixDatagram},
        },
    },
    time::Duration,
};

/// Variables that are for this process alone.
const OWN_VARIABLES: [&str; 6] =
    ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"];

/// The service manager's ear.
pub(super) struct Notify {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Notify {
    /// From the environment, in which nothing of it is left for keeper, agent and containers.
    pub(super) fn take() -> Self {
        let address = std::env::var_os("NOTIFY_SOCKET").and_then(|name| match name.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name).ok(),
            name => SocketAddr::from_pathname(std::path::Path::new(std::ffi::OsStr::from_bytes(name))).ok(),
        });
        let socket = address.and_then(|address| Some((UnixDatagram::unbound().ok()?, address)));
        let text = |name| std::env::var(name).ok();
        let watchdog = watchdog(text("WATCHDOG_USEC"), text("WATCHDOG_PID"), std::process::id());
        for name in OWN_VARIABLES {
            sys::process::forget_variable(name);
        }
        Self { socket, watchdog }
    }

    /// Says one thing; whether it is heard does not matter to us.
    pub(super) fn say(&self, state: &str) {
        if let Some((socket, address)) = &self.socket {
            let _ = socket.send_to_addr(state.as_bytes(), address);
        }
    }

    /// How often the keeper is to be asked, if the service manager wants to know.
    pub(super) fn ping_period(&self) -> Option<Duration> {
        self.watchdog.map(|period| period / 2)
    }
}

fn watchdog(usec: Option<String>, pid: Option<String>, own: u32) -> Option<Duration> {
    let for_us = pid.is_none_or(|pid| pid.parse() == Ok(own));
    let usec: u64 = usec?.parse().ok()?;
    (for_us && usec > 0).then(|| Duration::from_micros(usec))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watchdog_is_wanted_only_if_it_is_ours() {
        let text = |text: &str| Some(text.to_owned());
        let table = [
            (None, None, None),
            (text("10"), None, Some(10)),
            (text("10"), text("7"), Some(10)),
            (text("10"), text("8"), None),
            (text("0"), None, None),
            (text("x"), None, None),
        ];
        for (usec, pid, expected) in table {
            assert_eq!(watchdog(usec, pid, 7), expected.map(Duration::from_micros));
        }
    }
}
