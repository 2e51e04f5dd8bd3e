//! The body of an answer: whole, of a type that can be one, within its bound, decompressed.

use super::{BODY_MAX_BYTES, Fetched, VALIDATOR_MAX_BYTES, Validators, date};
use flate2::read::MultiGzDecoder;
use std::io::Read;
use ureq::{Body, http::Response};

/// Parts of media types that a manifest may come under; servers know none of its own.
const TYPES: [&str; 5] = ["yaml", "json", "text/plain", "octet-stream", "gzip"];

pub(super) fn read(answer: Response<Body>) -> Result<Fetched, String> {
    let header =
        |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let validator = |name: &str| header(name).filter(|value| value.len() <= VALIDATOR_MAX_BYTES);
    let mut validators = Validators { etag: validator("etag"), last_modified: validator("last-modified") };
    if date::is_fresh(validators.last_modified.as_deref(), header("date").as_deref()) {
        validators = Validators::default();
    }
    let media = header("content-type").unwrap_or_default().to_ascii_lowercase();
    if !media.is_empty() && !TYPES.iter().any(|part| media.contains(part)) {
        return Err(format!("it answers with {media:?}, which is neither YAML nor JSON"));
    }
    // An answer that ends with the connection could be cut between two pods, and nobody would know.
    let chunked = header("transfer-encoding").is_some_and(|coding| coding.contains("chunked"));
    if header("content-length").is_none() && !chunked {
        return Err("it does not say how long its answer is (no Content-Length, not chunked)".into());
    }
    let coding = header("content-encoding").unwrap_or_default().to_ascii_lowercase();
    let reader = answer.into_body().into_reader();
    let bytes = match coding.as_str() {
        "" | "identity" => bounded(reader)?,
        "gzip" | "x-gzip" => bounded(MultiGzDecoder::new(reader.take(BODY_MAX_BYTES as u64 + 1)))?,
        other => return Err(format!("it answers in the coding {other:?}, which was not asked for")),
    };
    Ok(Fetched::Body { bytes, validators })
}

fn bounded(reader: impl Read) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    reader
        .take(BODY_MAX_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("its answer is cut: {error}"))?;
    if bytes.len() > BODY_MAX_BYTES {
        return Err(format!("its answer has more than {BODY_MAX_BYTES} bytes, the limit"));
    }
    Ok(bytes)
}
