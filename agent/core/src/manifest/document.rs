//! A file's text → documents → trees. Splits at `---` and `...` itself, so that one broken document
//! spoils no other, and never gives the YAML parser a document that it would be slow or greedy with.

use super::{
    Format,
    limits::{
        DIRECTIVES_PER_DOCUMENT_MAX, DOCUMENTS_PER_FILE_MAX, FLOW_OPENINGS_PER_DOCUMENT_MAX,
        TOKENS_PER_DOCUMENT_MAX,
    },
    node::{Budget, Node, NodeSeed},
};
use serde::de::DeserializeSeed as _;

/// One document as it stands in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Document<'a> {
    pub(super) text: &'a str,
    /// The line of the file, from 1, at which `text` begins.
    pub(super) first_line: u32,
    /// What to call it in messages.
    pub(super) format: Format,
}

/// Why a text could not be read, with its place in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SyntaxError {
    pub(super) line: u32,
    pub(super) column: u32,
    pub(super) message: String,
}

/// Cuts a YAML file into its documents; those without content are left out.
pub(super) fn split(text: &str) -> Result<Vec<Document<'_>>, SyntaxError> {
    let mut documents = Vec::new();
    let (mut start, mut first_line, mut offset, mut line) = (0, 1_u32, 0, 1_u32);
    let mut keep = |from: usize, to: usize, first_line: u32| {
        let text = text.get(from..to).unwrap_or_default();
        if has_content(text) {
            documents.push(Document { text, first_line, format: Format::Yaml });
        }
        documents.len()
    };
    for row in text.split_inclusive('\n') {
        let end = offset + row.len();
        let mut count = 0;
        if is_marker(row, "---") {
            count = keep(start, offset, first_line);
            (start, first_line) = (offset, line);
        } else if is_marker(row, "...") {
            count = keep(start, end, first_line);
            (start, first_line) = (end, line.saturating_add(1));
        }
        if count > DOCUMENTS_PER_FILE_MAX {
            let message = format!("more than {DOCUMENTS_PER_FILE_MAX} documents in one file: split it");
            return Err(SyntaxError { line, column: 1, message });
        }
        offset = end;
        line = line.saturating_add(1);
    }
    keep(start, text.len(), first_line);
    Ok(documents)
}

/// `row` is a document marker: it stands alone or before white space.
fn is_marker(row: &str, marker: &str) -> bool {
    row.strip_prefix(marker).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

/// Anything but comments, directives and markers.
fn has_content(text: &str) -> bool {
    text.lines().any(|row| {
        let bare =
            ["---", "..."].into_iter().find(|marker| is_marker(row, marker)).map_or(row, |_| &row[3..]);
        let bare = bare.trim();
        !bare.is_empty() && !bare.starts_with('#') && !row.starts_with('%')
    })
}

impl Document<'_> {
    /// The tree; every error has a place.
    pub(super) fn parse(&self) -> Result<Node, SyntaxError> {
        self.check_bounds()?;
        let budget = Budget::default();
        let seed = NodeSeed { budget: &budget, depth: 0 };
        match seed.deserialize(serde_yaml::Deserializer::from_str(self.text)) {
            Ok(mut node) => {
                super::node::resolve_merges(&mut node);
                Ok(node)
            }
            Err(error) => {
                let at = error.location().map_or((1, 1), |at| (at.line(), at.column()));
                let (line, column) = self.within(at);
                let message = match budget.take_refusal() {
                    Some(ours) => ours,
                    None => self.explain(&error.to_string(), line, column),
                };
                Err(SyntaxError { line: self.line(line), column: to_u32(column), message })
            }
        }
    }

    /// What the end of the text lacks is found on a line that is no longer there: it counts to the last one.
    fn within(&self, (line, column): (usize, usize)) -> (usize, usize) {
        match self.text.lines().enumerate().last() {
            Some((last, text)) if line > last + 1 => (last + 1, text.chars().count() + 1),
            _ => (line, column),
        }
    }

    /// A line of this document as one of the file.
    pub(super) fn line(&self, line: usize) -> u32 {
        self.first_line.saturating_add(to_u32(line)).saturating_sub(1)
    }

    /// Keeps what the parser would be slow or greedy with away from it.
    fn check_bounds(&self) -> Result<(), SyntaxError> {
        let (mut tokens, mut openings, mut directives) = (0, 0, 0);
        let mut previous = b'\n';
        for byte in self.text.bytes() {
            match byte {
                b'[' | b'{' => (tokens, openings) = (tokens + 1, openings + 1),
                b']' | b'}' | b',' | b':' | b'-' | b'?' | b'\n' | b'\r' => tokens += 1,
                b'%' if previous == b'\n' => directives += 1,
                _ => {}
            }
            previous = byte;
        }
        let over = [
            (tokens, TOKENS_PER_DOCUMENT_MAX, "characters that structure YAML"),
            (openings, FLOW_OPENINGS_PER_DOCUMENT_MAX, "opening brackets"),
            (directives, DIRECTIVES_PER_DOCUMENT_MAX, "lines that begin with %"),
        ];
        match over.into_iter().find(|(count, max, _)| count > max) {
            None => Ok(()),
            Some((_, max, what)) => Err(SyntaxError {
                line: self.first_line,
                column: 1,
                message: format!("the document has more than {max} {what}: split it"),
            }),
        }
    }

    /// The parser's message with the file's lines instead of the document's, without its place (which stands
    /// before it), and with the remedy where the mistake is a common one.
    fn explain(&self, message: &str, line: usize, column: usize) -> String {
        if message.starts_with("repetition limit") {
            return "the document's aliases expand too far: write out what they stand for".to_owned();
        }
        let place = format!(" at line {line} column {column}");
        let mut text =
            String::from(if self.format == Format::Json { "cannot be read: " } else { "not valid YAML: " });
        let message = message.replacen(&place, "", 1);
        let mut rest = message.as_str();
        while let Some((before, after)) = rest.split_once(" at line ") {
            let digits = after.bytes().take_while(u8::is_ascii_digit).count();
            let (number, tail) = after.split_at(digits);
            let line = number.parse().map_or(0, |number: usize| self.line(number));
            text.push_str(&format!("{before} at line {line}"));
            rest = tail;
        }
        text.push_str(rest);
        let row = self.text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
        if row.chars().take(column).any(|c| c == '\t') {
            text.push_str("; there is a tab here: indent with spaces");
        }
        text
    }
}

/// Lines and columns beyond 4 billion do not occur in files of at most 10 MiB.
pub(super) fn to_u32(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
