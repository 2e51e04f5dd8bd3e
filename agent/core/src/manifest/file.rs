//! One file: bytes → documents → pods, and what is wrong with them in the order of the file. Never fails
//! as a whole.

use super::{
    Format, LoadInput, LoadOutput, Problem,
    document::{self, Document, SyntaxError},
    finding::{Finding, Findings},
    limits::{OBJECTS_PER_FILE_MAX, PODS_PER_FILE_MAX, PROBLEMS_PER_FILE_MAX},
    node::Node,
    objects::{self, ObjectKind},
    place::{Budget, Finder},
    pods, text,
};
use crate::ids::PodKey;
use std::sync::Arc;

/// What has been read of a file so far.
struct Loading<'a> {
    input: &'a LoadInput<'a>,
    file: Arc<str>,
    budget: Budget,
    output: LoadOutput,
    /// Problems beyond the bound.
    more: usize,
}

/// See [`super::load`].
pub(super) fn load(input: &LoadInput<'_>) -> LoadOutput {
    let mut loading = Loading {
        input,
        file: input.file.into(),
        budget: Budget::default(),
        output: LoadOutput::default(),
        more: 0,
    };
    if let Err(error) = loading.read() {
        loading.syntax(error);
    }
    loading.finish()
}

/// See [`super::without_secrets`]. What cannot be read is left out too.
pub(super) fn without_secrets(bytes: &[u8], format: Format) -> String {
    let Ok(text) = text::read(bytes, format) else { return String::new() };
    let Ok(documents) = document::split(&text).map_err(drop) else { return String::new() };
    let documents = documents.into_iter().filter(|_| format == Format::Yaml);
    let harmless = documents.filter(|document| {
        let found = document.parse().map(|root| {
            let budget = Budget::default();
            let finder = Finder { document: *document, budget: &budget };
            pods::found(&root, finder, &mut Findings::default())
                .iter()
                .all(|found| found.object != Some(ObjectKind::Secret))
        });
        found.unwrap_or(false)
    });
    harmless.map(|document| format!("---\n{}\n", document.text.trim_start_matches("---"))).collect()
}

impl Loading<'_> {
    fn read(&mut self) -> Result<(), SyntaxError> {
        let text = text::read(self.input.bytes, self.input.format)?;
        let documents = match self.input.format {
            Format::Yaml => document::split(&text)?,
            Format::Json => vec![Document { text: &text, first_line: 1, format: Format::Json }],
        };
        for document in documents {
            match document.parse() {
                Ok(Node::Null) => {}
                Ok(node) => self.document(document, &node),
                Err(error) => self.syntax(error),
            }
        }
        Ok(())
    }

    fn document(&mut self, document: Document<'_>, root: &Node) {
        let budget = std::mem::take(&mut self.budget);
        let finder = Finder { document, budget: &budget };
        let mut frame = Findings::default();
        for found in pods::found(root, finder, &mut frame) {
            if let Some(kind) = found.object {
                self.object(kind, &found, finder, &mut frame);
                continue;
            }
            if self.output.pods.len() >= PODS_PER_FILE_MAX {
                frame.value(&found.base, format!("more than {PODS_PER_FILE_MAX} pods in one file: split it"));
                break;
            }
            let read = pods::read(&found, finder, self.input, &self.file);
            let repeated =
                read.pod.as_ref().filter(|new| self.output.pods.iter().any(|pod| pod.key == new.key));
            if let Some(new) = repeated {
                let mut findings = Findings::default();
                let path = found.base.field("metadata").field("name");
                findings
                    .value(&path, format!("this file has a pod {} already; the first one counts", new.key));
                self.note(finder, findings, Some(&new.key));
            } else if let Some(pod) = read.pod {
                self.output.pods.push(pod);
                self.output.lines.push(document.first_line);
            }
            self.note(finder, read.findings, read.key.as_ref());
        }
        self.note(finder, frame, None);
        self.budget = budget;
    }

    fn object(
        &mut self,
        kind: ObjectKind,
        found: &pods::Found<'_>,
        finder: Finder<'_>,
        frame: &mut Findings,
    ) {
        if self.output.objects.len() >= OBJECTS_PER_FILE_MAX {
            let message = format!("more than {OBJECTS_PER_FILE_MAX} objects in one file: split it");
            frame.value(&found.base, message);
            return;
        }
        let (object, mut findings) = objects::read(kind, &found.entries, &found.base, finder, &self.file);
        if let Some(object) = object {
            if self.output.objects.iter().any(|have| have.key == object.key) {
                let path = found.base.field("metadata").field("name");
                findings.value(&path, format!("this file has {} already; the first one counts", object.key));
            } else {
                self.output.objects.push(Arc::new(object));
                self.output.object_lines.push(finder.document.first_line);
            }
        }
        self.note(finder, findings, None);
    }

    /// Gives findings their places and keeps them, within the bound.
    fn note(&mut self, finder: Finder<'_>, findings: Findings, pod: Option<&PodKey>) {
        let (kept, more) = placed(findings.problems, finder, &self.file, pod, self.output.problems.len());
        self.output.problems.extend(kept);
        self.more += more;
        let (kept, _) = placed(findings.warnings, finder, &self.file, pod, self.output.warnings.len());
        self.output.warnings.extend(kept);
    }

    fn syntax(&mut self, error: SyntaxError) {
        let SyntaxError { line, column, message } = error;
        let (file, path) = (Arc::clone(&self.file), String::new());
        self.output.problems.push(Problem { file, line, column, path, message, pod: None });
    }

    fn finish(mut self) -> LoadOutput {
        for list in [&mut self.output.problems, &mut self.output.warnings] {
            list.sort_by_key(|problem| (problem.line, problem.column));
            // An alias repeats what is wrong with its anchor.
            list.dedup_by(|a, b| (a.line, a.column, &a.message) == (b.line, b.column, &b.message));
        }
        if self.more > 0 {
            let message = format!("and {} more problems, not shown", self.more);
            self.syntax(SyntaxError { line: 0, column: 0, message });
        }
        self.output
    }
}

/// As many findings as still have room beside `present`, as problems, and the number of the rest.
fn placed(
    findings: Vec<Finding>,
    finder: Finder<'_>,
    file: &Arc<str>,
    pod: Option<&PodKey>,
    present: usize,
) -> (Vec<Problem>, usize) {
    let room = PROBLEMS_PER_FILE_MAX.saturating_sub(present);
    let more = findings.len().saturating_sub(room);
    (findings.into_iter().take(room).map(|finding| finder.problem(finding, file, pod)).collect(), more)
}
