//! `EnsureImage`: ask the store, then the sources on this box, then the registry. What takes long is done on a
//! thread, one import and one download at a time.
//!
//! A pod that starts from a checkpoint has the very images that it ran before, without anybody being asked.
//!
//! `imagePullPolicy: Always` asks the registry each time, but for images that the vendor or a source directory has:
//! these are what the owner put there. When the registry cannot be reached, an image that is here is good enough, unless
//! the configuration says otherwise; that it was not asked is told.

use crate::agent::{Agent, Env, Told};
use berth_core::{
    action::{ImageFacts, PodEvent},
    event::{FailReason, Failure, Outcome},
    ids::{ActionId, PodUid},
    manifest::types::PullPolicy,
};
use berth_images::{Error, Image, Registries, Trouble};
use berth_oci::clock;
use std::sync::Arc;
use tokio::{sync::Semaphore, task::spawn_blocking};

impl Agent {
    pub(super) fn ensure_image(&mut self, action: ActionId, pod: &PodUid, image: String, policy: PullPolicy) {
        if let Some(found) = self.pinned(pod, &image) {
            return self.done(action, ready(&image, found, String::new()));
        }
        // A look into the store is a few system calls, less than the way to another thread.
        if let Some(outcome) = at_once(&self.env, &image, policy) {
            return self.done(action, outcome);
        }
        let (env, told) = (Arc::clone(&self.env), self.told.clone());
        let (importing, pulling) = (Arc::clone(&self.importing), Arc::clone(&self.pulling));
        tokio::spawn(async move {
            let found = ensure(env, &image, policy, importing, pulling).await;
            let outcome = found.map_or_else(
                |error| Outcome::Failed(failure(&error)),
                |(found, unasked)| ready(&image, found, unasked),
            );
            // Fails when the agent ends.
            let _ = told.send(Told::Done(action, outcome)).await;
        });
    }
}

impl Agent {
    /// The image by the digest that the pod's checkpoint has; None where there is no such image (any more).
    fn pinned(&mut self, pod: &PodUid, image: &str) -> Option<Image> {
        let reference = self.pins.of(self.world.revision(pod), image)?;
        let found = self.env.store.get(&reference, &self.env.platform);
        let why = match found {
            Ok(Some(found)) => return Some(found),
            Ok(None) => format!("{reference}, the image that its checkpoint names, is not here any more"),
            Err(error) => error.to_string(),
        };
        let known = self.world.pods().find(|known| known.uid == *pod).map(|known| known.key.clone());
        if let Some(key) = known {
            let message = format!("{why}; it gets what {image} means now");
            self.record(PodEvent {
                pod: key,
                uid: pod.clone(),
                warning: true,
                reason: "CheckpointImageMissing".into(),
                message,
                at: clock::now(),
            });
        }
        None
    }
}

/// The image, and why its registry was not asked though it was to be.
async fn ensure(
    env: Arc<Env>,
    image: &str,
    policy: PullPolicy,
    importing: Arc<Semaphore>,
    pulling: Arc<Semaphore>,
) -> Result<(Image, String), Error> {
    let (here, name) = (Arc::clone(&env), image.to_owned());
    let turn = importing.acquire_owned().await;
    let found = on_thread(move || from_here(&here, &name, policy)).await?;
    drop(turn);
    let registries = match found {
        Found::Here(found) => return Ok((*found, String::new())),
        Found::Elsewhere(registries) => registries,
    };
    let (name, _turn) = (image.to_owned(), pulling.acquire_owned().await);
    on_thread(move || pull(&env, &name, &registries)).await
}

/// What this box has to say of an image.
enum Found {
    Here(Box<Image>),
    /// Who is to be asked.
    Elsewhere(Registries),
}

fn from_here(env: &Env, image: &str, policy: PullPolicy) -> Result<Found, Error> {
    let Env { store, platform, registries, .. } = env;
    let newest = policy == PullPolicy::Always;
    if let Some(registries) = registries
        && newest
        && !store.is_local(image, platform)
    {
        return Ok(Found::Elsewhere(registries.clone()));
    }
    let found = if newest { store.ensure_newest(image, platform) } else { store.ensure(image, platform) };
    match (found, registries) {
        (Err(Error::NotFound { .. }), Some(registries)) => Ok(Found::Elsewhere(registries.clone())),
        (found, _) => found.map(|found| Found::Here(Box::new(found))),
    }
}

/// From the registry; when that cannot be reached, and the configuration is content with it, what is here, and why.
fn pull(env: &Env, image: &str, registries: &Registries) -> Result<(Image, String), Error> {
    let error = match env.store.pull(image, &env.platform, registries) {
        Err(error @ Error::Registry { trouble: Trouble::Unreachable, .. }) => error,
        other => return other.map(|found| (found, String::new())),
    };
    if !env.config.image_pull_offline_fallback {
        return Err(error);
    }
    match env.store.ensure(image, &env.platform) {
        Ok(known) => Ok((known, error.to_string())),
        Err(Error::NotFound { reference, looked, near, mut problems }) => {
            problems.push(error.to_string());
            Err(Error::NotFound { reference, looked, near, problems })
        }
        Err(other) => Err(other),
    }
}

/// Does the work on a thread of the pool.
async fn on_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let ended = spawn_blocking(work).await;
    // The runtime ends, and the agent with it.
    ended.unwrap_or_else(|error| Err(Error::Io { doing: "work on an image".into(), source: error.into() }))
}

/// The answer that needs no import; None if one is needed.
fn at_once(env: &Env, image: &str, policy: PullPolicy) -> Option<Outcome> {
    match (env.store.get(image, &env.platform), policy) {
        (Err(error), _) => Some(Outcome::Failed(failure(&error))),
        (Ok(Some(found)), PullPolicy::IfNotPresent | PullPolicy::Never) => {
            Some(ready(image, found, String::new()))
        }
        (Ok(None), PullPolicy::Never) => {
            let message = format!("image {image} is not in the store, and its imagePullPolicy is Never");
            Some(Outcome::Failed(Failure { reason: FailReason::ErrImageNeverPull, message }))
        }
        _ => None,
    }
}

fn failure(error: &Error) -> Failure {
    let reason = match error {
        Error::InvalidName { .. } => FailReason::InvalidImageName,
        Error::Refused { .. } => FailReason::SignatureValidationFailed,
        _ => FailReason::ErrImagePull,
    };
    Failure { reason, message: error.to_string() }
}

/// `unasked`: see [`ImageFacts::unasked`].
fn ready(asked: &str, image: Image, unasked: String) -> Outcome {
    let Image { id, digest, config, layers, .. } = image;
    Outcome::Image(Box::new(ImageFacts {
        reference: asked.to_owned(),
        id,
        digest,
        layers: layers.iter().map(|layer| layer.to_string_lossy().into_owned()).collect(),
        env: config.env,
        entrypoint: config.entrypoint,
        cmd: config.cmd,
        working_dir: config.working_dir,
        user: config.user,
        stop_signal: config.stop_signal,
        unasked,
    }))
}
