//! Talks to one registry about one repository: authentication, errors, the choice between TLS and plain HTTP.
//! Every wait has a deadline. What a server says never comes into an error but as a status and a code.

use super::{
    auth::{self, Credentials},
    challenge::Challenge,
    config::Endpoint,
    tls,
};
use crate::{
    error::{Error, Trouble},
    tls::agent,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use ureq::{Agent, Body, http::Response};

/// Seconds to find an address and to connect.
const CONNECT_MAX_S: u64 = 10;
/// Seconds until the head of an answer is there.
const ANSWER_MAX_S: u64 = 60;
/// Seconds without a byte of an answer.
const SILENCE_MAX_S: u64 = 60;
/// Bytes of a token's answer, or of an error's.
const SMALL_MAX_BYTES: u64 = 256 * 1024;

/// Where its files are.
#[derive(Debug, Clone)]
pub(super) struct Access {
    pub(super) auth_file: PathBuf,
    pub(super) certs_dirs: Vec<PathBuf>,
}

/// One registry, asked about one repository.
#[derive(Debug)]
pub(super) struct Session {
    endpoint: Endpoint,
    agent: Agent,
    credentials: Option<Credentials>,
    state: Mutex<State>,
}

#[derive(Debug, Clone)]
struct State {
    scheme: &'static str,
    /// For the header `Authorization`.
    authorization: Option<String>,
}

/// A request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask<'a> {
    /// `manifests/latest`.
    pub(super) path: &'a str,
    /// Media types.
    pub(super) accept: &'a str,
    /// The first byte that is wanted.
    pub(super) from: u64,
    /// Only the head of the answer.
    pub(super) head: bool,
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl Session {
    /// Reads what is to be known of the registry; nothing is sent yet.
    ///
    /// # Errors
    /// `Unsupported`, `Io`: of the files of credentials and certificates.
    pub(super) fn new(endpoint: Endpoint, access: &Access) -> Result<Self, Error> {
        let tls = tls::config(&access.certs_dirs, &endpoint.host, endpoint.insecure)?;
        let credentials = auth::find(&access.auth_file, &endpoint.host, &endpoint.repository)?;
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .user_agent("berth")
            .timeout_resolve(Some(Duration::from_secs(CONNECT_MAX_S)))
            .timeout_connect(Some(Duration::from_secs(CONNECT_MAX_S)))
            .timeout_recv_response(Some(Duration::from_secs(ANSWER_MAX_S)))
            .timeout_per_read(Some(Duration::from_secs(SILENCE_MAX_S)))
            .build();
        let state = Mutex::new(State { scheme: "https", authorization: None });
        Ok(Self { endpoint, agent: agent(config, Some(tls)), credentials, state })
    }

    /// For messages.
    pub(super) fn name(&self) -> String {
        format!("{}/{}", self.endpoint.host, self.endpoint.repository)
    }

    /// Sends a request; authenticates when that is asked for. The answer's status is one of success.
    ///
    /// # Errors
    /// `Registry`.
    pub(super) fn get(&self, ask: Ask<'_>) -> Result<Response<Body>, Error> {
        let answer = self.send(ask)?;
        if answer.status() != 401 {
            return self.judge(ask, answer);
        }
        let header = |answer: &Response<Body>| {
            let all =
                answer.headers().get_all("www-authenticate").iter().filter_map(|value| value.to_str().ok());
            all.collect::<Vec<_>>().join(", ")
        };
        let authorization = match Challenge::parse(&header(&answer)) {
            Some(Challenge::Basic) => {
                self.basic().ok_or_else(|| self.denied("it wants a name and a password"))?
            }
            Some(Challenge::Bearer { realm, service, scope }) => {
                let scope = scope.unwrap_or_else(|| format!("repository:{}:pull", self.endpoint.repository));
                format!("Bearer {}", self.token(&realm, service.as_deref(), &scope)?)
            }
            None => return Err(self.denied("it wants an authentication that is not known here")),
        };
        self.state().authorization = Some(authorization);
        let answer = self.send(ask)?;
        self.judge(ask, answer)
    }

    fn send(&self, ask: Ask<'_>) -> Result<Response<Body>, Error> {
        let State { scheme, authorization } = self.state().clone();
        let sent = self.send_by(scheme, authorization.as_deref(), ask);
        let Err(error) = sent else { return sent.map_err(|error| self.unreachable(&error)) };
        let speaks_no_tls = matches!(
            &error,
            ureq::Error::Rustls(_) | ureq::Error::Tls(_) | ureq::Error::Io(_) | ureq::Error::ConnectionFailed
        );
        if !self.endpoint.insecure || scheme == "http" || !speaks_no_tls {
            return Err(self.unreachable(&error));
        }
        let answer =
            self.send_by("http", authorization.as_deref(), ask).map_err(|_| self.unreachable(&error))?;
        self.state().scheme = "http";
        Ok(answer)
    }

    fn send_by(
        &self,
        scheme: &str,
        authorization: Option<&str>,
        ask: Ask<'_>,
    ) -> Result<Response<Body>, ureq::Error> {
        let Endpoint { host, repository, .. } = &self.endpoint;
        let url = format!("{scheme}://{host}/v2/{repository}/{}", ask.path);
        let mut request = if ask.head { self.agent.head(&url) } else { self.agent.get(&url) };
        // No other coding: the digest is of the bytes as they lie there.
        request = request.header("Accept", ask.accept).header("Accept-Encoding", "identity");
        if let Some(authorization) = authorization {
            request = request.header("Authorization", authorization);
        }
        if ask.from > 0 {
            request = request.header("Range", format!("bytes={}-", ask.from));
        }
        request.call()
    }

    fn judge(&self, ask: Ask<'_>, answer: Response<Body>) -> Result<Response<Body>, Error> {
        let status = answer.status().as_u16();
        let (trouble, why) = match status {
            200 | 206 => return Ok(answer),
            401 | 403 => {
                (Trouble::Denied, "it does not let us (the credentials are in registryAuthPath)".to_owned())
            }
            404 => (Trouble::Missing, format!("there is no {}", ask.path)),
            408 | 429 | 500.. => (Trouble::Unreachable, format!("it answers with status {status}")),
            _ => (Trouble::Broken, format!("it answers {} with status {status}", ask.path)),
        };
        Err(self.error(trouble, why))
    }

    fn basic(&self) -> Option<String> {
        let Some(Credentials::Password { user, password }) = &self.credentials else { return None };
        Some(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
    }

    /// Gets a token, with the credentials if there are any, else as anybody.
    fn token(&self, realm: &str, service: Option<&str>, scope: &str) -> Result<String, Error> {
        let service: Vec<(&str, &str)> = service.map(|service| ("service", service)).into_iter().collect();
        let answer = match &self.credentials {
            Some(Credentials::Identity(identity)) => {
                let mut form = vec![("grant_type", "refresh_token"), ("refresh_token", identity.as_str())];
                form.extend([("client_id", "berth"), ("scope", scope)]);
                form.extend(service);
                self.agent.post(realm).send_form(form)
            }
            _ => {
                let mut request = self.agent.get(realm).query("scope", scope).query_pairs(service);
                if let Some(basic) = self.basic() {
                    request = request.header("Authorization", basic);
                }
                request.call()
            }
        };
        let answer = answer.map_err(|error| self.unreachable(&error))?;
        let status = answer.status().as_u16();
        if status != 200 {
            return Err(self.denied(&format!("its token server answers with status {status}")));
        }
        let mut body = answer.into_body();
        let text = body.with_config().limit(SMALL_MAX_BYTES).read_to_vec();
        let token = text.ok().and_then(|text| serde_json::from_slice::<Token>(&text).ok());
        let token = token.and_then(|token| token.token.or(token.access_token));
        token.filter(|token| !token.is_empty()).ok_or_else(|| self.denied("its token server gives no token"))
    }

    fn denied(&self, why: &str) -> Error {
        self.error(Trouble::Denied, why.to_owned())
    }

    fn unreachable(&self, error: &ureq::Error) -> Error {
        self.error(Trouble::Unreachable, error.to_string())
    }

    pub(super) fn error(&self, trouble: Trouble, why: String) -> Error {
        Error::Registry { registry: self.name(), trouble, why }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
