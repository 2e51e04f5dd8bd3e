//! The unix socket on which the command line asks the agent. Translates between the wire and the main loop;
//! knows no pod itself.

pub(crate) mod ask;
pub(crate) mod conn;
pub(crate) mod images;
mod interfaces;
pub(crate) mod listen;
mod pods;
mod sys;
#[cfg(test)]
mod tests;
mod usage;
pub(crate) mod wire;

pub(crate) use interfaces::NETWORK_STATUS;
