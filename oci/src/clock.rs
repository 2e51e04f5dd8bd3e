//! The shell's clock: the only place where the two clocks of `core::time` are read.

use berth_core::time::{Mono, NS_PER_S, Now, Wall};
use nix::time::{ClockId, clock_gettime};

/// Both clocks now. A clock that cannot be read (no kernel in question lacks one) reads as 0.
pub fn now() -> Now {
    Now { mono: Mono(nanos(ClockId::CLOCK_BOOTTIME)), wall: Wall(nanos(ClockId::CLOCK_REALTIME)) }
}

fn nanos(clock: ClockId) -> u64 {
    let time = clock_gettime(clock).map(|time| (time.tv_sec(), time.tv_nsec())).unwrap_or((0, 0));
    // A wall clock before 1970 (a box without a battery, set wrongly) shows as 1970.
    let (secs, nanos) = (u64::try_from(time.0).unwrap_or(0), u64::try_from(time.1).unwrap_or(0));
    secs.saturating_mul(NS_PER_S).saturating_add(nanos)
}

#[cfg(test)]
mod tests {
    #[test]
    fn time_does_not_go_back_and_is_after_the_epoch() {
        let (first, second) = (super::now(), super::now());
        assert!(first.mono.0 > 0 && first.mono <= second.mono);
        assert!(first.wall.0 > 1_600_000_000 * berth_core::time::NS_PER_S);
    }
}
