//! The revision of a pod whose variables come from objects: a change of a value that a variable has is a
//! change of the pod, as no running process can be given another environment.
//!
//! The new uid is a hash over the pod's own and those values. It is shown to everybody, and values are
//! secrets: so the hash begins with the node's salt, which only root can read, and nobody can try out
//! which value gives it.

use super::{Objects, env};
use crate::{
    ids::{PodUid, hex},
    manifest::{DesiredPod, identity::ANNOTATION_HASH},
};
use sha2::{Digest as _, Sha256};
use std::{fmt, sync::Arc};

/// Keeps these hashes apart from any other use of SHA-256.
const DOMAIN: &[u8] = b"berth pod environment 1\0";
/// As `DOMAIN`, for the values without the pod.
const VALUES_DOMAIN: &[u8] = b"berth pod values 1\0";
/// Bytes of the hash that make the uid.
const UID_LEN_BYTES: usize = 16;
/// Characters of a uid that Berth has made.
const HASH_UID_LEN: usize = 2 * UID_LEN_BYTES;

/// Bytes that only this node knows.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Salt(pub Arc<[u8]>);

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt")
    }
}

/// The revision of `pod` with these objects; without a variable from any of them the pod stays as it is.
pub fn revise(pod: &DesiredPod, objects: &Objects, salt: &Salt) -> DesiredPod {
    if !pod.pod.spec.all_containers().any(|container| env::references(container).next().is_some()) {
        return pod.clone();
    }
    let base = pod.base.clone().unwrap_or_else(|| pod.uid.clone());
    let (parts, complete) = parts(pod, objects);
    let hash = |domain: &[u8], whose: &[u8]| {
        let mut hash = Sha256::new();
        let all = [domain, &salt.0, whose].into_iter().chain(parts.iter().map(|part| part.as_bytes()));
        for part in all {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hex(&hash.finalize()[..UID_LEN_BYTES])
    };
    let revision = hash(DOMAIN, base.0.as_bytes());
    // Of the values alone: a change of something else leaves it as it is.
    let values = complete.then(|| hash(VALUES_DOMAIN, pod.key.to_string().as_bytes()).into());
    let mut new = pod.pod.as_ref().clone();
    new.metadata.annotations.insert(ANNOTATION_HASH.to_owned(), revision.clone());
    // A uid that the manifest gives stays; the annotation makes the pod another one then.
    let uid = if is_made(&base) { PodUid(revision.into()) } else { base.clone() };
    uid.0.as_ref().clone_into(&mut new.metadata.uid);
    DesiredPod { uid, base: Some(base), values, pod: Arc::new(new), ..pod.clone() }
}

/// What the hash is over: names and values of the variables that objects give, container by container. False: not
/// all of them are there.
fn parts(pod: &DesiredPod, objects: &Objects) -> (Vec<String>, bool) {
    let (mut parts, mut all) = (Vec::new(), true);
    for container in pod.pod.spec.all_containers() {
        match env::variables(&pod.key.namespace, container, objects) {
            // A pod that lacks something has not begun; what it lacks makes no difference.
            Err(_) => {
                all = false;
                parts.push("incomplete".to_owned());
            }
            Ok(variables) => {
                for variable in variables {
                    if let env::Given::Kept(value) = variable.value {
                        parts.extend([variable.name.to_string(), value.to_string()]);
                    }
                }
                parts.push("complete".to_owned());
            }
        }
    }
    (parts, all)
}

/// The uid is a hash over the pod's content.
pub(in crate::manifest) fn is_made(uid: &PodUid) -> bool {
    uid.0.len() == HASH_UID_LEN && uid.0.bytes().all(|byte| byte.is_ascii_hexdigit())
}
