//! Whom to trust, who to be, which keys, and as of when. ureq's own settings know neither pins nor a clock other than
//! the system's, nor a server's own certificate.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::digest;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime},
    server::ParsedCertificate,
    time_provider::TimeProvider,
};
use std::{
    str::FromStr,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// SHA-256 of a server's public key (its SubjectPublicKeyInfo), as RFC 7469 and curl have it:
/// `sha256//` and 44 characters of base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin(pub(crate) [u8; 32]);

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
/// How webpki calls an authority's certificate that a server shows as its own; it says so after it has looked at
/// the time and before it looks at the name. rustls has no kind of error for it.
const IS_AUTHORITY: &str = "CaUsedAsEndEntity";

/// See the module.
#[derive(Debug)]
pub(crate) struct Trust {
    /// Authorities of the system: they vouch for servers.
    pub(crate) system: Vec<CertificateDer<'static>>,
    /// The owner's: authorities, or a server's own certificate, also one that calls itself an authority, as `openssl
    /// req -x509` makes them.
    pub(crate) own: Vec<CertificateDer<'static>>,
    /// The client's certificates and key.
    pub(crate) client: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
    /// If there are any, the server's key must be one of these.
    pub(crate) pins: Vec<Pin>,
    /// Times before this are taken for those of a clock that is not set.
    pub(crate) not_before: SystemTime,
    /// Whoever answers is the right one.
    pub(crate) anybody: bool,
}

impl Trust {
    /// For rustls.
    ///
    /// # Errors
    /// None of the owner's certificates is one; the client's cannot be used.
    pub(crate) fn config(self) -> Result<Arc<ClientConfig>, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(self.system);
        let (taken, _) = roots.add_parsable_certificates(self.own.iter().cloned());
        if taken == 0 && !self.own.is_empty() {
            return Err("there is no authority in it".into());
        }
        let chain = match roots.is_empty() {
            true => None,
            false => Some(
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                    .build()
                    .map_err(|error| error.to_string())?,
            ),
        };
        let verifier = Verifier {
            chain,
            own: self.own,
            pins: self.pins,
            anybody: self.anybody,
            provider: Arc::clone(&provider),
        };
        let clock = Arc::new(Clock { not_before: since_epoch(self.not_before) });
        let builder = ClientConfig::builder_with_details(provider, clock)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let config = match self.client {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                builder.with_client_auth_cert(chain, key).map_err(|error| error.to_string())?
            }
        };
        Ok(Arc::new(config))
    }
}

/// The system's clock, but never before a moment that has surely passed: on a box whose clock is not set yet
/// certificates are judged as of then. So one that has run out by then is refused all the same, and none is
/// refused as not valid yet for the clock's sake.
#[derive(Debug)]
struct Clock {
    not_before: Duration,
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
    /// None without an authority: then nobody is trusted.
    chain: Option<Arc<WebPkiServerVerifier>>,
    own: Vec<CertificateDer<'static>>,
    pins: Vec<Pin>,
    anybody: bool,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn is_vouched_for(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let Some(chain) = &self.chain else {
            return Err(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer));
        };
        match chain.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            Err(rustls::Error::InvalidCertificate(CertificateError::Other(why)))
                if why.to_string() == IS_AUTHORITY && self.own.contains(certificate) =>
            {
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)
            }
            verdict => verdict.map(drop),
        }
    }

    fn is_pinned(&self, certificate: &CertificateDer<'_>) -> Result<(), rustls::Error> {
        if self.pins.is_empty() {
            return Ok(());
        }
        let key = ParsedCertificate::try_from(certificate)?.subject_public_key_info();
        let digest = digest::digest(&digest::SHA256, &key);
        match self.pins.iter().any(|pin| pin.0 == digest.as_ref()) {
            true => Ok(()),
            false => Err(rustls::Error::General(NOT_PINNED.into())),
        }
    }
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
        if !self.anybody {
            self.is_vouched_for(certificate, intermediates, name, ocsp, now)?;
        }
        self.is_pinned(certificate)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_not_set_is_not_believed() {
        let now = since_epoch(SystemTime::now());
        let seen = |not_before: Duration| Clock { not_before }.current_time().unwrap().as_secs();
        assert!(seen(Duration::ZERO) >= now.as_secs());
        assert_eq!(seen(now + Duration::from_secs(10_000)), now.as_secs() + 10_000);
    }
}
