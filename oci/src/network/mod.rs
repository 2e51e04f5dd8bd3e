//! Pods' network: one bridge, and for each pod a pair of virtual Ethernet devices to it, addresses by its
//! name, and a way out by the node.
//!
//! Everything is asked of the kernel over netlink by whoever calls: no program is executed, no process lives for
//! it. Where the owner has it so, CNI plugins do all this instead (`cni`). What a pod has is written down before it is made and removed after everything else, so whatever a killed
//! agent leaves is found and completed, or removed, by the next one. Interfaces, rules and addresses that are
//! not ours are never touched.

mod bridge;
pub mod cni;
mod kernel;
mod nft;
mod pod;
mod policies;
mod repair;
#[cfg(test)]
mod tests;
pub mod trial;

use crate::{
    clock,
    error::{Error, Result},
    fsys,
    paths::Roots,
};
use berth_core::{
    dns::{Host, Zone},
    ids::{PodKey, PodUid},
    manifest::DesiredPod,
    network::{Bandwidth, Leases, Ranges, of_pod, policy::named_ports},
};
use bridge::Bridge;
use cni::Cni;
use kernel::{
    host, inside, link, netlink,
    netlink::{Netlink, Refused},
    shape, watch,
};
use nft::Nft;
use pod::{
    attachment,
    attachment::{Attachment, link_name},
    extra, leases, plug,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    thread,
};

pub use bridge::NAME as BRIDGE;
pub use pod::{
    askers::asks_for_names,
    traffic::{Traffic, traffic},
};

/// The pod's interface, as everywhere.
const INTERFACE: &str = "eth0";

/// What the configuration says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setup {
    /// Where pods' addresses come from.
    pub ranges: Ranges,
    /// Bytes in a packet; none: as the interface with the node's default route.
    pub mtu: Option<u32>,
}

/// See the module. One for each agent.
#[derive(Debug)]
pub struct Network {
    roots: Roots,
    /// None: pods have their loopback only, or what CNI plugins give them.
    setup: Option<Setup>,
    cni: Cni,
    /// Beside the state, which is held while the kernel works.
    policies: Mutex<Vec<policies::InForce>>,
    /// Pods that policies hold to nothing, or to more than they say; whether that was asked for already.
    unheld: Mutex<(Vec<(PodKey, String)>, bool)>,
    state: Mutex<State>,
    /// Of the pods that are there. Beside the state, which is held while the kernel works.
    zone: RwLock<Arc<Zone>>,
    /// Only one writes the table of leases at a time.
    saving: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    leases: Leases,
    attached: BTreeMap<PodUid, Attachment>,
    /// Pods on the node's network that ask for names.
    askers: BTreeSet<PodUid>,
    /// As it was when it was last seen to.
    bridge: Option<Bridge>,
    /// None as long as no pod is there, or the kernel has no such thing.
    nft: Option<Nft>,
    /// Ports of the bridge are told apart; none if that is not known.
    isolated: Option<bool>,
    /// Why nothing keeps pods to their own addresses, if so.
    loose: Option<Refused>,
}

/// What a pod has got.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attached {
    /// Its addresses, IPv4 first.
    pub addresses: Vec<String>,
    /// What it has not got, for want of something in the kernel.
    pub lacking: Option<String>,
}

impl State {
    /// Nobody needs the bridge.
    fn is_unused(&self) -> bool {
        self.attached.is_empty() && self.askers.is_empty()
    }
}

impl Network {
    /// Knows what earlier agents of this boot have made. Reads files only.
    pub fn new(roots: &Roots, setup: Option<Setup>) -> Self {
        let (leases, attached) = (leases::load(roots), attachment::read_all(roots));
        let askers = pod::askers::read_all(roots);
        let state = State { leases, attached, askers, ..State::default() };
        let network = Self {
            roots: roots.clone(),
            setup,
            cni: Cni::default(),
            policies: Mutex::new(policies::load(roots)),
            unheld: Mutex::new((Vec::new(), true)),
            state: Mutex::new(state),
            zone: RwLock::default(),
            saving: Mutex::new(()),
        };
        network.tell_names(&network.lock());
        network
    }

    /// Pods have their loopback only.
    pub fn none(roots: &Roots) -> Self {
        Self::new(roots, None)
    }

    /// With the way to CNI plugins: for pods that have a network of theirs, and for new ones if that is wanted.
    #[must_use]
    pub fn with_cni(self, settings: cni::Settings) -> Self {
        Self { cni: Cni::new(settings), ..self }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where pods ask for names; none if they have no network.
    pub fn name_server(&self) -> Option<IpAddr> {
        // One is enough: a second address of the same server would only be asked the same again.
        self.setup.and_then(|setup| bridge::served(&setup).all().next()).map(|range| range.gateway())
    }

    /// Names of the pods that are there.
    pub fn zone(&self) -> Arc<Zone> {
        Arc::clone(&self.zone.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn tell_names(&self, state: &State) {
        let Some(setup) = self.setup else { return };
        let hosts = state.attached.values().map(|attachment| Host {
            pod: &attachment.pod,
            names: &attachment.names,
            addresses: &attachment.addresses,
        });
        let zone = Zone::new(bridge::served(&setup), hosts);
        let zone = Arc::new(zone.asked_by_node(!state.askers.is_empty()));
        *self.zone.write().unwrap_or_else(PoisonError::into_inner) = zone;
    }

    /// Gives the pod its network, in its namespaces that are pinned already. Nothing for a pod on the node's
    /// network, or with loopback only. Idempotent, as long as nobody is in there. `names`: what it is called in its
    /// namespace, beside its full name.
    ///
    /// # Errors
    /// [`Error::Network`]: the kernel or the configuration lacks something; try again later.
    pub fn attach(self: &Arc<Self>, pod: &DesiredPod, names: Vec<String>) -> Result<Attached> {
        let attached = self.attach_own(pod, names)?;
        extra::attach(&self.roots, pod)?;
        Ok(attached)
    }

    /// Its own network, without what it asks for beside that.
    fn attach_own(self: &Arc<Self>, pod: &DesiredPod, names: Vec<String>) -> Result<Attached> {
        if self.cni.is_wanted() && !pod.pod.spec.host_network {
            return self.cni.attach(&self.roots, pod);
        }
        let Some(setup) = self.setup.filter(|_| !pod.pod.spec.host_network) else {
            return self.serve_asker(pod);
        };
        let mut state = self.lock();
        let known = state.bridge;
        let bridge = bridge::ensure(&mut state.bridge, &setup)?;
        if known.is_some_and(|known| known.index != bridge.index) {
            // Somebody has removed the bridge under the pods.
            self.mend_all(&state, &setup, &bridge);
            state.isolated = None;
        }
        let ns = self.namespace(&pod.uid)?;
        let mut inside =
            inside::socket(&ns, bridge.v6).map_err(refused("enter the pod's network namespace"))?;
        let attachment = self.reserve(&mut state, &setup, &bridge, pod, names)?;
        let unshaped = plug::plug(&setup, &bridge, &pod.uid, &attachment, &ns, &mut inside)?;
        if state.isolated == Some(true) {
            let isolated = Netlink::route()
                .and_then(|mut netlink| link::isolate(&mut netlink, &link_name(&pod.uid), true));
            isolated.map_err(refused("tell the pod's end on the bridge apart"))?;
        }
        let lacking = match self.write_rules(&mut state, &bridge.ranges) {
            Err(error) if !attachment.ports.is_empty() => return Err(no_rules(&error, "hostPort")),
            Err(error) if self.has_policies() => return Err(no_rules(&error, "NetworkPolicy")),
            Err(error) => Some(no_rules(&error, "way out of the node").to_string()),
            Ok(()) => None,
        };
        self.tell_names(&state);
        let loose = state.loose.as_ref().filter(|_| lacking.is_none()).map(not_held);
        let lacking: Vec<String> = lacking.into_iter().chain(loose).chain(unshaped).collect();
        let lacking = (!lacking.is_empty()).then(|| lacking.join("; "));
        Ok(Attached { addresses: texts(&attachment), lacking })
    }

    /// Takes all of that away. The pod's namespaces may be gone already. Idempotent.
    ///
    /// # Errors
    /// [`Error::Network`]: something stays; try again.
    pub fn detach(&self, uid: &PodUid) -> Result<()> {
        extra::detach(&self.roots, uid)?;
        // Of an earlier boot only plugins know something still, and they can wait: [`Self::detach_stale`].
        if self.roots.pod_run(uid).exists() {
            self.cni.detach(&self.roots, uid)?;
        }
        let mut state = self.lock();
        self.forget_asker(&mut state, uid)?;
        if !state.attached.contains_key(uid) && !self.roots.pod_network(uid).exists() {
            return Ok(());
        }
        let removed = Netlink::route().and_then(|mut netlink| link::remove(&mut netlink, &link_name(uid)));
        removed.map_err(refused("remove the pod's interface"))?;
        state.attached.remove(uid);
        self.tell_names(&state);
        if let Some(setup) = self.setup {
            // A kernel that does not take rules any more has none of the pod's either.
            if let Err(error) = self.write_rules(&mut state, &bridge::served(&setup)) {
                tracing::warn!(pod = %uid, %error, "packet rules may still speak of where the pod was");
            }
        }
        fsys::remove_file(&self.roots.pod_network(uid))
    }

    /// Pods whose CNI plugins were not told yet that they are gone with an earlier boot.
    pub fn stale(&self) -> Vec<PodUid> {
        cni::stale(&self.roots)
    }

    /// Tells them of one. Blocks.
    ///
    /// # Errors
    /// [`Error::Network`]: try again.
    pub fn detach_stale(&self, uid: &PodUid) -> Result<()> {
        self.cni.detach(&self.roots, uid)
    }

    /// Whether plugins are executed to make or remove this pod's network: that may take long.
    pub fn executes(&self, pod: &DesiredPod) -> bool {
        self.cni.is_wanted() && !pod.pod.spec.host_network || self.roots.cni_cache(&pod.uid).exists()
    }

    /// Pods that have a network of CNI plugins.
    pub fn plugged(&self) -> Vec<PodUid> {
        self.cni.pods(&self.roots)
    }

    /// What CNI plugins say against the pod's network, and which pod it is; nothing if it is as they made it. Blocks.
    pub fn check(&self, uid: &PodUid) -> Option<(PodKey, String)> {
        self.cni.check(&self.roots, uid)
    }

    /// Has CNI plugins, if they are wanted, let go of what is nobody's. Blocks.
    ///
    /// # Errors
    /// [`Error::Network`].
    pub fn collect(&self) -> Result<()> {
        if self.cni.is_wanted() { self.cni.collect(&self.roots) } else { Ok(()) }
    }

    fn namespace(&self, uid: &PodUid) -> Result<File> {
        let path = self.roots.pod_ns(uid, "net");
        File::open(&path).map_err(Error::io("open", &path))
    }

    /// An address for the pod, written down. What it has already it keeps.
    fn reserve(
        self: &Arc<Self>,
        state: &mut State,
        setup: &Setup,
        bridge: &Bridge,
        pod: &DesiredPod,
        names: Vec<String>,
    ) -> Result<Attachment> {
        if let Some(known) = state.attached.get(&pod.uid) {
            return Ok(known.clone());
        }
        let used: BTreeSet<u32> = state.attached.values().map(|attachment| attachment.offset).collect();
        let (offset, changed) = state
            .leases
            .take(&pod.key, &setup.ranges.offsets(), &used)
            .map_err(|exhausted| Error::Network(exhausted.to_string()))?;
        let attachment = Attachment {
            pod: pod.key.clone(),
            offset,
            addresses: bridge.ranges.all().map(|range| range.address(offset)).collect(),
            names,
            ports: of_pod(&pod.pod.spec),
            labels: pod.pod.metadata.labels.clone(),
            named_ports: named_ports(&pod.pod.spec),
            bandwidth: Bandwidth::of(&pod.pod.metadata.annotations),
            since: clock::now().mono,
        };
        attachment::write(&self.roots, &pod.uid, &attachment)?;
        state.attached.insert(pod.uid.clone(), attachment.clone());
        if changed {
            self.save_leases();
        }
        Ok(attachment)
    }

    /// Writes the table of leases beside everything else.
    fn save_leases(self: &Arc<Self>) {
        let network = Arc::clone(self);
        let write = move || {
            let _one = network.saving.lock().unwrap_or_else(PoisonError::into_inner);
            let leases = network.lock().leases.clone();
            if let Err(error) = leases::save(&network.roots, &leases) {
                tracing::warn!(%error, "pods may have other addresses after a reboot");
            }
        };
        // Without a thread it is for the next time.
        let _ = thread::Builder::new().name("berth-leases".into()).spawn(write);
    }
}

/// The pod's addresses, as they were given to it: for its files, and for an agent that finds it.
pub fn addresses(roots: &Roots, uid: &PodUid) -> Vec<String> {
    if let Some(attachment) = attachment::read(roots, uid).ok().flatten() {
        return texts(&attachment);
    }
    let plugged = cni::plugged(roots, uid).ok().flatten();
    plugged.map_or_else(Vec::new, |plugged| plugged.addresses.iter().map(IpAddr::to_string).collect())
}

/// The node's addresses beside its pods', as far as CNI plugins have given it some.
pub(crate) fn gateways_of_plugins(roots: &Roots) -> Vec<IpAddr> {
    cni::gateways(roots)
}

fn texts(attachment: &Attachment) -> Vec<String> {
    attachment.addresses.iter().map(IpAddr::to_string).collect()
}

/// For `map_err`: what was being tried.
fn refused(doing: &'static str) -> impl FnOnce(Refused) -> Error {
    move |error| Error::Network(format!("cannot {doing}: {error}"))
}

/// Why there are no packet rules, and what goes without.
fn no_rules(error: &Refused, what: &str) -> Error {
    let lacks = [libc::EOPNOTSUPP, libc::EPROTONOSUPPORT, libc::ENOENT].contains(&error.errno);
    let remedy = match lacks {
        true => {
            "; the kernel needs the modules nft_chain_nat, nft_masq, nft_nat, nft_ct and nft_fib_inet, or \
             CONFIG_NF_TABLES_INET, NFT_NAT, NFT_MASQ, NFT_CT and NFT_FIB_INET"
        }
        false => "",
    };
    Error::Network(format!(
        "no {what}: the kernel does not take our packet rules (nf_tables): {error}{remedy}"
    ))
}

/// Why a pod may send as another one.
fn not_held(error: &Refused) -> String {
    format!(
        "nothing keeps the pod to its own addresses: the kernel does not take our rules for the bridge: {error}; it \
         needs the module nft_meta_bridge, or CONFIG_NF_TABLES_BRIDGE and CONFIG_NFT_BRIDGE_META"
    )
}

/// The kernel may not know the kind of thing at all.
fn lacking(error: &Refused, module: &str, option: &str, doing: &'static str) -> Error {
    if error.is(libc::EOPNOTSUPP) {
        return Error::Network(format!(
            "this kernel has no {module}: load the module, or build the kernel with {option}; hostNetwork pods \
             run without, and `network: none` in the configuration gives pods their loopback only"
        ));
    }
    Error::Network(format!("cannot {doing}: {error}"))
}
