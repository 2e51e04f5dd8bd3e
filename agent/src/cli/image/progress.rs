//! Draws on the terminal how far a download or an import is while its answer is waited for. Without a terminal it only waits.

use super::super::{client::Next, failure::Failure, get::image_size, json, session::Session};
use crate::api::wire::{ImageOperation, Request};
use serde_json::Value;
use std::time::{Duration, Instant};

/// Between two looks at how far it is.
const STEP: Duration = Duration::from_millis(250);
/// Letters of a name that are shown, so that the line is none that a terminal breaks.
const NAME_SHOWN_MAX: usize = 40;
/// To the line's beginning, and nothing on it.
const CLEAR: &str = "\r\x1b[K";

/// Asks for what may take minutes.
///
/// # Errors
/// As [`super::ask`].
pub(super) fn ask(session: &mut Session<'_>, operation: ImageOperation) -> Result<Value, Failure> {
    if !session.progress {
        return super::ask(session, operation, &[]);
    }
    let mut answers = session.client.stream(&Request::Image { operation }, &[])?;
    let mut drawn = false;
    let answer = loop {
        match answers.next(Some(Instant::now() + STEP)) {
            Ok(Next::Timeout) => drawn |= draw(session)?,
            Ok(Next::Data(value)) => break Ok(value),
            Ok(Next::Closed) => break Err(session.client.hung_up()),
            Err(failure) => break Err(failure),
        }
    };
    if drawn {
        write!(session.err, "{CLEAR}")?;
    }
    answer
}

/// Whether there was something to draw. That nobody knows how far it is does not matter to the work.
fn draw(session: &mut Session<'_>) -> Result<bool, Failure> {
    let request = Request::Image { operation: ImageOperation::Progress };
    let Ok(answer) = session.client.call(&request) else { return Ok(false) };
    let Some(line) = json::list(&answer, "/items").first().and_then(line) else { return Ok(false) };
    write!(session.err, "{CLEAR}{line}")?;
    session.err.flush()?;
    Ok(true)
}

/// `shop.example/web:1: fetching, 12.00MB of 48.00MB (25 %)`.
fn line(item: &Value) -> Option<String> {
    let (bytes, of) = (item["bytes"].as_u64()?, item["ofBytes"].as_u64().filter(|of| *of > 0)?);
    let percent = u128::from(bytes) * 100 / u128::from(of);
    let (name, doing) = (end(json::text(item, "/name")), json::text(item, "/doing"));
    Some(format!("{name}: {doing}, {} of {} ({percent} %)", image_size(bytes), image_size(of)))
}

/// What of a name fits on the line: of a path, the end says most.
fn end(name: &str) -> String {
    let letters: Vec<char> = name.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    match letters.len().checked_sub(NAME_SHOWN_MAX) {
        None | Some(0) => letters.into_iter().collect(),
        Some(more) => std::iter::once('…').chain(letters.into_iter().skip(more + 1)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_are_cut_to_fit() {
        assert_eq!(end("a\nb"), "a?b");
        assert_eq!(end(&"a".repeat(40)), "a".repeat(40));
        assert_eq!(end(&format!("/media/{}", "b".repeat(39))), format!("…{}", "b".repeat(39)));
    }

    #[test]
    fn lines_tell_how_far_it_is() {
        let item = |bytes: u64, of: u64| json!({"name": "a.test/b:1", "doing": "fetching", "bytes": bytes, "ofBytes": of});
        let table = [
            (item(500, 2000), Some("a.test/b:1: fetching, 500B of 2.00kB (25 %)")),
            (item(2000, 2000), Some("a.test/b:1: fetching, 2.00kB of 2.00kB (100 %)")),
            (item(0, 0), None),
            (json!({}), None),
        ];
        for (item, expected) in table {
            assert_eq!(line(&item).as_deref(), expected, "{item}");
        }
    }
}
