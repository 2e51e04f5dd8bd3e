//! One GET with its redirects, judged as kubelet judges it: 200 to 399 is well; a redirect is followed as long as it
//! stays at the same host, one that leads away is a success with a warning.

use super::{
    head::{self, Head},
    stream::{PLAIN_ANSWER, Stream},
    url::Url,
};
use crate::check::{failure, socket::Network, success};
use berth_core::check::{Answer, OUTPUT_LEN_MAX_BYTES, Verdict};

/// Redirects that are followed; kubelet's.
const REDIRECTS_MAX: usize = 10;
/// Bytes of an answer's head.
const HEAD_LEN_MAX_BYTES: usize = 64 * 1024;
/// Bytes of a body that are read; kubelet's.
const BODY_LEN_MAX_BYTES: usize = OUTPUT_LEN_MAX_BYTES;

/// Asks for `url`. `hook`: whatever is answered is well, and no redirect is followed.
pub(in crate::check) async fn get(
    network: &Network,
    url: Url,
    headers: &[(String, String)],
    hook: bool,
) -> Answer {
    let first = url.clone();
    let (mut url, mut headers) = (url, headers.to_vec());
    for _ in 0..REDIRECTS_MAX {
        let (head, body) = match once(network, &url, &headers).await {
            Ok(answer) => answer,
            // As kubelet's hooks, which once knew no TLS.
            Err(why) if hook && why == PLAIN_ANSWER => {
                url.tls = false;
                continue;
            }
            Err(why) => return failure(format!("Get \"{url}\": {why}")),
        };
        if hook {
            return success();
        }
        let next = match (head.status, &head.location) {
            (301 | 302 | 303 | 307 | 308, Some(location)) => location,
            (200..=299, _) => return success(),
            (300..=399, _) => return away(&body),
            (status, _) => return failure(format!("HTTP probe failed with statuscode: {status}")),
        };
        let Some(to) = url.join(next) else {
            return failure(format!("Get \"{next}\": cannot be asked: only http and https are"));
        };
        if to.host != first.host {
            return away(&body);
        }
        // A Host that the manifest gives is kept as long as the redirect names none itself.
        if next.contains("://") || next.starts_with("//") {
            headers.retain(|(name, _)| !name.eq_ignore_ascii_case("host"));
        }
        url = to;
    }
    failure(format!("Get \"{url}\": stopped after {REDIRECTS_MAX} redirects"))
}

fn away(body: &[u8]) -> Answer {
    let body = String::from_utf8_lossy(body);
    let output = format!("Probe terminated redirects, Response body: {body}");
    Answer { verdict: Verdict::Warning, output }
}

async fn once(network: &Network, url: &Url, headers: &[(String, String)]) -> Result<(Head, Vec<u8>), String> {
    let mut stream = Stream::connect(network, &url.host, url.port, url.tls).await?;
    stream.write_all(&head::request(url, headers)).await?;
    let (head, mut body) = answer(&mut stream).await?;
    // An early end is the server's way of saying that this was all.
    let _ = read_body(&mut stream, &head, &mut body).await;
    Ok((head, body))
}

async fn answer(stream: &mut Stream) -> Result<(Head, Vec<u8>), String> {
    let mut bytes = Vec::with_capacity(1024);
    let mut n = 1;
    loop {
        match head::parse(&bytes)? {
            Some(Head { status: 100..=199, end, .. }) => {
                bytes.drain(..end);
            }
            Some(head) => {
                let body = bytes.split_off(head.end);
                return Ok((head, body));
            }
            None if n == 0 => return Err("EOF".to_owned()),
            None if bytes.len() > HEAD_LEN_MAX_BYTES => {
                return Err("server response headers too long".to_owned());
            }
            None => n = stream.read(&mut bytes).await?,
        }
    }
}

/// Reads on until the body's end or bound, so that the server is not cut off while it writes.
async fn read_body(stream: &mut Stream, head: &Head, body: &mut Vec<u8>) -> Result<(), String> {
    let length = head.length.and_then(|length| usize::try_from(length).ok()).unwrap_or(usize::MAX);
    let length = if matches!(head.status, 204 | 304) { 0 } else { length.min(BODY_LEN_MAX_BYTES) };
    while body.len() < length && stream.read(body).await? > 0 {}
    body.truncate(BODY_LEN_MAX_BYTES);
    Ok(())
}

#[cfg(test)]
mod tests;
