//! An allocator that ends the process if a keeper allocates in its loop.

use std::alloc::{GlobalAlloc, Layout, System};

/// See the module.
pub(crate) struct NoneWhileServing;

// SAFETY: every call is handed on to the system's allocator as it is.
unsafe impl GlobalAlloc for NoneWhileServing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if berth_keeper::is_serving() {
            std::process::abort();
        }
        // SAFETY: as our caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: as our caller promises.
        unsafe { System.dealloc(ptr, layout) }
    }
}

/// A descriptor that this process was started with.
pub(crate) fn fd_by_number(fd: std::os::fd::RawFd) -> std::os::fd::OwnedFd {
    // SAFETY: called once, at the start of a program that was given this descriptor.
    unsafe { std::os::fd::FromRawFd::from_raw_fd(fd) }
}
