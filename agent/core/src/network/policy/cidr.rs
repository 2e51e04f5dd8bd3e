//! Addresses that begin alike, of any length: `10.0.0.0/8`.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// See the module. What stands behind the prefix is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cidr {
    base: IpAddr,
    prefix: u8,
}

impl Cidr {
    /// One address.
    pub const fn of(address: IpAddr) -> Self {
        Self { base: address, prefix: if address.is_ipv4() { 32 } else { 128 } }
    }

    /// Its first address.
    pub const fn base(&self) -> IpAddr {
        self.base
    }

    /// Bits that are alike.
    pub const fn prefix(&self) -> u8 {
        self.prefix
    }

    /// All of the other lies in it.
    pub fn covers(&self, other: &Self) -> bool {
        other.prefix >= self.prefix && masked(other.base, self.prefix) == Some(self.base)
    }
}

impl FromStr for Cidr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fault = || "must be addresses that begin alike, like 10.0.0.0/8 or fd00::/8".to_owned();
        let (base, prefix) = text.split_once('/').ok_or_else(fault)?;
        let base: IpAddr = base.parse().map_err(|_| fault())?;
        let prefix: u8 = prefix.parse().map_err(|_| fault())?;
        Ok(Self { base: masked(base, prefix).ok_or_else(fault)?, prefix })
    }
}

/// None if there are not so many bits.
fn masked(address: IpAddr, prefix: u8) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32_u32.checked_sub(prefix.into())?).unwrap_or(0);
            Some(Ipv4Addr::from_bits(address.to_bits() & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128_u32.checked_sub(prefix.into())?).unwrap_or(0);
            Some(Ipv6Addr::from_bits(address.to_bits() & mask).into())
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_addresses_are_read_and_compared() {
        let cidr = |text: &str| text.parse::<Cidr>().unwrap();
        for (text, shown) in [
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("fd00::1/64", "fd00::/64"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(cidr(text).to_string(), shown);
        }
        for text in ["", "10.0.0.0", "10.0.0.0/33", "fd00::/129", "x/8", "10.0.0.0/-1"] {
            assert!(text.parse::<Cidr>().is_err(), "{text}");
        }
        for (outer, inner, covers) in [
            ("10.0.0.0/8", "10.1.0.0/16", true),
            ("10.1.0.0/16", "10.0.0.0/8", false),
            ("10.0.0.0/8", "11.0.0.0/16", false),
            ("0.0.0.0/0", "11.0.0.0/16", true),
            ("0.0.0.0/0", "fd00::/16", false),
        ] {
            assert_eq!(cidr(outer).covers(&cidr(inner)), covers, "{outer} {inner}");
        }
        assert_eq!(Cidr::of("10.0.0.1".parse().unwrap()), cidr("10.0.0.1/32"));
    }
}
