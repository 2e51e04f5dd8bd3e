//! Asking the node's own name servers: one after the other, each with a time of its own, under numbers and ports
//! that nobody can guess. What comes back goes on as it is.

use berth_core::dns::{MESSAGE_LEN_MAX_BYTES, Query, code, is_answer, set_id};
use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::timeout,
};

/// Milliseconds for one server: for three it is less than the five seconds after which C libraries ask again.
const SERVER_MS: u64 = 1_500;

/// The way there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Datagram,
    Stream,
}

/// The first answer that says something; else that nobody could be asked.
pub(super) async fn ask(query: &Query, servers: &[SocketAddr], way: Way) -> Vec<u8> {
    let mut last = None;
    for server in servers {
        let asked = async {
            match way {
                Way::Datagram => by_datagram(query, *server).await,
                Way::Stream => by_stream(query, *server).await,
            }
        };
        match timeout(Duration::from_millis(SERVER_MS), asked).await {
            Ok(Ok(answer)) if has_failed(&answer) => last = Some(answer),
            Ok(Ok(answer)) => return fit(query, answer),
            Ok(Err(error)) => tracing::debug!(%server, %error, "a name server does not answer"),
            Err(_) => tracing::debug!(%server, "a name server is silent"),
        }
    }
    last.map_or_else(|| query.fail(code::FAILURE), |answer| fit(query, answer))
}

/// The next server may know better.
fn has_failed(answer: &[u8]) -> bool {
    let code = answer.get(3).map_or(code::FAILURE, |byte| byte & 0xf);
    [code::FAILURE, code::NOT_IMPLEMENTED, code::REFUSED].contains(&code)
}

/// Under the number of who asked, and no longer than he takes.
fn fit(query: &Query, mut answer: Vec<u8>) -> Vec<u8> {
    if answer.len() > query.limit {
        return query.truncated();
    }
    if let Some(id) = query.bytes.first_chunk() {
        set_id(&mut answer, *id);
    }
    answer
}

/// The question under a number of its own.
fn renumbered(query: &Query) -> (Vec<u8>, u16) {
    // Its keys are the operating system's random numbers.
    let id = (RandomState::new().hash_one(query.bytes.len()) >> 16) as u16;
    let mut bytes = query.bytes.clone();
    set_id(&mut bytes, id.to_be_bytes());
    (bytes, id)
}

async fn by_datagram(query: &Query, server: SocketAddr) -> io::Result<Vec<u8>> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    // From now on only he is heard, and that he is not there.
    socket.connect(server).await?;
    let (bytes, id) = renumbered(query);
    socket.send(&bytes).await?;
    // One more, to see that it was cut: then it is too long for whoever asked, too.
    let mut answer = vec![0; MESSAGE_LEN_MAX_BYTES + 1];
    loop {
        let len = socket.recv(&mut answer).await?;
        if is_answer(&answer[..len], id, query) {
            answer.truncate(len);
            return Ok(answer);
        }
    }
}

async fn by_stream(query: &Query, server: SocketAddr) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let (bytes, id) = renumbered(query);
    write_message(&mut stream, &bytes).await?;
    let mut answer = vec![0; stream.read_u16().await?.into()];
    stream.read_exact(&mut answer).await?;
    match is_answer(&answer, id, query) {
        true => Ok(answer),
        false => Err(io::Error::other("not the answer to the question")),
    }
}

/// Over a stream its length stands before a message (RFC 1035, 4.2.2). One piece: one packet.
pub(super) async fn write_message(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let len = u16::try_from(message.len()).map_err(io::Error::other)?;
    stream.write_all(&[&len.to_be_bytes(), message].concat()).await
}

#[cfg(test)]
mod tests;
