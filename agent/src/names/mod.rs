//! The name server of pods, at the node's address beside theirs in each network: names of pods of that network are
//! answered here, all others by whom the node itself asks. It is there as long as a pod of that network is; without one it
//! holds no socket and wakes nobody. What a name means is decided by `berth_core::dns`.

mod forward;
mod rooms;
mod serve;
mod trouble;
mod upstreams;

use crate::agent::{Env, Told};
use berth_core::dns::Zone;
use rooms::Rooms;
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::IpAddr,
    sync::Arc,
};
use tokio::{
    net::{TcpListener, UdpSocket},
    sync::mpsc,
    task::JoinSet,
    time::timeout,
};
use trouble::Trouble;
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
    /// Where it is asked: by that it knows in which network.
    at: IpAddr,
    upstreams: Upstreams,
    forwarded: Arc<Rooms>,
    streams: Arc<Rooms>,
}

/// Goes on until the runtime ends: begins and ends serving as pods come and go.
pub(crate) async fn run(env: Arc<Env>, told: mpsc::Sender<Told>) {
    let mut serving: BTreeMap<IpAddr, JoinSet<()>> = BTreeMap::new();
    let mut trouble = Trouble::default();
    loop {
        let zones = env.network.zones();
        let wanted: BTreeSet<IpAddr> =
            zones.iter().filter(|zone| !zone.is_empty()).flat_map(Zone::servers).collect();
        // Their sockets go with them.
        serving.retain(|address, _| wanted.contains(address));
        for address in &wanted {
            if serving.contains_key(address) {
                continue;
            }
            match begin(&env, *address).await {
                Ok(tasks) => drop(serving.insert(*address, tasks)),
                Err(error) => trouble.failed(*address, &error),
            }
        }
        trouble.retain(|address| wanted.contains(address) && !serving.contains_key(address));
        trouble.tell(&env, &told).await;
        match trouble.wait() {
            // Pods that come and go meanwhile are another reason to try.
            Some(wait) => {
                if timeout(wait, env.names_changed.notified()).await.is_err() {
                    trouble.later();
                }
            }
            None => env.names_changed.notified().await,
        }
    }
}

async fn begin(env: &Arc<Env>, address: IpAddr) -> io::Result<JoinSet<()>> {
    let own = env.network.zones().iter().flat_map(Zone::servers).collect();
    let desk = Arc::new(Desk {
        env: Arc::clone(env),
        at: address,
        upstreams: Upstreams::new(&env.roots.resolv_conf, own),
        forwarded: Rooms::new(FORWARDED_MAX, FORWARDED_OF_POD_MAX),
        streams: Rooms::new(STREAMS_MAX, STREAMS_OF_POD_MAX),
    });
    let (socket, listener) = sockets(address, PORT).await?;
    let mut tasks = JoinSet::new();
    tasks.spawn(serve::datagrams(socket, Arc::clone(&desk)));
    tasks.spawn(serve::streams(listener, desk));
    Ok(tasks)
}

/// Both or none.
async fn sockets(address: IpAddr, port: u16) -> io::Result<(UdpSocket, TcpListener)> {
    Ok((UdpSocket::bind((address, port)).await?, TcpListener::bind((address, port)).await?))
}
