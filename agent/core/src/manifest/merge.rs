//! Many files, one desired set.

use super::LoadOutput;
use crate::event::DesiredSet;

/// Puts files together, in the order of their names. For a pod key (or uid) that several files give, the first wins and the loser becomes a problem that names both.
pub fn merge(_files: &[(&str, LoadOutput)]) -> DesiredSet {
    DesiredSet::default()
}
