//! Asks containers that run: over HTTP, TCP and gRPC from here, at their pod's address or, without one, in the network
//! of their pod. Needs nothing in the image and writes nothing anywhere. What an answer means for the container is not decided here.

mod grpc;
mod http;
mod socket;

use berth_core::check::{Answer, Handler, OUTPUT_LEN_MAX_BYTES, Verdict};
use http::{get, url::Url};
use socket::Network;
use std::{io, path::PathBuf, time::Duration};
use tokio::time::timeout;

/// Where a pod is reached that has no address: in its own network, or the node's.
const ITSELF: &str = "127.0.0.1";

/// Where a pod is asked that says nothing else.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// Its address.
    address: String,
    /// The network in which that is so; none for the node's.
    namespace: Option<PathBuf>,
}

impl Place {
    /// Of a pod with an address on our network: from the node, as kubelet does it.
    pub(crate) fn at(address: String) -> Self {
        Self { address, namespace: None }
    }

    /// Of a pod without: at its loopback. `namespace`: the pod's, none for the node's.
    pub(crate) fn within(namespace: Option<PathBuf>) -> Self {
        Self { address: ITSELF.to_owned(), namespace }
    }

    /// Who has a name or address of its own is asked from the node, too.
    fn of(self, host: Option<&str>) -> (Network, String) {
        match host {
            Some(host) => (Network::default(), host.to_owned()),
            None => (Network { namespace: self.namespace }, self.address),
        }
    }
}

/// Asks over the network. `hook`: any answer is a good one.
pub(crate) async fn ask(handler: &Handler, place: Place, timeout_s: u64, hook: bool) -> Answer {
    let within = Duration::from_secs(timeout_s);
    match handler {
        Handler::Tcp { host, port } => tcp(place.of(host.as_deref()), *port, within).await,
        Handler::Http { host, port, path, tls, headers } => {
            let (network, host) = place.of(host.as_deref());
            let url = Url::new(*tls, &host, *port, path);
            let shown = url.to_string();
            let asked = timeout(within, get::get(&network, url, headers, hook)).await;
            asked.unwrap_or_else(|_| failure(format!("Get \"{shown}\": context deadline exceeded")))
        }
        Handler::Grpc { port, service } => {
            let (network, host) = place.of(None);
            let asked = timeout(within, grpc::ask(&network, &host, *port, service)).await;
            asked.unwrap_or_else(|_| {
                failure(format!("timeout: health rpc did not complete within {timeout_s}s"))
            })
        }
        Handler::Exec { .. } => failure("cannot be asked over the network".to_owned()),
    }
}

/// Host and port as they are written together: an IPv6 address in brackets.
fn joined(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

async fn tcp((network, host): (Network, String), port: u16, within: Duration) -> Answer {
    let place = joined(&host, port);
    match timeout(within, network.connect(&host, port)).await {
        Ok(Ok(_)) => success(),
        Ok(Err(error)) => failure(format!("dial tcp {place}: connect: {}", words(&error))),
        Err(_) => failure(format!("dial tcp {place}: i/o timeout")),
    }
}

fn success() -> Answer {
    Answer { verdict: Verdict::Success, output: String::new() }
}

fn failure(mut output: String) -> Answer {
    output.truncate(output.floor_char_boundary(OUTPUT_LEN_MAX_BYTES));
    Answer { verdict: Verdict::Failure, output }
}

/// An error as kubelet's messages have it: lower case, without its number.
fn words(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => nix::errno::Errno::from_raw(number).desc().to_lowercase(),
        None => error.to_string(),
    }
}
