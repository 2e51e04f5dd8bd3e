//! The connection of a request: plain, or under TLS. Who answers is not verified, as kubelet's probes do not: a
//! certificate of the pod's own, an expired one or one for another name is as good as any. No session is kept.

use crate::check::{socket::Network, words};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use std::{
    io::{ErrorKind, Read as _, Write as _},
    sync::Arc,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Bytes that are taken from the socket at a time; a TLS record and its head.
const PIECE_LEN_BYTES: usize = 17 * 1024;
/// What is said of a server that answers in plain text; Go's words.
pub(super) const PLAIN_ANSWER: &str = "http: server gave HTTP response to HTTPS client";

/// A connection.
pub(super) struct Stream {
    tcp: TcpStream,
    tls: Option<Tls>,
}

struct Tls {
    session: Box<ClientConnection>,
    /// Nothing has come yet.
    fresh: bool,
}

impl Stream {
    /// Connects, and begins a session if there is to be one.
    pub(super) async fn connect(network: &Network, host: &str, port: u16, tls: bool) -> Result<Self, String> {
        let place = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let tcp = network
            .connect(host, port)
            .await
            .map_err(|error| format!("dial tcp {place}: connect: {}", words(&error)))?;
        let tls = if tls { Some(Tls { session: Box::new(session(host)?), fresh: true }) } else { None };
        Ok(Self { tcp, tls })
    }

    /// Sends all of it.
    pub(super) async fn write_all(&mut self, bytes: &[u8]) -> Result<(), String> {
        let Some(tls) = &mut self.tls else {
            return self.tcp.write_all(bytes).await.map_err(|error| words(&error));
        };
        while tls.session.is_handshaking() {
            if tls.exchange(&mut self.tcp).await? == 0 {
                return Err("EOF".to_owned());
            }
        }
        tls.session.writer().write_all(bytes).map_err(|error| words(&error))?;
        tls.flush(&mut self.tcp).await
    }

    /// Appends what comes next; 0 at the end.
    pub(super) async fn read(&mut self, into: &mut Vec<u8>) -> Result<usize, String> {
        let Some(tls) = &mut self.tls else {
            return self.tcp.read_buf(into).await.map_err(|error| words(&error));
        };
        let mut piece = vec![0; PIECE_LEN_BYTES];
        loop {
            match tls.session.reader().read(&mut piece) {
                Ok(n) => {
                    into.extend_from_slice(piece.get(..n).unwrap_or_default());
                    return Ok(n);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // The server has gone without a word of farewell, as many do.
                Err(_) => return Ok(0),
            }
            tls.exchange(&mut self.tcp).await?;
        }
    }
}

impl Tls {
    /// Sends what the session has to send, and takes in what comes then; how much that was.
    async fn exchange(&mut self, tcp: &mut TcpStream) -> Result<usize, String> {
        self.flush(tcp).await?;
        let mut piece = Vec::with_capacity(PIECE_LEN_BYTES);
        tcp.read_buf(&mut piece).await.map_err(|error| words(&error))?;
        if std::mem::take(&mut self.fresh) && piece.starts_with(b"HTTP/") {
            return Err(PLAIN_ANSWER.to_owned());
        }
        let mut rest = piece.as_slice();
        loop {
            // An empty read tells the session of the end.
            self.session.read_tls(&mut rest).map_err(|error| words(&error))?;
            self.session.process_new_packets().map_err(|error| format!("tls: {error}"))?;
            if rest.is_empty() {
                break;
            }
        }
        self.flush(tcp).await?;
        Ok(piece.len())
    }

    async fn flush(&mut self, tcp: &mut TcpStream) -> Result<(), String> {
        let mut out = Vec::new();
        while self.session.wants_write() {
            self.session.write_tls(&mut out).map_err(|error| words(&error))?;
        }
        tcp.write_all(&out).await.map_err(|error| words(&error))
    }
}

fn session(host: &str) -> Result<ClientConnection, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let any = Arc::new(AnyServer(Arc::clone(&provider)));
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("tls: {error}"))?;
    let mut config = builder.dangerous().with_custom_certificate_verifier(any).with_no_client_auth();
    config.resumption = Resumption::disabled();
    let name = ServerName::try_from(host.to_owned()).map_err(|error| format!("tls: {error}"))?;
    ClientConnection::new(Arc::new(config), name).map_err(|error| format!("tls: {error}"))
}

/// Takes every server for the one that it says it is.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
