//! Ranges of addresses as the configuration says them, and the addresses in them by their number. Pure.

use serde::{Deserialize, Serialize};
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// Addresses of a range that are given out at most, however large it is.
pub const OFFSETS_MAX: u32 = 65_536;
/// Prefix lengths that a range may have: room for at least one pod beside the gateway, and no more than
/// what could be meant.
const V4_PREFIX: (u8, u8) = (8, 30);
/// As [`V4_PREFIX`].
const V6_PREFIX: (u8, u8) = (32, 126);
/// The first address is the bridge's, pods come behind it.
const GATEWAY: u32 = 1;

/// One range, in CIDR notation: `10.86.0.0/16`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    base: IpAddr,
    prefix: u8,
}

impl Range {
    /// Bits of the network's part.
    pub const fn prefix(&self) -> u8 {
        self.prefix
    }

    /// The address of the range itself.
    pub const fn base(&self) -> IpAddr {
        self.base
    }

    /// The address on the bridge: the pods' way out.
    pub fn gateway(&self) -> IpAddr {
        self.address(GATEWAY)
    }

    /// The address with this number.
    pub fn address(&self, offset: u32) -> IpAddr {
        match self.base {
            IpAddr::V4(base) => Ipv4Addr::from_bits(base.to_bits().wrapping_add(offset)).into(),
            IpAddr::V6(base) => Ipv6Addr::from_bits(base.to_bits().wrapping_add(offset.into())).into(),
        }
    }

    /// Whether the address lies in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address) {
            (IpAddr::V4(base), IpAddr::V4(other)) => {
                (base.to_bits() ^ other.to_bits()).checked_shr(32 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            (IpAddr::V6(base), IpAddr::V6(other)) => {
                (base.to_bits() ^ other.to_bits()).checked_shr(128 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }

    /// The two have an address in common: the one with the shorter prefix has the other whole.
    pub fn overlaps(&self, other: &Self) -> bool {
        let (larger, smaller) = if self.prefix <= other.prefix { (self, other) } else { (other, self) };
        larger.contains(smaller.base)
    }

    /// One more than the last number that a pod may have.
    fn end(&self) -> u32 {
        // An IPv4 range has its broadcast address at the end.
        let (bits, kept) = if self.base.is_ipv4() { (32, 1) } else { (128, 0) };
        let size = 1_u128.checked_shl(bits - u32::from(self.prefix)).unwrap_or(u128::MAX) - kept;
        u32::try_from(size).unwrap_or(u32::MAX).min(OFFSETS_MAX)
    }
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fault = || format!("{text:?} is no range of addresses, like 10.86.0.0/16");
        let (base, prefix) = text.split_once('/').ok_or_else(fault)?;
        let base: IpAddr = base.parse().map_err(|_| fault())?;
        let prefix: u8 = prefix.parse().map_err(|_| fault())?;
        let (least, most) = if base.is_ipv4() { V4_PREFIX } else { V6_PREFIX };
        if !(least..=most).contains(&prefix) {
            return Err(format!("{text}: the prefix must be /{least} to /{most}"));
        }
        let range = Self { base, prefix };
        let masked = range.masked();
        if masked != base {
            return Err(format!("{text} has bits behind its prefix: write {masked}/{prefix}"));
        }
        Ok(range)
    }
}

impl Range {
    fn masked(&self) -> IpAddr {
        match self.base {
            IpAddr::V4(base) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                Ipv4Addr::from_bits(base.to_bits() & mask).into()
            }
            IpAddr::V6(base) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                Ipv6Addr::from_bits(base.to_bits() & mask).into()
            }
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

/// A range of either family, or one of each: kubelet's `podCIDR`, the two with a comma between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ranges {
    /// IPv4.
    pub v4: Option<Range>,
    /// IPv6.
    pub v6: Option<Range>,
}

impl Ranges {
    /// Numbers that pods may have: the same one in both families.
    pub fn offsets(&self) -> std::ops::Range<u32> {
        let end = self.all().map(|range| range.end()).min().unwrap_or(0);
        GATEWAY + 1..end.max(GATEWAY + 1)
    }

    /// A range of these and one of the others that have an address in common.
    pub fn overlap(&self, others: &Self) -> Option<(Range, Range)> {
        self.all().find_map(|own| Some((own, others.all().find(|other| own.overlaps(other))?)))
    }

    /// Those that there are, IPv4 first.
    pub fn all(&self) -> impl Iterator<Item = Range> {
        [self.v4, self.v6].into_iter().flatten()
    }
}

impl FromStr for Ranges {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut ranges = Self::default();
        for part in text.split(',') {
            let range: Range = part.trim().parse()?;
            let place = if range.base.is_ipv4() { &mut ranges.v4 } else { &mut ranges.v6 };
            if place.replace(range).is_some() {
                return Err(format!("{text:?} has two ranges of one family; one of each is the most"));
            }
        }
        Ok(ranges)
    }
}

impl fmt::Display for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.all().map(|range| range.to_string()).collect();
        f.write_str(&parts.join(","))
    }
}

impl Serialize for Ranges {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Ranges {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(text: &str) -> Ranges {
        text.parse().unwrap()
    }

    #[test]
    fn ranges_are_read_or_refused_in_words() {
        for text in ["10.86.0.0/16", "fd00::/64", "10.86.0.0/16,fd00::/64"] {
            assert_eq!(ranges(text).to_string(), text);
        }
        assert_eq!(ranges("fd00::/64, 10.0.0.0/8").to_string(), "10.0.0.0/8,fd00::/64");
        for (text, says) in [
            ("", "is no range"),
            ("10.86.0.0", "is no range"),
            ("10.86.0/16", "is no range"),
            ("10.86.0.0/x", "is no range"),
            ("10.86.0.0/31", "must be /8 to /30"),
            ("10.0.0.0/7", "must be /8 to /30"),
            ("fd00::/127", "must be /32 to /126"),
            ("10.86.1.0/16", "write 10.86.0.0/16"),
            ("fd00::1/64", "write fd00::/64"),
            ("10.1.0.0/16,10.2.0.0/16", "two ranges of one family"),
        ] {
            let error = text.parse::<Ranges>().unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn addresses_follow_from_their_number() {
        for (text, offsets, gateway, last) in [
            ("10.86.0.0/16", 2..65_535, "10.86.0.1", "10.86.255.254"),
            ("10.0.0.0/8", 2..65_536, "10.0.0.1", "10.0.255.255"),
            ("192.0.2.8/30", 2..3, "192.0.2.9", "192.0.2.10"),
            ("fd00::/64", 2..65_536, "fd00::1", "fd00::ffff"),
            ("fd00::/126", 2..4, "fd00::1", "fd00::3"),
        ] {
            let ranges = ranges(text);
            let range = ranges.all().next().unwrap();
            assert_eq!(ranges.offsets(), offsets, "{text}");
            assert_eq!(range.gateway().to_string(), gateway);
            assert_eq!(range.address(offsets.end - 1).to_string(), last);
            assert!(range.contains(range.gateway()) && range.contains(range.address(offsets.end - 1)));
        }
        assert_eq!(ranges("10.86.0.0/24,fd00::/64").offsets(), 2..255);
        let range: Range = "10.86.0.0/16".parse().unwrap();
        for (other, overlaps) in
            [("10.0.0.0/8", true), ("10.86.7.0/24", true), ("10.87.0.0/16", false), ("fd00::/64", false)]
        {
            let other: Range = other.parse().unwrap();
            assert_eq!((range.overlaps(&other), other.overlaps(&range)), (overlaps, overlaps), "{other}");
        }
        for (address, inside) in [("10.86.255.255", true), ("10.87.0.0", false), ("fd00::1", false)] {
            assert_eq!(range.contains(address.parse().unwrap()), inside, "{address}");
        }
    }
}
