//! Time as a value: handed in by the caller, never read here.

use serde::{Deserialize, Serialize};

/// Nanoseconds since boot, suspended time included (`CLOCK_BOOTTIME`). Never goes back within one boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mono(pub u64);

/// Nanoseconds since 1970 (`CLOCK_REALTIME`): only ever shown or written down, never compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Wall(pub u64);

/// Both clocks, read at one moment by the shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Now {
    /// For intervals and deadlines.
    pub mono: Mono,
    /// For people.
    pub wall: Wall,
}

/// Nanoseconds in a millisecond.
pub const NS_PER_MS: u64 = 1_000_000;
/// Nanoseconds in a second.
pub const NS_PER_S: u64 = 1_000_000_000;

impl Mono {
    /// This moment and `seconds` more; stays at the end of time instead of wrapping.
    pub const fn plus_s(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(NS_PER_S)))
    }
    /// This moment and `ms` milliseconds more.
    pub const fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms.saturating_mul(NS_PER_MS)))
    }
    /// Nanoseconds since `earlier`; 0 if that is not earlier.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Wall {
    /// RFC 3339 in UTC with nanoseconds, as the CRI log format and Kubernetes' `MicroTime` want it.
    pub fn rfc3339_nano(self) -> String {
        let (date, nanos) = (self.rfc3339(), self.0 % NS_PER_S);
        format!("{}.{nanos:09}Z", date.trim_end_matches('Z'))
    }

    /// RFC 3339 in UTC to the second, as Kubernetes' `Time`.
    pub fn rfc3339(self) -> String {
        let secs = self.0 / NS_PER_S;
        let (year, month, day) = civil_from_days(secs / 86_400);
        let (h, m, s) = (secs / 3600 % 24, secs / 60 % 60, secs % 60);
        format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}Z")
    }
}

/// Days since 1970-01-01 to (year, month, day) in the proleptic Gregorian calendar.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    // Years start in March here, so that the leap day is the last of its year.
    let z = days + 719_468;
    let era = z / 146_097;
    let day_of_era = z % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_time_is_shown_as_rfc3339() {
        for (secs, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (4_102_444_800, "2100-01-01T00:00:00Z"),
        ] {
            assert_eq!(Wall(secs * NS_PER_S).rfc3339(), text);
        }
        assert_eq!(Wall(1_000_000_001).rfc3339_nano(), "1970-01-01T00:00:01.000000001Z");
    }
}
