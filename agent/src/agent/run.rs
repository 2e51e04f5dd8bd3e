//! The loop: wait for news, let the core decide, begin what it wants. Everything that may take long is done
//! elsewhere and comes back as news.

use super::{
    boot::{Env, Unfit},
    flights::{Flights, Purpose},
    image_gc::ImageGc,
    inventory, memory, settings, warned,
};
use crate::{
    act::Classes,
    api::{
        ask::{ASKS_MAX, Ask},
        conn::Context,
        listen,
    },
    events::{self, EventLog},
    keeper_link::{KeeperLink, Slot},
    logs::{Logs, Place},
    names,
    pressure::Stalls,
    source::{DeviceWatch, ImageWatch, Pins, Reports, Source, SourceEvent},
};
use berth_core::{
    action::{Action, ActionKind, Plan, PodEvent},
    devices::Asked,
    event::{DesiredSet, Event, FailReason, Failure, Inventory, Outcome},
    ids::{ActionId, ContainerId, PodKey, PodUid},
    time::{Mono, Now},
    world::{World, step},
};
use berth_keeper::protocol::Request;
use berth_oci::{
    clock, container,
    network::Network,
    records,
    sandbox::{self, Warning},
};
use std::{
    collections::{BTreeSet, HashMap},
    io,
    os::fd::OwnedFd,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, oneshot, watch};

/// Results of actions that wait for the loop; who has one more waits.
const TOLD_MAX: usize = 1024;
/// Seconds without a word to the keeper after which it is told that the loop turns, at the next occasion.
const SILENT_S: u64 = 30;
/// Steps in a row without waiting for anything: what is done at once is news at once.
const STEPS_MAX: usize = 16;

/// What comes back from where an action was carried out.
#[derive(Debug)]
pub(crate) enum Told {
    /// It is done.
    Done(ActionId, Outcome),
    /// A container ended, and its log was asked for its last words.
    Ended(Box<Event>),
    /// Of a container only the keeper's slot is left.
    Emptied(ActionId, ContainerId, Mono),
    /// The pod runs, but not with all that was wished.
    Warned(Box<(PodKey, PodUid, Warning)>),
    /// Pods whose NetworkPolicies are not in force, and why: all of them.
    Unheld(Vec<(PodKey, String)>),
    /// What nobody wants any more is removed.
    Cleaned,
    /// What containers of an earlier boot have written is removed.
    RoomMade,
    /// The command of a check has had its time.
    Overtime(String),
    /// The keeper has another program now: the next agent is to be of that too.
    Leave,
}

/// The agent's state. What it means is in `world`; the rest is what is needed to carry things out.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) env: Arc<Env>,
    pub(crate) world: World,
    pub(crate) link: KeeperLink,
    pub(crate) flights: Flights,
    pub(crate) logs: Logs,
    /// Where each container logs to.
    pub(crate) places: HashMap<ContainerId, Place>,
    /// Removals that wait for an exit to be told.
    pub(super) releasing: HashMap<ContainerId, (ActionId, Mono)>,
    /// Commands that run, by session.
    pub(crate) sessions: HashMap<String, crate::act::exec::Running>,
    pub(super) events: EventLog,
    pub(crate) desired: Arc<DesiredSet>,
    /// What the QoS classes' cgroups go by.
    pub(crate) classes: Arc<Classes>,
    /// The devices that it asks for.
    asked: Asked,
    /// How it is with addresses of manifests.
    pub(super) reports: Reports,
    /// Which images pods are to have that start from a checkpoint.
    pub(crate) pins: Pins,
    /// For the next step.
    pub(crate) news: Vec<Event>,
    pub(crate) told: mpsc::Sender<Told>,
    changes: watch::Sender<u64>,
    /// When to step although there is no news.
    wake: Option<Mono>,
    pub(super) keeper_pid: i32,
    pub(super) started: Now,
    /// What an earlier boot left is being removed: no manifest may come back to it meanwhile.
    cleaning: bool,
    /// Which images may go.
    pub(super) gc: ImageGc,
    /// No pod is wanted any more, whatever manifests say.
    pub(super) draining: bool,
    /// The loop is to end.
    leaving: bool,
    /// Lets one import run at a time, so that threads are left for the rest.
    pub(crate) importing: Arc<tokio::sync::Semaphore>,
    /// Lets one download run at a time, as kubelet does by default, beside imports.
    pub(crate) pulling: Arc<tokio::sync::Semaphore>,
    /// Lets one pod be measured at a time.
    pub(crate) measuring: Arc<tokio::sync::Semaphore>,
    /// The usual seccomp filters are there, or being made.
    pub(super) filters_made: bool,
}

/// What the loop listens to.
struct Ears {
    told: mpsc::Receiver<Told>,
    asks: mpsc::Receiver<Ask>,
    source: Source,
    images: ImageWatch,
    devices: DeviceWatch,
    stalls: Stalls,
}

/// Starts everything and goes on until the keeper is gone.
pub(super) async fn run(env: Env, socket: OwnedFd, started: Instant) -> Result<(), Unfit> {
    let mut link = KeeperLink::new(socket)?;
    let welcome = link.hello().await?;
    let inventory::Taken { inventory, slots, layers } =
        inventory::take(&env, &mut link, welcome.slots).await?;
    let env = Arc::new(env);
    let network = Arc::clone(&env.network);
    let reconciled = tokio::task::spawn_blocking(move || network.reconcile());
    let (told, hear_told) = mpsc::channel(TOLD_MAX);
    let (asks, hear_asks) = mpsc::channel(ASKS_MAX);
    let (changes, see_changes) = watch::channel(0);
    let mut agent = Agent::new(&env, link, told, changes, welcome.pid)?;
    let running: Vec<_> = inventory.sandboxes.iter().map(|sandbox| sandbox.desired.clone()).collect();
    let found: Vec<PodUid> = running.iter().map(|pod| pod.uid.clone()).collect();
    let mut source = Source::new(settings::source(&env, agent.reports.clone())?, running);
    agent.adopt(&inventory, slots);
    let noted = warned::noted(&env.roots, &inventory);
    agent.news.push(Event::Inventory(Box::new(inventory)));
    agent.news.extend(noted);
    if layers.is_empty() {
        agent.look_at_node();
    }
    let desired = source.look().unwrap_or_default();
    agent.pins = source.pins();
    agent.desire(desired);
    agent.tell(source.take_events());
    let images = ImageWatch::new(&env.config.image_source_paths.0);
    let mut devices = DeviceWatch::new(&env.roots.cdi);
    reconciled.await.map_err(io::Error::from)?;
    // Before all that no start waits for: at a boot pods begin beside it.
    agent.first_step(&mut devices, &found);
    agent.remove_layers(layers);
    let listener = listen::listen(&env.roots.socket(), &env.config.api_socket_group)?;
    let stalls = agent.watch_stalls();
    tracing::info!(took_us = started.elapsed().as_micros(), %env, "serving");
    agent.ask_keeper(Request::Ready, Vec::new());
    env.network.guard();
    tokio::spawn(names::run(Arc::clone(&env), agent.told.clone()));
    tokio::spawn(listen::serve(listener, Context { asks, changes: see_changes, env }));
    agent.serve(Ears { told: hear_told, asks: hear_asks, source, images, devices, stalls }).await
}

/// Tells of pods whose NetworkPolicies are not in force, if they are others than before. Blocks.
pub(crate) fn tell_unheld(network: &Network, told: &mpsc::Sender<Told>) {
    if let Some(unheld) = network.unheld_now() {
        // An agent that ends has nobody to tell.
        let _ = told.blocking_send(Told::Unheld(unheld));
    }
}

impl Agent {
    fn new(
        env: &Arc<Env>,
        link: KeeperLink,
        told: mpsc::Sender<Told>,
        changes: watch::Sender<u64>,
        keeper_pid: i32,
    ) -> Result<Self, Unfit> {
        Ok(Self {
            env: Arc::clone(env),
            world: World::new(settings::world(env)),
            link,
            flights: Flights::default(),
            logs: Logs::new(&env.config, &env.roots)?,
            places: HashMap::new(),
            releasing: HashMap::new(),
            sessions: HashMap::new(),
            events: EventLog::new(&env.node.name),
            desired: Arc::default(),
            classes: Arc::default(),
            asked: Asked::default(),
            reports: Reports::default(),
            pins: Pins::default(),
            news: Vec::new(),
            told,
            changes,
            wake: None,
            keeper_pid,
            started: clock::now(),
            cleaning: false,
            gc: ImageGc::new(env.roots.state.join("images-of-revisions.json")),
            draining: false,
            leaving: false,
            importing: Arc::new(tokio::sync::Semaphore::new(1)),
            pulling: Arc::new(tokio::sync::Semaphore::new(1)),
            measuring: Arc::new(tokio::sync::Semaphore::new(1)),
            filters_made: false,
        })
    }

    /// Goes on with the logs of containers that an earlier agent started.
    fn adopt(&mut self, inventory: &Inventory, slots: Vec<Slot>) {
        for record in &inventory.containers {
            let sandbox = inventory.sandboxes.iter().find(|sandbox| sandbox.desired.uid == record.pod);
            let Some(sandbox) = sandbox else { continue };
            let place =
                Place::of(&self.env.roots, &sandbox.desired, &record.name, record.attempt, &record.id);
            self.places.insert(record.id.clone(), place);
        }
        for slot in slots {
            if !slot.fds.is_empty() {
                self.follow(&ContainerId(slot.id.into()), slot.fds);
            }
        }
    }

    /// The sources say this now.
    pub(super) fn desire(&mut self, desired: DesiredSet) {
        self.desired = Arc::new(desired);
        self.classes.note(&self.desired);
        self.asked = Asked::default();
        self.desired.pods.iter().for_each(|pod| self.asked.add(&pod.pod));
        if self.env.network.note_policies(&self.desired.objects) {
            let env = Arc::clone(&self.env);
            let told = self.told.clone();
            tokio::task::spawn_blocking(move || {
                env.network.enforce();
                tell_unheld(&env.network, &told);
            });
        }
        self.news.push(Event::Desired(Arc::clone(&self.desired)));
    }

    /// Of sources; what is about no pod is about the node.
    fn tell(&mut self, events: Vec<SourceEvent>) {
        for SourceEvent { pod, warning, reason, message } in events {
            let (pod, uid) = pod.unwrap_or_else(|| events::of_node(&self.env.node.name));
            self.record(PodEvent { pod, uid, warning, reason: reason.into(), message, at: clock::now() });
            self.changes.send_modify(|number| *number += 1);
        }
    }

    /// What the agent has found meets what is wanted; what stands for nothing that is wanted is removed then.
    fn first_step(&mut self, devices: &mut DeviceWatch, found: &[PodUid]) {
        self.news.extend(devices.ask(&self.asked).map(Event::Devices));
        self.steps();
        self.clean();
        if !self.cleaning {
            self.settle_network();
        }
        self.get_ahead_unless_busy(found);
    }

    /// The pods that are wanted, by the uids under which they stand: not before the core has heard of them.
    pub(super) fn wanted(&self) -> impl Iterator<Item = &PodUid> {
        self.desired.pods.iter().map(|pod| self.world.standing(&pod.uid))
    }

    /// Removes what containers of an earlier boot have written. How full the disk is counts after that: no pod is to be
    /// evicted for what is about to go.
    fn remove_layers(&self, layers: Vec<ContainerId>) {
        if layers.is_empty() {
            return;
        }
        let (env, told) = (Arc::clone(&self.env), self.told.clone());
        tokio::task::spawn_blocking(move || {
            tracing::info!(count = layers.len(), "removing what containers of an earlier boot have written");
            for id in layers {
                if let Err(error) = container::remove_layer(&env.roots, &id) {
                    tracing::warn!(container = %id, %error, "what an earlier boot left stays");
                }
            }
            // Fails when the agent ends.
            let _ = told.blocking_send(Told::RoomMade);
        });
    }

    /// Removes volumes, logs and checkpoints of pods of an earlier boot that nobody wants any more. Not while
    /// a manifest is broken: what it said is not known, and it may be about them. Nor what was an address's that has
    /// not been heard yet.
    fn clean(&mut self) {
        let Some(of_silent) = self.gc.revisions.of(&self.desired.silent) else { return };
        if !self.desired.problems.is_empty() {
            return;
        }
        self.cleaning = true;
        let keep: BTreeSet<_> = self.wanted().cloned().chain(of_silent).collect();
        let (env, told) = (Arc::clone(&self.env), self.told.clone());
        tokio::task::spawn_blocking(move || {
            let orphans = records::orphans(&env.roots, &keep).unwrap_or_default();
            for uid in orphans {
                if let Err(error) = sandbox::remove_leftover_with(&env.roots, &env.network, &uid) {
                    tracing::warn!(pod = %uid, %error, "what an earlier boot left stays");
                }
            }
            let _ = told.blocking_send(Told::Cleaned);
        });
    }

    async fn serve(mut self, mut ears: Ears) -> Result<(), Unfit> {
        while !self.leaving {
            self.news.extend(ears.devices.ask(&self.asked).map(Event::Devices));
            self.steps();
            if ears.source.note_runs(&self.world) {
                self.pins = ears.source.pins();
            }
            let wake = sleep_until(self.next_wake());
            tokio::select! {
                biased;
                () = std::future::ready(()), if !self.news.is_empty() => {}
                notice = self.link.recv() => {
                    let (notice, fds) = notice?;
                    self.notice(notice, fds);
                }
                Some(told) = ears.told.recv() => self.hear(told),
                () = ears.source.changed(), if !self.cleaning => {
                    let rescan = ears.source.is_rescan();
                    let news = ears.source.look();
                    if news.is_some() {
                        self.pins = ears.source.pins();
                    }
                    self.tell(ears.source.take_events());
                    match news {
                        Some(desired) if !self.draining => self.desire(desired),
                        None if rescan => {
                            self.look_at_node();
                            self.steps();
                            memory::give_back();
                        }
                        _ => {}
                    }
                    // With every rescan: so the keeper need not ask whether this loop turns.
                    if self.link.silent_for() >= Duration::from_secs(SILENT_S) {
                        self.ask_keeper(Request::Alive, Vec::new());
                    }
                    self.collect_images(false);
                }
                () = ears.stalls.stalled() => self.look_at_node(),
                () = ears.images.changed() => self.news.push(Event::ImagesChanged),
                seen = ears.devices.changed() => self.news.push(Event::Devices(seen)),
                Some(ask) = ears.asks.recv() => self.answer(ask),
                () = wake => {}
            }
            // All that came in the meantime goes into the same step.
            while let Some((notice, fds)) = self.link.try_recv()? {
                self.notice(notice, fds);
            }
            while let Ok(told) = ears.told.try_recv() {
                self.hear(told);
            }
        }
        tracing::info!("making room for another program");
        Ok(())
    }

    /// Lets the core decide until what it wanted takes time.
    fn steps(&mut self) {
        for _ in 0..STEPS_MAX {
            let now = clock::now();
            self.overdue(now.mono);
            let due = self.wake.is_some_and(|wake| wake <= now.mono);
            if self.news.is_empty() && !due {
                return;
            }
            let news = std::mem::take(&mut self.news);
            let plan = step(&mut self.world, now, &news);
            if news.iter().any(|news| matches!(news, Event::Desired(_))) {
                self.note_revisions();
            }
            let told = !is_routine(&news, &plan);
            tracing::trace!(?news, ?plan, "step");
            self.wake = plan.wake;
            for event in plan.events {
                self.record(event);
            }
            for action in plan.actions {
                self.act(action);
            }
            if told {
                self.changes.send_modify(|number| *number += 1);
            }
        }
    }

    fn next_wake(&self) -> Option<Mono> {
        let requests =
            [self.flights.next_deadline(), self.releasing.values().map(|(_, deadline)| *deadline).min()];
        requests.into_iter().chain([self.wake]).flatten().min()
    }

    fn hear(&mut self, told: Told) {
        match told {
            Told::Done(action, outcome) => {
                // An image that was imported, or for which there was no room perhaps.
                let image = match &outcome {
                    Outcome::Image(_) => true,
                    Outcome::Failed(failure) => failure.reason == FailReason::ErrImagePull,
                    _ => false,
                };
                self.done(action, outcome);
                if image {
                    self.collect_images(true);
                }
            }
            Told::Ended(end) => self.news.push(*end),
            Told::Emptied(action, id, deadline) => self.release(action, id, deadline),
            Told::Warned(told) => {
                let (pod, uid, warning) = *told;
                self.warned(pod, uid, warning);
                self.changes.send_modify(|number| *number += 1);
            }
            Told::Unheld(unheld) => self.news.push(Event::Unheld(unheld)),
            Told::Cleaned => {
                self.cleaning = false;
                self.settle_network();
            }
            Told::RoomMade => self.look_at_node(),
            Told::Overtime(session) => self.exec_kill(&session),
            Told::Leave => self.leaving = true,
        }
    }

    /// An action is done.
    pub(crate) fn done(&mut self, action: ActionId, outcome: Outcome) {
        self.news.push(Event::Done { action, outcome });
    }

    /// An action is not done.
    pub(crate) fn failed(&mut self, action: ActionId, reason: FailReason, message: impl Into<String>) {
        self.done(action, Outcome::Failed(Failure { reason, message: message.into() }));
    }

    /// Requests that the keeper did not answer in time.
    fn overdue(&mut self, now: Mono) {
        const SILENT: &str = "the keeper did not answer in time";
        for purpose in self.flights.overdue(now) {
            tracing::warn!(?purpose, SILENT);
            match purpose {
                Purpose::Start(action, _) | Purpose::Signal(action) | Purpose::Release(action, _) => {
                    self.failed(action, FailReason::Timeout, SILENT);
                }
                Purpose::Exec(session) => self.exec_failed(&session, SILENT),
                Purpose::Upgrade(answer) => refuse(answer, SILENT),
                Purpose::Nobody => {}
            }
        }
        let late: Vec<ContainerId> =
            self.releasing.iter().filter(|(_, (_, at))| *at <= now).map(|(id, _)| id.clone()).collect();
        for id in late {
            if let Some((action, _)) = self.releasing.remove(&id) {
                self.failed(action, FailReason::Lost, "its end was not told in time");
            }
        }
    }
}

/// Probes, measurements and looks at the node that go on and find nothing new: nobody who looks at pods need look again.
fn is_routine(news: &[Event], plan: &Plan) -> bool {
    let answer = |event: &Event| match event {
        Event::Observed(_) => true,
        Event::Done { outcome, .. } => {
            matches!(outcome, Outcome::Checked(_) | Outcome::Measured(_) | Outcome::Observed(_))
        }
        _ => false,
    };
    let asks = |action: &Action| {
        matches!(
            action.kind,
            ActionKind::Check { .. }
                | ActionKind::Measure { .. }
                | ActionKind::Observe
                | ActionKind::Weigh { .. }
        )
    };
    plan.events.is_empty() && news.iter().all(answer) && plan.actions.iter().all(asks)
}

/// Says no to who asked for an exchange of the program.
pub(super) fn refuse(answer: oneshot::Sender<crate::api::ask::Answer>, why: &str) {
    let _ = answer.send(Err(crate::api::ask::Refusal::internal(why)));
}

/// Waits for a moment of the boot clock; for ever without one.
async fn sleep_until(wake: Option<Mono>) {
    match wake {
        Some(wake) => tokio::time::sleep(Duration::from_nanos(wake.since(clock::now().mono))).await,
        None => std::future::pending().await,
    }
}
