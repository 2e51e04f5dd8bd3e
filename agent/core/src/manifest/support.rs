//! Which fields of the Pod API Berth has.

/// How Berth treats a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// Does what Kubernetes does with it.
    Supported,
    /// Read and without effect; the text says why that is right.
    Accepted(&'static str),
    /// Refused for now; the text says what it waits for or what to do.
    NotYet(&'static str),
    /// Refused for good: it has no meaning without a cluster. The text says what is missing.
    NotApplicable(&'static str),
}

/// One line of the support table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Field path with `[]` for lists: `spec.containers[].image`.
    pub path: String,
    /// How Berth treats it.
    pub support: Support,
}

/// Every field of the Pod API, parents before children.
pub fn table() -> Vec<Row> {
    Vec::new()
}

/// The table as Markdown.
pub fn markdown() -> String {
    String::new()
}
