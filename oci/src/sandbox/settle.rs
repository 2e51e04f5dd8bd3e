//! What an agent looks after once it serves, beside everything else: networks that CNI plugins have made.

use super::{Warning, turn::Turn};
use crate::{network::Network, paths::Roots};
use berth_core::ids::{PodKey, PodUid};
use std::collections::BTreeSet;

/// The reason of a network that is not as its plugins made it.
const NETWORK_CHECK_FAILED: &str = "NetworkCheckFailed";

/// Has plugins take away what they made for pods that an earlier boot had and nobody wants any more, asks them how
/// networks of others are, and to let go of the rest. Blocking: plugins are executed, each under its deadline. Pods
/// that somebody else is at are left alone: `wanted` ones see to it themselves.
///
/// Returns whether all is done; if not, call again later.
pub fn settle_network(
    roots: &Roots,
    network: &Network,
    wanted: &BTreeSet<PodUid>,
    tell: impl Fn(&PodKey, &PodUid, Warning),
) -> bool {
    let mut done = true;
    for uid in network.stale().iter().filter(|uid| !wanted.contains(uid)) {
        let detached = Turn::take(roots, uid).and_then(|_turn| network.detach_stale(uid));
        if let Err(error) = detached {
            tracing::warn!(pod = %uid, %error, "what an earlier boot had on the network stays");
            done = false;
        }
    }
    for uid in network.plugged() {
        let Ok(_turn) = Turn::take(roots, &uid) else { continue };
        if let Some((pod, message)) = network.check(&uid) {
            tell(&pod, &uid, Warning { reason: NETWORK_CHECK_FAILED.to_owned(), message });
        }
    }
    if let Err(error) = network.collect() {
        tracing::warn!(%error, "what CNI plugins keep for nobody stays");
        done = false;
    }
    done
}
