//! How much may go on at one time, in all and for each pod: one that asks without end takes nothing from the others.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// See the module.
#[derive(Debug)]
pub(super) struct Rooms {
    all_max: usize,
    each_max: usize,
    taken: Mutex<HashMap<IpAddr, usize>>,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub(super) struct Room {
    of: Arc<Rooms>,
    who: IpAddr,
}

impl Rooms {
    pub(super) fn new(all_max: usize, each_max: usize) -> Arc<Self> {
        Arc::new(Self { all_max, each_max, taken: Mutex::default() })
    }

    /// None: there is no more.
    pub(super) fn take(self: &Arc<Self>, who: IpAddr) -> Option<Room> {
        let mut taken = self.lock();
        let his = taken.get(&who).copied().unwrap_or(0);
        if his >= self.each_max || taken.values().sum::<usize>() >= self.all_max {
            return None;
        }
        taken.insert(who, his + 1);
        Some(Room { of: Arc::clone(self), who })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut taken = self.of.lock();
        match taken.get_mut(&self.who) {
            Some(his) if *his > 1 => *his -= 1,
            _ => drop(taken.remove(&self.who)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_has_more_than_his_share_and_all_is_given_back() {
        let rooms = Rooms::new(3, 2);
        let [one, two, three] = [1, 2, 3].map(|n| IpAddr::from([10, 86, 0, n]));
        let first = rooms.take(one).unwrap();
        let second = rooms.take(one).unwrap();
        assert!(rooms.take(one).is_none());
        let third = rooms.take(two).unwrap();
        assert!(rooms.take(three).is_none());
        drop(first);
        let again = rooms.take(three).unwrap();
        drop((second, third, again));
        assert!(rooms.lock().is_empty());
    }
}
