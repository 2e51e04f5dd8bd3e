//! Whom to trust, and who to be, when speaking TLS to a registry: containers-certs.d(5). Below each of the
//! directories, in the folder `HOST[:PORT]`: `*.crt` are authorities, `*.cert` with the `*.key` of the same name
//! are the client's certificate and key, all PEM. An authority there is trusted beside the system's; so
//! is a registry's own certificate.

use crate::{
    error::{Doing as _, Error},
    tls::{Trust, pem},
};
use rustls::ClientConfig;
use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

/// Files looked at in one folder.
const FILES_MAX_COUNT: usize = 64;

/// The settings for one registry.
///
/// # Errors
/// `Unsupported`: a file that is no PEM, a certificate without its key, or a key that does not belong to it;
/// `Io`.
pub(super) fn config(dirs: &[PathBuf], host: &str, insecure: bool) -> Result<Arc<ClientConfig>, Error> {
    let system = match pem::system() {
        Some(bundle) => pem::certificates(&bundle)?,
        None => Vec::new(),
    };
    let (mut own, mut client) = (Vec::new(), None);
    for dir in dirs {
        for file in files(&dir.join(host))? {
            match file.extension().and_then(|ending| ending.to_str()) {
                Some("crt") => own.extend(pem::certificates(&file)?),
                Some("cert") => client = Some(pem::identity(&file, &file.with_extension("key"))?),
                _ => {}
            }
        }
    }
    let not_before = SystemTime::UNIX_EPOCH;
    let trust = Trust { system, own, client, pins: Vec::new(), not_before, anybody: insecure };
    trust.config().map_err(|why| Error::unsupported(format!("the certificates for {host}"), why))
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
