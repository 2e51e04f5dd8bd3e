//! `grpc.health.v1.Health/Check` (the gRPC health checking protocol, v1) over HTTP/2 without TLS: one call on a
//! connection of its own. `frame` and `message` are pure.

mod frame;
mod message;

use super::{failure, socket::Network, success, words};
use berth_core::check::Answer;
use frame::{Frame, Head, Kind};
use message::Reply;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Bytes of a reply; a health status has less than ten.
const REPLY_LEN_MAX_BYTES: usize = 4096;
/// Frames until the reply; a server has no reason for more.
const FRAMES_MAX: usize = 64;

/// Asks the server for `service`; empty for the server as a whole.
pub(super) async fn ask(network: &Network, host: &str, port: u16, service: &str) -> Answer {
    let place = super::joined(host, port);
    let Some(request) = message::request(&place, service) else {
        return failure(format!(
            "error: the name of the service is longer than {} bytes",
            message::SERVICE_LEN_MAX
        ));
    };
    let mut stream = match network.connect(host, port).await {
        Ok(stream) => stream,
        Err(error) => {
            return failure(format!("error: failed to connect service at \"{place}\": {}", words(&error)));
        }
    };
    match call(&mut stream, &request).await {
        Ok(Reply::Serving) => success(),
        Ok(Reply::Other(status)) => failure(format!("service unhealthy (responded with \"{status}\")")),
        Err(why) => failure(format!("error: health rpc probe failed: {why}")),
    }
}

async fn call(stream: &mut TcpStream, request: &[u8]) -> Result<Reply, String> {
    stream.write_all(request).await.map_err(|error| words(&error))?;
    let mut reply = Vec::new();
    for _ in 0..FRAMES_MAX {
        let frame = read(stream).await?;
        match frame.head.kind {
            Kind::Data => {
                reply.extend_from_slice(frame.data().ok_or("a frame with more padding than content")?);
                if reply.len() > REPLY_LEN_MAX_BYTES {
                    return Err(format!("the reply is longer than {REPLY_LEN_MAX_BYTES} bytes"));
                }
                if let Some(reply) = message::reply(&reply)? {
                    return Ok(reply);
                }
            }
            Kind::Reset => return Err("the server has reset the stream".to_owned()),
            Kind::GoAway => return Err("the server goes away".to_owned()),
            Kind::Headers | Kind::Settings | Kind::Ping | Kind::Other => {}
        }
        if frame.ends_stream() {
            // Why it did so stands compressed in the trailers, which are not read.
            return Err("the server ended the call without a status: it does not implement \
                        grpc.health.v1.Health, or does not know the service"
                .to_owned());
        }
        if let Some(answer) = frame.acknowledgement() {
            stream.write_all(&answer).await.map_err(|error| words(&error))?;
        }
    }
    Err(format!("no reply in {FRAMES_MAX} frames"))
}

async fn read(stream: &mut TcpStream) -> Result<Frame, String> {
    let mut head = [0; frame::HEAD_LEN_BYTES];
    stream.read_exact(&mut head).await.map_err(|error| words(&error))?;
    let head = Head::parse(head).ok_or("malformed HTTP/2 frame: this is no gRPC server")?;
    let mut payload = vec![0; head.len];
    stream.read_exact(&mut payload).await.map_err(|error| words(&error))?;
    Ok(Frame { head, payload })
}

#[cfg(test)]
mod tests;
