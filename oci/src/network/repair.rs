//! Putting things right: what a killed agent left half made or half removed, what others took away.

use super::{
    INTERFACE, Net, Network, State, attachment,
    attachment::{Attachment, link_name},
    bridge,
    bridge::Bridge,
    inside, link,
    netlink::Netlink,
    nft, plug, refused, watch,
};
use crate::{
    error::{Error, Result},
    fsys,
};
use berth_core::ids::PodUid;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    thread,
};

/// Bytes of stack for a thread that sleeps over rules or interfaces.
const GUARD_STACK_BYTES: usize = 256 * 1024;

impl Network {
    /// Makes what is there what should be there: at the agent's start, when something may have been killed in
    /// the middle. Tells of what fails, and leaves it for the next time.
    pub fn reconcile(&self) {
        let mut state = self.lock();
        self.remove_strays(&state.attached);
        // Rules may speak of what is gone.
        let removed = self.remove_old_bridges(&mut state);
        if self.setup.is_none() || state.is_unused() && !removed {
            return;
        }
        self.put_back(&mut state);
    }

    /// Bridges, pods' pairs and rules, as they should be. Tells of what fails.
    fn put_back(&self, state: &mut State) {
        for net in &self.needed(state) {
            match bridge::ensure(&mut state.bridges, net) {
                Ok(bridge) => self.mend_all(state, net, &bridge),
                Err(error) => tracing::warn!(network = net.name, %error, "pods are cut off"),
            }
        }
        state.isolated = None;
        if let Err(error) = self.write_rules(state) {
            tracing::warn!(%error, "pods have no way out, and ports of the node do not lead to them");
        }
    }

    /// Puts our packet rules and interfaces back whenever somebody else has removed or changed them, as long as the
    /// agent lives: on threads that sleep until the kernel tells of it.
    pub fn guard(self: &Arc<Self>) {
        if self.setup.is_none() {
            return;
        }
        // Both hear from now on, not from when their threads are there.
        let (network, ear) = (Arc::clone(self), nft::Ear::open());
        let watch = move || {
            let watched = ear.map_err(|error| error.to_string()).and_then(|ear| network.watch_rules(ear));
            if let Err(error) = watched {
                tracing::debug!(error, "rules that others remove stay away until the next pod's start");
            }
        };
        // Without a thread they are for the next pod's start.
        let _ = thread::Builder::new().name("berth-rules".into()).stack_size(GUARD_STACK_BYTES).spawn(watch);
        let (network, ear) = (Arc::clone(self), watch::open());
        let watch = move || {
            let watched = ear.map_err(|error| error.to_string()).and_then(|ear| network.watch_links(&ear));
            if let Err(error) = watched {
                tracing::debug!(error, "interfaces that others remove stay away until the next pod's start");
            }
        };
        let _ = thread::Builder::new().name("berth-links".into()).stack_size(GUARD_STACK_BYTES).spawn(watch);
    }

    fn watch_links(&self, ear: &Netlink) -> std::result::Result<(), String> {
        loop {
            watch::taken_away(ear).map_err(|error| error.to_string())?;
            self.restore_links();
        }
    }

    fn restore_links(&self) {
        let mut state = self.lock();
        if self.setup.is_none() || state.is_unused() {
            return;
        }
        let mut lost = self.lacks_links(&state.attached);
        for net in &self.needed(&state) {
            let known = state.bridges.get(&net.name).copied();
            match bridge::ensure(&mut state.bridges, net) {
                Ok(bridge) => lost |= known != Some(bridge),
                Err(error) => tracing::warn!(network = net.name, %error, "pods are cut off"),
            }
        }
        if lost {
            tracing::info!("somebody has removed interfaces of pods; they are put back");
            self.put_back(&mut state);
        }
    }

    /// A pod that is there, by its namespace, is not on the bridge's side.
    fn lacks_links(&self, attached: &BTreeMap<PodUid, Attachment>) -> bool {
        let there = bridge::links(attachment::LINK_PREFIX);
        attached
            .keys()
            .any(|uid| !there.contains(&link_name(uid)) && fsys::is_namespace(&self.roots.pod_ns(uid, "net")))
    }

    fn watch_rules(&self, mut ear: nft::Ear) -> std::result::Result<(), String> {
        loop {
            let ours = |port| self.lock().nft.as_ref().is_some_and(|nft| nft.port() == port);
            nft::disturbed(&mut ear, ours).map_err(|error| error.to_string())?;
            self.restore_rules();
        }
    }

    fn restore_rules(&self) {
        let mut state = self.lock();
        let Some(nft) = &mut state.nft else { return };
        nft.doubt();
        // Who sent meanwhile was not led on, and would not be.
        state.leads.clear();
        tracing::info!("somebody has changed the packet rules of pods; they are put back");
        if let Err(error) = self.write_rules(&mut state) {
            tracing::warn!(%error, "pods have no way out, and ports of the node do not lead to them");
        }
    }

    /// Ends on the bridge that no pod has.
    fn remove_strays(&self, attached: &BTreeMap<PodUid, Attachment>) {
        let ours: BTreeSet<String> = attached.keys().map(link_name).collect();
        for name in bridge::links(attachment::LINK_PREFIX).into_iter().filter(|name| !ours.contains(name)) {
            tracing::info!(interface = name, "removing what an interrupted removal left");
            let removed = Netlink::route().and_then(|mut netlink| link::remove(&mut netlink, &name));
            if let Err(error) = removed {
                tracing::warn!(interface = name, %error, "a leftover stays");
            }
        }
    }

    /// As [`Self::mend`], for all of the network; tells of what fails.
    pub(super) fn mend_all(&self, state: &State, net: &Net, bridge: &Bridge) {
        for (uid, attachment) in state.on(&net.name) {
            if let Err(error) = self.mend(net, bridge, uid, attachment) {
                tracing::warn!(pod = %attachment.pod, %error, "the pod may be cut off");
            }
        }
    }

    /// Gives both ends of the pod's pair the bridge's size of packets: what is larger than one of them would be lost there
    /// without a word.
    fn fit(&self, netlink: &mut Netlink, bridge: &Bridge, uid: &PodUid, name: &str) -> Result<()> {
        if link::mtu(netlink, name).map_err(refused("look for the pod's interface"))? == Some(bridge.mtu) {
            return Ok(());
        }
        let ns = self.namespace(uid)?;
        let both = inside::socket(&ns, bridge.v6)
            .and_then(|mut inside| link::set_mtu(&mut inside, INTERFACE, bridge.mtu))
            .and_then(|()| link::set_mtu(netlink, name, bridge.mtu));
        both.map_err(refused("set the size of packets on the pod's interface"))
    }

    /// Plugs the pod's pair to the bridge, and makes it again if it is gone. A pod whose namespace is gone is on
    /// its way out.
    fn mend(&self, net: &Net, bridge: &Bridge, uid: &PodUid, attachment: &Attachment) -> Result<()> {
        if !fsys::is_namespace(&self.roots.pod_ns(uid, "net")) {
            return Ok(());
        }
        let mut netlink = Netlink::route().map_err(refused("open a netlink socket"))?;
        let name = link_name(uid);
        let there = link::index(&mut netlink, &name).map_err(refused("look for the pod's interface"))?;
        if there.is_some() {
            let plugged = link::plug_to(&mut netlink, &name, bridge.index).and_then(|()| {
                if attachment.ports.is_empty() { Ok(()) } else { link::reflect(&mut netlink, &name) }
            });
            plugged.map_err(refused("plug the pod's interface to the bridge"))?;
            return self.fit(&mut netlink, bridge, uid, &name);
        }
        let ns = self.namespace(uid)?;
        let mut inside =
            inside::socket(&ns, bridge.v6).map_err(refused("enter the pod's network namespace"))?;
        let unshaped = plug::plug(net, bridge, uid, attachment, &ns, &mut inside)?;
        unshaped.map_or(Ok(()), |why| Err(Error::Network(why)))
    }
}
