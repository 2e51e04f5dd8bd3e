//! Policies and signatures. The signatures are made by `openssl`, over documents as cosign writes them.

use super::*;
use crate::{
    Platform, Store, StoreConfig,
    build::{Entry, ImageBuilder},
    error::ErrorKind,
};
use serde_json::{Value, json};
use std::process::Command;

const KIND: &str = "cosign container image signature";

/// A place with keys, a source and a policy. None where there is no `openssl` to make keys with.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Option<Self> {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        for (name, kind) in [
            ("ec", &["EC", "-pkeyopt", "ec_paramgen_curve:P-256"][..]),
            ("ed", &["ED25519"]),
            ("other", &["EC", "-pkeyopt", "ec_paramgen_curve:P-256"]),
        ] {
            let mut make = Command::new("openssl");
            make.arg("genpkey").arg("-algorithm").args(kind).arg("-out").arg(place.path(name));
            if !make.output().is_ok_and(|run| run.status.success()) {
                eprintln!("SKIPPED: no openssl command here");
                return None;
            }
            let mut public = Command::new("openssl");
            public.args(["pkey", "-pubout", "-in"]).arg(place.path(name)).arg("-out");
            assert!(public.arg(place.path(&format!("{name}.pub"))).status().unwrap().success());
        }
        Some(place)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The signature of a document in base64.
    fn sign(&self, key: &str, payload: &[u8]) -> String {
        fs::write(self.path("payload"), payload).unwrap();
        let mut sign = Command::new("openssl");
        match key {
            "ed" => sign.args(["pkeyutl", "-sign", "-rawin", "-inkey"]),
            _ => sign.args(["dgst", "-sha256", "-sign"]),
        };
        sign.arg(self.path(key));
        if key == "ed" {
            sign.arg("-in");
        }
        sign.arg(self.path("payload"));
        let mut encode = Command::new("openssl");
        let signature = self.path("signature");
        let run = sign.output().unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        fs::write(&signature, run.stdout).unwrap();
        let run = encode.args(["base64", "-A", "-in"]).arg(signature).output().unwrap();
        String::from_utf8(run.stdout).unwrap().trim().to_owned()
    }

    fn policy(&self, policy: &Value) {
        // A new inode, so that a change within one tick of the clock is one too.
        fs::write(self.path("policy.new"), policy.to_string()).unwrap();
        fs::rename(self.path("policy.new"), self.path("policy.json")).unwrap();
    }

    fn signed_by(&self, key: &str, identity: &str) -> Value {
        json!([{ "type": "sigstoreSigned", "keyPath": self.path(&format!("{key}.pub")), "signedIdentity": {"type": identity} }])
    }

    fn store(&self) -> Store {
        let config = StoreConfig {
            policy_file: Some(self.path("policy.json")),
            ..StoreConfig::new(self.path("store"), vec![self.path("source")])
        };
        Store::open(config).unwrap().0
    }
}

fn payload(reference: &str, digest: &str, kind: &str) -> Vec<u8> {
    let document = json!({
        "critical": {
            "identity": {"docker-reference": reference},
            "image": {"docker-manifest-digest": digest},
            "type": kind,
        },
        "optional": {"by": "a test"},
    });
    document.to_string().into_bytes()
}

fn signature(place: &Place, key: &str, reference: &str, digest: &Digest) -> Signature {
    let payload = payload(reference, &digest.to_string(), KIND);
    let signature = place.sign(key, &payload);
    Signature { payload: String::from_utf8(payload).unwrap(), signature }
}

#[test]
fn who_may_run() {
    let Some(place) = Place::new() else { return };
    let image = Digest::of(b"image");
    let web = "registry.test/shop/web";
    let by = |key: &str, reference: &str| vec![signature(&place, key, reference, &image)];
    let docker = |scope: &str, requirements: Value| json!({"default": [{"type": "reject"}], "transports": {"docker": {scope: requirements}}});
    let signed = |identity: &str| place.signed_by("ec", identity);
    let accept = json!([{"type": "insecureAcceptAnything"}]);
    let tag = format!("{web}:1");
    let rows: Vec<(&str, Value, Vec<Signature>, &str)> = vec![
        ("accepted by default", json!({"default": accept}), vec![], ""),
        ("rejected by default", json!({"default": [{"type": "reject"}]}), vec![], "rejects it (default)"),
        ("by tag", docker(&tag, accept.clone()), vec![], ""),
        ("by repository", docker(web, accept.clone()), vec![], ""),
        ("by what is above it", docker("registry.test/shop", accept.clone()), vec![], ""),
        ("by host", docker("registry.test", accept.clone()), vec![], ""),
        ("by wildcard", docker("*.test", accept.clone()), vec![], ""),
        ("by all", docker("", accept.clone()), vec![], ""),
        ("by another name", docker("registry.test/shop/we", accept.clone()), vec![], "rejects it"),
        ("signed", docker(web, signed("matchRepository")), by("ec", web), ""),
        ("signed with Ed25519", docker(web, place.signed_by("ed", "matchRepository")), by("ed", web), ""),
        ("signed under its very name", docker(web, signed("matchRepoDigestOrExact")), by("ec", &tag), ""),
        (
            "signed without a tag",
            docker(web, signed("matchRepoDigestOrExact")),
            by("ec", web),
            "is for the name",
        ),
        (
            "signed for another tag",
            docker(web, signed("matchExact")),
            by("ec", &format!("{web}:2")),
            "is for the name",
        ),
        (
            "signed for another repository",
            docker(web, signed("matchRepository")),
            by("ec", "registry.test/x"),
            "is for the name",
        ),
        ("not signed", docker(web, signed("matchRepository")), vec![], "ec.pub"),
        (
            "signed by another",
            docker(web, signed("matchRepository")),
            by("other", web),
            "none of its signatures is by that key",
        ),
        (
            "one of two signatures",
            docker(web, signed("matchRepository")),
            [by("other", web), by("ec", web)].concat(),
            "",
        ),
        (
            "a signature of another image",
            docker(web, signed("matchRepository")),
            vec![signature(&place, "ec", web, &Digest::of(b"other"))],
            "is for the image sha256:",
        ),
        (
            "both must hold",
            docker(web, json!([signed("matchRepository")[0], place.signed_by("ed", "matchRepository")[0]])),
            by("ec", web),
            "ed.pub",
        ),
    ];
    let wanted = Reference::parse(&tag).unwrap();
    for (what, policy, signatures, why) in rows {
        place.policy(&policy);
        let gate = Gate::new(Some(place.path("policy.json")));
        match gate.check(&wanted, &[image], &signatures) {
            Ok(()) => assert_eq!(why, "", "{what}"),
            Err(error) => {
                assert_eq!((error.kind(), error.reason()), (ErrorKind::Refused, "SignatureValidationFailed"));
                assert!(!why.is_empty() && error.to_string().contains(why), "{what}: {error}");
            }
        }
    }
}

#[test]
fn a_signature_of_something_else_is_none() {
    let Some(place) = Place::new() else { return };
    let image = Digest::of(b"image");
    let gate = Gate::new(Some(place.path("policy.json")));
    place.policy(&json!({"default": place.signed_by("ec", "matchRepository")}));
    let wanted = Reference::parse("a/b:1").unwrap();
    let right = signature(&place, "ec", "a/b", &image);
    assert!(gate.check(&wanted, &[image], std::slice::from_ref(&right)).is_ok());
    let changed = |change: &dyn Fn(&mut Signature)| {
        let mut signature = right.clone();
        change(&mut signature);
        gate.check(&wanted, &[image], &[signature]).unwrap_err().to_string()
    };
    changed(&|s| s.payload.push(' '));
    changed(&|s| s.signature.clear());
    changed(&|s| s.signature = "AAAA".into());
    changed(&|s| s.signature.truncate(s.signature.len() - 4));
    for document in
        [payload("a/b", &image.to_string(), "another kind"), b"[]".to_vec(), b"{\"critical\":{}}".to_vec()]
    {
        let signature = place.sign("ec", &document);
        let error = changed(&|s| {
            *s = Signature {
                payload: String::from_utf8(document.clone()).unwrap(),
                signature: signature.clone(),
            }
        });
        assert!(error.contains("what it signs"), "{error}");
    }
}

#[test]
fn a_wrong_policy_lets_nothing_run_until_it_is_right() {
    let Some(place) = Place::new() else { return };
    let gate = Gate::new(Some(place.path("policy.json")));
    let wanted = Reference::parse("a/b:1").unwrap();
    let check = || gate.check(&wanted, &[], &[]);
    assert!(check().is_ok(), "without a policy all may run");
    fs::write(place.path("text"), "no key").unwrap();
    let mut rsa = Command::new("openssl");
    let made =
        rsa.args(["genpkey", "-algorithm", "ED448", "-out"]).arg(place.path("ed448")).status().unwrap();
    assert!(made.success());
    let mut public = Command::new("openssl");
    assert!(
        public
            .args(["pkey", "-pubout", "-in"])
            .arg(place.path("ed448"))
            .arg("-out")
            .arg(place.path("ed448.pub"))
            .status()
            .unwrap()
            .success()
    );
    for (policy, why) in [
        ("", "EOF"),
        ("{}", "missing field `default`"),
        ("{\"default\":[]}", "default: at least one requirement"),
        ("{\"default\":[{\"type\":\"nonsense\"}]}", "unknown variant `nonsense`"),
        ("{\"default\":[{\"type\":\"reject\",\"x\":1}]}", "unknown field `x`"),
        ("{\"default\":[{\"type\":\"reject\"}],\"x\":1}", "unknown field `x`"),
        ("{\"default\":[{\"type\":\"sigstoreSigned\"}]}", "default[0]: it names no key"),
        ("{\"default\":[{\"type\":\"sigstoreSigned\",\"fulcio\":{}}]}", "unknown field `fulcio`"),
        (
            "{\"default\":[{\"type\":\"sigstoreSigned\",\"keyPath\":\"/none/key\"}]}",
            "key /none/key: No such file",
        ),
        (
            "{\"default\":[{\"type\":\"signedBy\",\"keyType\":\"GPGKeys\",\"keyPath\":\"/k\"}]}",
            "keyType \"GPGKeys\" is not supported",
        ),
        ("{\"default\":[{\"type\":\"sigstoreSigned\",\"keyData\":\"!\"}]}", "keyData is not a PEM file"),
        (
            "{\"default\":[{\"type\":\"reject\"}],\"transports\":{\"atomic\":{}}}",
            "transports.atomic: only the transport docker",
        ),
        ("TEXT", "it is no public key in PEM"),
        ("ED448", "its kind is not supported"),
    ] {
        let key = |name: &str| {
            format!("{{\"default\":[{{\"type\":\"sigstoreSigned\",\"keyPath\":{:?}}}]}}", place.path(name))
        };
        let policy = match policy {
            "TEXT" => key("text"),
            "ED448" => key("ed448.pub"),
            other => other.to_owned(),
        };
        fs::write(place.path("policy.new"), &policy).unwrap();
        fs::rename(place.path("policy.new"), place.path("policy.json")).unwrap();
        let error = check().unwrap_err().to_string();
        assert!(error.contains(why) && error.contains("policy.json"), "{policy}: {error}");
    }
    place.policy(&json!({"default": [{"type": "insecureAcceptAnything"}]}));
    assert!(check().is_ok());
}

/// A layout with an image and, in the manner of cosign, its signature.
fn layout(place: &Place, key: &str) {
    let dir = place.path("source/web");
    let image =
        ImageBuilder::new("arm64").layer(vec![Entry::file("app", 0o755, "x")]).name("registry.test/web:1");
    image.write_layout(&dir).unwrap();
    let mut index: Value = serde_json::from_slice(&fs::read(dir.join("index.json")).unwrap()).unwrap();
    let digest = index["manifests"][0]["digest"].as_str().unwrap().to_owned();
    let put = |bytes: Vec<u8>| {
        fs::write(dir.join("blobs/sha256").join(Digest::of(&bytes).hex()), &bytes).unwrap();
        json!({"digest": Digest::of(&bytes).to_string(), "size": bytes.len()})
    };
    let document = payload("registry.test/web", &digest, KIND);
    let signature = place.sign(key, &document);
    let mut layer = put(document);
    layer["mediaType"] = "application/vnd.dev.cosign.simplesigning.v1+json".into();
    layer["annotations"] = json!({"dev.cosignproject.cosign/signature": signature});
    let mut config = put(b"{}".to_vec());
    config["mediaType"] = "application/vnd.oci.image.config.v1+json".into();
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": [layer]});
    let mut entry = put(manifest.to_string().into_bytes());
    entry["mediaType"] = "application/vnd.oci.image.manifest.v1+json".into();
    entry["annotations"] = json!({"org.opencontainers.image.ref.name": format!("registry.test/web:{}.sig", digest.replace(':', "-"))});
    index["manifests"].as_array_mut().unwrap().push(entry);
    fs::write(dir.join("index.json"), index.to_string()).unwrap();
}

#[test]
fn nothing_is_unpacked_before_the_signature_is_right() {
    let Some(place) = Place::new() else { return };
    let arm64 = Platform::new("arm64");
    layout(&place, "ec");
    place.policy(&json!({"default": place.signed_by("other", "matchRepository")}));
    let store = place.store();
    for _ in 0..2 {
        let error = store.ensure("registry.test/web:1", &arm64).unwrap_err();
        assert!(error.kind() == ErrorKind::Refused && error.to_string().contains("other.pub"), "{error}");
        assert_eq!(fs::read_dir(place.path("store/snapshots")).unwrap().count(), 0);
    }
    place.policy(&json!({"default": place.signed_by("ec", "matchRepository")}));
    let image = store.ensure("registry.test/web:1", &arm64).unwrap();
    assert_eq!(store.get("registry.test/web:1", &arm64).unwrap(), Some(image.clone()));
    // The signature stays with the image: what the policy says later holds without the source.
    fs::remove_dir_all(place.path("source")).unwrap();
    drop(store);
    let store = place.store();
    assert_eq!(store.get("registry.test/web:1", &arm64).unwrap(), Some(image));
    place.policy(&json!({"default": place.signed_by("ed", "matchRepository")}));
    assert_eq!(store.get("registry.test/web:1", &arm64).unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(store.ensure("registry.test/web:1", &arm64).unwrap_err().kind(), ErrorKind::Refused);
}

#[test]
fn signatures_are_no_images_of_a_stick() {
    let Some(place) = Place::new() else { return };
    layout(&place, "ec");
    let imported = place.store().import_path(&place.path("source"), &Platform::new("arm64")).unwrap();
    assert_eq!(imported.names, ["registry.test/web:1"]);
}
