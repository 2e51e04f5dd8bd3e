//! Has the kernel tell when processes wait for memory (pressure stall information), so that nobody need look. Where it
//! does not tell, the slow rescan is all there is, and that is said once.

use crate::{
    agent::{Agent, sys::watched},
    events,
};
use berth_core::{action::PodEvent, event::Event};
use berth_oci::{clock, pressure};
use std::{
    fs::OpenOptions,
    io::{self, Write},
    os::fd::OwnedFd,
    sync::Arc,
};
use tokio::io::{Interest, unix::AsyncFd};

const FILE: &str = "/proc/pressure/memory";
/// What is waited for: that some process has waited so long within such a time, both in microseconds. Told once in that
/// time at most. With the byte that the kernel takes for the end.
const TRIGGER: &[u8] = b"some 150000 2000000\0";

/// The kernel's word.
#[derive(Debug)]
pub(crate) struct Stalls(Option<AsyncFd<Arc<OwnedFd>>>);

impl Stalls {
    /// Must be called within the runtime.
    fn new() -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).write(true).open(FILE)?;
        file.write_all(TRIGGER)?;
        Ok(Self(Some(watched(Arc::new(file.into()), Interest::PRIORITY)?)))
    }

    /// Waits until processes have waited for memory; for ever where nobody tells.
    pub(crate) async fn stalled(&self) {
        if let Some(fd) = &self.0
            && let Ok(mut ready) = fd.ready(Interest::PRIORITY).await
        {
            return ready.clear_ready();
        }
        std::future::pending().await
    }
}

impl Agent {
    /// What is seen of the node is news for the core.
    pub(crate) fn look_at_node(&mut self) {
        let seen = pressure::look(&self.env.roots);
        self.news.push(Event::Observed(Box::new(seen)));
    }

    /// Asks the kernel to tell.
    pub(crate) fn watch_stalls(&mut self) -> Stalls {
        Stalls::new().unwrap_or_else(|error| {
            let period_s = self.env.config.file_check_frequency.0.as_secs();
            let message = format!(
                "the kernel does not tell when memory runs short ({FILE}: {error}): it is looked at every {period_s} s \
                 only (fileCheckFrequency); build it with CONFIG_PSI, or boot it with psi=1"
            );
            tracing::info!("{message}");
            let (pod, uid) = events::of_node(&self.env.node.name);
            let (reason, at) = ("NoPressureInformation".to_owned(), clock::now());
            self.record(PodEvent { pod, uid, warning: false, reason, message, at });
            Stalls(None)
        })
    }
}
