//! Pods' networks: a bridge for each, and for each pod a pair of virtual Ethernet devices to it, addresses by its
//! name, and a way out by the node. Most nodes have one network; which there are is `nets`'.
//!
//! Everything is asked of the kernel over netlink by whoever calls: no program is executed, no process lives for
//! it. Where the owner has it so, CNI plugins do all this instead (`cni`). What a pod has is written down before it is made and removed after everything else, so whatever a killed
//! agent leaves is found and completed, or removed, by the next one. Interfaces, rules and addresses that are
//! not ours are never touched.

mod bridge;
pub mod cni;
mod flows;
mod kernel;
mod nets;
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
    network::{
        Bandwidth, Leases,
        named::{self, DEFAULT},
        of_pod,
        policy::named_ports,
    },
};
use bridge::Bridge;
use cni::Cni;
use kernel::{
    conntrack, host, inside, link, netlink,
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
    fmt,
    fs::File,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    thread,
    thread::JoinHandle,
};

pub use nets::{Net, Setup};
pub use pod::{
    askers::asks_for_names,
    traffic::{Traffic, traffic, traffic_at},
};

/// The pod's interface, as everywhere.
const INTERFACE: &str = "eth0";

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
    /// Of the pods that are there, for each network. Beside the state, which is held while the kernel works.
    zones: RwLock<Arc<Vec<Zone>>>,
    bell: Bell,
    /// Whoever makes a bridge for a pod has this first, and then the state, which an agent that comes up asks for
    /// meanwhile.
    bridging: Mutex<()>,
    /// Only one writes the table of leases at a time.
    saving: Mutex<()>,
}

/// Rung whenever names of pods may have changed.
#[derive(Default)]
struct Bell(Option<Box<dyn Fn() + Send + Sync>>);

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bell")
    }
}

#[derive(Debug, Default)]
struct State {
    leases: Leases,
    attached: BTreeMap<PodUid, Attachment>,
    /// Pods on the node's network that ask for names, each with the default network as it was then.
    askers: BTreeMap<PodUid, Option<Net>>,
    /// By network, as they were when they were last seen to.
    bridges: BTreeMap<String, Bridge>,
    /// None as long as no pod is there, or the kernel has no such thing.
    nft: Option<Nft>,
    /// Where ports of the node led to when the rules were last written.
    leads: flows::Leads,
    /// The kernel does not show its table of connections; that has been told.
    blind: bool,
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
    /// Nobody needs a bridge.
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
            zones: RwLock::default(),
            bell: Bell::default(),
            bridging: Mutex::new(()),
            saving: Mutex::new(()),
        };
        network.tell_names(&network.lock());
        network
    }

    /// Begins to make the default network's bridge and the packet rules that speak of no pod, on a thread, if the bridge
    /// is not there and this box has had pods on it: the first of a boot would wait for them longest. That it fails is
    /// that pod's to tell. None: nothing is begun.
    pub fn make_ahead(self: &Arc<Self>) -> Option<JoinHandle<()>> {
        let net = self.setup.as_ref()?.default.clone();
        if !self.lock().leases.is_used(&net.name) || !bridge::links(&net.bridge()).is_empty() {
            return None;
        }
        let network = Arc::clone(self);
        let make = move || {
            let _one = network.bridging();
            let mut bridges = network.lock().bridges.clone();
            if bridge::ensure(&mut bridges, &net).is_ok() {
                let mut state = network.lock();
                state.bridges.extend(bridges);
                // Many kernels load half a dozen modules for the first rule.
                let _ = network.write_rules(&mut state);
            }
        };
        thread::Builder::new().name("berth-bridge".into()).spawn(make).ok()
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

    /// With who is to hear when names of pods may have changed: whoever serves them can begin before the pod does.
    #[must_use]
    pub fn ringing(self, bell: impl Fn() + Send + Sync + 'static) -> Self {
        Self { bell: Bell(Some(Box::new(bell))), ..self }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bridging(&self) -> MutexGuard<'_, ()> {
        self.bridging.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where pods of the default network ask for names; none if they have no network.
    pub fn name_server(&self) -> Option<IpAddr> {
        let default = self.default_net(&self.lock())?;
        default.server()
    }

    /// Pods with a network of ours whose name server is at this address. May wait for those who talk to the kernel.
    pub fn asking_at(&self, server: IpAddr) -> Vec<(PodKey, PodUid)> {
        let state = self.lock();
        let nets = self.nets(&state);
        let net = nets.iter().find(|net| net.ranges.all().any(|range| range.gateway() == server));
        let asking = net.into_iter().flat_map(|net| state.on(&net.name));
        asking.map(|(uid, attachment)| (attachment.pod.clone(), uid.clone())).collect()
    }

    /// Names of the pods that are there, for each network.
    pub fn zones(&self) -> Arc<Vec<Zone>> {
        Arc::clone(&self.zones.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn tell_names(&self, state: &State) {
        let zone = |net: &Net| {
            let hosts = state.on(&net.name).map(|(_, attachment)| Host {
                pod: &attachment.pod,
                names: &attachment.names,
                addresses: &attachment.addresses,
            });
            let zone = Zone::new(bridge::served(net), hosts).closed(net.internal);
            zone.asked_by_node(net.is_default() && !state.askers.is_empty())
        };
        let zones = Arc::new(self.nets(state).iter().map(zone).collect());
        *self.zones.write().unwrap_or_else(PoisonError::into_inner) = zones;
        if let Bell(Some(ring)) = &self.bell {
            ring();
        }
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
        let wanted = named::of_pod(&pod.pod.metadata.annotations);
        if pod.pod.spec.host_network {
            return self.serve_asker(pod);
        }
        if self.setup.is_none() && wanted != DEFAULT {
            return Err(self.unknown(wanted));
        }
        if self.cni.is_wanted() {
            return self.cni.attach(&self.roots, pod);
        }
        if self.setup.is_none() {
            return Ok(Attached::default());
        }
        let _one = self.bridging();
        let mut state = self.lock();
        let net = self.net_of(&state, &pod.uid, wanted)?;
        let bridge = self.ensure_bridge(&mut state, &net)?;
        let ns = self.namespace(&pod.uid)?;
        let mut inside =
            inside::socket(&ns, bridge.v6).map_err(refused("enter the pod's network namespace"))?;
        let attachment = self.reserve(&mut state, &net, &bridge, pod, names)?;
        self.tell_names(&state);
        let unshaped = plug::plug(&net, &bridge, &pod.uid, &attachment, &ns, &mut inside)?;
        if state.isolated == Some(true) {
            let isolated = Netlink::route()
                .and_then(|mut netlink| link::isolate(&mut netlink, &link_name(&pod.uid), true));
            isolated.map_err(refused("tell the pod's end on the bridge apart"))?;
        }
        let lacking = self.rules_for(&mut state, &attachment)?;
        let loose = state.loose.as_ref().filter(|_| lacking.is_none()).map(not_held);
        let lacking: Vec<String> = lacking.into_iter().chain(loose).chain(unshaped).collect();
        let lacking = (!lacking.is_empty()).then(|| lacking.join("; "));
        Ok(Attached { addresses: texts(&attachment), lacking })
    }

    /// The network's bridge, with all its pods on it.
    fn ensure_bridge(&self, state: &mut State, net: &Net) -> Result<Bridge> {
        let known = state.bridges.get(&net.name).copied();
        let bridge = bridge::ensure_fitting(&mut state.bridges, net)?;
        if known != Some(bridge) {
            // It has another size of packets, or somebody has removed it under the pods.
            self.mend_all(state, net, &bridge);
            if known.is_some_and(|known| known.index != bridge.index) {
                state.isolated = None;
            }
        }
        Ok(bridge)
    }

    /// Makes the packet rules those with this pod. Returns what it does without; not everything can be done without.
    fn rules_for(&self, state: &mut State, attachment: &Attachment) -> Result<Option<String>> {
        let apart = self.setup.as_ref().is_some_and(|setup| !setup.named.is_empty());
        match self.write_rules(state) {
            Err(error) if !attachment.ports.is_empty() => Err(no_rules(&error, "hostPort")),
            Err(error) if self.has_policies() => Err(no_rules(&error, "NetworkPolicy")),
            Err(error) if apart => Err(no_rules(&error, "keeping networks apart")),
            Err(error) => Ok(Some(no_rules(&error, "way out of the node").to_string())),
            Ok(()) => Ok(None),
        }
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
        let was = state.attached.remove(uid).and_then(|attachment| attachment.net);
        if was.is_some_and(|was| self.is_former(&was)) {
            self.remove_old_bridges(&mut state);
        }
        self.tell_names(&state);
        // A kernel that does not take rules any more has none of the pod's either.
        if let Err(error) = self.write_rules(&mut state) {
            tracing::warn!(pod = %uid, %error, "packet rules may still speak of where the pod was");
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
        net: &Net,
        bridge: &Bridge,
        pod: &DesiredPod,
        names: Vec<String>,
    ) -> Result<Attachment> {
        if let Some(known) = state.attached.get(&pod.uid) {
            return Ok(known.clone());
        }
        let used: BTreeSet<u32> = state.on(&net.name).map(|(_, attachment)| attachment.offset).collect();
        let which = if net.is_default() { String::new() } else { format!("network {}: ", net.name) };
        let (offset, changed) = state
            .leases
            .take(&net.name, &pod.key, &net.ranges.offsets(), &used)
            .map_err(|exhausted| Error::Network(format!("{which}{exhausted}")))?;
        let attachment = Attachment {
            pod: pod.key.clone(),
            net: Some(net.clone()),
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

/// What CNI plugins gave the pod: the network's name, its interface there, and the other end on the node, if there is one.
pub fn plugged_as(roots: &Roots, uid: &PodUid) -> Option<(String, &'static str, Option<String>)> {
    let plugged = cni::plugged(roots, uid).ok().flatten()?;
    let outside = pod::traffic::end_of(&plugged.outside).cloned();
    Some((plugged.network, INTERFACE, outside))
}

/// Where the pod asks for names, if it has a network of ours or asks for those of one.
pub(crate) fn name_server_of(roots: &Roots, uid: &PodUid) -> Option<IpAddr> {
    let Some(attachment) = attachment::read(roots, uid).ok().flatten() else {
        return pod::askers::read(roots, uid)?.server();
    };
    let address = attachment.addresses.first()?;
    let range = attachment.net?.ranges.all().find(|range| range.contains(*address))?;
    Some(range.gateway())
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
fn lacking(error: &Refused, module: &str, option: &str, doing: &str) -> Error {
    if error.is(libc::EOPNOTSUPP) {
        return Error::Network(format!(
            "this kernel has no {module}: load the module, or build the kernel with {option}; hostNetwork pods \
             run without, and `network: none` in the configuration gives pods their loopback only"
        ));
    }
    Error::Network(format!("cannot {doing}: {error}"))
}
