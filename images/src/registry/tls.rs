//! Whom to trust, and who to be, when speaking TLS to a registry: containers-certs.d(5). Below each of the
//! directories, in the folder `HOST[:PORT]`: `*.crt` are authorities, `*.cert` with the `*.key` of the same name
//! are the client's certificate and key, all PEM. An authority there is trusted beside the system's.

use crate::{
    error::{Doing as _, Error},
    pem,
};
use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};

/// Files looked at in one folder.
const FILES_MAX_COUNT: usize = 64;

/// The settings for one registry.
///
/// # Errors
/// `Unsupported`: a file that is no PEM, a certificate without its key, or a key that does not belong to it;
/// `Io`.
pub(super) fn config(dirs: &[PathBuf], host: &str, insecure: bool) -> Result<TlsConfig, Error> {
    let mut roots = Vec::new();
    if let Some(bundle) = pem::system() {
        roots.extend(certificates(&bundle)?);
    }
    let mut client = None;
    for dir in dirs {
        for file in files(&dir.join(host))? {
            match file.extension().and_then(|ending| ending.to_str()) {
                Some("crt") => roots.extend(certificates(&file)?),
                Some("cert") => client = Some(identity(&file)?),
                _ => {}
            }
        }
    }
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&roots))
        .client_cert(client)
        .disable_verification(insecure)
        .build())
}

/// The folder's files by name; none if there is no such folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.doing(|| format!("read {}", folder.display()))?,
    };
    let mut files: Vec<PathBuf> = entries.take(FILES_MAX_COUNT).flatten().map(|entry| entry.path()).collect();
    files.sort();
    Ok(files)
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, Error> {
    let found = pem::certificates(path)?;
    Ok(found.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect())
}

fn identity(path: &Path) -> Result<ClientCert, Error> {
    let key_path = path.with_extension("key");
    pem::identity(path, &key_path)?;
    let bad = || Error::unsupported(key_path.display().to_string(), "there is no key in it");
    let key = PrivateKey::from_pem(&pem::read(&key_path)?).map_err(|_| bad())?;
    Ok(ClientCert::new_with_certs(&certificates(path)?, key))
}
