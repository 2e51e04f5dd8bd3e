//! The hands: carry out one action each. Nothing is chosen here; what may take long goes to a thread, and each
//! answer comes back to the loop as news.

mod check;
mod classes;
pub(crate) mod exec;
mod image;

pub(crate) use classes::Classes;

use crate::{
    agent::{Agent, Env, Purpose, Told, tell_unheld},
    logs::Place,
};
use berth_core::{
    action::{Action, ActionKind},
    event::{FailReason, Outcome},
    ids::{ActionId, ContainerId},
    manifest::{DesiredPod, objects::Objects},
    resize::Running,
    time::{Mono, NS_PER_MS},
};
use berth_keeper::protocol::{Id, Path as KeeperPath, Request};
use berth_oci::{
    checkpoint, clock,
    container::{self, Run},
    error::Error,
    pressure, sandbox, usage,
    volumes::mount_images,
};
use std::{path::Path, sync::Arc, time::Duration};

/// What the keeper needs itself after the worker's deadline, milliseconds.
const ANSWER_MARGIN_MS: u64 = 500;
/// Bytes of stack of a thread that waits for plugins.
const SLOW_STACK_BYTES: usize = 512 * 1024;
/// The least time that a worker is given, milliseconds.
const WORK_LEAST_MS: u64 = 100;

impl Agent {
    /// Begins the action. Its answer comes as news, once.
    pub(crate) fn act(&mut self, action: Action) {
        let Action { id, pod, deadline, kind } = action;
        match kind {
            ActionKind::EnsureImage { image, policy } => self.ensure_image(id, &pod, image, policy),
            ActionKind::CreateSandbox { desired, begun, objects } => {
                self.create_sandbox(id, *desired, begun, objects);
            }
            ActionKind::RefreshFiles { desired, objects } => self.on_thread(id, move |env| {
                if clock::now().mono >= deadline {
                    // Another one is under way: this one would undo it.
                    return Outcome::Ok;
                }
                let refreshed = sandbox::refresh_files(&env.roots, &env.node, &desired, &objects);
                outcome(refreshed, FailReason::Internal)
            }),
            ActionKind::Update { desired } => {
                let told = self.told.clone();
                self.on_thread(id, move |env| {
                    if clock::now().mono >= deadline {
                        // Another one is under way, with what is newer.
                        return Outcome::Ok;
                    }
                    let updated = sandbox::update(&env.roots, &desired, &env.network);
                    tell_unheld(&env.network, &told);
                    outcome(updated, FailReason::Internal)
                });
            }
            ActionKind::StartContainer {
                desired,
                container,
                attempt,
                id: run,
                image,
                volumes,
                objects,
                devices,
                place,
            } => {
                let (desired, container, run, image) = (&*desired, &*container, &run, &*image);
                let (objects, devices, place) = (&objects, &devices[..], &place);
                let run = Run { desired, container, attempt, id: run, image, objects, devices, place };
                let mounted = mount_images(&self.env.roots, desired, &volumes);
                if let Err(error) = mounted.and_then(|()| self.start(id, deadline, &run)) {
                    self.done(id, Outcome::Failed(error.to_failure(FailReason::CreateContainerError)));
                }
            }
            ActionKind::Resize { desired, runs } => self.resize(id, deadline, *desired, runs),
            ActionKind::Signal { id: run, signal } => self.signal(id, deadline, &run, signal),
            ActionKind::Check { id: run, check } => self.check(id, &pod, &run, *check),
            ActionKind::Note { id: run, started, ready } => {
                let noted = container::note(&self.env.roots, &run, started, ready);
                self.done(id, outcome(noted, FailReason::Internal));
            }
            ActionKind::Measure { desired, runs } => self.measure(id, *desired, runs),
            ActionKind::Observe => {
                self.done(id, Outcome::Observed(Box::new(pressure::look(&self.env.roots))));
            }
            ActionKind::Reclaim => self.reclaim_images(id),
            ActionKind::Weigh { signal, pods } => {
                self.on_thread(id, move |env| Outcome::Weighed(pressure::weigh(&env.roots, signal, &pods)))
            }
            ActionKind::Kill { id: run } => {
                let killed = container::kill(&self.env.roots, &run);
                self.done(id, outcome(killed, FailReason::Internal));
            }
            ActionKind::RemoveContainer { id: run } => self.remove(id, deadline, run),
            ActionKind::RemoveSandbox { desired } => {
                let slow = self.env.network.executes(&desired);
                self.on_thread_of(slow, id, move |env| {
                    outcome(sandbox::remove_with(&env.roots, &env.network, &desired), FailReason::Internal)
                });
            }
            ActionKind::SaveCheckpoint { checkpoint } => self.on_thread(id, move |env| {
                outcome(checkpoint::save(&env.roots, &checkpoint), FailReason::Internal)
            }),
            ActionKind::DropCheckpoint => {
                self.on_thread(id, move |env| {
                    outcome(checkpoint::drop(&env.roots, &pod), FailReason::Internal)
                });
            }
        }
    }

    /// Makes the sandbox, and brings the QoS classes up to the pods that are wanted now.
    fn create_sandbox(&self, action: ActionId, pod: DesiredPod, begun: Mono, objects: Objects) {
        let classes = Arc::clone(&self.classes);
        let told = self.told.clone();
        self.on_thread_of(self.env.network.executes(&pod), action, move |env| {
            let made =
                sandbox::create_with(&env.roots, &env.node, &pod, begun, &objects, &env.spares, &env.network);
            if made.is_ok() {
                for warning in sandbox::warnings(&env.roots, &pod.uid) {
                    let _ = told.blocking_send(Told::warned(&pod.key, &pod.uid, warning));
                }
                tell_unheld(&env.network, &told);
                classes.refresh(env);
            }
            match made {
                Ok(ips) => Outcome::Sandbox { ips },
                Err(error) => Outcome::Failed(error.to_failure(FailReason::CreatePodSandboxError)),
            }
        });
    }

    /// Brings cgroups up to the pod's spec, and the QoS classes with them.
    fn resize(&self, action: ActionId, deadline: Mono, pod: DesiredPod, runs: Vec<Running>) {
        let classes = Arc::clone(&self.classes);
        self.on_thread(action, move |env| {
            if clock::now().mono >= deadline {
                // Another one is under way: this one would undo it.
                return Outcome::Resized(None);
            }
            let resized = sandbox::resize(&env.roots, &env.node, &pod, &runs);
            classes.refresh(env);
            match resized {
                Ok(in_use) => Outcome::Resized(in_use),
                Err(error) => Outcome::Failed(error.to_failure(FailReason::Internal)),
            }
        });
    }

    /// Counts what the pod has on disk, one pod at a time, on a thread.
    fn measure(&self, action: ActionId, pod: DesiredPod, runs: Vec<(String, ContainerId)>) {
        let (env, told, measuring) = (Arc::clone(&self.env), self.told.clone(), Arc::clone(&self.measuring));
        tokio::spawn(async move {
            let _turn = measuring.acquire_owned().await;
            let counted = tokio::task::spawn_blocking(move || usage::of_pod(&env.roots, &pod, &runs)).await;
            let outcome = match counted {
                Ok(Ok(found)) => Outcome::Measured(Box::new(found)),
                Ok(Err(error)) => Outcome::Failed(error.to_failure(FailReason::Internal)),
                // The runtime ends, and the agent with it.
                Err(_) => return,
            };
            let _ = told.send(Told::Done(action, outcome)).await;
        });
    }

    /// Does the work on a thread of the pool.
    fn on_thread(&self, action: ActionId, work: impl FnOnce(&Env) -> Outcome + Send + 'static) {
        let (env, told) = (Arc::clone(&self.env), self.told.clone());
        tokio::task::spawn_blocking(move || {
            let outcome = work(&env);
            // Fails when the agent ends.
            let _ = told.blocking_send(Told::Done(action, outcome));
        });
    }

    /// As [`Self::on_thread`]; what is slow gets a thread of its own, so that it keeps nobody else from the pool.
    fn on_thread_of(
        &self,
        slow: bool,
        action: ActionId,
        work: impl FnOnce(&Env) -> Outcome + Send + 'static,
    ) {
        if !slow {
            return self.on_thread(action, work);
        }
        let (env, told) = (Arc::clone(&self.env), self.told.clone());
        let work = move || {
            let outcome = work(&env);
            let _ = told.blocking_send(Told::Done(action, outcome));
        };
        // Without a thread there is no answer: the action's deadline is one.
        let thread = std::thread::Builder::new().name("berth-cni".into()).stack_size(SLOW_STACK_BYTES);
        if let Err(error) = thread.spawn(work) {
            tracing::warn!(%error, "no thread for a pod's network");
        }
    }

    /// Prepares the bundle and has the keeper create and start it. On this thread: it is shorter than the
    /// way to another one and back.
    fn start(&mut self, action: ActionId, deadline: Mono, run: &Run<'_>) -> Result<(), Error> {
        let env = Arc::clone(&self.env);
        let prepared = container::prepare(&env.roots, &env.node, run)?;
        let place = Place::of(&env.roots, run.desired, run.container, run.attempt, run.id);
        self.places.insert(run.id.clone(), place);
        let left_ms = deadline.since(clock::now().mono) / NS_PER_MS;
        let deadline_ms = left_ms.saturating_sub(ANSWER_MARGIN_MS).max(WORK_LEAST_MS);
        let (id, bundle, cgroup) =
            (keeper_id(run.id)?, keeper_path(&prepared.bundle)?, keeper_path(&prepared.cgroup)?);
        let op = self.flights.begin(Purpose::Start(action, run.id.clone()), deadline);
        let request = Request::Create {
            op,
            id,
            bundle,
            cgroup,
            deadline_ms: u32::try_from(deadline_ms).unwrap_or(u32::MAX),
            log_uid: prepared.log_uid,
            log_gid: prepared.log_gid,
        };
        self.ask_keeper(request, Vec::new());
        Ok(())
    }

    fn signal(&mut self, action: ActionId, deadline: Mono, run: &ContainerId, signal: i32) {
        match keeper_id(run) {
            Ok(id) => {
                let op = self.flights.begin(Purpose::Signal(action), deadline);
                self.ask_keeper(Request::Signal { op, id, signal }, Vec::new());
            }
            Err(error) => self.done(action, Outcome::Failed(error.to_failure(FailReason::Internal))),
        }
    }

    /// Kills what is left, takes its last output, removes all of it but the log; then the keeper lets go.
    fn remove(&mut self, action: ActionId, deadline: Mono, run: ContainerId) {
        if let Err(error) = container::kill(&self.env.roots, &run) {
            tracing::warn!(container = %run, %error, "cannot kill");
        }
        let emptied = self.logs.finish(&run);
        let (env, told) = (Arc::clone(&self.env), self.told.clone());
        tokio::spawn(async move {
            if let Some(emptied) = emptied {
                // Its end without an answer means that there is nothing more to be had.
                let _ = emptied.await;
            }
            let left = Duration::from_nanos(deadline.since(clock::now().mono));
            let id = run.clone();
            let removed = tokio::task::spawn_blocking(move || container::remove(&env.roots, &id, left)).await;
            let news = match removed {
                Ok(Ok(())) => Told::Emptied(action, run, deadline),
                Ok(Err(error)) => Told::Done(action, Outcome::Failed(error.to_failure(FailReason::Internal))),
                // The runtime ends, and the agent with it.
                Err(_) => return,
            };
            let _ = told.send(news).await;
        });
    }
}

fn outcome(result: Result<(), Error>, doing: FailReason) -> Outcome {
    match result {
        Ok(()) => Outcome::Ok,
        Err(error) => Outcome::Failed(error.to_failure(doing)),
    }
}

fn keeper_id(id: &ContainerId) -> Result<Id, Error> {
    Id::try_from(&*id.0).map_err(|_| Error::Config(format!("{id} is longer than a container's id may be")))
}

fn keeper_path(path: &Path) -> Result<KeeperPath, Error> {
    let text = berth_oci::paths::utf8(path)?;
    KeeperPath::try_from(text).map_err(|_| Error::Config(format!("path {text} is too long for the keeper")))
}
