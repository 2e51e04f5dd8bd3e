//! How many may have plugins work at one time, and who must be alone (section 2 of the specification, GC). Whoever
//! waits does so until a deadline.

use crate::error::{Error, Result};
use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Pods whose plugins work at one time: each is a process of its own, and some are large.
const AT_WORK_MAX: usize = 4;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Gate {
    inside: Mutex<Inside>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Inside {
    at_work: usize,
    alone: bool,
}

/// The right to have plugins work, until dropped.
#[derive(Debug)]
pub(super) struct Pass<'a>(&'a Gate);

impl Gate {
    /// One of those who may work side by side.
    ///
    /// # Errors
    /// [`Error::Network`]: the others took too long.
    pub(super) fn enter(&self, wait: Duration) -> Result<Pass<'_>> {
        let mut inside = self.until(wait, |inside| !inside.alone && inside.at_work < AT_WORK_MAX)?;
        inside.at_work += 1;
        Ok(Pass(self))
    }

    /// The only one.
    ///
    /// # Errors
    /// As [`Self::enter`].
    pub(super) fn enter_alone(&self, wait: Duration) -> Result<Pass<'_>> {
        let mut inside = self.until(wait, |inside| !inside.alone && inside.at_work == 0)?;
        inside.alone = true;
        Ok(Pass(self))
    }

    fn until(&self, wait: Duration, ready: impl Fn(&Inside) -> bool) -> Result<MutexGuard<'_, Inside>> {
        let end = Instant::now() + wait;
        let mut inside = self.lock();
        while !ready(&inside) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::Network(
                    "CNI plugins of other pods are at work and do not come to an end".into(),
                ));
            }
            inside = self.changed.wait_timeout(inside, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(inside)
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let mut inside = self.0.lock();
        // Nobody else is inside while somebody is alone.
        if !std::mem::take(&mut inside.alone) {
            inside.at_work = inside.at_work.saturating_sub(1);
        }
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_work_side_by_side_and_one_alone() {
        let (gate, now) = (Gate::default(), Duration::ZERO);
        let passes: Vec<_> = (0..AT_WORK_MAX).map(|_| gate.enter(now).unwrap()).collect();
        assert!(gate.enter(now).unwrap_err().to_string().contains("of other pods are at work"));
        assert!(gate.enter_alone(now).is_err());
        drop(passes);
        let alone = gate.enter_alone(now).unwrap();
        assert!(gate.enter(now).is_err() && gate.enter_alone(now).is_err());
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| gate.enter(Duration::from_secs(60)).is_ok());
            drop(alone);
            assert!(waits.join().unwrap());
        });
        assert!(gate.enter_alone(now).is_ok());
    }
}
