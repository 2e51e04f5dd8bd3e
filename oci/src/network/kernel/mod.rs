//! What is asked of the kernel for a network, over netlink and `/proc/sys`, and what it tells by itself: each request
//! for itself, harmless when it was done before. What belongs together, and for whom, is decided elsewhere.

pub(super) mod conntrack;
pub(super) mod host;
pub(super) mod inside;
pub(super) mod link;
pub(super) mod netlink;
pub(super) mod shape;
pub(super) mod watch;
