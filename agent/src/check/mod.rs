//! Asks containers that run: over HTTP, TCP and gRPC from here, in the network of their pod. Needs nothing in the
//! image and writes nothing anywhere. What an answer means for the container is not decided here.

mod grpc;
mod http;
mod socket;

use berth_core::check::{Answer, Handler, OUTPUT_LEN_MAX_BYTES, Verdict};
use http::{get, url::Url};
use socket::Network;
use std::{io, path::PathBuf, time::Duration};
use tokio::time::timeout;

/// Where a pod is reached that has no address: in its own network.
const ITSELF: &str = "127.0.0.1";

/// Asks over the network. `namespace`: the pod's, none for the node's. `hook`: any answer is a good one.
pub(crate) async fn ask(handler: &Handler, namespace: Option<PathBuf>, timeout_s: u64, hook: bool) -> Answer {
    let within = Duration::from_secs(timeout_s);
    match handler {
        Handler::Tcp { host, port } => tcp(host.as_deref(), *port, namespace, within).await,
        Handler::Http { host, port, path, tls, headers } => {
            let network = network(host.as_deref(), namespace);
            let url = Url::new(*tls, host.as_deref().unwrap_or(ITSELF), *port, path);
            let shown = url.to_string();
            let asked = timeout(within, get::get(&network, url, headers, hook)).await;
            asked.unwrap_or_else(|_| failure(format!("Get \"{shown}\": context deadline exceeded")))
        }
        Handler::Grpc { port, service } => {
            let network = Network { namespace };
            let asked = timeout(within, grpc::ask(&network, ITSELF, *port, service)).await;
            asked.unwrap_or_else(|_| {
                failure(format!("timeout: health rpc did not complete within {timeout_s}s"))
            })
        }
        Handler::Exec { .. } => failure("cannot be asked over the network".to_owned()),
    }
}

/// Who has a name or address of its own is asked from the node, as kubelet does it.
fn network(host: Option<&str>, namespace: Option<PathBuf>) -> Network {
    if host.is_some() { Network::default() } else { Network { namespace } }
}

async fn tcp(host: Option<&str>, port: u16, namespace: Option<PathBuf>, within: Duration) -> Answer {
    let (network, host) = (network(host, namespace), host.unwrap_or(ITSELF));
    let place = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    match timeout(within, network.connect(host, port)).await {
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
