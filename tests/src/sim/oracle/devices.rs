//! Devices that pods ask for by path: nothing of a pod begins without. That nobody is stopped because one goes is the
//! rule of all that is desired.

use super::{Oracle, Rule};
use crate::sim::manifests::DEVICE;
use berth_core::{devices::DEVICES, manifest::DesiredPod};

impl Oracle {
    /// It asks for a device that is not there, as far as the core knows.
    pub(super) fn lacks_device(&self, pod: &DesiredPod) -> bool {
        let asked = pod.pod.metadata.annotations.get(DEVICES);
        asked.is_some_and(|asked| asked.contains(DEVICE)) && !self.devices.there.contains_key(DEVICE)
    }

    pub(super) fn check_devices(&mut self, pod: &DesiredPod, what: &str) {
        if self.lacks_device(pod) {
            self.broken(Rule::Devices, format!("{what} of {} begins, and its device is not there", pod.uid));
        }
    }
}
