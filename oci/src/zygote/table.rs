//! What the zygote has to do and who is at it. Pure: no process is made or killed here.

use berth_keeper::{
    link::Fds,
    protocol::{CONTAINERS_MAX, EXECS_MAX, Work},
};
use nix::unistd::Pid;
use std::{collections::VecDeque, time::Instant};

/// Work that waits for a worker: no more than the keeper can have asked for.
pub(super) const WAITING_MAX: usize = CONTAINERS_MAX + EXECS_MAX;

/// Work that waits.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) work: Work,
    pub(super) fds: Fds,
    pub(super) deadline: Instant,
}

/// A worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) pid: Pid,
    pub(super) ticket: u64,
    pub(super) deadline: Instant,
    pub(super) timed_out: bool,
}

/// Workers and waiting work.
#[derive(Debug)]
pub(super) struct Table {
    workers_max: usize,
    running: Vec<Slot>,
    waiting: VecDeque<Job>,
}

impl Table {
    pub(super) fn new(workers_max: usize) -> Self {
        Self { workers_max: workers_max.max(1), running: Vec::new(), waiting: VecDeque::new() }
    }

    /// Takes work; gives it back if there is too much.
    pub(super) fn push(&mut self, job: Job) -> Result<(), Box<Job>> {
        if self.waiting.len() >= WAITING_MAX {
            return Err(Box::new(job));
        }
        self.waiting.push_back(job);
        Ok(())
    }

    /// The next to be begun, if a worker may be forked for it.
    pub(super) fn pop(&mut self) -> Option<Job> {
        if self.running.len() < self.workers_max { self.waiting.pop_front() } else { None }
    }

    pub(super) fn started(&mut self, slot: Slot) {
        self.running.push(slot);
    }

    /// The worker has ended; none if it is none of this table's.
    pub(super) fn ended(&mut self, pid: Pid) -> Option<Slot> {
        let at = self.running.iter().position(|slot| slot.pid == pid)?;
        Some(self.running.swap_remove(at))
    }

    /// Workers to kill, each told once.
    pub(super) fn overdue(&mut self, now: Instant) -> Vec<Pid> {
        let late = self.running.iter_mut().filter(|slot| !slot.timed_out && slot.deadline <= now);
        late.map(|slot| {
            slot.timed_out = true;
            slot.pid
        })
        .collect()
    }

    /// Work whose time is over before anyone has begun it.
    pub(super) fn expired(&mut self, now: Instant) -> Vec<Job> {
        let (late, rest) = self.waiting.drain(..).partition(|job| job.deadline <= now);
        self.waiting = rest;
        Vec::from(late)
    }

    /// When to look again at the latest.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let running = self.running.iter().filter(|slot| !slot.timed_out).map(|slot| slot.deadline);
        running.chain(self.waiting.iter().map(|job| job.deadline)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn job(ticket: u64, deadline: Instant) -> Job {
        let work = Work::Create {
            ticket,
            id: Default::default(),
            bundle: Default::default(),
            cgroup: Default::default(),
            deadline_ms: 0,
        };
        Job { work, fds: Fds::new(), deadline }
    }

    fn slot(pid: i32, deadline: Instant) -> Slot {
        Slot { pid: Pid::from_raw(pid), ticket: 0, deadline, timed_out: false }
    }

    #[test]
    fn no_more_workers_than_allowed_and_first_come_first_served() {
        let now = Instant::now();
        let mut table = Table::new(2);
        for ticket in 1..=3 {
            table.push(job(ticket, now)).unwrap();
        }
        for pid in 1..=2 {
            let job = table.pop().unwrap();
            assert!(matches!(job.work, Work::Create { ticket, .. } if ticket == pid));
            table.started(slot(i32::try_from(pid).unwrap(), now));
        }
        assert!(table.pop().is_none());
        assert_eq!(table.ended(Pid::from_raw(9)), None);
        assert_eq!(table.ended(Pid::from_raw(1)).unwrap().pid, Pid::from_raw(1));
        assert!(table.pop().is_some() && table.pop().is_none());
    }

    #[test]
    fn work_beyond_the_bound_is_given_back() {
        let now = Instant::now();
        let mut table = Table::new(1);
        for ticket in 0..WAITING_MAX as u64 {
            table.push(job(ticket, now)).unwrap();
        }
        assert!(table.push(job(7, now)).is_err());
    }

    #[test]
    fn what_is_late_is_told_once_and_the_rest_has_a_time() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let mut table = Table::new(2);
        assert_eq!(table.next_deadline(), None);
        table.started(slot(1, at(10)));
        table.started(slot(2, at(30)));
        table.push(job(3, at(20))).unwrap();
        table.push(job(4, at(40))).unwrap();
        assert_eq!(table.next_deadline(), Some(at(10)));
        assert_eq!(table.overdue(at(9)), []);
        assert_eq!(table.overdue(at(10)), [Pid::from_raw(1)]);
        assert_eq!(table.overdue(at(11)), [], "once");
        assert_eq!(table.next_deadline(), Some(at(20)));
        assert_eq!(table.expired(at(25)).len(), 1);
        assert_eq!(table.next_deadline(), Some(at(30)));
        assert!(table.ended(Pid::from_raw(1)).unwrap().timed_out);
        assert!(!table.ended(Pid::from_raw(2)).unwrap().timed_out);
    }
}
