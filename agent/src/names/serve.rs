//! The two ways in which names are asked for: datagrams and streams. Nobody who asks makes another one wait.

use super::{
    Desk,
    forward::{self, Way, write_message},
};
use berth_core::dns::{MESSAGE_LEN_MAX_BYTES, Verdict, Zone, code, decide};
use std::{io, net::IpAddr, sync::Arc, time::Duration};
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream, UdpSocket},
    time::{sleep, timeout},
};

/// Seconds that a connection may last, whatever goes on there.
const STREAM_S: u64 = 30;
/// Seconds before the next try, when the kernel has nothing to give: descriptors, say.
const AGAIN_S: u64 = 1;

impl Desk {
    fn decide(&self, bytes: &[u8], from: IpAddr, stream: bool) -> Verdict {
        let zones = self.env.network.zones();
        let Some(zone) = self.zone(&zones) else { return Verdict::Ignore };
        decide(zone, &self.env.config.cluster_domain, bytes, from, stream)
    }

    /// The network's; none if it is no more.
    fn zone<'a>(&self, zones: &'a [Zone]) -> Option<&'a Zone> {
        zones.iter().find(|zone| zone.is_node(self.at))
    }
}

/// Serves until it is dropped.
pub(super) async fn datagrams(socket: UdpSocket, desk: Arc<Desk>) {
    let socket = Arc::new(socket);
    let mut buffer = vec![0; MESSAGE_LEN_MAX_BYTES];
    loop {
        let (len, from) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            Err(error) => {
                tracing::debug!(%error, "no question can be heard");
                sleep(Duration::from_secs(AGAIN_S)).await;
                continue;
            }
        };
        // What cannot be sent now is asked for again.
        let (query, servers) = match desk.decide(&buffer[..len], from.ip(), false) {
            Verdict::Ignore => continue,
            Verdict::Answer(answer) => {
                drop(socket.try_send_to(&answer, from));
                continue;
            }
            Verdict::Forward(query) => (query, desk.upstreams.now()),
            Verdict::ForwardBeyond(query) => (query, desk.upstreams.beyond()),
        };
        let Some(room) = desk.forwarded.take(from.ip()) else {
            drop(socket.try_send_to(&query.fail(code::FAILURE), from));
            continue;
        };
        let socket = Arc::clone(&socket);
        tokio::spawn(async move {
            let answer = forward::ask(&query, &servers, Way::Datagram).await;
            drop(socket.try_send_to(&answer, from));
            drop(room);
        });
    }
}

/// Serves until it is dropped.
pub(super) async fn streams(listener: TcpListener, desk: Arc<Desk>) {
    loop {
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "no connection can be taken");
                sleep(Duration::from_secs(AGAIN_S)).await;
                continue;
            }
        };
        // A stranger takes nobody's place.
        let zones = desk.env.network.zones();
        let known = desk.zone(&zones).is_some_and(|zone| zone.serves(from.ip()));
        let Some(room) = desk.streams.take(from.ip()).filter(|_| known) else { continue };
        let desk = Arc::clone(&desk);
        tokio::spawn(async move {
            // However it ends, it is closed.
            let _ = timeout(Duration::from_secs(STREAM_S), talk(stream, &desk, from.ip())).await;
            drop(room);
        });
    }
}

/// One question after the other, until there is none.
async fn talk(mut stream: TcpStream, desk: &Desk, from: IpAddr) -> io::Result<()> {
    let mut buffer = vec![0; MESSAGE_LEN_MAX_BYTES];
    loop {
        let len = usize::from(stream.read_u16().await?);
        let Some(message) = buffer.get_mut(..len) else { return Ok(()) };
        stream.read_exact(message).await?;
        let answer = match desk.decide(message, from, true) {
            Verdict::Ignore => return Ok(()),
            Verdict::Answer(answer) => answer,
            Verdict::Forward(query) => forward::ask(&query, &desk.upstreams.now(), Way::Stream).await,
            Verdict::ForwardBeyond(query) => {
                forward::ask(&query, &desk.upstreams.beyond(), Way::Stream).await
            }
        };
        write_message(&mut stream, &answer).await?;
    }
}
