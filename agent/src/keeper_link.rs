//! The agent's end of the socket to the keeper: requests out, notices in, neither ever blocking the loop.
//! Knows nothing of what the messages mean.

use crate::agent::sys::watched;
use berth_keeper::{
    link::{self, LinkError},
    protocol::{Notice, Request, SlotState, VERSION},
};
use std::{
    collections::VecDeque,
    io,
    os::fd::{AsRawFd, OwnedFd, RawFd},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::io::{Interest, unix::AsyncFd};

/// Requests that wait for room in the socket. The core has far fewer actions in flight.
const QUEUE_LEN_MAX: usize = 1024;

/// One slot of the keeper's table.
#[derive(Debug)]
pub(crate) struct Slot {
    /// The container.
    pub(crate) id: String,
    /// Its state.
    pub(crate) state: SlotState,
    /// Its log descriptors, if it has some.
    pub(crate) fds: Vec<OwnedFd>,
}

/// What the keeper has told about itself and its containers.
#[derive(Debug)]
pub(crate) struct Welcome {
    /// Its pid.
    pub(crate) pid: i32,
    /// Its table.
    pub(crate) slots: Vec<Slot>,
}

/// The socket to the keeper.
#[derive(Debug)]
pub(crate) struct KeeperLink {
    socket: AsyncFd<Arc<OwnedFd>>,
    queue: VecDeque<(Request, Vec<OwnedFd>)>,
    /// Notices that came while something else was waited for.
    held: VecDeque<(Notice, Vec<OwnedFd>)>,
    /// When something was sent last.
    said: Instant,
}

impl KeeperLink {
    /// `socket` must not block. Must be called within the runtime.
    ///
    /// # Errors
    /// When the runtime does not take the descriptor.
    pub(crate) fn new(socket: OwnedFd) -> io::Result<Self> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        Ok(Self {
            socket: watched(Arc::new(socket), interest)?,
            queue: VecDeque::new(),
            held: VecDeque::new(),
            said: Instant::now(),
        })
    }

    /// Says hello and hears the whole table. Nothing else may have been said before.
    ///
    /// # Errors
    /// When the keeper is gone, or speaks another version.
    pub(crate) async fn hello(&mut self) -> io::Result<Welcome> {
        self.send(Request::Hello { version: VERSION }, Vec::new())?;
        let mut welcome = None;
        let mut slots = Vec::new();
        loop {
            let (notice, fds) = self.recv_unheld().await?;
            match notice {
                Notice::Welcome { version, .. } if version != VERSION => {
                    let message = format!(
                        "the keeper speaks version {version}, this agent {VERSION}: use one binary for both"
                    );
                    return Err(io::Error::other(message));
                }
                Notice::Welcome { pid, .. } => welcome = Some(pid),
                Notice::Slot { id, state } => slots.push(Slot { id: id.as_str().to_owned(), state, fds }),
                Notice::ListEnd => break,
                // It happened while the table was told.
                other => self.hold(other, fds),
            }
        }
        let pid = welcome.ok_or_else(|| io::Error::other("the keeper did not answer the hello"))?;
        Ok(Welcome { pid, slots })
    }

    /// Sends, or queues when the socket is full.
    ///
    /// # Errors
    /// When the keeper is gone, or the queue is full.
    pub(crate) fn send(&mut self, request: Request, fds: Vec<OwnedFd>) -> io::Result<()> {
        if self.queue.len() >= QUEUE_LEN_MAX {
            return Err(io::Error::other("the keeper takes no requests"));
        }
        self.queue.push_back((request, fds));
        self.flush()
    }

    /// How long nothing was sent.
    pub(crate) fn silent_for(&self) -> Duration {
        self.said.elapsed()
    }

    fn flush(&mut self) -> io::Result<()> {
        while let Some((request, fds)) = self.queue.front() {
            let raw: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
            match link::send(self.socket.get_ref(), request, &raw) {
                Ok(()) => {
                    self.queue.pop_front();
                    self.said = Instant::now();
                }
                Err(LinkError::WouldBlock) => return Ok(()),
                Err(e) => return Err(to_io(e)),
            }
        }
        Ok(())
    }

    /// The next notice; sends what is queued meanwhile. Safe to be dropped and called again.
    ///
    /// # Errors
    /// When the keeper is gone.
    pub(crate) async fn recv(&mut self) -> io::Result<(Notice, Vec<OwnedFd>)> {
        match self.held.pop_front() {
            Some(message) => Ok(message),
            None => self.recv_unheld().await,
        }
    }

    /// Puts a notice aside for the next [`KeeperLink::recv`].
    pub(crate) fn hold(&mut self, notice: Notice, fds: Vec<OwnedFd>) {
        self.held.push_back((notice, fds));
    }

    /// As [`KeeperLink::recv`], without what was put aside.
    ///
    /// # Errors
    /// When the keeper is gone.
    pub(crate) async fn recv_unheld(&mut self) -> io::Result<(Notice, Vec<OwnedFd>)> {
        loop {
            if let Some(message) = receive(self.socket.get_ref())? {
                return Ok(message);
            }
            let wanted = if self.queue.is_empty() {
                Interest::READABLE
            } else {
                Interest::READABLE | Interest::WRITABLE
            };
            let mut ready = self.socket.ready(wanted).await?;
            if ready.ready().is_writable() && !self.queue.is_empty() {
                ready.clear_ready_matching(tokio::io::Ready::WRITABLE);
                drop(ready);
                self.flush()?;
                continue;
            }
            match receive(self.socket.get_ref())? {
                Some(message) => return Ok(message),
                None => ready.clear_ready_matching(tokio::io::Ready::READABLE),
            }
        }
    }

    /// The next notice if it is there already.
    ///
    /// # Errors
    /// When the keeper is gone.
    pub(crate) fn try_recv(&mut self) -> io::Result<Option<(Notice, Vec<OwnedFd>)>> {
        match self.held.pop_front() {
            Some(message) => Ok(Some(message)),
            None => receive(self.socket.get_ref()),
        }
    }
}

/// A datagram that is no message is reported and passed over: the next one may be good.
fn receive(socket: &OwnedFd) -> io::Result<Option<(Notice, Vec<OwnedFd>)>> {
    loop {
        match link::recv::<Notice>(socket) {
            Ok((notice, fds)) => return Ok(Some((notice, fds.into_iter().collect()))),
            Err(LinkError::WouldBlock) => return Ok(None),
            Err(error @ (LinkError::Truncated | LinkError::Malformed(_))) => {
                tracing::error!(%error, "a message of the keeper is lost");
            }
            Err(e) => return Err(to_io(e)),
        }
    }
}

fn to_io(error: LinkError) -> io::Error {
    match error {
        LinkError::Closed => io::Error::new(io::ErrorKind::BrokenPipe, "the keeper is gone"),
        LinkError::Os(errno) => errno.into(),
        other => io::Error::other(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::{FcntlArg, OFlag, fcntl};

    fn pair() -> (KeeperLink, OwnedFd) {
        let (agent, keeper) = link::pair().unwrap();
        fcntl(agent.as_raw_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        (KeeperLink::new(agent).unwrap(), keeper)
    }

    #[tokio::test]
    async fn the_table_is_heard_whole() {
        let (mut agent, keeper) = pair();
        let id = berth_keeper::protocol::Id::try_from("c1").unwrap();
        let (read, write) = nix::unistd::pipe().unwrap();
        for (notice, fds) in [
            (Notice::Welcome { version: VERSION, pid: 7, slots: 1 }, vec![]),
            (Notice::Slot { id, state: SlotState::Creating }, vec![read.as_raw_fd(), write.as_raw_fd()]),
            (Notice::ListEnd, vec![]),
        ] {
            link::send(&keeper, &notice, &fds).unwrap();
        }
        let welcome = agent.hello().await.unwrap();
        assert_eq!((welcome.pid, welcome.slots.len()), (7, 1));
        assert_eq!((welcome.slots[0].id.as_str(), welcome.slots[0].fds.len()), ("c1", 2));
        let (hello, _) = link::recv::<Request>(&keeper).unwrap();
        assert_eq!(hello, Request::Hello { version: VERSION });
    }

    #[tokio::test]
    async fn another_version_and_a_dead_keeper_are_errors() {
        let (mut agent, keeper) = pair();
        link::send(&keeper, &Notice::Welcome { version: VERSION + 1, pid: 7, slots: 0 }, &[]).unwrap();
        assert!(agent.hello().await.unwrap_err().to_string().contains("speaks version"));
        drop(keeper);
        assert_eq!(agent.recv().await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn what_does_not_fit_is_sent_later_and_in_order() {
        let (mut agent, keeper) = pair();
        for op in 1..=1000 {
            agent.send(Request::Release { op, id: berth_keeper::protocol::Id::new() }, Vec::new()).unwrap();
        }
        let reader = tokio::task::spawn_blocking(move || {
            for expected in 1..=1000 {
                match link::recv::<Request>(&keeper).unwrap().0 {
                    Request::Release { op, .. } => assert_eq!(op, expected),
                    other => panic!("{other:?}"),
                }
            }
            link::send(&keeper, &Notice::ListEnd, &[]).unwrap();
        });
        assert_eq!(agent.recv().await.unwrap().0, Notice::ListEnd);
        reader.await.unwrap();
    }
}
