//! Images from registries, by the OCI distribution specification (pull). What is fetched goes into an OCI layout
//! in a directory of the store's, and from there into the store as from any other source: the same checks, and a
//! download that was cut, by the power too, goes on where it was. Everything but that directory is only read.
//!
//! The files of the owner are read anew for each image, so that a change counts at once.

mod auth;
mod challenge;
mod config;
mod download;
mod helper;
mod image;
mod session;
mod tls;

pub(crate) use image::{RemoteImage, Root};

use crate::{
    error::{Doing as _, Error},
    reference::Reference,
};
use config::Config;
use session::{Access, Session};
use std::{
    fs::File,
    io::{ErrorKind, Read as _},
    path::PathBuf,
    sync::Arc,
};

/// Bytes of registries.conf.
const CONFIG_MAX_BYTES: u64 = 1024 * 1024;

/// Where the owner says what about registries. Nothing need exist.
#[derive(Debug, Clone)]
pub struct RegistrySettings {
    /// Mirrors and insecure registries: a subset of containers-registries.conf(5).
    pub registries_conf: PathBuf,
    /// Names and passwords, or programs that know them: containers-auth.json(5).
    pub auth_file: PathBuf,
    /// Authorities and client certificates, by `HOST[:PORT]`: containers-certs.d(5).
    pub certs_dirs: Vec<PathBuf>,
}

/// The way to registries. Proxies are those of the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`).
#[derive(Debug, Clone)]
pub struct Registries {
    settings: RegistrySettings,
}

impl Registries {
    /// Nothing is read or sent yet.
    pub fn new(settings: RegistrySettings) -> Self {
        Self { settings }
    }

    /// Finds out whom to ask for an image; nothing is sent yet.
    ///
    /// # Errors
    /// `Unsupported`, `Io`: of the owner's files; `Refused` for a registry that the owner has blocked.
    pub(crate) fn image(&self, wanted: &Reference) -> Result<RemoteImage, Error> {
        let RegistrySettings { auth_file, certs_dirs, .. } = &self.settings;
        let access = Access { auth_file: auth_file.clone(), certs_dirs: certs_dirs.clone() };
        let endpoints = self.config()?.endpoints(wanted)?;
        let session = |endpoint| Session::new(endpoint, &access).map(Arc::new);
        let sessions = endpoints.into_iter().map(session).collect::<Result<_, Error>>()?;
        Ok(RemoteImage::new(sessions, wanted.clone()))
    }

    fn config(&self) -> Result<Config, Error> {
        let path = &self.settings.registries_conf;
        let file = match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Config::default()),
            opened => opened.doing(|| format!("open {}", path.display()))?,
        };
        let mut text = String::new();
        file.take(CONFIG_MAX_BYTES).read_to_string(&mut text).doing(|| format!("read {}", path.display()))?;
        Config::parse(&path.display().to_string(), &text)
    }
}
