//! How much a pod may send and receive: Kubernetes' two annotations for it. Pure.

use crate::manifest::quantity;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What goes to the pod, bits in a second, as a quantity: `10M`.
pub const INGRESS: &str = "kubernetes.io/ingress-bandwidth";
/// What comes from the pod.
pub const EGRESS: &str = "kubernetes.io/egress-bandwidth";
/// Bits in a second; Kubernetes' bounds.
const RATE_MIN_BITS: i64 = 1_000;
/// As [`RATE_MIN_BITS`].
const RATE_MAX_BITS: i64 = 1_000_000_000_000_000;
/// What may go at once after a pause: as much as the rate allows in this part of a second.
const BURST_PART: u64 = 10;
/// Bytes that may go at once at least: the largest packet that the kernel hands on in one piece.
const BURST_MIN_BYTES: u64 = 64 * 1024;

/// Both ways; none for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Bandwidth {
    /// To the pod.
    pub ingress: Option<Rate>,
    /// From the pod.
    pub egress: Option<Rate>,
}

/// Bits in a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rate(pub u64);

impl Rate {
    /// As bytes.
    pub const fn bytes(self) -> u64 {
        self.0 / 8
    }

    /// Bytes that may go at once after a pause.
    pub fn burst_bytes(self) -> u64 {
        (self.bytes() / BURST_PART).max(BURST_MIN_BYTES)
    }
}

impl Bandwidth {
    /// What these annotations say. What is no rate counts as none: it is refused before ([`rate`]).
    pub fn of(annotations: &BTreeMap<String, String>) -> Self {
        let rate = |key| annotations.get(key).and_then(|text| rate(text).ok());
        Self { ingress: rate(INGRESS), egress: rate(EGRESS) }
    }

    /// No limit at all.
    pub const fn is_none(&self) -> bool {
        self.ingress.is_none() && self.egress.is_none()
    }
}

/// The rate that an annotation says.
///
/// # Errors
/// It is no quantity, or beyond what Kubernetes takes.
pub fn rate(text: &str) -> Result<Rate, String> {
    let bits = quantity::parse(text).map_err(|error| error.to_string())?.value();
    if !(RATE_MIN_BITS..=RATE_MAX_BITS).contains(&bits) {
        return Err("must be 1k to 1P, bits in a second".into());
    }
    Ok(Rate(bits.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_kubernetes() {
        for (text, bits) in
            [("10M", 10_000_000), ("1k", 1_000), ("1Mi", 1 << 20), ("1P", 1_000_000_000_000_000)]
        {
            assert_eq!(rate(text), Ok(Rate(bits)), "{text}");
        }
        for text in ["", "fast", "999", "2P", "-1M"] {
            assert!(rate(text).is_err(), "{text}");
        }
        assert_eq!(Rate(8_000_000).bytes(), 1_000_000);
        assert_eq!(Rate(8_000_000).burst_bytes(), 100_000);
        assert_eq!(Rate(1_000).burst_bytes(), 64 * 1024);
    }

    #[test]
    fn each_way_has_its_annotation() {
        let annotations = [(INGRESS, "1M"), (EGRESS, "fast"), ("other", "1M")];
        let annotations = annotations.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let found = Bandwidth::of(&annotations);
        assert_eq!(found, Bandwidth { ingress: Some(Rate(1_000_000)), egress: None });
        assert!(!found.is_none() && Bandwidth::default().is_none());
    }
}
