//! Which images the manifests name now, and which they named in their previous revision: a manifest that is
//! put back must find its images. Kept in one small file, written when a manifest's images change. Pure, apart
//! from that file.

use berth_core::{event::DesiredSet, ids::PodUid, manifest::DesiredPod};
use berth_oci::durable;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::Read as _,
    path::Path,
    sync::Arc,
};

/// Bytes of the file that are read: more than all pods that there may be come to.
const FILE_LEN_MAX_BYTES: u64 = 4 << 20;

/// By namespace/name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Revisions {
    pods: BTreeMap<String, Images>,
    /// There was no file, or none that could be read: what pods there were is not known.
    #[serde(skip)]
    blank: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Images {
    now: BTreeSet<String>,
    before: BTreeSet<String>,
    /// The newest revision, and the file or address that it came from; empty in files of older versions.
    uid: String,
    origin: String,
}

impl Revisions {
    /// As the file has it; one that is missing or damaged means that nothing is remembered.
    pub(super) fn load(file: &Path) -> Self {
        let mut bytes = Vec::new();
        let read = File::open(file).and_then(|file| file.take(FILE_LEN_MAX_BYTES).read_to_end(&mut bytes));
        let read = read.ok().and_then(|_| serde_json::from_slice(&bytes).ok());
        read.unwrap_or(Self { pods: BTreeMap::new(), blank: true })
    }

    pub(super) fn save(&self, file: &Path) -> Result<(), berth_oci::Error> {
        if let Some(dir) = file.parent() {
            fs::create_dir_all(dir).map_err(berth_oci::Error::io("create the directory", dir))?;
        }
        durable::replace(file, &serde_json::to_vec(self).unwrap_or_default())
    }

    /// Takes in what is desired now; whether anything is to be saved. While a manifest is broken, what it names
    /// is not known, and nothing is forgotten; nor what came from an origin of which it is not known what it wants.
    /// `standing`: the uid under which the pod with this one stands.
    pub(super) fn take(&mut self, desired: &DesiredSet, standing: impl Fn(&PodUid) -> PodUid) -> bool {
        let mut changed = false;
        let keys: BTreeSet<String> = desired.pods.iter().map(|pod| pod.key.to_string()).collect();
        if desired.problems.is_empty() {
            let before = self.pods.len();
            self.pods.retain(|key, images| keys.contains(key) || images.may_be_of(&desired.silent));
            changed |= self.pods.len() != before;
        }
        for pod in &desired.pods {
            let images = self.pods.entry(pod.key.to_string()).or_default();
            let named = named(pod);
            if images.now != named {
                images.before = std::mem::replace(&mut images.now, named);
                changed = true;
            }
            let uid = standing(&pod.uid);
            if (&*images.uid, &*images.origin) != (&*uid.0, &*pod.origin) {
                (images.uid, images.origin) = (uid.0.to_string(), pod.origin.to_string());
                changed = true;
            }
        }
        changed
    }

    /// The pods that may be of these origins, by the newest revision of each that was wanted; None if that cannot be said.
    pub(super) fn of(&self, silent: &BTreeSet<Arc<str>>) -> Option<Vec<PodUid>> {
        let of_them = self.pods.values().filter(|images| images.may_be_of(silent));
        let uids = of_them.map(|images| PodUid(images.uid.as_str().into())).collect();
        (silent.is_empty() || !self.blank).then_some(uids)
    }

    /// All that are named now or were.
    pub(super) fn images(&self) -> impl Iterator<Item = &str> {
        self.pods.values().flat_map(|images| images.now.iter().chain(&images.before)).map(String::as_str)
    }
}

impl Images {
    fn may_be_of(&self, silent: &BTreeSet<Arc<str>>) -> bool {
        !silent.is_empty() && (self.origin.is_empty() || silent.contains(&*self.origin))
    }
}

fn named(pod: &DesiredPod) -> BTreeSet<String> {
    let spec = &pod.pod.spec;
    let volumes = spec.volumes.iter().filter_map(|volume| Some(&volume.image.as_ref()?.reference));
    spec.all_containers().map(|container| &container.image).chain(volumes).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use berth_core::{ids::PodKey, manifest::types};

    fn set(image: &str) -> DesiredSet {
        let mut pod = types::Pod::default();
        pod.spec.containers.push(types::Container { image: image.into(), ..types::Container::default() });
        let key = PodKey { namespace: "default".into(), name: "web".into() };
        let desired = DesiredPod {
            key,
            uid: PodUid("1".into()),
            base: None,
            values: None,
            pod: Arc::new(pod),
            origin: "web.yaml".into(),
        };
        DesiredSet { pods: vec![desired], ..DesiredSet::default() }
    }

    #[test]
    fn the_previous_revision_is_remembered_and_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("state/images.json");
        let mut revisions = Revisions::load(&file);
        let all = |revisions: &Revisions| revisions.images().map(str::to_owned).collect::<Vec<_>>();
        assert!(revisions.take(&set("one"), PodUid::clone));
        assert!(!revisions.take(&set("one"), PodUid::clone));
        assert!(revisions.take(&set("two"), PodUid::clone));
        assert_eq!(all(&revisions), ["two", "one"]);
        revisions.save(&file).unwrap();
        let mut revisions = Revisions::load(&file);
        assert!(revisions.take(&set("three"), PodUid::clone));
        assert_eq!(all(&revisions), ["three", "two"]);
        assert!(revisions.take(&DesiredSet::default(), PodUid::clone));
        assert!(all(&revisions).is_empty());
        fs::write(&file, "x").unwrap();
        assert_eq!(Revisions::load(&file), Revisions { blank: true, ..Revisions::default() });
    }

    #[test]
    fn what_may_be_a_silent_addresss_own_is_remembered_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("images.json");
        let silent = |url: &str| -> BTreeSet<Arc<str>> { BTreeSet::from([url.into()]) };
        assert_eq!(Revisions::load(&file).of(&silent("http://a/")), None, "nobody knows");
        assert_eq!(Revisions::load(&file).of(&BTreeSet::new()), Some(Vec::new()));
        let mut set = set("one");
        set.pods[0].origin = "http://a/".into();
        let mut revisions = Revisions::default();
        assert!(revisions.take(&set, PodUid::clone));
        revisions.save(&file).unwrap();
        let mut revisions = Revisions::load(&file);
        let nothing = |silent| DesiredSet { silent, ..DesiredSet::default() };
        assert!(!revisions.take(&nothing(silent("http://a/")), PodUid::clone));
        assert_eq!(revisions.of(&silent("http://a/")), Some(vec![PodUid("1".into())]));
        assert_eq!(revisions.images().collect::<Vec<_>>(), ["one"]);
        assert_eq!(revisions.of(&silent("http://b/")), Some(Vec::new()));
        assert!(revisions.take(&nothing(silent("http://b/")), PodUid::clone));
        assert_eq!(revisions.images().count(), 0);
    }
}
