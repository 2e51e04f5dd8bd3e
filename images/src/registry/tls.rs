//! Whom to trust, and who to be, when speaking TLS to a registry: containers-certs.d(5). Below each of the
//! directories, in the folder `HOST[:PORT]`: `*.crt` are authorities, `*.cert` with the `*.key` of the same name
//! are the client's certificate and key, all PEM. An authority there is trusted beside the system's.

use crate::error::{Doing as _, Error};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use std::{
    fs::{self, File},
    io::{ErrorKind, Read as _},
    path::{Path, PathBuf},
};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

/// Bytes of one file of certificates.
const FILE_MAX_BYTES: u64 = 4 * 1024 * 1024;
/// Files looked at in one folder.
const FILES_MAX_COUNT: usize = 64;
/// Where distributions keep the authorities that the whole system trusts; the first that exists counts.
const SYSTEM: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// The settings for one registry.
///
/// # Errors
/// `Unsupported`: a file that is no PEM, a certificate without its key, or a key that does not belong to it;
/// `Io`.
pub(super) fn config(dirs: &[PathBuf], host: &str, insecure: bool) -> Result<TlsConfig, Error> {
    let mut roots = Vec::new();
    if let Some(bundle) = SYSTEM.iter().map(Path::new).find(|path| path.exists()) {
        roots.extend(certificates(bundle)?);
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

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let file = File::open(path).doing(|| format!("open {}", path.display()))?;
    file.take(FILE_MAX_BYTES).read_to_end(&mut bytes).doing(|| format!("read {}", path.display()))?;
    Ok(bytes)
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, Error> {
    let mut found = Vec::new();
    for item in parse_pem(&read(path)?) {
        match item {
            Ok(PemItem::Certificate(certificate)) => found.push(certificate),
            Ok(_) => {}
            Err(_) => return Err(Error::unsupported(path.display().to_string(), "it is no PEM file")),
        }
    }
    if found.is_empty() {
        return Err(Error::unsupported(path.display().to_string(), "there is no certificate in it"));
    }
    Ok(found)
}

fn identity(path: &Path) -> Result<ClientCert, Error> {
    let key_path = path.with_extension("key");
    let (chain, key) = (certificates(path)?, read(&key_path)?);
    let bad = |why: &str| Error::unsupported(key_path.display().to_string(), why);
    // Looked at here: whoever uses it takes it for good.
    let der = PrivateKeyDer::from_pem_slice(&key).map_err(|_| bad("there is no key in it"))?;
    let certificates = chain.iter().map(|certificate| CertificateDer::from(certificate.der().to_vec()));
    let provider = rustls::crypto::ring::default_provider();
    rustls::sign::CertifiedKey::from_der(certificates.collect(), der, &provider)
        .map_err(|_| bad("the key does not belong to the certificate beside it"))?;
    let key = PrivateKey::from_pem(&key).map_err(|_| bad("there is no key in it"))?;
    Ok(ClientCert::new_with_certs(&chain, key))
}
