//! Which fields of the Pod API Berth has: the schema as a table for people. Never a second list: it says
//! what `check` does.

use super::schema::{Field, Kind, POD};

/// How Berth treats a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// Does what Kubernetes does with it.
    Supported,
    /// Read and without effect; the text says why that is right.
    Accepted(&'static str),
    /// Refused for now; the text says what to do instead.
    NotYet(&'static str),
    /// Refused for good: it has no meaning without a cluster. The text says what is missing.
    NotApplicable(&'static str),
}

impl Support {
    /// One or two words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Supported => "yes",
            Self::Accepted(_) => "accepted",
            Self::NotYet(_) => "not yet",
            Self::NotApplicable(_) => "not applicable",
        }
    }

    /// The reason, if there is one.
    pub const fn why(self) -> &'static str {
        match self {
            Self::Supported => "",
            Self::Accepted(why) | Self::NotYet(why) | Self::NotApplicable(why) => why,
        }
    }

    /// A manifest with it is refused.
    pub const fn is_refused(self) -> bool {
        matches!(self, Self::NotYet(_) | Self::NotApplicable(_))
    }
}

/// One line of the support table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Field path with `[]` for lists: `spec.containers[].image`.
    pub path: String,
    /// How Berth treats it. Below a refused field everything is as refused as that.
    pub support: Support,
    /// It stands below a refused field, and so says nothing new.
    pub inherited: bool,
}

/// Every field of the Pod API, parents before children.
pub fn table() -> Vec<Row> {
    let mut rows = Vec::new();
    fields(POD, "", None, &mut rows);
    rows
}

fn fields(list: &[Field], prefix: &str, above: Option<Support>, rows: &mut Vec<Row>) {
    for field in list {
        let support = above.unwrap_or(field.support);
        let (mut path, mut kind) = (format!("{prefix}{}", field.name), &field.kind);
        while let Kind::List(inner) = kind {
            path.push_str("[]");
            kind = inner;
        }
        let children = format!("{path}.");
        rows.push(Row { path, support, inherited: above.is_some() });
        if let Kind::Object(inner) = kind {
            let refused =
                (support.is_refused() || matches!(support, Support::Accepted(_))).then_some(support);
            fields(inner, &children, refused, rows);
        }
    }
}

/// The table as Markdown: one line for each field, those below a refused one left out.
pub fn markdown() -> String {
    let rows: Vec<Row> = table().into_iter().filter(|row| !row.inherited).collect();
    let count = |wanted: &str| rows.iter().filter(|row| row.support.as_str() == wanted).count();
    let mut text = format!(
        "| Field | Berth | |\n|---|---|---|\n| *{} fields* | *{} yes, {} accepted, {} not yet, {} not applicable* | |\n",
        rows.len(),
        count("yes"),
        count("accepted"),
        count("not yet"),
        count("not applicable"),
    );
    for row in &rows {
        text.push_str(&format!("| `{}` | {} | {} |\n", row.path, row.support.as_str(), row.support.why()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_field_stands_once_and_refusals_reach_down() {
        let rows = table();
        let paths: BTreeSet<&str> = rows.iter().map(|row| row.path.as_str()).collect();
        assert_eq!(paths.len(), rows.len(), "a field stands twice");
        let support = |path: &str| rows.iter().find(|row| row.path == path).map(|row| row.support.as_str());
        for (path, expected) in [
            ("metadata.name", "yes"),
            ("status", "accepted"),
            ("spec.containers[].image", "yes"),
            ("spec.containers[].env[].value", "yes"),
            ("spec.containers[].env[].valueFrom.fieldRef.fieldPath", "yes"),
            ("spec.containers[].livenessProbe.httpGet.path", "yes"),
            ("spec.volumes[].configMap.name", "yes"),
            ("spec.affinity.nodeAffinity", "yes"),
            ("spec.affinity.podAffinity", "accepted"),
            ("spec.tolerations[].key", "accepted"),
        ] {
            assert_eq!(support(path), Some(expected), "{path}");
        }
    }

    #[test]
    fn the_markdown_is_a_table_of_three_columns() {
        let text = markdown();
        assert!(text.lines().all(|line| line.matches('|').count() == 4), "a reason breaks the table");
        assert!(text.contains("| `spec.containers[].image` | yes |  |"));
        assert!(!text.contains("ephemeralContainers[].image"), "what a refused field holds is noise");
    }
}
