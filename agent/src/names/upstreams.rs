//! Whom the node itself asks: its resolv.conf(5), looked at with each question and read again when it is another
//! one. Nothing is watched and nothing is asked as long as nobody wants to know.

use berth_core::dns::{Upstream, upstreams};
use nix::ifaddrs::getifaddrs;
use std::{
    fs::{self, File},
    io::Read,
    net::{IpAddr, SocketAddr, SocketAddrV6},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// Bytes that are read; name servers stand before.
const LEN_MAX_BYTES: u64 = 64 * 1024;

/// What tells one content from another: device, inode, seconds and nanoseconds of the last change, length.
type Stamp = (u64, u64, i64, i64, u64);

/// See the module.
#[derive(Debug)]
pub(super) struct Upstreams {
    path: PathBuf,
    /// Ourselves: never to be asked.
    own: Vec<IpAddr>,
    known: Mutex<(Option<Stamp>, Vec<SocketAddr>)>,
}

impl Upstreams {
    pub(super) fn new(path: &Path, own: Vec<IpAddr>) -> Self {
        Self { path: path.to_owned(), own, known: Mutex::default() }
    }

    /// Them as they are now, in the order in which they are to be asked; none without a file.
    pub(super) fn now(&self) -> Vec<SocketAddr> {
        let stamp = fs::metadata(&self.path)
            .ok()
            .map(|meta| (meta.dev(), meta.ino(), meta.ctime(), meta.ctime_nsec(), meta.size()));
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.0 != stamp || stamp.is_none() {
            let read = upstreams(&self.text(), &self.own);
            *known = (stamp, read.into_iter().filter_map(socket_address).collect());
        }
        known.1.clone()
    }

    /// As [`Self::now`], without those that are on the node itself.
    pub(super) fn beyond(&self) -> Vec<SocketAddr> {
        let here: Vec<IpAddr> = getifaddrs()
            .into_iter()
            .flatten()
            .filter_map(|interface| {
                let address = interface.address?;
                let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
                v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
            })
            .collect();
        let is_beyond = |server: &SocketAddr| {
            let ip = server.ip();
            !ip.is_loopback() && !ip.is_unspecified() && !here.contains(&ip)
        };
        self.now().into_iter().filter(is_beyond).collect()
    }

    fn text(&self) -> String {
        let mut bytes = Vec::new();
        // What cannot be read names nobody.
        let _ = File::open(&self.path).and_then(|file| file.take(LEN_MAX_BYTES).read_to_end(&mut bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// None if the interface is not there.
fn socket_address(upstream: Upstream) -> Option<SocketAddr> {
    let IpAddr::V6(address) = upstream.address else {
        return Some(SocketAddr::new(upstream.address, super::PORT));
    };
    let scope = match upstream.interface {
        Some(name) => name.parse().ok().or_else(|| nix::net::if_::if_nametoindex(name.as_str()).ok())?,
        None => 0,
    };
    Some(SocketAddrV6::new(address, super::PORT, 0, scope).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_read_again_when_it_is_another_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("resolv.conf");
        let upstreams = Upstreams::new(&path, vec!["10.86.0.1".parse().unwrap()]);
        assert_eq!(upstreams.now(), []);
        fs::write(&path, "nameserver 10.86.0.1\nnameserver fe80::1%lo\nnameserver fe80::1%nothere\n")
            .unwrap();
        let now = upstreams.now();
        assert_eq!(now.len(), 1);
        assert!(matches!(now[0], SocketAddr::V6(address) if address.scope_id() > 0 && address.port() == 53));
        let other = dir.path().join("other");
        fs::write(&other, "nameserver 10.0.0.2\n").unwrap();
        fs::rename(&other, &path).unwrap();
        assert_eq!(upstreams.now(), ["10.0.0.2:53".parse().unwrap()]);
        // Who is on the node is not asked on its behalf.
        fs::write(&path, "nameserver 127.0.0.53\nnameserver ::1\nnameserver 10.0.0.2\n").unwrap();
        assert_eq!((upstreams.now().len(), upstreams.beyond()), (3, vec!["10.0.0.2:53".parse().unwrap()]));
        fs::remove_file(&path).unwrap();
        assert_eq!(upstreams.now(), []);
    }
}
