//! The networks that there are: those of the configuration, and those on which a pod still is. A network keeps the
//! ranges under which its pods have their addresses until the last of them has gone; one that is no longer configured is
//! there as long. Everything else follows the configuration at once.

use super::{
    Network, State,
    attachment::Attachment,
    bridge, link,
    netlink::Netlink,
    nft::{Interface, Side},
};
use crate::error::{Error, Result};
use berth_core::{
    ids::PodUid,
    network::{
        Ranges,
        named::{self, DEFAULT, NETWORK},
    },
};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A network as the configuration has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Net {
    /// Its name.
    pub name: String,
    /// Where its pods' addresses come from.
    pub ranges: Ranges,
    /// Bytes in a packet; none: as the interface with the node's default route.
    pub mtu: Option<u32>,
    /// Its pods reach each other and nothing else.
    pub internal: bool,
}

/// What the configuration says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// Of pods that choose none.
    pub default: Net,
    /// Beside it, by name.
    pub named: Vec<Net>,
}

impl Net {
    /// The default network.
    pub fn default(ranges: Ranges, mtu: Option<u32>) -> Self {
        Self { name: DEFAULT.to_owned(), ranges, mtu, internal: false }
    }

    pub(super) fn bridge(&self) -> String {
        named::bridge_of(&self.name)
    }

    pub(super) fn is_default(&self) -> bool {
        self.name == DEFAULT
    }

    /// Where its pods ask for names. One is enough: a second address of the same server would only be asked the same
    /// again.
    pub(super) fn server(&self) -> Option<IpAddr> {
        bridge::served(self).all().next().map(|range| range.gateway())
    }

    /// For the packet rules.
    pub(super) fn side(&self) -> Side {
        let bridge = Interface::named(&self.bridge());
        Side { bridge, ranges: bridge::served(self), internal: self.internal }
    }
}

impl Setup {
    /// All of them, the default one first.
    pub(super) fn all(&self) -> impl Iterator<Item = &Net> {
        std::iter::once(&self.default).chain(&self.named)
    }

    pub(super) fn find(&self, name: &str) -> Option<&Net> {
        self.all().find(|net| net.name == name)
    }
}

impl State {
    /// Pods that are on it.
    pub(super) fn on(&self, network: &str) -> impl Iterator<Item = (&PodUid, &Attachment)> {
        self.attached.iter().filter(move |(_, attachment)| attachment.network() == network)
    }

    /// As it was when those who are on it came, or began to ask there for names; none if nobody is.
    fn held(&self, network: &str) -> Option<&Net> {
        let pods = self.on(network).find_map(|(_, attachment)| attachment.net.as_ref());
        pods.or_else(|| self.askers.values().flatten().find(|_| network == DEFAULT))
    }

    /// Somebody needs its bridge: a pod, or one on the node's network that asks for names.
    pub(super) fn needs(&self, network: &str) -> bool {
        self.on(network).next().is_some() || network == DEFAULT && !self.askers.is_empty()
    }
}

impl Network {
    /// The networks as they are now.
    pub(super) fn nets(&self, state: &State) -> Vec<Net> {
        let Some(setup) = &self.setup else { return Vec::new() };
        let as_held = |net: &Net| {
            let ranges = state.held(&net.name).map_or(net.ranges, |held| held.ranges);
            Net { ranges, ..net.clone() }
        };
        let mut nets: Vec<Net> = setup.all().map(as_held).collect();
        for net in state.attached.values().filter_map(|attachment| attachment.net.as_ref()) {
            if !nets.iter().any(|known| known.name == net.name) {
                nets.push(net.clone());
            }
        }
        nets
    }

    /// The default one as it is now; none if pods have no network of ours.
    pub(super) fn default_net(&self, state: &State) -> Option<Net> {
        self.nets(state).into_iter().next()
    }

    /// Those whose bridge somebody needs.
    pub(super) fn needed(&self, state: &State) -> Vec<Net> {
        self.nets(state).into_iter().filter(|net| state.needs(&net.name)).collect()
    }

    /// The network that the pod is to be on.
    ///
    /// # Errors
    /// There is no such network.
    pub(super) fn net_of(&self, state: &State, uid: &PodUid, wanted: &str) -> Result<Net> {
        // A pod that has an address has it where it is, whatever the configuration says by now.
        let is_known = self.setup.as_ref().is_some_and(|setup| setup.find(wanted).is_some())
            || state.attached.contains_key(uid);
        let found = self.nets(state).into_iter().find(|net| net.name == wanted && is_known);
        found.ok_or_else(|| self.unknown(wanted))
    }

    /// It is not what the configuration has by now, so nothing holds it when its last pod has gone.
    pub(super) fn is_former(&self, net: &Net) -> bool {
        let now = self.setup.as_ref().and_then(|setup| setup.find(&net.name));
        now.is_none_or(|now| now.ranges != net.ranges)
    }

    /// Why a pod cannot be on this network.
    pub(super) fn unknown(&self, wanted: &str) -> Error {
        let Some(setup) = &self.setup else {
            return Error::Network(format!(
                "there is no network {wanted}, which its annotation {NETWORK} names: networks of Berth's own are there \
                 with network: bridge only; remove the annotation, or change the configuration"
            ));
        };
        let names: Vec<&str> = setup.all().map(|net| net.name.as_str()).collect();
        Error::Network(format!(
            "the configuration has no network {wanted}, which its annotation {NETWORK} names; it has {}: describe it \
             below networks and start the agent anew, or change the annotation",
            names.join(", ")
        ))
    }

    /// Removes bridges on which nobody is and which are of no network any more, or of another range than it has by
    /// now. Returns whether there was one.
    pub(super) fn remove_old_bridges(&self, state: &mut State) -> bool {
        let mut removed = false;
        for name in bridge::links("").into_iter().filter(|name| named::is_bridge(name)) {
            let of = |net: &str| named::bridge_of(net) == name;
            let is_used = state.attached.values().any(|attachment| of(attachment.network()))
                || of(DEFAULT) && (!state.askers.is_empty() || self.setup.is_none());
            let net = self.setup.iter().flat_map(Setup::all).find(|net| of(&net.name));
            if is_used || net.is_some_and(|net| bridge::is_addressed(&name, &bridge::served(net))) {
                continue;
            }
            let gone = Netlink::route().and_then(|mut netlink| {
                let ours = link::is_bridge(&mut netlink, &name)?;
                if ours { link::remove(&mut netlink, &name) } else { Ok(()) }.map(|()| ours)
            });
            match gone {
                Ok(true) => {
                    tracing::info!(bridge = name, "its network is no more, or has other addresses now")
                }
                Ok(false) => continue,
                Err(error) => {
                    tracing::warn!(bridge = name, %error, "the bridge of a former network stays");
                    continue;
                }
            }
            state.bridges.retain(|network, _| !of(network));
            removed = true;
        }
        removed
    }
}
