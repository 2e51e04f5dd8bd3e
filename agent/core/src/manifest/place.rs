//! From findings to problems: adds file, line and column. Never reads more than its budget for it.

use super::{
    Problem,
    document::{Document, to_u32},
    finding::{At, Finding},
    limits::LOCATE_BUDGET_BYTES,
    locate,
    path::{Path, Segment},
};
use crate::ids::PodKey;
use std::{cell::Cell, sync::Arc};

/// Bytes of a file that may still be read again to find places.
#[derive(Debug)]
pub(super) struct Budget(Cell<usize>);

impl Default for Budget {
    fn default() -> Self {
        Self(Cell::new(LOCATE_BUDGET_BYTES))
    }
}

impl Budget {
    /// Takes what reading `text` costs; false when it is spent.
    fn take(&self, text: &str) -> bool {
        match self.0.get().checked_sub(text.len()) {
            Some(left) => {
                self.0.set(left);
                true
            }
            None => false,
        }
    }
}

/// Finds places in one document.
#[derive(Debug, Clone, Copy)]
pub(super) struct Finder<'a> {
    pub(super) document: Document<'a>,
    pub(super) budget: &'a Budget,
}

impl Finder<'_> {
    fn exact(&self, path: &Path, at: At) -> Option<locate::Place> {
        if self.budget.take(self.document.text) { locate::exact(self.document.text, path, at) } else { None }
    }

    /// Line and column in the file of `path` or, if it is not there, of the nearest thing around it.
    fn place(&self, path: &Path, at: At) -> (u32, u32) {
        let (mut path, mut at) = (path.clone(), at);
        loop {
            if let Some(place) = self.exact(&path, at) {
                return (self.document.line(place.line), to_u32(place.column));
            }
            match path.0.pop() {
                None => return (self.document.first_line, 1),
                Some(_) => {
                    at = if matches!(path.0.last(), Some(Segment::Index(_)) | None) {
                        At::Value
                    } else {
                        At::Key
                    }
                }
            }
        }
    }

    /// The scalar at `path` stands there without quotes, so that YAML decides what it is.
    pub(super) fn is_plain(&self, path: &Path) -> bool {
        let byte =
            self.exact(path, At::Value).and_then(|place| self.document.text.as_bytes().get(place.offset));
        byte.is_some_and(|byte| !matches!(byte, b'"' | b'\'' | b'|' | b'>' | b'&' | b'!'))
    }

    /// The finding as a problem of `file` and, if known, of `pod`.
    pub(super) fn problem(&self, finding: Finding, file: &Arc<str>, pod: Option<&PodKey>) -> Problem {
        let (line, column) = self.place(&finding.path, finding.at);
        Problem {
            file: Arc::clone(file),
            line,
            column,
            path: finding.path.to_string(),
            message: finding.message,
            pod: pod.cloned(),
        }
    }
}
