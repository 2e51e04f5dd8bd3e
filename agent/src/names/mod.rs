//! The name server of pods, at the node's address beside theirs: names of pods are answered here, all others by
//! whom the node itself asks. It is there as long as a pod with a network of ours is; without one it holds no socket
//! and wakes nobody. What a name means is decided by `berth_core::dns`.

mod forward;
mod rooms;
mod serve;
mod upstreams;

use crate::agent::Env;
use rooms::Rooms;
use std::{collections::BTreeMap, net::IpAddr, sync::Arc};
use tokio::task::JoinSet;
use upstreams::Upstreams;

/// Where names are asked for.
const PORT: u16 = 53;
/// Questions that wait for a server of the node's at one time; further ones fail at once.
const FORWARDED_MAX: usize = 128;
/// Of these, one pod's.
const FORWARDED_OF_POD_MAX: usize = 32;
/// Connections at one time; a further one is closed.
const STREAMS_MAX: usize = 32;
/// Of these, one pod's.
const STREAMS_OF_POD_MAX: usize = 8;

/// What everybody needs who answers.
#[derive(Debug)]
struct Desk {
    env: Arc<Env>,
    upstreams: Upstreams,
    forwarded: Arc<Rooms>,
    streams: Arc<Rooms>,
}

/// Goes on until the runtime ends: begins and ends serving as pods come and go.
pub(crate) async fn run(env: Arc<Env>) {
    let mut serving: BTreeMap<IpAddr, JoinSet<()>> = BTreeMap::new();
    let mut told = false;
    loop {
        let zone = env.network.zone();
        if zone.is_empty() {
            // Their sockets go with them.
            serving.clear();
            told = false;
        } else {
            for address in zone.servers() {
                if serving.contains_key(&address) {
                    continue;
                }
                match begin(&env, address).await {
                    Ok(tasks) => drop(serving.insert(address, tasks)),
                    Err(error) if !told => {
                        told = true;
                        tracing::warn!(%address, %error, "pods find no names: port {PORT} cannot be served");
                    }
                    Err(_) => {}
                }
            }
        }
        env.pods_changed.notified().await;
    }
}

async fn begin(env: &Arc<Env>, address: IpAddr) -> std::io::Result<JoinSet<()>> {
    let desk = Arc::new(Desk {
        env: Arc::clone(env),
        upstreams: Upstreams::new(&env.roots.resolv_conf, env.network.zone().servers()),
        forwarded: Rooms::new(FORWARDED_MAX, FORWARDED_OF_POD_MAX),
        streams: Rooms::new(STREAMS_MAX, STREAMS_OF_POD_MAX),
    });
    let socket = tokio::net::UdpSocket::bind((address, PORT)).await?;
    let listener = tokio::net::TcpListener::bind((address, PORT)).await?;
    let mut tasks = JoinSet::new();
    tasks.spawn(serve::datagrams(socket, Arc::clone(&desk)));
    tasks.spawn(serve::streams(listener, desk));
    Ok(tasks)
}
