//! Checksums of the files of a layer, kept from their writing until the layer is sealed, so that nothing is read again
//! for that. Files are known by their inodes: a name may be given to another file by a later entry, an inode only
//! to a file that is written here, which says so. Memory: `CHECKSUMS_MAX_COUNT`; whoever is not known is read.

use crate::limits::CHECKSUMS_MAX_COUNT;
use std::collections::HashMap;

/// CRC-32 by inode.
#[derive(Debug, Default)]
pub(crate) struct Sums(HashMap<u64, u32>);

impl Sums {
    pub(crate) fn of(&self, inode: u64) -> Option<u32> {
        self.0.get(&inode).copied()
    }

    /// A file was written; without a sum its content is not known.
    pub(super) fn note(&mut self, inode: u64, sum: Option<u32>) {
        // Even when there is no room: a file that is gone may have had this inode.
        self.0.remove(&inode);
        if let (Some(sum), true) = (sum, self.0.len() < CHECKSUMS_MAX_COUNT) {
            self.0.insert(inode, sum);
        }
    }
}
