//! Watches the devices that pods ask for and the specifications that name them, so that a pod whose device is plugged
//! in begins at once and is told when it goes. The kernel tells by inotify: device nodes are files, and what gives
//! them their lasting names makes links.

use super::{
    trace::{self, Wanted},
    watch::Watcher,
};
use berth_core::devices::{Asked, Seen};
use berth_oci::devices::{Looked, look};
use std::{path::PathBuf, sync::Arc};

/// Looks in a row while directories appear under them; what comes later is heard of.
const LOOKS_MAX: usize = 8;

/// The watch over all devices.
#[derive(Debug)]
pub(crate) struct DeviceWatch {
    /// None while nobody asks for a device.
    watcher: Option<Watcher>,
    cdi_dirs: Vec<PathBuf>,
    asked: Asked,
    seen: Arc<Seen>,
}

impl DeviceWatch {
    /// Nothing is looked at yet.
    pub(crate) fn new(cdi_dirs: &[PathBuf]) -> Self {
        let (asked, seen) = (Asked::default(), Arc::default());
        Self { watcher: None, cdi_dirs: cdi_dirs.to_vec(), asked, seen }
    }

    /// From now on pods ask for these. What is there of them, if that is news.
    pub(crate) fn ask(&mut self, asked: &Asked) -> Option<Arc<Seen>> {
        if self.asked == *asked {
            return None;
        }
        self.asked.clone_from(asked);
        if asked.is_empty() {
            self.watcher = None;
        } else if self.watcher.is_none() {
            self.watcher = Watcher::new()
                .inspect_err(|error| tracing::warn!(%error, "devices that come and go are not heard of"))
                .ok();
        }
        self.look()
    }

    /// Waits until something has changed; what is there then. Safe to be dropped and called again.
    pub(crate) async fn changed(&mut self) -> Arc<Seen> {
        loop {
            match &mut self.watcher {
                Some(watcher) => {
                    if watcher.changed().await.is_err() {
                        self.watcher = None;
                    }
                }
                None => return std::future::pending().await,
            }
            if let Some(seen) = self.look() {
                return seen;
            }
        }
    }

    fn look(&mut self) -> Option<Arc<Seen>> {
        let mut seen = Seen::default();
        for _ in 0..LOOKS_MAX {
            let Looked { seen: now, paths } = look(&self.cdi_dirs, &self.asked);
            seen = now;
            let Some(watcher) = &mut self.watcher else { break };
            let mut wanted = Wanted::new();
            if !self.asked.kinds.is_empty() {
                self.cdi_dirs.iter().for_each(|dir| trace::trace(dir, trace::Whole::Everything, &mut wanted));
            }
            paths.iter().for_each(|path| trace::trace(path, trace::Whole::Nothing, &mut wanted));
            // What was not watched when it was looked at is looked at again.
            if !watcher.set(wanted).news {
                break;
            }
        }
        (*self.seen != seen).then(|| {
            self.seen = Arc::new(seen);
            Arc::clone(&self.seen)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::symlink, time::Duration};

    #[tokio::test]
    async fn a_device_and_a_specification_that_come_and_go_are_heard_of() {
        let dir = tempfile::tempdir().unwrap();
        let (cdi, by_id) = (dir.path().join("cdi"), dir.path().join("dev/by-id"));
        let device = by_id.join("usb-x").to_str().unwrap().to_owned();
        let mut asked = Asked::default();
        asked.paths.insert(device.clone());
        asked.kinds.insert("a/b".to_owned());
        let mut watch = DeviceWatch::new(std::slice::from_ref(&cdi));
        let seen = watch.ask(&asked).unwrap();
        assert_eq!(seen.identity(&device).unwrap_err(), format!("{device} is not there"));
        assert_eq!(watch.ask(&asked), None);
        let mut next = async || tokio::time::timeout(Duration::from_secs(20), watch.changed()).await.unwrap();
        fs::create_dir_all(&by_id).unwrap();
        symlink("/dev/null", &device).unwrap();
        assert_eq!(next().await.identity(&device), Ok("c1:3"));
        fs::create_dir(&cdi).unwrap();
        let spec = "cdiVersion: 0.6.0\nkind: a/b\ndevices: [{name: c, containerEdits: {env: [A=b]}}]\n";
        fs::write(cdi.join(".new"), spec).unwrap();
        fs::rename(cdi.join(".new"), cdi.join("x.yaml")).unwrap();
        assert!(next().await.there.contains_key("a/b=c"));
        fs::remove_file(&device).unwrap();
        assert!(next().await.identity(&device).is_err());
    }
}
