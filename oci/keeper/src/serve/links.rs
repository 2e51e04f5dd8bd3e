//! Reading from and writing to agent, zygote and front.

use super::{Keeper, now_ns};
use crate::{
    control::{CONTROL_VERSION, Reason, ToFront, ToKeeper},
    link::{self, Fds, LinkError},
    protocol::{EXECS_MAX, FDS_MAX, Request, WorkReport},
    say::{Cut, say},
    settings::Settings,
    supervise::{Who, WorkDue},
    sys,
};
use nix::{
    errno::Errno,
    sys::socket::{SockFlag, accept4, getsockopt, sockopt::PeerCredentials},
    unistd::geteuid,
};
use std::{
    fmt::Write as _,
    os::fd::{AsRawFd, OwnedFd, RawFd},
};

/// Requests read in one turn of the loop.
const REQUESTS_MAX: usize = 64;
/// Reports read at one time: more than a socket's buffer holds (212,992 bytes by default, at least 768
/// each), so that all which were there before a death are read; and a bound against a worker that floods.
const REPORTS_MAX: usize = 1_024;
/// Pause after the kernel was short of memory or of descriptors under way.
const RETRY_NS: u64 = 50_000_000;

impl Keeper<'_> {
    /// Sends what is owed to agent and zygote, as far as their sockets have room.
    pub(super) fn flush(&mut self) {
        if self.retry_ns.is_none() {
            self.flush_agent();
            self.flush_zygote();
            self.act();
        }
    }

    fn flush_agent(&mut self) {
        while let Some((due, notice)) = self.sup.next_notice() {
            let Some(agent) = &self.agent else { return };
            let fds = self.sup.log_slot(due).and_then(|slot| self.slots.get(slot)).map(|fds| fds.raw());
            let sent = link::send(agent, &notice, fds.as_ref().map_or(&[], |fds| fds.as_slice()));
            match sent {
                Ok(()) => self.sup.notice_sent(due),
                Err(error) => return self.not_sent(Who::Agent, error),
            }
            self.act();
        }
    }

    fn flush_zygote(&mut self) {
        while let Some((due, work)) = self.sup.next_work() {
            let Some(zygote) = &self.zygote else { return };
            let mut fds = heapless::Vec::<RawFd, FDS_MAX>::new();
            let ends = match due {
                WorkDue::Container(slot) => {
                    self.slots.get(slot).and_then(|fds| fds.ends.as_ref()).map(|ends| &ends[..])
                }
                WorkDue::Session(session) => self.execs.get(usize::from(session)).map(|fds| &fds[..]),
            };
            fds.extend(ends.unwrap_or(&[]).iter().map(AsRawFd::as_raw_fd));
            if let Err(error) = link::send(zygote, &work, &fds) {
                return self.not_sent(Who::Zygote, error);
            }
            match due {
                WorkDue::Container(slot) => {
                    if let Some(fds) = self.slots.get_mut(slot) {
                        fds.ends = None;
                    }
                }
                WorkDue::Session(session) => self.close_exec(session),
            }
            self.sup.work_sent(due);
        }
    }

    fn not_sent(&mut self, who: Who, error: LinkError) {
        match error {
            LinkError::WouldBlock => {}
            LinkError::Os(Errno::ETOOMANYREFS | Errno::ENOBUFS | Errno::ENOMEM) => {
                self.retry_ns = Some(now_ns().saturating_add(RETRY_NS));
            }
            error => {
                say!("{who:?}: {error}");
                self.sup.closed(now_ns(), who);
            }
        }
    }

    /// Reads all reports that there are.
    pub(super) fn drain_zygote(&mut self) {
        for _ in 0..REPORTS_MAX {
            let Some(zygote) = &self.zygote else { return };
            match link::recv::<WorkReport>(zygote) {
                Ok((report, _)) => self.sup.report(now_ns(), &report),
                Err(LinkError::WouldBlock) => return,
                Err(error @ (LinkError::Truncated | LinkError::Malformed(_))) => {
                    say!("zygote or worker: {error}");
                    self.sup.bad_report();
                }
                Err(LinkError::Closed | LinkError::Os(_)) => self.sup.closed(now_ns(), Who::Zygote),
            }
            self.act();
        }
    }

    pub(super) fn read_requests(&mut self) {
        for _ in 0..REQUESTS_MAX {
            let Some(agent) = &self.agent else { return };
            if !self.sup.accepts_requests() {
                return;
            }
            match link::recv::<Request>(agent) {
                Ok((request, fds)) => {
                    self.request_fds = fds;
                    self.sup.request(now_ns(), &request, self.request_fds.len());
                    self.act();
                    self.request_fds = Fds::new();
                }
                Err(LinkError::WouldBlock) => return,
                Err(error @ (LinkError::Truncated | LinkError::Malformed(_))) => {
                    say!("agent: {error}");
                    self.sup.bad_request();
                }
                Err(LinkError::Closed | LinkError::Os(_)) => self.sup.closed(now_ns(), Who::Agent),
            }
            self.act();
        }
    }

    pub(super) fn close_exec(&mut self, session: u16) {
        if let Some(fds) = self.execs.get_mut(usize::from(session)) {
            *fds = Fds::new();
        }
    }

    pub(super) fn keep_exec(&mut self, session: u16) {
        let fds = std::mem::take(&mut self.request_fds);
        while self.execs.len() <= usize::from(session) && self.execs.len() < EXECS_MAX {
            let _ = self.execs.push(Fds::new());
        }
        if let Some(place) = self.execs.get_mut(usize::from(session)) {
            *place = fds;
        }
    }

    pub(super) fn read_front(&mut self) {
        let Some(front) = &self.front else { return };
        match link::recv::<ToKeeper>(front) {
            Ok((ToKeeper::Attach { version, settings }, fds)) => self.attach(version, &settings, &fds),
            Ok((ToKeeper::Hold, _)) => self.sup.hold(now_ns()),
            Ok((ToKeeper::Ping, _)) => self.sup.front_asks(now_ns()),
            Err(LinkError::WouldBlock) => {}
            // A front that is gone without a word was killed: the next one will attach.
            Err(_) => self.front = None,
        }
    }

    fn attach(&mut self, version: u16, line: &str, fds: &Fds) {
        let settings = match Settings::parse(line) {
            _ if version != CONTROL_VERSION => return self.refuse(&"it speaks another version"),
            Err(why) => return self.refuse(&why),
            Ok(settings) => settings,
        };
        if let [stdout, stderr] = &fds[..] {
            use std::os::fd::AsFd as _;
            sys::process::redirect(stdout.as_fd(), stderr.as_fd());
        }
        self.tell_front(&ToFront::Attached);
        let program = settings.program_path();
        if !self.sup.is_serving() {
            self.next = Some(settings);
        }
        self.sup.attach(now_ns(), program);
    }

    /// Tells the front why, and lets go of it.
    pub(super) fn refuse(&mut self, why: &dyn std::fmt::Display) {
        self.tell_front(&ToFront::Refused { why: reason(why) });
        self.front = None;
    }

    pub(super) fn tell_front(&mut self, news: &ToFront) {
        if let Some(front) = &self.front
            && let Err(error) = link::send(front, news, &[])
        {
            say!("front: {error}");
            self.front = None;
        }
    }

    pub(super) fn accept_front(&mut self) {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let Ok(fd) = accept4(self.listener.as_raw_fd(), flags) else { return };
        let Ok(new) = sys::fd::adopt(fd) else { return };
        let ours = getsockopt(&new, PeerCredentials).is_ok_and(|peer| peer.uid() == geteuid().as_raw());
        if !ours {
            return;
        }
        match self.front.as_ref().map(peer_pid) {
            None => self.front = Some(new),
            Some(pid) => {
                let mut why = Cut::default();
                let _ = write!(why, "another `berth keeper` is at it, pid {pid}");
                let _ = link::send(&new, &ToFront::Refused { why: why.0 }, &[]);
            }
        }
    }
}

fn peer_pid(front: &OwnedFd) -> i32 {
    getsockopt(front, PeerCredentials).map_or(0, |peer| peer.pid())
}

fn reason(why: &dyn std::fmt::Display) -> Reason {
    let mut text = Cut::default();
    let _ = write!(text, "{why}");
    text.0
}
