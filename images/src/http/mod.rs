//! GET of one small text by HTTP or HTTPS, for whoever polls an address: conditional, bounded in size and time, with
//! redirects that are followed only where they can do no harm. Blocking; nothing is kept open between requests.
//!
//! Nothing of what is configured as a header, and nothing of a body, ever stands in an error.

mod body;
mod date;
mod redirect;
#[cfg(test)]
mod tests;

pub use crate::tls::Pin;

use crate::{
    error::Error,
    tls::{self, Trust, pem},
};
use rustls::ClientConfig;
use std::{
    fmt,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};
use ureq::{
    Agent, Body,
    http::{HeaderName, HeaderValue, Response, Uri},
};

/// Bytes of a body, and of what it decompresses to: what a manifest may have.
pub const BODY_MAX_BYTES: usize = 10 * 1024 * 1024;
/// Redirects in a row that are followed.
pub const REDIRECTS_MAX_COUNT: usize = 5;
/// Bytes of an `ETag` or `Last-Modified` that are remembered; an answer with a longer one is asked for anew.
const VALIDATOR_MAX_BYTES: usize = 1024;

/// How an address is asked.
#[derive(Clone)]
pub struct Settings {
    /// `http://` or `https://`; see [`check_url`].
    pub url: String,
    /// Sent with every request to the address itself, and to no other host or port. They may be secret.
    pub headers: Vec<(String, String)>,
    /// From the first step of a request to the last byte of its answer; each redirect is a request of its own.
    pub timeout: Duration,
    /// To find an address and to connect to it.
    pub connect_timeout: Duration,
    /// PEM file of the authorities that are trusted instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// PEM files of the client's certificate and its key.
    pub client: Option<(PathBuf, PathBuf)>,
    /// If there are any, the server's key must also be one of these.
    pub pins: Vec<Pin>,
}

/// Not to be printed: headers may be secret.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("url", &self.url).finish_non_exhaustive()
    }
}

/// What the server said of the answer that is known, to be asked whether it still holds (RFC 9110 section 13).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Validators {
    /// Its `ETag`.
    pub etag: Option<String>,
    /// Its `Last-Modified`.
    pub last_modified: Option<String>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// What was known still holds (304).
    Unchanged,
    /// All of it.
    Body {
        /// Decompressed.
        bytes: Vec<u8>,
        /// To ask with the next time.
        validators: Validators,
    },
}

/// Why there is no answer; its text names the address and says what is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FetchError(pub(crate) String);

/// An address, ready to be asked.
#[derive(Debug)]
pub struct Client {
    settings: Settings,
    url: Uri,
    agent: Agent,
}

impl Client {
    /// Reads the files of authorities, certificate and key; nothing is sent yet. Times before `not_before` are
    /// taken for those of a clock that is not set: certificates are then judged as of that moment.
    ///
    /// # Errors
    /// `Unsupported`: of the address, a header or a file; `Io`.
    pub fn new(settings: Settings, not_before: SystemTime) -> Result<Self, Error> {
        let url = redirect::check(&settings.url)
            .map_err(|why| Error::unsupported(format!("the URL {:?}", settings.url), why))?;
        for (name, value) in &settings.headers {
            let bad = |why: String| Error::unsupported(format!("the header {name:?}"), why);
            HeaderName::from_bytes(name.as_bytes()).map_err(|error| bad(error.to_string()))?;
            HeaderValue::from_str(value)
                .map_err(|_| bad("its value has characters that none may have".into()))?;
        }
        let tls = match url.scheme_str() {
            Some("https") => Some(trust(&settings, not_before)?),
            _ => None,
        };
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .user_agent("berth")
            .accept("application/yaml, application/json, text/yaml, text/plain, */*;q=0.1")
            // Redirects are followed here: headers of the owner's must not follow to another host.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(0)
            .timeout_resolve(Some(settings.connect_timeout))
            .timeout_connect(Some(settings.connect_timeout))
            .timeout_global(Some(settings.timeout))
            .build();
        Ok(Self { settings, url, agent: tls::agent(config, tls) })
    }

    /// Asks once. Blocks for at most the time-out for each of the redirects.
    ///
    /// # Errors
    /// No address, no connection, a certificate or key that is not trusted, any status but 200 and 304, an answer
    /// that is cut, without an end that can be told, too large, of another type, or too late.
    pub fn fetch(&self, known: &Validators) -> Result<Fetched, FetchError> {
        let mut at = self.url.clone();
        for _ in 0..=REDIRECTS_MAX_COUNT {
            let answer = self.send(&at, known).map_err(|error| fail(&at, error))?;
            match answer.status().as_u16() {
                200 => return body::read(answer).map_err(|why| fail(&at, why)),
                304 if *known != Validators::default() => return Ok(Fetched::Unchanged),
                301 | 302 | 303 | 307 | 308 => {
                    at = redirect::follow(&at, &answer).map_err(|why| fail(&at, why))?;
                }
                status => return Err(fail(&at, format!("it answers with status {status}"))),
            }
        }
        Err(fail(&self.url, format!("more than {REDIRECTS_MAX_COUNT} redirects in a row")))
    }

    fn send(&self, at: &Uri, known: &Validators) -> Result<Response<Body>, ureq::Error> {
        let mut request = self.agent.get(at).header("Accept-Encoding", "gzip");
        // A cache on the way is to ask the server too.
        request = request.header("Cache-Control", "no-cache");
        let conditions = [("If-None-Match", &known.etag), ("If-Modified-Since", &known.last_modified)];
        for (name, value) in conditions {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        if redirect::same_origin(at, &self.url) {
            for (name, value) in &self.settings.headers {
                request = request.header(name, value);
            }
        }
        request.call()
    }
}

/// Reads the files: whom to trust, and who to be.
fn trust(settings: &Settings, not_before: SystemTime) -> Result<Arc<ClientConfig>, Error> {
    let (own, file) = (settings.ca_file.clone(), settings.ca_file.clone().or_else(pem::system));
    let file = file.ok_or_else(|| {
        Error::unsupported(
            settings.url.clone(),
            "no authority to trust: this system has none; name a file (caFile)",
        )
    })?;
    let roots = pem::certificates(&file)?;
    let (system, own) = if own.is_some() { (Vec::new(), roots) } else { (roots, Vec::new()) };
    let client = match &settings.client {
        Some((certificate, key)) => Some(pem::identity(certificate, key)?),
        None => None,
    };
    let trust = Trust { system, own, client, pins: settings.pins.clone(), not_before, anybody: false };
    trust.config().map_err(|why| Error::unsupported(file.display().to_string(), why))
}

/// Whether `url` is one that can be asked.
///
/// # Errors
/// What is wrong with it.
pub fn check_url(url: &str) -> Result<(), String> {
    redirect::check(url).map(drop)
}

fn fail(at: &Uri, why: impl fmt::Display) -> FetchError {
    FetchError(format!("{at}: {why}"))
}
