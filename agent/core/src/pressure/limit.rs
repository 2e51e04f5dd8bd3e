//! Thresholds as the configuration writes them: `100Mi`, `10%`, or several with commas between, of which the least
//! counts (`5%,100Mi`: a share of a small node, and no more than so much of a large one).

use super::Signal;
use crate::manifest::quantity;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{collections::BTreeMap, fmt, str::FromStr};

/// Parts that one threshold may have.
const PARTS_MAX: usize = 4;
/// Shares are kept in millionths.
const MILLION: u64 = 1_000_000;

/// One threshold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Amount(u64),
    /// Of the capacity, in millionths.
    Share(u64),
    /// `0%` and `100%` switch a threshold off, as with kubelet.
    Off,
}

/// Thresholds by their signal.
pub type Limits = BTreeMap<Signal, Limit>;

impl Limit {
    /// What it comes to on a node with this capacity; none if it is switched off.
    pub fn of(&self, capacity: u64) -> Option<u64> {
        let amount = |part: &Part| match part {
            Part::Amount(amount) => Some(*amount),
            Part::Share(share) => {
                let amount = u128::from(capacity) * u128::from(*share) / u128::from(MILLION);
                Some(u64::try_from(amount).unwrap_or(u64::MAX))
            }
            Part::Off => None,
        };
        let amounts: Option<Vec<u64>> = self.parts.iter().map(amount).collect();
        amounts?.into_iter().min()
    }
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Result<Vec<Part>, String> = text.split(',').take(PARTS_MAX + 1).map(part).collect();
        let parts = parts?;
        match parts.len() > PARTS_MAX {
            true => Err(format!("{text:?} has more than {PARTS_MAX} parts")),
            false => Ok(Self { text: text.to_owned(), parts }),
        }
    }
}

fn part(text: &str) -> Result<Part, String> {
    let bad = || {
        format!(
            "{text:?} is no threshold; write it as 100Mi, 10% or 5%,100Mi (the least counts); 0% switches it off"
        )
    };
    let text = text.trim();
    if let Some(number) = text.strip_suffix('%') {
        let share = quantity::parse(number).map_err(|_| bad())?.nano() / 100_000;
        return match u64::try_from(share).map_err(|_| bad())? {
            0 | MILLION => Ok(Part::Off),
            share if share < MILLION => Ok(Part::Share(share)),
            _ => Err(bad()),
        };
    }
    let amount = quantity::parse(text).map_err(|_| bad())?.value();
    u64::try_from(amount).ok().filter(|amount| *amount > 0).map(Part::Amount).ok_or_else(bad)
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Limit {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// Reads a text or a bare number, so that the place of a wrong one is kept.
struct Scalar;

impl de::Visitor<'_> for Scalar {
    type Value = Limit;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a threshold such as 100Mi or 10%")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Limit, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Limit, E> {
        self.visit_str(&number.to_string())
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Scalar)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_amounts_or_shares_and_the_least_counts() {
        for (text, capacity, amount) in [
            ("100Mi", 1 << 30, Some(100 << 20)),
            ("1000", 10, Some(1000)),
            ("10%", 1000, Some(100)),
            ("7.5%", 1000, Some(75)),
            ("5%,100Mi", 1 << 30, Some((1 << 30) / 20)),
            ("5%,100Mi", 64 << 30, Some(100 << 20)),
            ("100Mi, 5%", 64 << 30, Some(100 << 20)),
            ("0%", 1000, None),
            ("100%", 1000, None),
            ("5%", 0, Some(0)),
        ] {
            let limit: Limit = text.parse().unwrap();
            assert_eq!(limit.of(capacity), amount, "{text}");
            assert_eq!(limit.to_string(), text);
        }
        for text in ["", "0", "-1Mi", "-5%", "101%", "%", "ten", "5%,", "5 %x", "1,2,3,4,5"] {
            let error = text.parse::<Limit>().unwrap_err();
            assert!(!error.is_empty(), "{text}");
        }
    }

    #[test]
    fn signals_have_kubelets_names_and_no_others() {
        for signal in Signal::ALL {
            let text = format!("{{\"{}\": \"1%\"}}", signal.as_str());
            let limits: Limits = serde_json::from_str(&text).unwrap();
            assert_eq!(limits.keys().collect::<Vec<_>>(), [&signal]);
            assert_eq!(serde_json::to_string(&limits).unwrap(), text.replace(": ", ":"));
        }
        for text in [r#"{"memory.avail": "1%"}"#, r#"{"memory.available": []}"#] {
            assert!(serde_json::from_str::<Limits>(text).is_err(), "{text}");
        }
    }
}
