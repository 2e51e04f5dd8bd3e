//! A file's bytes → text that the YAML parser can be given: UTF-8 without control characters, and JSON
//! only if it is JSON. Never changes what the text means.

use super::{
    Format,
    document::{SyntaxError, to_u32},
    limits::{FILE_LEN_MAX_BYTES, FLOW_OPENINGS_PER_FILE_MAX},
};
use serde::de::IgnoredAny;
use std::{borrow::Cow, fmt::Write as _};

/// Checks the bytes and gives the text, without a byte order mark.
pub(super) fn read(bytes: &[u8], format: Format) -> Result<Cow<'_, str>, SyntaxError> {
    if bytes.len() > FILE_LEN_MAX_BYTES {
        let message = format!("the file has {} bytes; at most {FILE_LEN_MAX_BYTES} are read", bytes.len());
        return Err(SyntaxError { line: 0, column: 0, message });
    }
    let text = match str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
        Err(error) => {
            let good = str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default();
            return Err(error_after(good, "not UTF-8 text: save the file as UTF-8".to_owned()));
        }
    };
    let openings = text.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count();
    if openings > FLOW_OPENINGS_PER_FILE_MAX {
        let message =
            format!("the file has more than {FLOW_OPENINGS_PER_FILE_MAX} opening brackets: split it");
        return Err(SyntaxError { line: 1, column: 1, message });
    }
    match format {
        Format::Yaml => match text.char_indices().find(|(_, c)| !is_printable(*c)) {
            Some((at, c)) => Err(error_after(&text[..at], format!("control character {c:?}: remove it"))),
            None => Ok(Cow::Borrowed(text)),
        },
        Format::Json => {
            if let Err(error) = serde_json::from_str::<IgnoredAny>(text) {
                let (line, column) = (error.line(), error.column().max(1));
                let message = error.to_string();
                let message = message.split(" at line ").next().unwrap_or_default();
                let message = format!("not valid JSON: {message}");
                return Err(SyntaxError { line: to_u32(line), column: to_u32(column), message });
            }
            Ok(json_as_yaml(text))
        }
    }
}

/// What YAML lets stand unescaped.
const fn is_printable(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}' | '\u{10000}'..)
}

/// An error at the place that follows `good`.
fn error_after(good: &str, message: String) -> SyntaxError {
    let line = good.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let column = good.chars().rev().take_while(|c| *c != '\n').count() + 1;
    SyntaxError { line: to_u32(line), column: to_u32(column), message }
}

/// JSON is YAML but for tabs between its tokens, escaped surrogate pairs and a few characters that YAML takes for line breaks or
/// refuses; in valid JSON they stand only within strings, where an escape says the same.
fn json_as_yaml(json: &str) -> Cow<'_, str> {
    let foreign = |c: char| matches!(c, '\u{2028}' | '\u{2029}' | '\u{85}') || !is_printable(c);
    if !json.contains("\\u") && !json.contains('\t') && !json.contains(foreign) {
        return Cow::Borrowed(json);
    }
    let mut yaml = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(c) = rest.chars().next() {
        let pair = surrogate_pair(rest);
        let (taken, escape) = match (c, pair) {
            (_, Some(code)) => (12, Some(code)),
            // An escaped backslash must not be taken apart.
            ('\\', None) => (1 + rest[1..].chars().next().map_or(0, char::len_utf8), None),
            (c, None) if foreign(c) => (c.len_utf8(), Some(c as u32)),
            (c, None) => (c.len_utf8(), None),
        };
        let (now, later) = rest.split_at(taken);
        match escape {
            // Writing to a String cannot fail.
            Some(code) => drop(write!(yaml, "\\U{code:08x}")),
            None if c == '\t' => yaml.push(' '),
            None => yaml.push_str(now),
        }
        rest = later;
    }
    Cow::Owned(yaml)
}

/// The character that an escaped surrogate pair at the start of `text` stands for.
fn surrogate_pair(text: &str) -> Option<u32> {
    let unit = |at: usize| {
        let escape = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u32::from_str_radix(escape, 16).ok()
    };
    let (high, low) = (unit(0)?, unit(6)?);
    let pair = (0xd800..0xdc00).contains(&high) && (0xdc00..0xe000).contains(&low);
    pair.then(|| 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))
}
