//! The unix socket on which the command line asks the agent.

pub(crate) mod wire;
