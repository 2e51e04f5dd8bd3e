//! As much of HTTP/1.1 as a probe needs (RFC 9112): one GET on a connection of its own. `url` and `head` are pure.

pub(super) mod get;
mod head;
mod stream;
pub(super) mod url;
