//! Processors that containers have to themselves: whoever is to have them has as many as it asks for, nobody else ever runs
//! there, and the reserved ones are everybody's.

use super::{Oracle, Rule, room::peak};
use crate::sim::machine::Machine;
use berth_core::{
    cpus::Place,
    manifest::types::{Container, PodSpec},
};

/// Thousandths in one processor.
const MILLI: u64 = 1000;

/// Processors that the container is to have to itself. The simulator's containers ask for memory where all of their pod's do
/// for both, and for no more than they are limited to.
fn whole(container: &Container) -> u64 {
    let guaranteed = container.resources.limits.contains_key("memory");
    let milli = super::room::of_container(container);
    if guaranteed && milli.is_multiple_of(MILLI) { milli / MILLI } else { 0 }
}

/// Those that a pod of this spec needs at one time.
pub(crate) fn wholes(spec: &PodSpec) -> u64 {
    peak(spec, whole)
}

impl Oracle {
    /// Where the processes of the machine run.
    pub(crate) fn check_cpus(&mut self, machine: &Machine) {
        let Some(policy) = self.cpus.clone() else { return };
        let online = policy.online();
        let mut all: Vec<(String, Place)> = Vec::new();
        for process in machine.processes.values() {
            let Some(record) = machine.containers.get(&process.id) else { continue };
            let Some(sandbox) = machine.sandboxes.get(&process.uid) else { continue };
            let wanted = sandbox.desired.pod.spec.container(&process.name).map_or(0, whole);
            let Some(place) = record.given.as_ref().map(|given| given.place.clone()) else { continue };
            let name = format!("{}/{}", process.uid, process.name);
            let own = if place.exclusive { place.cpus.len() as u64 } else { 0 };
            if own != wanted {
                self.broken(Rule::Cpus, format!("{name} is to have {wanted} to itself and has {place:?}"));
            }
            let there = place.cpus.without(&online).is_empty() && !place.cpus.is_empty();
            if !there || place.exclusive && !place.cpus.is_disjoint(&policy.reserved) {
                self.broken(Rule::Cpus, format!("{name} is on {place:?}"));
            }
            all.push((name, place));
        }
        for (i, (name, place)) in all.iter().enumerate().filter(|(_, (_, place))| place.exclusive) {
            let mut others = all.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, other)| other);
            if let Some((other, there)) = others.find(|(_, other)| !other.cpus.is_disjoint(&place.cpus)) {
                let message =
                    format!("{name} has {} to itself, and {other} runs on {}", place.cpus, there.cpus);
                self.broken(Rule::Cpus, message);
            }
        }
    }
}
