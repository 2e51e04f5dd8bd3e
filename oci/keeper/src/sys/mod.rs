//! Raw system calls: the only place in this package with `unsafe`. Nothing here decides anything.

pub(crate) mod fd;
pub(crate) mod process;
pub(crate) mod socket;
