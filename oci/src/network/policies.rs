//! NetworkPolicies: which are in force, over agents too, and pods held to them. What they mean for whom is
//! `berth_core::network::policy`'s; as packet rules they are `nft`'s.
//!
//! Packets between pods pass the node like all others: pods have no neighbours but the gateway. Ports of the bridge
//! are told apart while a policy is in force, so that no pod goes round that.

use super::{
    Net, Network, State,
    attachment::{self, Attachment, link_name, mac},
    flows, host, link,
    netlink::{Netlink, Refused},
    nft,
    nft::{Nft, Origin, Side},
    no_rules,
};
use crate::{durable, error::Error, paths::Roots, records};
use berth_core::{
    ids::{PodKey, PodUid},
    manifest::{
        DesiredPod,
        objects::{ObjectKind, Objects},
        types::policy::NetworkPolicySpec,
    },
    network::policy::{Confinement, Member, Policy, confine},
};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, PoisonError};

/// Bytes in the file: more than all manifests together may have.
const LEN_MAX_BYTES: u64 = 64 * 1024 * 1024;

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct InForce {
    namespace: Arc<str>,
    spec: Arc<NetworkPolicySpec>,
}

/// What was last in force; nothing if that is not known.
pub(super) fn load(roots: &Roots) -> Vec<InForce> {
    let read = records::read_within(&roots.policies(), LEN_MAX_BYTES).unwrap_or_else(|error| {
        tracing::warn!(%error, "NetworkPolicies are in force again when manifests have been read");
        None
    });
    read.unwrap_or_default()
}

impl Network {
    /// These are in force from now on, as soon as [`Self::enforce`] has been called. Returns whether it must be. Does not
    /// wait for anybody who talks to the kernel.
    pub fn note_policies(&self, objects: &Objects) -> bool {
        let policies = objects.iter().filter(|object| object.key.kind == ObjectKind::NetworkPolicy);
        let new: Vec<InForce> = policies
            .filter_map(|object| {
                let spec = Arc::clone(object.policy.as_ref()?);
                Some(InForce { namespace: Arc::clone(&object.key.namespace), spec })
            })
            .collect();
        let mut policies = self.policies.lock().unwrap_or_else(PoisonError::into_inner);
        if *policies == new {
            return false;
        }
        let path = self.roots.policies();
        let written = serde_json::to_vec(&new).map_err(|error| error.to_string());
        let written =
            written.and_then(|json| durable::replace_volatile(&path, &json).map_err(|e| e.to_string()));
        if let Err(error) = written {
            tracing::warn!(error, "an agent that comes after this one learns of NetworkPolicies late");
        }
        *policies = new;
        true
    }

    /// Holds the pods that are there to the policies. Tells of what fails.
    pub fn enforce(&self) {
        let mut state = self.lock();
        if state.attached.is_empty() {
            return;
        }
        if let Err(error) = self.write_rules(&mut state) {
            tracing::error!(%error, "NetworkPolicies are not in force");
        }
    }

    /// The pod has these labels from now on, and the policies that select it by them.
    ///
    /// # Errors
    /// [`Error::Network`]: it is held to what it was; try again.
    pub(crate) fn relabel(&self, pod: &DesiredPod) -> Result<(), Error> {
        let mut state = self.lock();
        let labels = &pod.pod.metadata.labels;
        let Some(known) = state.attached.get(&pod.uid).filter(|known| known.labels != *labels).cloned()
        else {
            return Ok(());
        };
        let changed = Attachment { labels: labels.clone(), ..known.clone() };
        state.attached.insert(pod.uid.clone(), changed.clone());
        let held = match self.has_policies() {
            true => self.write_rules(&mut state).map_err(|error| no_rules(&error, "NetworkPolicy")),
            false => Ok(()),
        };
        let written = held.and_then(|()| attachment::write(&self.roots, &pod.uid, &changed));
        if written.is_err() {
            // So that the next attempt finds something to do.
            state.attached.insert(pod.uid.clone(), known);
        }
        written
    }

    /// Pods whose policies are not in force as they stand there, and why; none if they are those of the last call.
    pub fn unheld_now(&self) -> Option<Vec<(PodKey, String)>> {
        let mut unheld = self.unheld.lock().unwrap_or_else(PoisonError::into_inner);
        (!std::mem::replace(&mut unheld.1, true)).then(|| unheld.0.clone())
    }

    /// Notes of which pods that is so.
    fn note_unheld(&self, state: &State, confinements: &[Confinement], error: Option<&Refused>) {
        let why = |confinement: &Confinement| match error {
            Some(error) => Some(no_rules(error, "NetworkPolicy").to_string()),
            None => confinement.overflowed.then(|| {
                format!(
                    "it allows {} more than there is room for, so nothing is allowed",
                    confinement.address
                )
            }),
        };
        let mut now: Vec<(PodKey, String)> = confinements
            .iter()
            .filter_map(|confinement| {
                let has = |attachment: &&Attachment| attachment.addresses.contains(&confinement.address);
                Some((state.attached.values().find(has)?.pod.clone(), why(confinement)?))
            })
            .collect();
        now.sort();
        now.dedup_by(|one, other| one.0 == other.0);
        let mut unheld = self.unheld.lock().unwrap_or_else(PoisonError::into_inner);
        if unheld.0 != now {
            *unheld = (now, false);
        }
    }

    /// There are policies.
    pub(super) fn has_policies(&self) -> bool {
        !self.policies.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Makes our packet rules those for the networks and pods that are there; none without a network of ours.
    pub(super) fn write_rules(&self, state: &mut State) -> Result<(), Refused> {
        let sides: Vec<Side> = self.nets(state).iter().map(Net::side).collect();
        if sides.is_empty() {
            return Ok(());
        }
        let confinements = self.confinements(state);
        let v6 = sides.iter().any(|side| side.ranges.v6.is_some());
        let loopback6 = v6 && host::lets_loopback6_come_back();
        let mut pods: Vec<&Attachment> = state.attached.values().collect();
        pods.sort_by_key(|attachment| std::cmp::Reverse(attachment.since));
        let pods = pods
            .into_iter()
            .map(|attachment| nft::Pod { addresses: &attachment.addresses, ports: &attachment.ports });
        let rules = nft::ruleset(&sides, loopback6, pods, &confinements);
        let origins = origins(state);
        let nft = match &mut state.nft {
            Some(nft) => nft,
            none => none.insert(Nft::open()?),
        };
        // What the kernel may not have: pods run without, and are told.
        state.loose = nft.hold(origins).err();
        let applied = nft.apply(rules).and_then(|()| isolate(state, !confinements.is_empty()));
        self.note_unheld(state, &confinements, applied.as_ref().err());
        if applied.is_ok() {
            forget_flows(state);
        }
        applied
    }

    fn confinements(&self, state: &State) -> Vec<Confinement> {
        let policies = self.policies.lock().unwrap_or_else(PoisonError::into_inner);
        let policies: Vec<Policy<'_>> =
            policies.iter().map(|own| Policy { namespace: &own.namespace, spec: &own.spec }).collect();
        let members = state.attached.values().map(|attachment| Member {
            pod: &attachment.pod,
            labels: &attachment.labels,
            addresses: &attachment.addresses,
            ports: &attachment.named_ports,
        });
        let found = confine(&policies, &members.collect::<Vec<_>>());
        for overflowed in found.iter().filter(|confinement| confinement.overflowed) {
            let address = overflowed.address;
            tracing::error!(%address, "NetworkPolicies allow this pod more than there is room for: it gets nothing");
        }
        found
    }
}

/// As whom pods may send.
fn origins(state: &State) -> Vec<Origin> {
    let origin = |(uid, attachment): (&PodUid, &Attachment)| {
        let mac = mac(*attachment.addresses.first()?);
        Some(Origin { link: link_name(uid), mac, addresses: attachment.addresses.clone() })
    };
    state.attached.iter().filter_map(origin).collect()
}

/// Has senders to ports of the node that lead elsewhere by now follow. A kernel that cannot is told of once: those that go
/// on sending while a pod is away do not reach it again before they are silent for a while.
fn forget_flows(state: &mut State) {
    let now = flows::leads(state);
    if let Err(error) = flows::forget_stale(&state.leads, &now)
        && !std::mem::replace(&mut state.blind, true)
    {
        tracing::warn!(
            %error,
            "senders of UDP or SCTP to a hostPort may have to be silent for some minutes before they reach another pod: \
             the kernel does not show its connections; it needs the module nf_conntrack_netlink, or CONFIG_NF_CT_NETLINK"
        );
    }
    state.leads = now;
}

/// Tells ports of the bridge apart, or no longer.
fn isolate(state: &mut State, isolated: bool) -> Result<(), Refused> {
    if state.isolated == Some(isolated) || state.isolated.is_none() && !isolated {
        return Ok(());
    }
    state.isolated = None;
    let mut netlink = Netlink::route()?;
    for uid in state.attached.keys() {
        match link::isolate(&mut netlink, &link_name(uid), isolated) {
            // On its way out, or put back by who looks after interfaces.
            Err(error) if error.is(libc::ENODEV) => {}
            other => other?,
        }
    }
    state.isolated = Some(isolated);
    Ok(())
}
