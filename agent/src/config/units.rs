//! Values of the configuration as their owners write them: Go's durations, Kubernetes' byte counts, a path
//! or a list of paths. Pure.

use berth_core::cpus::CpuSet;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, SeqAccess, Visitor},
};
use std::{fmt, path::PathBuf, time::Duration};

/// A length of time, written as Go writes it: `90s`, `1m30s`, `1h`, `250ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Period(pub(crate) Duration);

impl Period {
    /// So many seconds.
    pub(crate) const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is no duration; write it as 90s, 1m30s or 1h");
        if text == "0" {
            return Ok(Self(Duration::ZERO));
        }
        let mut rest = text;
        let mut sum_ns: u128 = 0;
        while !rest.is_empty() || sum_ns == 0 && text.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
            let (number, tail) = rest.split_at(digits);
            let unit_len = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
            let (unit, next) = tail.split_at(unit_len);
            let unit_ns: u128 = match unit {
                "ns" => 1,
                "us" | "µs" => 1_000,
                "ms" => 1_000_000,
                "s" => 1_000_000_000,
                "m" => 60_000_000_000,
                "h" => 3_600_000_000_000,
                _ => return Err(bad()),
            };
            sum_ns += scaled(number, unit_ns).ok_or_else(bad)?;
            rest = next;
        }
        u64::try_from(sum_ns).map(|ns| Self(Duration::from_nanos(ns))).map_err(|_| bad())
    }
}

/// `number` (digits, perhaps with a fraction) times `unit_ns`.
fn scaled(number: &str, unit_ns: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.len() + fraction.len() == 0 || whole.len() > 18 || fraction.len() > 9 {
        return None;
    }
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let places = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let fraction: u128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    Some(whole * unit_ns + fraction * unit_ns / places)
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (secs, nanos) = (self.0.as_secs(), self.0.subsec_nanos());
        match (secs, nanos) {
            (0, 0) => return f.write_str("0s"),
            (0, n) if n % 1_000_000 == 0 => return write!(f, "{}ms", n / 1_000_000),
            (0, n) => return write!(f, "{n}ns"),
            _ => {}
        }
        let (h, m, s) = (secs / 3600, secs / 60 % 60, secs % 60);
        if h > 0 {
            write!(f, "{h}h")?;
        }
        if h > 0 || m > 0 {
            write!(f, "{m}m")?;
        }
        match nanos {
            0 => write!(f, "{s}s"),
            n => write!(f, "{s}.{}s", format!("{n:09}").trim_end_matches('0')),
        }
    }
}

/// A byte count, written as a Kubernetes quantity: `10Mi`, `500k`, `1048576`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Bytes(pub(crate) u64);

impl Bytes {
    fn parse(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is no byte count; write it as 10Mi, 512Ki or 1048576");
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, suffix) = text.split_at(digits);
        let unit: u64 = match suffix {
            "" => 1,
            "k" => 1_000,
            "M" => 1_000_000,
            "G" => 1_000_000_000,
            "T" => 1_000_000_000_000,
            "Ki" => 1 << 10,
            "Mi" => 1 << 20,
            "Gi" => 1 << 30,
            "Ti" => 1 << 40,
            _ => return Err(bad()),
        };
        number.parse::<u64>().ok().and_then(|n| n.checked_mul(unit)).map(Self).ok_or_else(bad)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (shift, suffix) in [(40, "Ti"), (30, "Gi"), (20, "Mi"), (10, "Ki")] {
            if self.0 != 0 && self.0.trailing_zeros() >= shift {
                return write!(f, "{}{suffix}", self.0 >> shift);
            }
        }
        write!(f, "{}", self.0)
    }
}

/// CPUs, written as the kernel writes them: `0-1,3`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct CpuList(pub(crate) CpuSet);

/// Reads a scalar, text or bare number, through `parse`. Not `#[serde(untagged)]`: that loses the place.
struct Scalar<T> {
    expected: &'static str,
    parse: fn(&str) -> Result<T, String>,
}

impl<T> Visitor<'_> for Scalar<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.parse)(text).map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        (self.parse)(&number.to_string()).map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Scalar { expected: "a byte count such as 10Mi", parse: Self::parse })
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Scalar { expected: "a duration such as 90s", parse: Self::parse })
    }
}

impl<'de> Deserialize<'de> for CpuList {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Scalar {
            expected: "a list of CPUs such as 0-1,3",
            parse: |text| text.parse().map(Self),
        })
    }
}

impl Serialize for CpuList {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&self.0)
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// Paths, written as one text or as a list of texts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct PathList(pub(crate) Vec<PathBuf>);

impl<const N: usize> From<[&str; N]> for PathList {
    fn from(paths: [&str; N]) -> Self {
        Self(paths.iter().map(PathBuf::from).collect())
    }
}

impl<'de> Deserialize<'de> for PathList {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(OneOrMany)
    }
}

struct OneOrMany;

impl<'de> Visitor<'de> for OneOrMany {
    type Value = PathList;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a path or a list of paths")
    }

    fn visit_str<E: de::Error>(self, path: &str) -> Result<PathList, E> {
        Ok(PathList(vec![path.into()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<PathList, A::Error> {
        let mut paths = Vec::new();
        while let Some(path) = list.next_element()? {
            paths.push(path);
        }
        Ok(PathList(paths))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gos() {
        for (text, ms) in [
            ("20s", 20_000),
            ("1m30s", 90_000),
            ("1.5h", 5_400_000),
            ("250ms", 250),
            ("0", 0),
            ("0s", 0),
            ("1h0m0.25s", 3_600_250),
        ] {
            assert_eq!(Period::parse(text).unwrap().0.as_millis(), ms, "{text}");
        }
        for text in ["", "20", "s", "1x", "-1s", "1.s.", "1..5s", "99999999999999999999h", " 1s"] {
            assert!(Period::parse(text).is_err(), "{text:?} was taken");
        }
        for text in ["20s", "1m30s", "1h0m0s", "250ms", "0s", "1h0m0.25s"] {
            assert_eq!(Period::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn byte_counts_are_quantities() {
        for (text, bytes) in [("10Mi", 10 << 20), ("500k", 500_000), ("7", 7), ("1Gi", 1 << 30), ("0", 0)] {
            assert_eq!(Bytes::parse(text).unwrap(), Bytes(bytes), "{text}");
        }
        for text in ["", "Mi", "10MB", "-1", "1.5Mi", "99999999999Ti"] {
            assert!(Bytes::parse(text).is_err(), "{text:?} was taken");
        }
        for (bytes, text) in [(10 << 20, "10Mi"), (0, "0"), (1000, "1000"), (1536, "1536"), (1 << 30, "1Gi")]
        {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
    }
}
