//! TLS for [`super::Client`]: whom to trust, which keys, and as of when. ureq's own layer knows neither pins nor a
//! clock other than the system's; this one takes its place in ureq's chain of connectors (an interface that
//! ureq may change with a minor version but not with a patch, so `~3.5` is asked for).

use super::Settings;
use crate::{error::Error, pem};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme, StreamOwned,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
    time_provider::TimeProvider,
};
use sha2::{Digest as _, Sha256};
use std::{
    fmt,
    io::{self, Read as _, Write as _},
    str::FromStr,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport, TransportAdapter,
};

/// SHA-256 of a server's public key (its SubjectPublicKeyInfo), as RFC 7469 and curl have it:
/// `sha256//` and 44 characters of base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin(pub(super) [u8; 32]);

impl FromStr for Pin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let decoded = text.strip_prefix("sha256//").and_then(|digest| STANDARD.decode(digest).ok());
        let digest = decoded.and_then(|digest| <[u8; 32]>::try_from(digest).ok());
        digest
            .map(Self)
            .ok_or_else(|| format!("{text:?} is no pin: write sha256// and the base64 of the key's digest"))
    }
}

/// What is said of a key that is none of the pins.
const NOT_PINNED: &str = "the server's key is none of the pinned ones";

/// The settings, read.
pub(super) struct Tls(Arc<ClientConfig>);

impl Tls {
    pub(super) fn new(settings: &Settings, not_before: SystemTime) -> Result<Self, Error> {
        let bundle = settings.ca_file.clone().or_else(pem::system);
        let bundle = bundle.ok_or_else(|| {
            Error::unsupported(
                settings.url.clone(),
                "no authority to trust: this system has none; name a file (caFile)",
            )
        })?;
        let mut roots = RootCertStore::empty();
        let (taken, _) = roots.add_parsable_certificates(pem::certificates(&bundle)?);
        let bad = |why: String| Error::unsupported(bundle.display().to_string(), why);
        if taken == 0 {
            return Err(bad("there is no authority in it".into()));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(|error| bad(error.to_string()))?;
        let verifier = Arc::new(Verifier { chain, pins: settings.pins.iter().map(|pin| pin.0).collect() });
        let clock = Arc::new(Clock { not_before: since_epoch(not_before) });
        let builder = ClientConfig::builder_with_details(provider, clock)
            .with_safe_default_protocol_versions()
            .map_err(|error| bad(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let config = match &settings.client {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let (chain, der) = pem::identity(certificate, key)?;
                let bad =
                    |error: rustls::Error| Error::unsupported(key.display().to_string(), error.to_string());
                builder.with_client_auth_cert(chain, der).map_err(bad)?
            }
        };
        Ok(Self(Arc::new(config)))
    }
}

/// The system's clock, but never before a moment that has surely passed: on a box whose clock is not set yet
/// certificates are judged as of then. So one that has run out by then is refused all the same, and none is
/// refused as not valid yet for the clock's sake.
#[derive(Debug)]
pub(super) struct Clock {
    pub(super) not_before: Duration,
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(since_epoch(SystemTime::now()).max(self.not_before)))
    }
}

fn since_epoch(at: SystemTime) -> Duration {
    at.duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The usual checks, and then the pins.
#[derive(Debug)]
struct Verifier {
    chain: Arc<WebPkiServerVerifier>,
    pins: Vec<[u8; 32]>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self.chain.verify_server_cert(certificate, intermediates, name, ocsp, now)?;
        let key = ParsedCertificate::try_from(certificate)?.subject_public_key_info();
        let digest: [u8; 32] = Sha256::digest(&key).into();
        match self.pins.is_empty() || self.pins.contains(&digest) {
            true => Ok(verified),
            false => Err(rustls::Error::General(NOT_PINNED.into())),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

/// Puts TLS over a connection where the address is one of https.
pub(super) struct TlsLayer(pub(super) Option<Tls>);

impl<In: Transport> Connector<In> for TlsLayer {
    type Out = Either<In, Encrypted>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        plain: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let Some(plain) = plain else { return Ok(None) };
        if !details.needs_tls() || plain.is_tls() {
            return Ok(Some(Either::A(plain)));
        }
        let Some(Tls(config)) = &self.0 else {
            return Err(ureq::Error::Tls("a connection without TLS is not to be led on to one with it"));
        };
        let host = details.uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let name =
            ServerName::try_from(host).map_err(|_| ureq::Error::Tls("the host's name is no DNS name"))?;
        let mut connection = ClientConnection::new(Arc::clone(config), name.to_owned())?;
        let mut socket =
            TransportAdapter::new(Box::new(plain) as Box<dyn Transport>, Arc::clone(&details.current_time));
        socket.set_timeout(details.timeout);
        connection.complete_io(&mut socket).map_err(explained)?;
        let stream = StreamOwned { conn: connection, sock: socket };
        let buffers =
            LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Either::B(Encrypted { buffers, stream })))
    }
}

/// rustls' own error, where that is what is behind an I/O error.
fn explained(error: io::Error) -> ureq::Error {
    let ours = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).cloned();
    ours.map_or_else(|| error.into(), ureq::Error::Rustls)
}

/// A connection under TLS.
pub(super) struct Encrypted {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl Transport for Encrypted {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.get_mut().set_timeout(timeout);
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        Ok(self.stream.write_all(output)?)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.get_mut().set_timeout(timeout);
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.get_mut().get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl fmt::Debug for Encrypted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Encrypted")
    }
}

impl fmt::Debug for TlsLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsLayer")
    }
}
