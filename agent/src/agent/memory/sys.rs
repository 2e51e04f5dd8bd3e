//! The raw calls that give memory back.

use super::Clean;
use nix::libc;
use std::io;

/// Takes pages out of this process; what they are mapped from stays, and the next access maps them again
/// (`MADV_DONTNEED`, madvise(2)).
///
/// # Errors
/// When the kernel refuses: a range that is locked or not whole pages.
pub(super) fn unmap_clean(Clean(pages): &Clean) -> io::Result<()> {
    let start = std::ptr::with_exposed_provenance_mut(pages.start);
    // SAFETY: no page of such a mapping differs from its file, nobody can write through it, and nothing in this process
    // changes the protection of a mapping: the next access finds the same bytes.
    match unsafe { libc::madvise(start, pages.len(), libc::MADV_DONTNEED) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Gives free memory of the heap back to the kernel (malloc_trim(3)), where the C library can.
pub(super) fn trim_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: may be called at any time by any thread; it changes no memory that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}
