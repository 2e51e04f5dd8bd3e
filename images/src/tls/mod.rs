//! TLS for whoever asks a server: registries and addresses of manifests. What is trusted is decided in `trust`, the
//! connection is made in `layer`, files of certificates and keys are read by `pem`.

mod layer;
pub(crate) mod pem;
mod trust;

pub use trust::Pin;
pub(crate) use trust::Trust;

use rustls::ClientConfig;
use std::sync::Arc;
use ureq::{
    Agent,
    config::Config,
    unversioned::{
        resolver::DefaultResolver,
        transport::{ConnectProxyConnector, Connector as _, TcpConnector},
    },
};

/// A client that speaks TLS so, and without a configuration for it not at all. Proxies are `config`'s.
pub(crate) fn agent(config: Config, tls: Option<Arc<ClientConfig>>) -> Agent {
    let connector =
        ().chain(ConnectProxyConnector::default()).chain(TcpConnector::default()).chain(layer::Layer(tls));
    Agent::with_parts(config, connector, DefaultResolver::default())
}
