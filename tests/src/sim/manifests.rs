//! The manifest directory: files that come, change, break, move and go.
//!
//! Each pod name has a few variants drawn from the seed, so that the same revision comes back now and
//! then. One of the pods gives its own uid, so that its content changes under one uid. Some have a variable
//! or files from the one ConfigMap, which comes, changes and goes too. Behind the files there is an address.

mod health;

use super::{
    address::{Address, NO_PODS, Says},
    oracle::LIMIT_BYTES,
    rng::Rng,
};
use berth_core::{
    devices::DEVICES,
    event::DesiredSet,
    ids::{PodKey, PodUid},
    manifest::{
        DesiredPod, Problem,
        identity::ANNOTATION_HASH,
        objects::{Object, ObjectKey, ObjectKind, Objects, Salt, Value, revise},
        types::{
            ConfigMapVolume, Container, ContainerPort, EmptyDir, EnvFromSource, ExitCodes, InOrNot, Pod,
            PodSpec, PullPolicy, RestartPolicy, RestartRule, Volume, WholeRef,
        },
    },
    node::NODE_CRITICAL,
};
use std::{collections::BTreeMap, sync::Arc};

/// Files that there can be.
const FILES: usize = 5;
/// Variants of each pod.
const VARIANTS: usize = 3;
/// Editions of each variant: they differ in what is applied in place.
const EDITIONS: usize = 3;
/// What a container does; its image is named after it, see `machine`.
pub(crate) const IMAGES: [&str; 10] =
    ["serve", "serve", "serve", "stubborn", "crash", "ok", "fail", "flaky", "long", "nostart"];
/// The images of init containers: they end.
const INIT_IMAGES: [&str; 6] = ["ok", "ok", "ok", "fail", "flaky", "nostart"];
/// The device that some pods ask for.
pub(crate) const DEVICE: &str = "/dev/stick";
/// The pod that gives its own uid.
const FIXED: usize = FILES - 1;

/// One file.
#[derive(Debug, Clone)]
struct File {
    /// The variant that it has, per pod.
    pods: Vec<(usize, usize)>,
    broken: bool,
}

/// The directory and all that may come to be in it.
#[derive(Debug)]
pub(crate) struct Manifests {
    variants: Vec<Vec<Arc<Pod>>>,
    files: BTreeMap<String, File>,
    /// The ConfigMap's value, while there is one.
    conf: Option<u64>,
    pub(crate) address: Address,
}

/// Values of the ConfigMap.
const VALUES: u64 = 3;

/// What an agent process remembers of the files that it could read.
pub(crate) type LastGood = BTreeMap<String, Vec<DesiredPod>>;

impl Manifests {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        let variants =
            (0..FILES).map(|i| (0..VARIANTS).flat_map(|v| editions(rng, i, v)).collect()).collect();
        let conf = Some(rng.range(0, VALUES - 1)).filter(|_| rng.chance(800));
        let mut manifests = Self { variants, files: BTreeMap::new(), conf, address: Address::new() };
        for _ in 0..rng.range(1, 4) {
            manifests.write(rng);
        }
        manifests
    }

    /// Does one random thing to the directory; says what.
    pub(crate) fn change(&mut self, rng: &mut Rng) -> String {
        let names: Vec<String> = self.files.keys().cloned().collect();
        match rng.range(0, 14) {
            12.. => self.address.change(rng),
            10 | 11 => {
                self.conf = Some(rng.range(0, VALUES - 1)).filter(|_| rng.chance(700));
                format!("the ConfigMap is {:?}", self.conf)
            }
            _ if names.is_empty() => self.write(rng),
            0..=4 => self.write(rng),
            5 | 6 => {
                let name = rng.pick(&names).clone();
                self.files.remove(&name);
                format!("{name} removed")
            }
            7 => {
                let name = rng.pick(&names).clone();
                let to = format!("r{}.yaml", rng.range(0, 2));
                if let Some(file) = self.files.remove(&name) {
                    self.files.insert(to.clone(), file);
                }
                format!("{name} renamed to {to}")
            }
            _ => {
                let name = rng.pick(&names).clone();
                let file = self.files.entry(name.clone()).or_insert(File { pods: Vec::new(), broken: false });
                file.broken = !file.broken;
                format!("{name} {}", if file.broken { "broken" } else { "mended" })
            }
        }
    }

    fn write(&mut self, rng: &mut Rng) -> String {
        let first = rng.range(0, FILES as u64 - 1) as usize;
        let any = (VARIANTS * EDITIONS) as u64 - 1;
        let mut pods = vec![(first, rng.range(0, any) as usize)];
        if rng.chance(250) {
            pods.push(((first + 1) % FILES, rng.range(0, any) as usize));
        }
        let name = format!("f{first}.yaml");
        let what = format!("{name} written: {pods:?}");
        self.files.insert(name, File { pods, broken: false });
        what
    }

    pub(crate) fn mend(&mut self) {
        for file in self.files.values_mut() {
            file.broken = false;
        }
        self.conf.get_or_insert(0);
        self.address.mend();
    }

    pub(crate) fn remove_all(&mut self) {
        self.files.clear();
        self.address.say(Says::Text(NO_PODS.to_owned(), None), Some(&[]));
    }

    /// What a source tells that reads the directory now: of two pods with one key or uid the first by file
    /// name; of a broken file what it was at its last good reading.
    pub(crate) fn read(&mut self, last_good: &mut LastGood) -> DesiredSet {
        last_good.retain(|name, _| self.files.contains_key(name));
        let objects: Objects = self.conf.map(config_map).into_iter().collect();
        let (answer, problems) = self.address.ask();
        let mut set = DesiredSet { objects, problems, ..DesiredSet::default() };
        for (name, file) in &self.files {
            let pods = if file.broken {
                set.problems.push(problem(name));
                last_good.get(name).cloned().unwrap_or_default()
            } else {
                let pods: Vec<_> = file.pods.iter().map(|(i, v)| self.desired(*i, *v, name)).collect();
                last_good.insert(name.clone(), pods.clone());
                pods
            };
            for pod in pods.iter().map(|pod| revise(pod, &set.objects, &Salt::default())) {
                if set.pods.iter().all(|have| have.key != pod.key && have.uid != pod.uid) {
                    set.pods.push(pod);
                }
            }
        }
        for pod in answer.pods {
            if set.pods.iter().all(|have| have.key != pod.key) {
                set.pods.push(pod);
            }
        }
        set
    }

    fn desired(&self, i: usize, v: usize, file: &str) -> DesiredPod {
        let pod = self.variants[i][v].clone();
        let key = PodKey { namespace: "default".into(), name: pod.metadata.name.as_str().into() };
        DesiredPod {
            key,
            uid: PodUid(pod.metadata.uid.as_str().into()),
            base: None,
            values: None,
            pod,
            origin: file.into(),
        }
    }
}

/// For runs that follow a script.
#[cfg(test)]
impl Manifests {
    /// There is one file, with the pod `p0` of one container, and nothing else.
    pub(crate) fn only(&mut self, image: &str) {
        let mut pod = Pod::default();
        pod.metadata.name = "p0-node".into();
        pod.metadata.namespace = "default".into();
        pod.metadata.uid = format!("{image:0>32}");
        pod.spec.termination_grace_period_seconds = Some(1);
        pod.spec.containers.push(Container {
            name: "c0".into(),
            image: image.into(),
            image_pull_policy: Some(PullPolicy::IfNotPresent),
            ..Container::default()
        });
        self.variants[0][0] = Arc::new(pod);
        self.files = BTreeMap::from([("f0.yaml".to_owned(), File { pods: vec![(0, 0)], broken: false })]);
    }

    pub(crate) fn remove_files(&mut self) {
        self.files.clear();
    }
}

/// What every variable comes from that does not stand in a pod.
fn config_map(value: u64) -> Arc<Object> {
    let key = ObjectKey { kind: ObjectKind::ConfigMap, namespace: "default".into(), name: "conf".into() };
    Arc::new(Object {
        key,
        origin: "conf.yaml".into(),
        kind_of_secret: String::new(),
        values: BTreeMap::from([("value".to_owned(), Value::text(&value.to_string()))]),
        immutable: false,
        storage: String::new(),
        policy: None,
    })
}

fn problem(file: &str) -> Problem {
    Problem {
        file: file.into(),
        line: 3,
        column: 1,
        path: String::new(),
        message: "not YAML".into(),
        pod: None,
    }
}

/// The variant, and what it is with other labels, probes or grace.
fn editions(rng: &mut Rng, i: usize, v: usize) -> Vec<Arc<Pod>> {
    let first = variant(rng, i, v);
    let mut all = Vec::with_capacity(EDITIONS);
    for e in 0..EDITIONS {
        let mut pod = first.clone();
        if i != FIXED {
            pod.metadata.uid = format!("{:016x}{i:08x}{v:04x}{e:04x}", rng.next());
        }
        pod.metadata.labels.insert("edition".to_owned(), e.to_string());
        pod.metadata.annotations.insert(ANNOTATION_HASH.to_owned(), pod.metadata.uid.clone());
        let grace_s = pod.spec.termination_grace_period_seconds.unwrap_or(0);
        if e > 0 {
            for container in &mut pod.spec.containers {
                if rng.chance(500) {
                    health::change(rng, container);
                }
            }
            let first = &mut pod.spec.containers[0].resources;
            if let Some(milli) = first.requests.get_mut("cpu").filter(|_| first.limits.is_empty()) {
                *milli = (*rng.pick(&["100m", "200m", "400m", "700m", "1100m"])).to_owned();
            }
            if rng.chance(200) {
                pod.spec.termination_grace_period_seconds = Some(grace_s + 1);
            }
        }
        all.push(Arc::new(pod));
    }
    all
}

fn variant(rng: &mut Rng, i: usize, v: usize) -> Pod {
    let mut pod = Pod::default();
    pod.metadata.name = format!("p{i}-node");
    pod.metadata.namespace = "default".into();
    pod.metadata.uid = if i == FIXED { "fixed".into() } else { format!("{:016x}{i:08x}{v:08x}", rng.next()) };
    pod.spec.restart_policy = policy(rng);
    pod.spec.termination_grace_period_seconds = Some(*rng.pick(&[0, 1, 5, 30]));
    if rng.chance(400) {
        for c in 0..rng.range(1, 3) {
            let mut init = init_container(rng, format!("i{c}"));
            if init.restarts_always() {
                health::add(rng, &mut init, pod.spec.termination_grace_period_seconds.unwrap_or(0));
            }
            pod.spec.init_containers.push(init);
        }
    }
    for c in 0..rng.range(1, 3) {
        let mut main = container(rng, format!("c{c}"), &IMAGES);
        health::add(rng, &mut main, pod.spec.termination_grace_period_seconds.unwrap_or(0));
        if rng.chance(300) {
            main.restart_policy = Some(policy(rng));
        }
        if main.restart_policy.is_some() && rng.chance(700) {
            main.restart_policy_rules.push(rule(rng));
        }
        pod.spec.containers.push(main);
    }
    if let Some(first) = pod.spec.containers.first_mut().filter(|_| rng.chance(600)) {
        let milli = rng.pick(&["100m", "300m", "600m"]);
        first.resources.requests.insert("cpu".to_owned(), (*milli).to_owned());
    }
    if i != FIXED && rng.chance(250) {
        guarantee(rng, &mut pod.spec);
    }
    if rng.chance(120) {
        let other = rng.range(0, FILES as u64 - 1) as usize;
        if other != i {
            let name = "berth/start-after".to_owned();
            pod.metadata.annotations.insert(name, format!("p{other}-node"));
        }
    }
    if rng.chance(100) {
        let asked = format!("[{{path: {DEVICE}}}]");
        pod.metadata.annotations.insert(DEVICES.to_owned(), asked);
    }
    pod.spec.priority = *rng.pick(&[None, None, None, Some(0), Some(10), Some(1000), Some(NODE_CRITICAL)]);
    if i != FIXED && rng.chance(300) {
        let named = WholeRef { name: "conf".to_owned(), optional: None };
        let source = EnvFromSource { config_map_ref: Some(named), ..EnvFromSource::default() };
        if let Some(first) = pod.spec.containers.first_mut() {
            first.env_from.push(source);
        }
    }
    // Some variants of the first three want one port, and one of them another.
    if i < 3 && v != i {
        let port = ContainerPort {
            container_port: 80,
            host_port: Some(if i == 2 && v == 0 { 8081 } else { 8080 }),
            protocol: "TCP".into(),
            ..ContainerPort::default()
        };
        pod.spec.containers[0].ports.push(port);
    }
    if rng.chance(250) {
        let dir = EmptyDir { size_limit: Some(LIMIT_BYTES.to_string()), ..EmptyDir::default() };
        pod.spec.volumes.push(Volume { name: "data".to_owned(), empty_dir: Some(dir), ..Volume::default() });
    }
    if rng.chance(300) {
        let source = ConfigMapVolume { name: "conf".to_owned(), ..ConfigMapVolume::default() };
        let volume = Volume { name: "conf".to_owned(), config_map: Some(source), ..Volume::default() };
        pod.spec.volumes.push(volume);
    }
    pod
}

/// All containers are limited to what they ask for, and some of them ask for whole processors.
fn guarantee(rng: &mut Rng, spec: &mut PodSpec) {
    for container in spec.containers.iter_mut().chain(&mut spec.init_containers) {
        let milli = *rng.pick(&["100m", "1000m", "1000m", "1500m", "2000m"]);
        let amounts =
            [("cpu", milli), ("memory", "1Mi")].map(|(name, amount)| (name.to_owned(), amount.to_owned()));
        container.resources.requests = amounts.clone().into();
        container.resources.limits = amounts.into();
    }
}

/// A plain one, which mostly ends, or a sidecar, which mostly stays.
fn init_container(rng: &mut Rng, name: String) -> Container {
    let sidecar = rng.chance(400);
    let images: &[&'static str] = if sidecar { &IMAGES } else { &INIT_IMAGES };
    let mut init = container(rng, name, images);
    init.restart_policy = if sidecar { Some(RestartPolicy::Always) } else { None };
    init
}

fn container(rng: &mut Rng, name: String, images: &[&'static str]) -> Container {
    Container {
        name,
        image: (*rng.pick(images)).to_owned(),
        image_pull_policy: Some(PullPolicy::IfNotPresent),
        ..Container::default()
    }
}

fn policy(rng: &mut Rng) -> RestartPolicy {
    *rng.pick(&[RestartPolicy::Always, RestartPolicy::Always, RestartPolicy::OnFailure, RestartPolicy::Never])
}

fn rule(rng: &mut Rng) -> RestartRule {
    let operator = *rng.pick(&[InOrNot::In, InOrNot::NotIn]);
    let values = vec![*rng.pick(&[0, 1, 3])];
    let action = if rng.chance(600) { "RestartAllContainers" } else { "Restart" };
    RestartRule { action: action.to_owned(), exit_codes: ExitCodes { operator, values } }
}
