//! An object back as a manifest. It has the values in it: never to be shown, only for files that root alone reads.

use super::{Object, ObjectKind, base64};
use serde_json::{Value as Json, json};

/// The object as a manifest from which the same object is read.
pub fn manifest(object: &Object) -> Json {
    let metadata = json!({"name": &*object.key.name, "namespace": &*object.key.namespace});
    let mut manifest = json!({"apiVersion": "v1", "kind": object.key.kind.as_str(), "metadata": metadata});
    let encoded = |binary: bool| -> Json {
        let of_kind = object.values.iter().filter(|(_, value)| value.binary == binary);
        of_kind.map(|(key, value)| (key.clone(), Json::from(base64::encode(value.bytes())))).collect()
    };
    match object.key.kind {
        ObjectKind::Secret => {
            manifest["type"] = json!(object.kind_of_secret);
            manifest["data"] = encoded(false);
        }
        ObjectKind::ConfigMap => {
            let texts = object.values.iter().filter(|(_, value)| !value.binary);
            let text = |bytes: &[u8]| Json::from(String::from_utf8_lossy(bytes));
            manifest["data"] = texts.map(|(key, value)| (key.clone(), text(value.bytes()))).collect();
            manifest["binaryData"] = encoded(true);
        }
        ObjectKind::PersistentVolumeClaim => {
            manifest["spec"] = json!({
                "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": object.storage}},
            });
        }
        ObjectKind::NetworkPolicy => {
            manifest["apiVersion"] = json!("networking.k8s.io/v1");
            manifest["spec"] = json!(object.policy.as_deref());
        }
    }
    if object.immutable {
        manifest["immutable"] = json!(true);
    }
    manifest
}
