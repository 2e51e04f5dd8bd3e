//! One run of one container: what must be there before its start, and what must not be after its end.
//! Starting and waiting for it is the keeper's, deciding is the core's.

pub mod mounts;
mod prepare;
mod remove;
pub(crate) mod standing;

pub use prepare::{Prepared, Run, prepare};
pub use remove::{
    TERMINATION_MESSAGE_LEN_MAX_BYTES, kill, oom_killed, remove, remove_layer, termination_message,
};
pub use standing::{note, note_hook};

#[cfg(test)]
mod tests;
