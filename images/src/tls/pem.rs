//! Certificates and keys as PEM files have them, for whoever speaks TLS. Only reads.

use crate::error::{Doing as _, Error};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

/// Bytes of one file of certificates.
const FILE_MAX_BYTES: u64 = 4 * 1024 * 1024;
/// Where distributions keep the authorities that the whole system trusts; the first that exists counts.
const SYSTEM: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// The file that has the authorities of the system, if there is one.
pub(crate) fn system() -> Option<PathBuf> {
    SYSTEM.iter().map(PathBuf::from).find(|path| path.exists())
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let file = File::open(path).doing(|| format!("open {}", path.display()))?;
    file.take(FILE_MAX_BYTES).read_to_end(&mut bytes).doing(|| format!("read {}", path.display()))?;
    Ok(bytes)
}

/// The certificates of a file; other things in it are passed over.
///
/// # Errors
/// `Unsupported`: no PEM, or no certificate in it; `Io`.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let bad = |why: &str| Error::unsupported(path.display().to_string(), why);
    let bytes = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let found = found.map_err(|_| bad("it is no PEM file"))?;
    if found.is_empty() { Err(bad("there is no certificate in it")) } else { Ok(found) }
}

/// A client's certificates and the key that belongs to the first of them.
///
/// # Errors
/// As [`certificates`]; `Unsupported` also for a key that does not belong to the certificate.
pub(crate) fn identity(
    certificate: &Path,
    key: &Path,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Error> {
    let chain = certificates(certificate)?;
    let bad = |why: String| Error::unsupported(key.display().to_string(), why);
    let der = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|_| bad("there is no key in it".into()))?;
    // Looked at here: whoever uses it takes it for good.
    let provider = rustls::crypto::ring::default_provider();
    rustls::sign::CertifiedKey::from_der(chain.clone(), der.clone_key(), &provider).map_err(|_| {
        bad(format!("the key does not belong to the certificate in {}", certificate.display()))
    })?;
    Ok((chain, der))
}
