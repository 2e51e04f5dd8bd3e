//! The points at which a power cut is simulated by tests. Each step of a commit passes one; in a build that
//! is not a test it is nothing. After a simulated cut, nothing is cleaned up either: a dead process does not.

pub(super) use imp::*;

#[cfg(not(test))]
mod imp {
    #[inline(always)]
    pub(in crate::store) fn point(_step: &'static str) -> std::io::Result<()> {
        Ok(())
    }

    #[inline(always)]
    pub(in crate::store) fn is_cut() -> bool {
        false
    }
}

#[cfg(test)]
mod imp {
    use std::{cell::Cell, io};

    thread_local! {
        /// Steps that may still be passed; None for any number.
        static LEFT: Cell<Option<u32>> = const { Cell::new(None) };
    }

    /// The cut comes at the `steps`-th step from now (from 0), in this thread; None: never.
    pub(in crate::store) fn cut_after(steps: Option<u32>) {
        LEFT.set(steps);
    }

    pub(in crate::store) fn point(step: &'static str) -> io::Result<()> {
        match LEFT.get() {
            None => Ok(()),
            Some(0) => Err(io::Error::other(format!("simulated cut at {step}"))),
            Some(left) => {
                LEFT.set(Some(left - 1));
                Ok(())
            }
        }
    }

    pub(in crate::store) fn is_cut() -> bool {
        LEFT.get() == Some(0)
    }
}
