//! Waiting for something to happen.

use super::{Keeper, now_ns};
use nix::{
    poll::{PollFd, PollFlags, ppoll},
    sys::time::TimeSpec,
};
use std::{os::fd::AsFd, time::Duration};

/// Who has something for us.
#[derive(Debug, Default)]
pub(super) struct Ready {
    pub(super) signals: bool,
    pub(super) listener: bool,
    pub(super) front: bool,
    pub(super) agent: bool,
    pub(super) zygote: bool,
}

/// Places in the poll table: signals, listener, front, agent, zygote.
const POLLED: usize = 5;

impl Keeper<'_> {
    /// Until a descriptor is ready or a deadline is there; not at all if `at_once`.
    pub(super) fn wait(&mut self, at_once: bool) -> Ready {
        let now = now_ns();
        if self.retry_ns.is_some_and(|at| at <= now) {
            self.retry_ns = None;
        }
        let deadline = self.sup.deadline_ns().into_iter().chain(self.retry_ns).min();
        let timeout = if at_once { Some(0) } else { deadline.map(|at| at.saturating_sub(now)) };
        let timeout = timeout.map(|ns| TimeSpec::from_duration(Duration::from_nanos(ns)));

        let asks = |wanted: bool, flag: PollFlags| if wanted { flag } else { PollFlags::empty() };
        let agent = asks(self.sup.accepts_requests(), PollFlags::POLLIN)
            | asks(self.retry_ns.is_none() && self.sup.next_notice().is_some(), PollFlags::POLLOUT);
        let zygote = PollFlags::POLLIN
            | asks(self.retry_ns.is_none() && self.sup.next_work().is_some(), PollFlags::POLLOUT);
        let polled = [
            (Some(self.signals.as_fd()), PollFlags::POLLIN),
            (Some(self.listener.as_fd()), PollFlags::POLLIN),
            (self.front.as_ref().map(AsFd::as_fd), PollFlags::POLLIN),
            (self.agent.as_ref().map(AsFd::as_fd), agent),
            (self.zygote.as_ref().map(AsFd::as_fd), zygote),
        ];
        let mut table = heapless::Vec::<PollFd<'_>, POLLED>::new();
        let places = polled.map(|(fd, flags)| {
            let index = table.len();
            table.push(PollFd::new(fd?, flags)).ok().map(|()| index)
        });
        if ppoll(&mut table, timeout, None).is_err() {
            return Ready::default();
        }
        let ready = places.map(|index| {
            let polled = index.and_then(|index| table.get(index)).and_then(|polled| polled.revents());
            // Room to send is used by the next flush; anything else is for the reader, errors too.
            polled.is_some_and(|events| events.intersects(!PollFlags::POLLOUT))
        });
        let [signals, listener, front, agent, zygote] = ready;
        Ready { signals, listener, front, agent, zygote }
    }
}
