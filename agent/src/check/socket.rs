//! TCP connections in the network of a pod. A socket belongs for life to the network namespace of the thread that
//! makes it, so a thread of its own goes there, makes it, and ends: no other thread of the agent ever leaves the
//! node's network.

use nix::sched::{CloneFlags, setns};
use std::{
    fs::File,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
};
use tokio::{
    net::{TcpSocket, TcpStream, lookup_host},
    sync::oneshot,
};

/// Stack of the thread that goes into a namespace, bytes.
const STACK_LEN_BYTES: usize = 128 * 1024;
/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 4;

/// Where connections are made.
#[derive(Debug, Clone, Default)]
pub(super) struct Network {
    /// The pinned namespace of a pod; none for the node's.
    pub(super) namespace: Option<PathBuf>,
}

impl Network {
    /// Connects to the first address of `host` that answers.
    pub(super) async fn connect(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for address in lookup_host((host, port)).await?.take(ADDRESSES_MAX) {
            match self.socket(address).await?.connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn socket(&self, address: SocketAddr) -> io::Result<TcpSocket> {
        let Some(namespace) = self.namespace.clone() else { return socket(address) };
        let (made, hear) = oneshot::channel();
        let inside = move || {
            // Who waits for it may have run out of time.
            let _ = made.send(socket_in(&namespace, address));
        };
        std::thread::Builder::new().name("netns".into()).stack_size(STACK_LEN_BYTES).spawn(inside)?;
        let raw = hear.await.map_err(io::Error::other)??;
        Ok(TcpSocket::from_std_stream(raw))
    }
}

fn socket(address: SocketAddr) -> io::Result<TcpSocket> {
    if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }
}

/// To be called in a thread that ends after it.
fn socket_in(namespace: &Path, address: SocketAddr) -> io::Result<std::net::TcpStream> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
    setns(File::open(namespace)?, CloneFlags::CLONE_NEWNET)?;
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    Ok(socket(family, SockType::Stream, flags, None)?.into())
}
