//! What the checks say before places are known: a path and a message, in the words of the Kubernetes API
//! where it has some. `place` turns it into a problem with line and column; nothing is printed here.

use super::{limits::QUOTE_LEN_MAX, path::Path};

/// Which part of a mapping entry a message points at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// The key: the field should not be there at all.
    Key,
    /// The key again, at its n-th repetition (from 1): the first is fine.
    Repeated(usize),
    /// The value: the field is right, what it says is not.
    Value,
}

/// One thing wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) path: Path,
    pub(super) at: At,
    pub(super) message: String,
}

/// Where checks leave what they find.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) problems: Vec<Finding>,
    pub(super) warnings: Vec<Finding>,
}

impl Findings {
    /// The value at `path` is wrong.
    pub(super) fn value(&mut self, path: &Path, message: impl Into<String>) {
        self.problems.push(Finding { path: path.clone(), at: At::Value, message: message.into() });
    }

    /// The field at `path` should not be there.
    pub(super) fn key(&mut self, path: &Path, message: impl Into<String>) {
        self.problems.push(Finding { path: path.clone(), at: At::Key, message: message.into() });
    }

    /// `Required value`, as Kubernetes says it.
    pub(super) fn required(&mut self, path: &Path, hint: &str) {
        let separator = if hint.is_empty() { "" } else { ": " };
        self.value(path, format!("Required value{separator}{hint}"));
    }

    /// `Invalid value`, as Kubernetes says it.
    pub(super) fn invalid(&mut self, path: &Path, value: &str, why: &str) {
        self.value(path, format!("Invalid value: {}: {why}", quote(value)));
    }

    /// `Duplicate value`, as Kubernetes says it.
    pub(super) fn duplicate(&mut self, path: &Path, value: &str, why: &str) {
        self.value(path, format!("Duplicate value: {}: {why}", quote(value)));
    }

    /// `Forbidden`, as Kubernetes says it.
    pub(super) fn forbidden(&mut self, path: &Path, why: &str) {
        self.key(path, format!("Forbidden: {why}"));
    }

    /// The value at `path` works, but perhaps not as meant.
    pub(super) fn warn(&mut self, path: &Path, message: impl Into<String>) {
        self.warnings.push(Finding { path: path.clone(), at: At::Value, message: message.into() });
    }

    /// Something is already wrong at `path`, above or below it, so that a check of the whole would only echo.
    pub(super) fn touches(&self, path: &Path) -> bool {
        self.problems.iter().any(|found| found.path.is_within(path) || path.is_within(&found.path))
    }
}

/// `text` in quotes, escaped, cut to a bearable length.
pub(super) fn quote(text: &str) -> String {
    let mut kept: String = text.chars().take(QUOTE_LEN_MAX).collect();
    if kept.len() < text.len() {
        kept.push('…');
    }
    format!("{kept:?}")
}
