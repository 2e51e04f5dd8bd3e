//! Who has which address: a number in the range for each pod's name, found by the name itself, so that the
//! same pods get the same addresses on every boot and on every box. Each network has numbers of its own. Pure.
//!
//! Invariants: two pods of a network in use never have one number; a pod keeps its number as long as the range has it,
//! over its revisions and its absence, until the range or the table is full and another one needs it.

use super::named;
use crate::ids::PodKey;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt, ops::Range};

/// Names that are remembered.
pub const LEASES_MAX: usize = 1_024;

/// A pod's number in the range.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Namespace and name.
    pub pod: PodKey,
    /// Of which network.
    #[serde(default = "default_network", skip_serializing_if = "is_default")]
    pub network: String,
    /// Which address of the range.
    pub offset: u32,
}

fn default_network() -> String {
    named::DEFAULT.to_owned()
}

fn is_default(network: &str) -> bool {
    network == named::DEFAULT
}

/// All numbers that were given, the longest held first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Leases(Vec<Lease>);

/// Every address of the range is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exhausted {
    /// Addresses that the range has for pods.
    pub size: usize,
}

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.size;
        write!(f, "all {size} addresses of podCIDR are in use: remove a pod, or configure a larger range")
    }
}

impl Leases {
    /// A pod has had a number in this network.
    pub fn is_used(&self, network: &str) -> bool {
        self.0.iter().any(|lease| lease.network == network)
    }

    /// The pod's number in this network, and whether the table has changed by that. `used`: what other pods of it have
    /// right now.
    ///
    /// # Errors
    /// [`Exhausted`].
    pub fn take(
        &mut self,
        network: &str,
        pod: &PodKey,
        offsets: &Range<u32>,
        used: &BTreeSet<u32>,
    ) -> Result<(u32, bool), Exhausted> {
        if let Some(i) = self.0.iter().position(|lease| lease.pod == *pod && lease.network == network) {
            let offset = self.0[i].offset;
            if offsets.contains(&offset) && !used.contains(&offset) {
                return Ok((offset, false));
            }
            self.0.remove(i);
        }
        let offset = self.free(network, pod, offsets, used)?;
        self.0.retain(|lease| lease.network != network || lease.offset != offset);
        while self.0.len() >= LEASES_MAX {
            // Who of another network is there has its number written down elsewhere, too.
            let is_free = |lease: &Lease| lease.network != network || !used.contains(&lease.offset);
            let oldest = self.0.iter().position(is_free).unwrap_or(0);
            self.0.remove(oldest);
        }
        self.0.push(Lease { pod: pod.clone(), network: network.to_owned(), offset });
        Ok((offset, true))
    }

    /// A number that nobody has, from the pod's own place in the range on; else the one of whoever has it
    /// longest and is not there.
    fn free(
        &self,
        network: &str,
        pod: &PodKey,
        offsets: &Range<u32>,
        used: &BTreeSet<u32>,
    ) -> Result<u32, Exhausted> {
        let size = offsets.len();
        let held = || self.0.iter().filter(|lease| lease.network == network).map(|lease| lease.offset);
        let given: BTreeSet<u32> = held().collect();
        let begin = u32::try_from(place(pod) % (size.max(1) as u64)).unwrap_or(0);
        let around = (offsets.start + begin..offsets.end).chain(offsets.start..offsets.start + begin);
        let mut absent = held().filter(|offset| offsets.contains(offset));
        around
            .take(size)
            .find(|offset| !used.contains(offset) && !given.contains(offset))
            .or_else(|| absent.find(|offset| !used.contains(offset)))
            .ok_or(Exhausted { size })
    }
}

/// FNV-1a over the name: spread well enough, and the same for ever.
fn place(pod: &PodKey) -> u64 {
    let bytes = pod.namespace.bytes().chain([b'/']).chain(pod.name.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::named::DEFAULT;
    use super::*;

    fn key(name: &str) -> PodKey {
        PodKey { namespace: "default".into(), name: name.into() }
    }

    fn none() -> BTreeSet<u32> {
        BTreeSet::new()
    }

    #[test]
    fn a_name_has_the_same_number_everywhere_and_for_ever() {
        let mut leases = Leases::default();
        let (first, changed) = leases.take(DEFAULT, &key("web-box"), &(2..65_535), &none()).unwrap();
        assert!(changed);
        // Written down: another version must not give another one.
        assert_eq!(first, 630);
        assert_eq!(leases.take(DEFAULT, &key("web-box"), &(2..65_535), &none()), Ok((first, false)));
        assert_eq!(
            Leases::default().take(DEFAULT, &key("web-box"), &(2..65_535), &none()),
            Ok((first, true))
        );
    }

    #[test]
    fn two_names_with_one_place_both_keep_theirs() {
        let offsets = 2..4;
        let mut leases = Leases::default();
        let (one, _) = leases.take(DEFAULT, &key("a"), &offsets, &none()).unwrap();
        // Not even in use, the first one's is not given to the second.
        let (two, _) = leases.take(DEFAULT, &key("b"), &offsets, &none()).unwrap();
        assert_ne!(one, two);
        let read: Leases = serde_json::from_str(&serde_json::to_string(&leases).unwrap()).unwrap();
        assert_eq!(read, leases);
        for (name, offset) in [("b", two), ("a", one)] {
            assert_eq!(leases.take(DEFAULT, &key(name), &offsets, &none()), Ok((offset, false)));
        }
    }

    #[test]
    fn a_full_range_gives_the_longest_absent_ones_and_then_says_so() {
        let offsets = 2..4;
        let mut leases = Leases::default();
        let (a, _) = leases.take(DEFAULT, &key("a"), &offsets, &none()).unwrap();
        let (b, _) = leases.take(DEFAULT, &key("b"), &offsets, &none()).unwrap();
        assert_eq!(leases.take(DEFAULT, &key("c"), &offsets, &[b].into()), Ok((a, true)));
        let error = leases.take(DEFAULT, &key("a"), &offsets, &[a, b].into()).unwrap_err();
        assert_eq!(error, Exhausted { size: 2 });
        assert!(error.to_string().contains("all 2 addresses of podCIDR are in use"));
        // With somebody gone there is room again.
        assert_eq!(leases.take(DEFAULT, &key("a"), &offsets, &[a].into()), Ok((b, true)));
        assert_eq!(leases.take(DEFAULT, &key("a"), &(2..2), &none()), Err(Exhausted { size: 0 }));
    }

    #[test]
    fn a_number_outside_a_new_range_is_given_up() {
        let mut leases = Leases::default();
        let (old, _) = leases.take(DEFAULT, &key("a"), &(2..65_535), &none()).unwrap();
        let (new, changed) = leases.take(DEFAULT, &key("a"), &(2..6), &none()).unwrap();
        assert!(old >= 6 && new < 6 && changed);
        assert_eq!(leases.0.len(), 1);
    }

    #[test]
    fn the_table_is_bounded() {
        let mut leases = Leases::default();
        let mut used = none();
        for n in 0..LEASES_MAX + 50 {
            let (offset, _) = leases.take(DEFAULT, &key(&format!("p{n}")), &(2..65_535), &used).unwrap();
            if n < 10 {
                used.insert(offset);
            }
        }
        assert_eq!(leases.0.len(), LEASES_MAX);
        // Who is there stays in it.
        for n in 0..10 {
            assert!(leases.0.iter().any(|lease| lease.pod == key(&format!("p{n}"))), "{n}");
        }
    }

    #[test]
    fn each_network_has_numbers_of_its_own() {
        let offsets = 2..3;
        let mut leases = Leases::default();
        for (network, pod) in [(DEFAULT, "a"), ("plant", "b"), ("lab", "a")] {
            assert_eq!(leases.take(network, &key(pod), &offsets, &none()), Ok((2, true)), "{network}");
        }
        assert_eq!(leases.0.len(), 3);
        assert_eq!(leases.take("plant", &key("a"), &offsets, &[2].into()), Err(Exhausted { size: 1 }));
        // What an earlier version wrote is the default one's, and is written as it did.
        let text = serde_json::to_string(&leases.0[0]).unwrap();
        assert!(!text.contains("network"), "{text}");
        let read: Leases = serde_json::from_str(&serde_json::to_string(&leases).unwrap()).unwrap();
        assert_eq!(read, leases);
    }
}
