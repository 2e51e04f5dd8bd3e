//! How long to wait between two requests to an address. Pure.

use std::time::Duration;

/// The first wait for an address that has not answered since the start: the network is coming up perhaps.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait after failures, where the period is not longer yet.
const BACK_OFF_MAX: Duration = Duration::from_secs(300);

/// The pace of one address.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    pub(super) period: Duration,
    pub(super) jitter_percent: u8,
}

impl Pace {
    /// The wait after so many failures in a row. `answered`: at all since the start. `chance` is any number.
    pub(super) fn wait(self, failures: u32, answered: bool, chance: u64) -> Duration {
        let doubled = |first: Duration| {
            first.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX))
        };
        let most = self.period.max(BACK_OFF_MAX);
        let wait = match (failures, answered) {
            (0, _) => self.period,
            (_, true) => doubled(self.period).min(most),
            (_, false) => doubled(FIRST_WAIT).min(most),
        };
        let share = f64::from(self.jitter_percent) / 100.0 * (chance as f64 / u64::MAX as f64);
        wait + wait.mul_f64(share.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_with_failures_and_never_beyond_the_bound() {
        let pace = |period_s| Pace { period: Duration::from_secs(period_s), jitter_percent: 0 };
        for (period_s, failures, answered, expected_s) in [
            (20, 0, true, 20),
            (20, 1, true, 20),
            (20, 2, true, 40),
            (20, 3, true, 80),
            (20, 9, true, 300),
            (20, u32::MAX, true, 300),
            (20, 1, false, 1),
            (20, 4, false, 8),
            (20, 40, false, 300),
            (3600, 1, true, 3600),
            (3600, 5, true, 3600),
            (3600, 5, false, 16),
        ] {
            let wait = pace(period_s).wait(failures, answered, 7).as_secs();
            assert_eq!(wait, expected_s, "{period_s} {failures} {answered}");
        }
    }

    #[test]
    fn chance_makes_it_longer_by_at_most_the_jitter() {
        let pace = Pace { period: Duration::from_secs(20), jitter_percent: 10 };
        for (chance, expected_s) in [(0, 20), (u64::MAX / 2, 21), (u64::MAX, 22)] {
            assert_eq!(pace.wait(0, true, chance).as_secs_f64().round() as u64, expected_s);
        }
    }
}
