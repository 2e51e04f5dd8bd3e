//! Puts TLS over ureq's connections by a configuration of rustls' that is given. It takes the place of ureq's own layer
//! in its chain of connectors, an interface that ureq may change with a minor version but not with a patch, so `~3.5`
//! is asked for.

use rustls::{ClientConfig, ClientConnection, StreamOwned, pki_types::ServerName};
use std::{
    fmt,
    io::{self, Read as _, Write as _},
    sync::Arc,
};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport, TransportAdapter,
};

/// Puts TLS over a connection where the address is one of https.
pub(super) struct Layer(pub(super) Option<Arc<ClientConfig>>);

impl<In: Transport> Connector<In> for Layer {
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
        let Some(config) = &self.0 else {
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

impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Layer")
    }
}
