//! Keeping the books: what the core hears, the oracle hears too.

use super::{DISK_TRIES, Doing, EXIT_WAIT_S, InFlight, Ledger, Oracle, Run};
use crate::sim::machine::Machine;
use berth_core::{
    event::{Checkpoint, DesiredSet, Event, Exit, FailReason, Failure, Inventory, Outcome, RecordState},
    ids::{ActionId, ContainerId},
    time::{Mono, Now},
    world::World,
};
use std::{collections::BTreeSet, sync::Arc};

impl Oracle {
    /// A new agent: it knows what the disk and the machine say and nothing else.
    pub(crate) fn agent_up(&mut self, inventory: &Inventory, now: Mono, machine: &Machine) {
        self.desired = None;
        self.terminating.clear();
        self.held.clear();
        self.ever.clear();
        self.seen.clear();
        self.made.clear();
        self.in_flight.clear();
        self.pulls.clear();
        self.failed_saves.clear();
        self.failed_drops.clear();
        self.ledgers.clear();
        self.begun = inventory.sandboxes.iter().map(|s| (s.desired.uid.clone(), s.desired.clone())).collect();
        for checkpoint in &inventory.checkpoints {
            for (name, memory) in &checkpoint.containers {
                let ledger = Ledger::from_disk(memory, checkpoint.boot_id == machine.boot_id());
                self.ledgers.insert((checkpoint.uid.clone(), name.clone()), ledger);
            }
        }
        let (mut seen, mut ended) = (BTreeSet::new(), Vec::new());
        self.stops.clear();
        let of_this_boot = |checkpoint: &&Checkpoint| {
            checkpoint.boot_id == machine.boot_id() && self.begun.contains_key(&checkpoint.uid)
        };
        let kept: Vec<&Checkpoint> = inventory.checkpoints.iter().filter(of_this_boot).collect();
        for checkpoint in &kept {
            if checkpoint.terminating.is_some() {
                self.terminating.insert(checkpoint.uid.clone());
            }
            if let Some(since) = checkpoint.terminating.or(checkpoint.ending) {
                self.stops.insert(checkpoint.uid.clone(), since.mono);
            }
        }
        self.anew.clear();
        self.devices = Arc::default();
        self.evictions_up(&inventory.checkpoints, &machine.boot_id());
        self.present.clear();
        self.ups.clear();
        self.doomed_now.clear();
        self.sandboxes = inventory
            .sandboxes
            .iter()
            .filter(|s| s.ready)
            .map(|s| (s.desired.uid.clone(), s.begun))
            .collect();
        for record in &inventory.containers {
            self.notes(&record.pod, &record.name);
            let run = self.runs.entry(record.id.clone()).or_default();
            let creating_until = (record.state == RecordState::Creating).then(|| now.plus_s(60));
            *run = Run {
                uid: Some(record.pod.clone()),
                name: record.name.clone(),
                attempt: record.attempt,
                creating_until,
                ..Run::default()
            };
            let place = (record.pod.clone(), record.name.clone());
            let ledger = self.ledgers.entry(place.clone()).or_default();
            match &record.state {
                &RecordState::Running { at, .. } => {
                    let memory = kept.iter().find(|checkpoint| checkpoint.uid == record.pod);
                    let memory = memory.and_then(|checkpoint| checkpoint.containers.get(&record.name));
                    let of_this_run =
                        memory.filter(|m| m.running.is_some() && m.next_attempt > record.attempt);
                    run.signalled = of_this_run.and_then(|memory| memory.stop);
                    run.signal_kept = run.signalled.is_some();
                    run.told_start = Some(at.mono);
                    run.health.post_start_over = record.standing.post_start;
                    run.health.started = record.standing.started;
                    run.health.doomed =
                        of_this_run.and_then(|memory| memory.doomed).map(|grace_s| (now, grace_s));
                    if record.standing.started {
                        self.ups.insert(place.clone());
                    }
                    ledger.started(record.attempt);
                    seen.insert(place);
                }
                RecordState::Exited { started, exit, .. } => {
                    run.told_exit = true;
                    let memory = kept.iter().find(|checkpoint| checkpoint.uid == record.pod);
                    let memory = memory.and_then(|checkpoint| checkpoint.containers.get(&record.name));
                    let of_this_run = memory.filter(|memory| memory.next_attempt > record.attempt);
                    let doomed = of_this_run.and_then(|memory| memory.doomed);
                    run.health.doomed = doomed.map(|grace_s| (now, grace_s));
                    // What ends of a pod that is about to begin anew means nothing.
                    let again = of_this_run.is_some_and(|memory| memory.again);
                    let known = of_this_run.and_then(|memory| memory.last.as_ref());
                    if !again && known.is_none_or(|last| last.id != record.id) {
                        ended.push((record.id.clone(), record.pod.clone(), exit.code));
                    }
                    ledger.ended(&record.id, record.attempt, exit.code, started.mono, exit.at.mono);
                    seen.insert(place);
                }
                RecordState::Creating => {
                    seen.insert(place);
                }
                RecordState::Unknown => run.dead = true,
            }
        }
        for (_, ledger) in self.ledgers.iter_mut().filter(|(place, _)| !seen.contains(place)) {
            ledger.settle();
        }
        for (id, uid, code) in ended {
            self.ends(&id, &uid, code, now);
        }
        self.finds_anew(&inventory.containers, now);
        // Nothing is done before the sources have spoken.
        self.doomed_now.clear();
        let ended = self.ledgers.iter().filter(|((uid, _), ledger)| {
            let of_sandbox = |begun: &Mono| ledger.ended_at().is_some_and(|at| at >= *begun);
            !ledger.again && self.sandboxes.get(uid).is_some_and(of_sandbox)
        });
        let ended: Vec<_> = ended.map(|(place, _)| place.clone()).collect();
        self.present.extend(ended);
    }

    /// The core is about to hear this.
    pub(crate) fn hears(&mut self, events: &[Event], world: &World, now: Now, machine: &Machine) {
        self.unwanted_now.clear();
        // Of several the core has done nothing for all but the last.
        let last = events.iter().rposition(|event| matches!(event, Event::Desired(_)));
        for (i, event) in events.iter().enumerate() {
            match event {
                Event::Desired(set) => {
                    self.seen.extend(set.pods.iter().map(|pod| pod.uid.clone()));
                    if Some(i) == last {
                        self.hears_desired(set, world, now.mono);
                    }
                }
                Event::Done { action, outcome } => self.hears_answer(*action, outcome, now.mono, machine),
                Event::Exited { id, exit, .. } => self.hears_exit(id, exit, now.mono),
                Event::Started { id, at, .. } => {
                    let run = self.runs.entry(id.clone()).or_default();
                    if run.creating_until.is_some_and(|until| now.mono < until) && !run.told_exit {
                        run.told_start = Some(at.mono);
                        let place = run.uid.clone().map(|uid| (uid, run.name.clone()));
                        let attempt = run.attempt;
                        if let Some((uid, name)) = place {
                            self.starts(id, &uid, &name, attempt, now.mono);
                        }
                    }
                }
                Event::StartFailed { id, failure } => self.hears_refusal(id, failure.reason, now.mono),
                Event::ImagesChanged => self.pulls.values_mut().for_each(|pull| pull.1 = Mono(0)),
                Event::Observed(seen) => self.hears_observed(seen),
                Event::Devices(seen) => self.devices = Arc::clone(seen),
                Event::NotEnforced { .. } | Event::Unheld(_) | Event::Inventory(_) => {}
            }
        }
        let over: Vec<ActionId> =
            self.in_flight.iter().filter(|(_, f)| f.deadline <= now.mono).map(|(id, _)| *id).collect();
        for id in over {
            if let Some(flight) = self.in_flight.remove(&id) {
                self.failed(&flight, now.mono);
            }
        }
        self.mark_terminating(now.mono);
    }

    fn hears_desired(&mut self, said: &Arc<DesiredSet>, world: &World, now: Mono) {
        // What lacks an object is known from here on.
        self.desired = Some(said.clone());
        let set = &self.under_uids(said, world);
        self.desired = Some(set.clone());
        self.evictions_hear_desired();
        for new in &set.pods {
            self.seen.insert(new.uid.clone());
            self.ever.insert(new.uid.clone(), new.clone());
            self.takes_on(new, now);
            // The same revision in another file now; or the same but for what it lacks.
            let lacks = new.base.is_some() && self.lacks(new);
            for (uid, pod) in &mut self.begun {
                let same = *uid == new.uid && pod.pod == new.pod;
                let complete = lacks && (&pod.key, &pod.base) == (&new.key, &new.base);
                if (same || complete) && !self.terminating.contains(uid) {
                    pod.origin = new.origin.clone();
                }
            }
        }
    }

    fn hears_refusal(&mut self, id: &ContainerId, reason: FailReason, now: Mono) {
        let Some(run) = self.runs.get_mut(id).filter(|run| run.creating_until.is_some_and(|u| now < u))
        else {
            return;
        };
        let (uid, name, attempt) = (run.uid.clone(), run.name.clone(), run.attempt);
        run.dead = true;
        if let (Some(uid), FailReason::RunContainerError) = (uid, reason)
            && !run.told_exit
            && !run.removed
        {
            run.told_exit = true;
            self.reach(&uid, &name, attempt);
            self.ends_unstarted((uid, name), id, attempt, now, now);
        }
    }

    fn hears_exit(&mut self, id: &ContainerId, exit: &Exit, now: Mono) {
        let Some(run) = self.runs.get_mut(id) else { return };
        let first = !std::mem::replace(&mut run.told_exit, true);
        run.told_late |= first && run.killed.is_some_and(|at| now >= at.plus_s(EXIT_WAIT_S));
        let Some(uid) = run.uid.clone().filter(|_| first && !run.removed) else { return };
        let started = run.told_start.unwrap_or(exit.at.mono);
        let place = (uid, run.name.clone());
        let attempt = run.attempt;
        let uid = place.0.clone();
        self.ledgers.entry(place).or_default().ended(id, attempt, exit.code, started, exit.at.mono.min(now));
        self.ends(id, &uid, exit.code, now);
    }

    fn hears_answer(&mut self, action: ActionId, outcome: &Outcome, now: Mono, machine: &Machine) {
        let Some(flight) = self.in_flight.remove(&action) else { return };
        match (&flight.what, outcome) {
            (Doing::Measure, Outcome::Measured(found)) => self.hears_measured(&flight.uid, found),
            (_, Outcome::Observed(seen)) => self.hears_observed(seen),
            (Doing::Weigh(signal), Outcome::Weighed(uses)) => self.hears_weighed(*signal, uses),
            (Doing::Check(..), outcome) => self.hears_check(&flight, outcome, now),
            (Doing::Start { name, id, asked }, outcome) => {
                let run = self.runs.entry(id.clone()).or_default();
                let place = (flight.uid.clone(), name.clone());
                let attempt = run.attempt;
                match outcome {
                    Outcome::Started { at, .. } => {
                        run.told_start = Some(at.mono);
                        self.starts(id, &place.0, &place.1, attempt, now);
                    }
                    Outcome::Failed(f) if f.reason == FailReason::RunContainerError => {
                        run.dead = true;
                        if !run.told_exit {
                            run.told_exit = true;
                            self.reach(&place.0, &place.1, attempt);
                            self.ends_unstarted(place, id, attempt, *asked, now);
                        }
                    }
                    _ => run.dead = true,
                }
            }
            (_, Outcome::Failed(_)) => self.failed(&flight, now),
            (Doing::Remove(id), _) => {
                self.runs.entry(id.clone()).or_default().removed = true;
            }
            (Doing::Pull(image), _) => {
                self.pulls.remove(&(flight.uid.clone(), image.clone()));
            }
            (Doing::Save, _) => {
                self.failed_saves.remove(&flight.uid);
            }
            (Doing::Drop, _) => self.removed(&flight.uid, machine, true),
            (Doing::Measure | Doing::Weigh(_) | Doing::Other, _) => {}
        }
    }

    /// An action of this kind failed, or was not answered in time.
    fn failed(&mut self, flight: &InFlight, now: Mono) {
        match &flight.what {
            Doing::Pull(image) => {
                let pull = self.pulls.entry((flight.uid.clone(), image.clone())).or_default();
                *pull = (pull.0 + 1, now);
            }
            Doing::Save => *self.failed_saves.entry(flight.uid.clone()).or_default() += 1,
            Doing::Drop => {
                let drops = self.failed_drops.entry(flight.uid.clone()).or_default();
                *drops += 1;
                if *drops == DISK_TRIES {
                    self.forget(&flight.uid.clone());
                }
            }
            Doing::Check(..) => {
                let message = String::new();
                let lost = Outcome::Failed(Failure { reason: FailReason::Timeout, message });
                self.hears_check(flight, &lost, now);
            }
            Doing::Start { .. } | Doing::Remove(_) | Doing::Measure | Doing::Weigh(_) | Doing::Other => {}
        }
    }
}
