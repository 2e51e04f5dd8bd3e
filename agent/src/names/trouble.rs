//! When names cannot be served at an address, because somebody else has the port: tried again, later each time, and told to
//! the pods that ask there, each once for as long as it lasts.

use super::PORT;
use crate::{
    agent::{Env, Told},
    events,
};
use berth_core::ids::{PodKey, PodUid};
use berth_oci::sandbox::Warning;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};
use tokio::sync::mpsc;

/// The reason of the events.
const NOT_SERVED: &str = "NamesNotServed";
/// Seconds before the second try, and before those that come late.
const FIRST_S: u64 = 1;
const LAST_S: u64 = 60;

/// Where names should be served and are not.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    /// Why, by address, and who has been told.
    at: BTreeMap<IpAddr, (String, BTreeSet<PodUid>)>,
    tries: u32,
}

impl Trouble {
    /// It did not work at this address.
    pub(super) fn failed(&mut self, address: IpAddr, error: &std::io::Error) {
        let remedy = match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                "; another program has it: have that one listen on addresses of its own only (dnsmasq: bind-dynamic and \
                 except-interface=berth*; named: listen-on; unbound: interface)"
            }
            _ => "",
        };
        let why = format!("pods find no names: port {PORT} of {address} cannot be served: {error}{remedy}");
        self.at.entry(address).or_default().0 = why;
    }

    /// Only these are wanted still, and not served.
    pub(super) fn retain(&mut self, is_still: impl Fn(&IpAddr) -> bool) {
        let before = self.at.len();
        self.at.retain(|address, _| is_still(address));
        if before > 0 && self.at.is_empty() {
            tracing::info!("pods find names again, or none of them asks");
            self.tries = 0;
        }
    }

    /// How long to wait for the next try; none if all is well.
    pub(super) fn wait(&self) -> Option<Duration> {
        let seconds = FIRST_S << self.tries;
        (!self.at.is_empty()).then(|| Duration::from_secs(seconds.min(LAST_S)))
    }

    /// That was waited.
    pub(super) fn later(&mut self) {
        self.tries = (self.tries + 1).min(LAST_S.ilog2() + 1);
    }

    /// Of these, who ask at that address, those who have not heard of it.
    fn unaware(&mut self, address: IpAddr, there: Vec<(PodKey, PodUid)>) -> Vec<(PodKey, PodUid, String)> {
        let Some((why, told)) = self.at.get_mut(&address) else { return Vec::new() };
        let news = there.into_iter().filter(|(_, uid)| told.insert(uid.clone()));
        news.map(|(pod, uid)| (pod, uid, why.clone())).collect()
    }

    /// Tells the node, and the pods that ask there.
    pub(super) async fn tell(&mut self, env: &Arc<Env>, told: &mpsc::Sender<Told>) {
        let addresses: Vec<IpAddr> = self.at.keys().copied().collect();
        for address in addresses {
            let asked = Arc::clone(env);
            // Whoever talks to the kernel holds what is asked here.
            let there = tokio::task::spawn_blocking(move || asked.network.asking_at(address)).await;
            let there = there.unwrap_or_default().into_iter().chain([events::of_node(&env.node.name)]);
            for (pod, uid, message) in self.unaware(address, there.collect()) {
                let warning = Warning { reason: NOT_SERVED.to_owned(), message };
                // An agent that ends has nobody to tell.
                let _ = told.send(Told::warned(&pod, &uid, warning)).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::sockets;

    const AT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[tokio::test]
    async fn a_port_that_somebody_has_is_told_and_tried_again_until_it_is_free() {
        let held = std::net::UdpSocket::bind((AT, 0)).unwrap();
        let port = held.local_addr().unwrap().port();
        let error = sockets(AT, port).await.unwrap_err();
        let mut trouble = Trouble::default();
        assert_eq!(trouble.wait(), None);
        trouble.failed(AT, &error);
        let mut waits = Vec::new();
        for _ in 0..8 {
            waits.push(trouble.wait().unwrap().as_secs());
            trouble.later();
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        drop(held);
        let held = std::net::TcpListener::bind((AT, port)).unwrap();
        let error = sockets(AT, port).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
        trouble.failed(AT, &error);
        let pod = |uid: &str| (PodKey { namespace: "default".into(), name: uid.into() }, PodUid(uid.into()));
        let told = trouble.unaware(AT, vec![pod("a"), pod("b")]);
        assert!(told[0].2.contains("another program has it"), "{told:?}");
        assert_eq!(told.len(), 2);
        assert_eq!(trouble.unaware(AT, vec![pod("b"), pod("c")]).len(), 1, "each once");
        assert_eq!(trouble.unaware([127, 0, 0, 2].into(), vec![pod("d")]), []);
        drop(held);
        sockets(AT, port).await.unwrap();
        trouble.retain(|_| false);
        assert_eq!(trouble.wait(), None);
        // The next time begins anew.
        trouble.failed(AT, &error);
        assert_eq!((trouble.wait().unwrap().as_secs(), trouble.unaware(AT, vec![pod("a")]).len()), (1, 1));
    }
}
