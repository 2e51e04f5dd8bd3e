//! What happens to the world by chance, and the order of a run: chaos, then peace, then the end.

use super::{
    Sim,
    keeper::Input,
    manifests::{DEVICE, IMAGES},
    queue::{Happening, Life},
    rng::Rng,
};
use berth_core::{
    event::Event,
    pressure::Signal,
    time::{NS_PER_MS, NS_PER_S},
};

/// How often peace is looked at, nanoseconds.
const LOOK_NS: u64 = 5 * NS_PER_S;

/// The plan of a run.
#[derive(Debug)]
pub(crate) struct Chaos {
    /// Random things still to happen.
    left: u64,
    /// Longest pause between two of them, milliseconds.
    pause_max_ms: u64,
    /// Weights of: manifests, agent, zygote, power, clock, images, disk, upgrade, storm, pressure,
    /// devices.
    weights: [u64; 11],
    pub(crate) phase: Phase,
    /// The run has come to its end.
    pub(crate) over: bool,
}

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Things break.
    Chaos,
    /// Nothing breaks any more; what is desired must come to be.
    Peace { since: u64 },
    /// Nothing is desired any more; nothing may be left.
    End { since: u64 },
}

impl Chaos {
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        let mut weights = [10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        for weight in &mut weights[1..] {
            *weight = if rng.chance(500) { 0 } else { rng.scale(8) };
        }
        Self {
            left: rng.range(5, 40),
            pause_max_ms: rng.range(10, 400_000),
            weights,
            phase: Phase::Chaos,
            over: false,
        }
    }

    /// Nothing happens by chance.
    pub(crate) fn none() -> Self {
        let phase = Phase::Peace { since: 0 };
        Self { left: 0, pause_max_ms: 1, weights: [0; 11], phase, over: false }
    }

    pub(crate) fn pause(&self, rng: &mut Rng) -> u64 {
        let pause_ms =
            if rng.chance(250) { rng.range(0, self.pause_max_ms) } else { rng.scale(self.pause_max_ms) };
        pause_ms * NS_PER_MS + 1
    }

    /// The node may run short of something.
    pub(crate) fn has_pressure(&self) -> bool {
        self.weights[9] > 0
    }

    fn kind(&self, rng: &mut Rng) -> usize {
        let mut at = rng.range(0, self.weights.iter().sum::<u64>() - 1);
        for (kind, weight) in self.weights.iter().enumerate() {
            if at < *weight {
                return kind;
            }
            at -= weight;
        }
        0
    }
}

impl Sim {
    /// One more thing happens, or the run goes on to its next part.
    pub(crate) fn chaos(&mut self) {
        match self.chaos.phase {
            Phase::Chaos if self.chaos.left == 0 => self.make_peace(),
            Phase::Chaos => {
                self.chaos.left -= 1;
                match self.chaos.kind(&mut self.rng) {
                    0 => self.edit(),
                    1 => self.kill_agent(self.lives),
                    2 => {
                        self.say(|| "zygote dies".to_owned());
                        self.zygote_dies();
                    }
                    3 => self.power_cut(),
                    4 => self.machine.wall_offset = self.rng.range(0, 4_000_000_000) * NS_PER_S,
                    5 => self.change_images(),
                    9 => self.change_pressure(),
                    10 => self.change_devices(),
                    7 => self.keeper(Input::Upgrade),
                    6 => self.machine.disk_full = !self.machine.disk_full,
                    _ => (0..self.rng.range(2, 30)).for_each(|_| self.edit()),
                }
                let pause = self.chaos.pause(&mut self.rng);
                self.queue.push(self.now + pause, Happening::Chaos);
            }
            Phase::Peace { since } => {
                if self.converged(since) {
                    self.say(|| "peace; all manifests go".to_owned());
                    self.chaos.phase = Phase::End { since: self.now };
                    self.manifests.remove_all();
                    self.sources_changed(0);
                }
                self.queue.push(self.now + LOOK_NS, Happening::Chaos);
            }
            Phase::End { since } => {
                self.chaos.over = self.nothing_left(since);
                self.queue.push(self.now + LOOK_NS, Happening::Chaos);
            }
        }
    }

    fn edit(&mut self) {
        let what = self.manifests.change(&mut self.rng);
        self.say(|| what);
        let delay = self.rng.scale(1000);
        self.sources_changed(delay);
        // Where agents are killed, some die in the middle of what an edit leads to.
        if self.chaos.weights[1] > 0 && self.rng.chance(150) {
            let after = (delay + self.rng.scale(100)) * NS_PER_MS;
            self.queue.push(self.now + after, Happening::Kill(self.lives));
        }
    }

    /// The agent notices within `delay_ms`, or when it comes up.
    pub(super) fn sources_changed(&mut self, delay_ms: u64) {
        self.queue.push(self.now + delay_ms * NS_PER_MS, Happening::ReadSources(self.lives));
    }

    pub(crate) fn kill_agent(&mut self, life: Life) {
        if life != self.lives || self.chaos.phase != Phase::Chaos {
            return;
        }
        self.agent_dies();
        let down = self.rng.scale(20_000) + 1;
        self.queue.push(self.now + down * NS_PER_MS, Happening::AgentUp);
        if self.rng.chance(300) {
            self.edit();
        }
    }

    fn change_images(&mut self) {
        let image = *self.rng.pick(&IMAGES);
        if !self.machine.missing.remove(image) {
            self.machine.missing.insert(image);
        }
        self.images_changed();
    }

    fn change_devices(&mut self) {
        if !self.machine.devices.remove(DEVICE) {
            self.machine.devices.insert(DEVICE.to_owned());
        }
        self.say(|| format!("{DEVICE} comes or goes"));
        self.devices_changed();
    }

    /// The kernel tells the agent.
    pub(super) fn devices_changed(&mut self) {
        let event = Event::Devices(self.machine.look_at_devices());
        self.queue.push(self.now, Happening::Tell(self.lives, Box::new(event)));
    }

    fn change_pressure(&mut self) {
        let signal = *self.rng.pick(&Signal::ALL);
        if !self.machine.low.remove(&signal) {
            self.machine.low.insert(signal);
        }
        self.say(|| format!("{} changes", signal.as_str()));
        self.look_at_node();
    }

    /// As with every rescan.
    pub(super) fn look_at_node(&mut self) {
        let seen = Box::new(self.machine.look(self.clocks().mono));
        self.queue.push(self.now, Happening::Tell(self.lives, Box::new(Event::Observed(seen))));
    }

    fn images_changed(&mut self) {
        self.queue.push(self.now, Happening::Tell(self.lives, Box::new(Event::ImagesChanged)));
    }

    fn make_peace(&mut self) {
        self.say(|| "peace".to_owned());
        self.machine.calm();
        self.machine.devices.insert(DEVICE.to_owned());
        self.devices_changed();
        self.manifests.mend();
        self.sources_changed(0);
        self.images_changed();
        self.look_at_node();
        self.chaos.phase = Phase::Peace { since: self.now };
        self.queue.push(self.now + LOOK_NS, Happening::Chaos);
    }
}
