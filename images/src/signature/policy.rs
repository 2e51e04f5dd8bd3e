//! Which images may run: a subset of containers-policy.json(5). Understood are the requirements `reject`,
//! `insecureAcceptAnything`, and `sigstoreSigned` (or `signedBy`) by plain public keys, under `default` and the
//! scopes of the transport `docker`, by which the names of all images are looked up, however they came here.
//! Anything else is refused by name. Pure but for the files of keys.

use super::{Signature, key::Key, payload::Payload};
use crate::{digest::Digest, reference::Reference};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use std::{collections::BTreeMap, path::PathBuf};

/// A policy with its keys read.
#[derive(Debug, Clone)]
pub(super) struct Policy {
    default: Vec<Requirement>,
    scopes: BTreeMap<String, Vec<Requirement>>,
    /// The files of its keys.
    pub(super) key_files: Vec<PathBuf>,
}

#[derive(Debug, Clone)]
enum Requirement {
    Accept,
    Reject,
    /// One of these keys, each with the name by which it is told.
    Signed {
        keys: Vec<(String, Key)>,
        identity: Identity,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    default: Vec<Raw>,
    #[serde(default)]
    transports: BTreeMap<String, BTreeMap<String, Vec<Raw>>>,
}

#[derive(Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
enum Raw {
    #[serde(rename = "insecureAcceptAnything")]
    Accept {},
    #[serde(rename = "reject")]
    Reject {},
    #[serde(rename = "sigstoreSigned", alias = "signedBy", rename_all = "camelCase")]
    Signed {
        key_type: Option<String>,
        key_path: Option<PathBuf>,
        key_paths: Option<Vec<PathBuf>>,
        key_data: Option<String>,
        signed_identity: Option<Identity>,
    },
}

/// How the name in the signature must fit the name that a manifest asks for.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", deny_unknown_fields)]
pub(super) enum Identity {
    MatchExact {},
    MatchRepoDigestOrExact {},
    MatchRepository {},
    #[serde(rename_all = "camelCase")]
    ExactReference {
        docker_reference: String,
    },
    #[serde(rename_all = "camelCase")]
    ExactRepository {
        docker_repository: String,
    },
}

impl Policy {
    /// Reads a policy; `read` gives the content of a key's file.
    ///
    /// # Errors
    /// What is wrong, with its line where there is one.
    pub(super) fn parse(
        bytes: &[u8],
        read: impl Fn(&std::path::Path) -> Result<String, String>,
    ) -> Result<Self, String> {
        let file: File = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let mut key_files = Vec::new();
        let mut requirements = |place: &str, raw: Vec<Raw>| -> Result<Vec<Requirement>, String> {
            if raw.is_empty() {
                return Err(format!("{place}: at least one requirement must stand here"));
            }
            let each = raw.into_iter().enumerate();
            each.map(|(at, raw)| {
                requirement(raw, &read, &mut key_files).map_err(|why| format!("{place}[{at}]: {why}"))
            })
            .collect()
        };
        let default = requirements("default", file.default)?;
        let mut scopes = BTreeMap::new();
        for (transport, list) in file.transports {
            if transport != "docker" {
                let why = "only the transport docker is supported: all images go by their names under it";
                return Err(format!("transports.{transport}: {why}"));
            }
            for (scope, raw) in list {
                let found = requirements(&format!("transports.docker[{scope:?}]"), raw)?;
                scopes.insert(scope, found);
            }
        }
        Ok(Self { default, scopes, key_files })
    }

    /// Whether an image may run under the name that it is asked for by.
    ///
    /// # Errors
    /// Why not, with the name of the key.
    pub(super) fn check(
        &self,
        wanted: &Reference,
        digests: &[Digest],
        signatures: &[Signature],
    ) -> Result<(), String> {
        let scopes = scopes(wanted);
        let found = scopes.iter().find_map(|scope| Some((scope, self.scopes.get(scope)?)));
        let (place, requirements) = match found {
            Some((scope, found)) => (format!("scope {scope:?}"), found),
            None => ("default".to_owned(), &self.default),
        };
        // All must be met.
        requirements.iter().try_for_each(|requirement| match requirement {
            Requirement::Accept => Ok(()),
            Requirement::Reject => Err(format!("the policy rejects it ({place})")),
            Requirement::Signed { keys, identity } => {
                let by = || keys.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(" or ");
                signed(wanted, digests, signatures, keys, identity)
                    .map_err(|why| format!("the policy wants a signature by {} ({place}): {why}", by()))
            }
        })
    }
}

fn requirement(
    raw: Raw,
    read: &impl Fn(&std::path::Path) -> Result<String, String>,
    key_files: &mut Vec<PathBuf>,
) -> Result<Requirement, String> {
    let (key_type, paths, data, identity) = match raw {
        Raw::Accept {} => return Ok(Requirement::Accept),
        Raw::Reject {} => return Ok(Requirement::Reject),
        Raw::Signed { key_type, key_path, key_paths, key_data, signed_identity } => {
            let paths: Vec<PathBuf> = key_path.into_iter().chain(key_paths.unwrap_or_default()).collect();
            (key_type, paths, key_data, signed_identity)
        }
    };
    if let Some(kind) = key_type {
        return Err(format!(
            "keyType {kind:?} is not supported; give a public key in PEM, with type sigstoreSigned"
        ));
    }
    let mut keys = Vec::new();
    for path in paths {
        let name = path.display().to_string();
        // Noted first: that it appears or changes is a reason to look again.
        key_files.push(path.clone());
        let key = read(&path).and_then(|pem| Key::parse(&pem));
        keys.push((name.clone(), key.map_err(|why| format!("key {name}: {why}"))?));
    }
    if let Some(data) = data {
        let pem = STANDARD.decode(&data).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let pem = pem.ok_or("keyData is not a PEM file in base64")?;
        keys.push(("keyData".into(), Key::parse(&pem).map_err(|why| format!("keyData: {why}"))?));
    }
    if keys.is_empty() {
        return Err("it names no key: give keyPath, keyPaths or keyData".into());
    }
    Ok(Requirement::Signed { keys, identity: identity.unwrap_or(Identity::MatchRepoDigestOrExact {}) })
}

/// Where a name is looked up, the nearest first: whole, repository, what is above it, host, wildcards of the
/// host, all.
fn scopes(wanted: &Reference) -> Vec<String> {
    let mut scopes = Vec::new();
    if wanted.digest().is_some() {
        scopes.push(wanted.to_string());
    }
    scopes.extend(wanted.tagged());
    let mut name = wanted.name();
    while let Some(at) = name.rfind('/') {
        scopes.push(name.clone());
        name.truncate(at);
    }
    scopes.push(name.clone());
    let host = name.split(':').next().unwrap_or_default().to_owned();
    let dots = host.match_indices('.').map(|(at, _)| format!("*{}", &host[at..]));
    scopes.extend(dots);
    scopes.push(String::new());
    scopes
}

/// Whether one signature by one of the keys is for this image under this name.
fn signed(
    wanted: &Reference,
    digests: &[Digest],
    signatures: &[Signature],
    keys: &[(String, Key)],
    identity: &Identity,
) -> Result<(), String> {
    if signatures.is_empty() {
        return Err("no signature came with it (a docker archive cannot carry one)".into());
    }
    let mut why = "none of its signatures is by that key".to_owned();
    for signature in signatures {
        let bytes = signature.payload.as_bytes();
        if !keys.iter().any(|(_, key)| key.signed(bytes, &signature.signature)) {
            continue;
        }
        match Payload::parse(bytes).and_then(|payload| payload.is_for(wanted, digests, identity)) {
            Ok(()) => return Ok(()),
            Err(error) => why = format!("a signature is right but {error}"),
        }
    }
    Err(why)
}
