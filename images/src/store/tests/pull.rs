//! Images from a registry that is well, slow of wit, or gone.

use super::{registry::Registry, *};
use crate::{
    Digest, Download, Trouble,
    registry::{Registries, RegistrySettings},
};
use std::time::Duration;

/// A registry with one image, and the way to it.
struct Hub {
    place: Place,
    registry: Registry,
}

impl Hub {
    fn new() -> Self {
        let place = Place::new();
        let layout = place.dir.path().join("layout");
        sample("x", &"content ".repeat(5000)).nameless().write_layout(&layout).unwrap();
        let hub = Self { registry: Registry::serve(layout), place };
        let text = format!("[[registry]]\nlocation = \"127.0.0.1:{}\"\ninsecure = true\n", hub.registry.port);
        hub.write("registries.conf", &text);
        hub
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.place.dir.path().join(name), text).unwrap();
    }

    fn name(&self) -> String {
        format!("127.0.0.1:{}/shop/web:1", self.registry.port)
    }

    fn way(&self) -> Registries {
        let path = |name: &str| self.place.dir.path().join(name);
        Registries::new(RegistrySettings {
            registries_conf: path("registries.conf"),
            auth_file: path("auth.json"),
            certs_dirs: vec![path("certs.d")],
        })
    }

    fn pull(&self, store: &Store) -> Result<Image, Error> {
        store.pull(&self.name(), &arm64(), &self.way())
    }

    /// The kinds of requests for blobs and manifests since the last time.
    fn asked(&self) -> Vec<String> {
        let short =
            |line: &String| line.split(' ').nth(1).unwrap().split('/').nth_back(1).unwrap().to_owned();
        self.registry.asked().iter().map(short).collect()
    }
}

fn trouble(error: &Error) -> Option<Trouble> {
    match error {
        Error::Registry { trouble, .. } => Some(*trouble),
        _ => None,
    }
}

#[test]
fn an_image_is_pulled_once_and_then_only_asked_after() {
    let hub = Hub::new();
    let (store, _) = hub.place.open();
    let image = hub.pull(&store).unwrap();
    assert_eq!(image.layers.len(), 2);
    assert_eq!(fs::read_to_string(image.layers[0].join("app")).unwrap(), "content ".repeat(5000));
    // The manifest, its config, two layers.
    let mut asked = hub.asked();
    asked.sort();
    assert_eq!(asked, ["blobs", "blobs", "blobs", "manifests"]);
    assert_eq!(fs::read_dir(hub.place.store("downloads")).unwrap().count(), 0, "nothing is kept twice");
    assert_eq!(hub.pull(&store).unwrap().id, image.id);
    assert_eq!(hub.asked(), ["manifests"]);
    assert!(store.get(&hub.name(), &arm64()).unwrap().is_some());
}

#[test]
fn a_cut_download_goes_on_where_it_was() {
    let hub = Hub::new();
    hub.registry.set(|manners| manners.cut = Some(100));
    let (store, _) = hub.place.open();
    hub.pull(&store).unwrap();
    let asked = hub.registry.asked();
    assert!(asked.iter().any(|line| line.ends_with("from 100")), "{asked:?}");
}

#[test]
fn what_has_arrived_outlives_the_attempt() {
    let hub = Hub::new();
    hub.registry.set(|manners| manners.cut = Some(0));
    let (store, _) = hub.place.open();
    let error = hub.pull(&store).unwrap_err();
    assert_eq!(trouble(&error), Some(Trouble::Unreachable), "{error}");
    hub.registry.set(|manners| manners.cut = None);
    hub.asked();
    drop(store);
    let (store, _) = hub.place.open();
    hub.pull(&store).unwrap();
    assert_eq!(fs::read_dir(hub.place.store("downloads")).unwrap().count(), 0);
}

#[test]
fn a_wrong_byte_is_found_and_nothing_of_it_kept() {
    let hub = Hub::new();
    hub.registry.set(|manners| manners.wrong = true);
    let (store, _) = hub.place.open();
    let error = hub.pull(&store).unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    assert!(store.list().is_empty());
    hub.registry.set(|manners| manners.wrong = false);
    hub.pull(&store).unwrap();
}

#[test]
fn tokens_are_had_with_the_owners_name_and_password() {
    let hub = Hub::new();
    hub.registry.set(|manners| manners.token = Some("t0ken"));
    let (store, _) = hub.place.open();
    let error = hub.pull(&store).unwrap_err();
    assert_eq!(trouble(&error), Some(Trouble::Denied), "{error}");
    // me:secret
    hub.write(
        "auth.json",
        &format!("{{\"auths\": {{\"127.0.0.1:{}\": {{\"auth\": \"bWU6c2VjcmV0\"}}}}}}", hub.registry.port),
    );
    hub.registry.set(|manners| manners.redirects = true);
    hub.pull(&store).unwrap();
}

#[test]
fn mirrors_come_first_and_the_registry_itself_when_they_fail() {
    let hub = Hub::new();
    let broken = Registry::serve(hub.place.dir.path().join("layout"));
    broken.set(|manners| manners.status = Some(500));
    hub.write(
        "registries.conf",
        &format!(
            "[[registry]]\nprefix = \"127.0.0.1:{0}\"\nlocation = \"127.0.0.1:{0}\"\ninsecure = true\n\
         [[registry.mirror]]\nlocation = \"127.0.0.1:{1}/cache\"\ninsecure = true\n",
            hub.registry.port, broken.port
        ),
    );
    let (store, _) = hub.place.open();
    hub.pull(&store).unwrap();
    assert_eq!(broken.asked(), ["GET /v2/cache/shop/web/manifests/1"]);
    broken.set(|manners| manners.status = None);
    store.remove(&hub.name(), &arm64()).unwrap();
    hub.registry.asked();
    hub.pull(&store).unwrap();
    assert!(hub.registry.asked().is_empty());
}

#[test]
fn errors_say_which_kind_of_trouble_it_is() {
    let hub = Hub::new();
    let (store, _) = hub.place.open();
    let table = [
        (403, Trouble::Denied),
        (404, Trouble::Missing),
        (429, Trouble::Unreachable),
        (503, Trouble::Unreachable),
        (418, Trouble::Broken),
    ];
    for (status, expected) in table {
        hub.registry.set(|manners| manners.status = Some(status));
        let error = hub.pull(&store).unwrap_err();
        assert_eq!(trouble(&error), Some(expected), "{status}: {error}");
    }
    let gone = format!("127.0.0.1:{}/x:1", unused_port());
    let error = store.pull(&gone, &arm64(), &hub.way()).unwrap_err();
    assert_eq!(trouble(&error), Some(Trouble::Unreachable), "{error}");
}

fn unused_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn without_a_signature_that_the_policy_wants_no_layer_is_fetched() {
    let hub = Hub::new();
    hub.write("policy.json", "{\"default\": [{\"type\": \"reject\"}]}");
    let mut config = StoreConfig::new(hub.place.store(""), vec![]);
    config.policy_file = Some(hub.place.dir.path().join("policy.json"));
    let (store, _) = Store::open(config).unwrap();
    let error = hub.pull(&store).unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    // The manifest, its config, and whether there are signatures.
    assert_eq!(hub.asked(), ["manifests", "blobs", "manifests"]);
}

#[test]
fn two_pulls_of_one_image_do_not_get_into_each_others_files() {
    let hub = Hub::new();
    hub.registry.set(|manners| manners.cut = Some(50));
    let (store, _) = hub.place.open();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| hub.pull(&store).unwrap().id);
        assert_eq!(hub.pull(&store).unwrap().id, other.join().unwrap());
    });
}

#[test]
fn layers_that_are_collected_in_the_middle_of_a_pull_are_fetched() {
    let hub = Hub::new();
    let (store, _) = hub.place.open();
    let store = std::sync::Arc::new(store);
    // Its first layer is the first one of the other image too, and need not be fetched.
    let other = hub.place.dir.path().join("other");
    sample("other:1", "other").write_layout(&other).unwrap();
    store.import_path(&other, &arm64()).unwrap();
    let id = store.id_of("other:1", &arm64()).unwrap();
    let (collected, collecting) = (std::sync::Arc::clone(&store), id);
    hub.registry.set(|manners| {
        manners.meanwhile = Some(Box::new(move || {
            collected.forget(&collecting).unwrap();
            assert_eq!(collected.prune_layers().unwrap(), 2);
        }));
    });
    let image = hub.pull(&store).unwrap();
    assert_eq!(file(&image, "bin/sh"), "shell");
    assert_eq!(hub.asked().iter().filter(|kind| *kind == "blobs").count(), 3);
}

#[test]
fn how_far_a_download_is_is_read_off_its_files() {
    let place = Place::new();
    let (store, _) = place.open();
    assert_eq!(store.downloading(), None);
    let dir = place.store("downloads").join("x");
    let blobs = dir.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let (whole, half, absent) = (Digest::of(b"whole"), Digest::of(b"half"), Digest::of(b"absent"));
    fs::write(blobs.join(whole.hex()), [0; 100]).unwrap();
    fs::write(blobs.join(half.hex()).with_extension("part"), [0; 30]).unwrap();
    let landing = store.take_off("a.test/b:1".into(), &dir);
    let told = |bytes, of_bytes| Some(Download { reference: "a.test/b:1".into(), bytes, of_bytes });
    assert_eq!(store.downloading(), told(0, 0));
    store.manifest_known(&[(whole, 100), (half, 60), (absent, 40)]);
    assert_eq!(store.downloading(), told(130, 200));
    drop(landing);
    assert_eq!(store.downloading(), None);
}

#[test]
fn what_is_left_of_downloads_goes_but_not_of_the_one_that_goes_on() {
    let place = Place::new();
    let (store, _) = place.open();
    let dir = |name: &str| place.store("downloads").join(name);
    for name in ["given-up", "goes-on"] {
        fs::create_dir_all(dir(name)).unwrap();
        fs::write(dir(name).join("index.json"), "{}").unwrap();
    }
    let _landing = store.take_off("a".into(), &dir("goes-on"));
    store.forget_downloads(Duration::from_secs(3600));
    assert!(dir("given-up").exists(), "it is too young");
    store.forget_downloads(Duration::ZERO);
    assert!(!dir("given-up").exists() && dir("goes-on").exists());
}
