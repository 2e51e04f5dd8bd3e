//! What a pod goes without although its spec asks for it: a limit whose controller the kernel lacks, say. A
//! pod without its limit is better than no pod, so this is shown and never keeps anything from running.
//!
//! Invariant: each sentence is told as an event once in the life of an agent.

use super::{planner::Planner, state::Pod};

/// The reason of the event and of the condition.
pub(crate) const NOT_ENFORCED: &str = "NotEnforced";
/// Sentences that are kept of one pod; further ones are told of and then forgotten.
const SENTENCES_MAX: usize = 16;

/// Keeps the sentence, and tells it if it is new.
pub(super) fn told(pod: &mut Pod, message: &str, planner: &mut Planner) {
    let known = &mut pod.not_enforced;
    if known.iter().any(|other| other == message) {
        return;
    }
    planner.warn(&pod.desired, NOT_ENFORCED, message.to_owned());
    if known.len() < SENTENCES_MAX {
        known.push(message.to_owned());
    }
}
