//! Whether the kernel makes what pods' networks are of: tried in a network namespace that is gone at once.

use super::Trial;
use crate::{agent::cni_settings, config::Config};
use berth_oci::network::trial;

/// Whether there is a CNI network with all its plugins; none if none is wanted.
pub(super) fn plugins(config: &Config) -> Option<Trial> {
    let settings = cni_settings(config);
    settings
        .wanted
        .then(|| settings.look().map_or_else(|error| Trial::Fails(error.to_string()), |_| Trial::Works))
}

/// Interfaces, packet rules, and rules for the bridge.
pub(super) fn attempt() -> (Trial, Trial, Trial) {
    let trial = |result: Result<(), String>| result.map_or_else(Trial::Fails, |()| Trial::Works);
    match trial::attempt() {
        Ok(found) => (trial(found.links), trial(found.rules), trial(found.origins)),
        Err(error) => {
            let why = format!("no network namespace can be made: {error}");
            (Trial::Unknown(why.clone()), Trial::Unknown(why.clone()), Trial::Unknown(why))
        }
    }
}
