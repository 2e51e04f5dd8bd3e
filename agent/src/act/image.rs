//! `EnsureImage`: ask the store; what must be imported is imported one at a time and on a thread.

use crate::agent::{Agent, Env, Told};
use berth_core::{
    action::ImageFacts,
    event::{FailReason, Failure, Outcome},
    ids::ActionId,
    manifest::types::PullPolicy,
};
use berth_images::{Error, Image};
use std::sync::Arc;

impl Agent {
    pub(super) fn ensure_image(&mut self, action: ActionId, image: String, policy: PullPolicy) {
        // A look into the store is a few system calls, less than the way to another thread.
        if let Some(outcome) = at_once(&self.env, &image, policy) {
            return self.done(action, outcome);
        }
        let (env, told, importing) = (Arc::clone(&self.env), self.told.clone(), Arc::clone(&self.importing));
        tokio::spawn(async move {
            let _turn = importing.acquire_owned().await;
            let outcome = tokio::task::spawn_blocking(move || import(&env, &image, policy)).await;
            if let Ok(outcome) = outcome {
                // Fails when the agent ends.
                let _ = told.send(Told::Done(action, outcome)).await;
            }
        });
    }
}

/// The answer that needs no import; None if one is needed.
fn at_once(env: &Env, image: &str, policy: PullPolicy) -> Option<Outcome> {
    match (env.store.get(image, &env.platform), policy) {
        (Err(error), _) => Some(Outcome::Failed(failure(&error))),
        (Ok(Some(found)), PullPolicy::IfNotPresent | PullPolicy::Never) => Some(ready(image, found)),
        (Ok(None), PullPolicy::Never) => {
            let message = format!("image {image} is not in the store, and its imagePullPolicy is Never");
            Some(Outcome::Failed(Failure { reason: FailReason::ErrImageNeverPull, message }))
        }
        _ => None,
    }
}

fn import(env: &Env, image: &str, policy: PullPolicy) -> Outcome {
    let found = match policy {
        PullPolicy::Always => env.store.ensure_newest(image, &env.platform),
        PullPolicy::IfNotPresent | PullPolicy::Never => env.store.ensure(image, &env.platform),
    };
    match found {
        Ok(found) => ready(image, found),
        Err(error) => Outcome::Failed(failure(&error)),
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

fn ready(asked: &str, image: Image) -> Outcome {
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
    }))
}
