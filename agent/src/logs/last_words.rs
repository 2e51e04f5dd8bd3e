//! What a container said last, from its log: its termination message when it left none and failed, and its
//! `terminationMessagePolicy` is `FallbackToLogsOnError`. As kubelet has it: the text of the last lines, of both outputs.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

/// Lines of the log that count; kubelet's.
const LINES_MAX: usize = 80;
/// Bytes of text that count, the last ones; kubelet's.
const TEXT_LEN_MAX_BYTES: usize = 2048;
/// Bytes of the log that are looked at: so many short lines with their stamps, or one long line's end.
const WINDOW_LEN_BYTES: u64 = 16 * 1024;

/// The last words in this log file; none if it cannot be read.
pub(crate) fn read(log: &Path) -> String {
    window(log).map(|(bytes, whole)| words(&bytes, whole)).unwrap_or_default()
}

/// The end of the file, and whether that is all of it.
fn window(log: &Path) -> io::Result<(Vec<u8>, bool)> {
    let mut file = File::open(log)?;
    let start = file.metadata()?.len().saturating_sub(WINDOW_LEN_BYTES);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(WINDOW_LEN_BYTES).read_to_end(&mut bytes)?;
    Ok((bytes, start == 0))
}

/// The text of the last records. `whole`: the first one is not cut.
fn words(log: &[u8], whole: bool) -> String {
    let mut lines: Vec<&[u8]> = log.split_inclusive(|byte| *byte == b'\n').collect();
    let mut text = Vec::new();
    let first = lines.len().saturating_sub(LINES_MAX);
    let cut_first = !whole && first == 0;
    for (i, line) in lines.drain(..).enumerate().skip(first) {
        match record(line) {
            // Of a record that is cut only text can be seen: its stamp lies before the window.
            None if cut_first && i == 0 => text.extend_from_slice(line),
            Some(said) => text.extend_from_slice(said),
            None => {}
        }
    }
    let from = text.len().saturating_sub(TEXT_LEN_MAX_BYTES);
    String::from_utf8_lossy(text.get(from..).unwrap_or_default()).into_owned()
}

/// The text of `<stamp> <stream> <F|P> <text>\n`: with its line feed, unless it is a piece of a line.
fn record(line: &[u8]) -> Option<&[u8]> {
    let mut parts = line.splitn(4, |byte| *byte == b' ');
    let (_stamp, _stream, tag, text) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    match tag {
        b"F" => Some(text),
        b"P" => Some(text.strip_suffix(b"\n").unwrap_or(text)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_and_the_last_bytes_count() {
        let line = |text: &str| format!("2026-01-01T00:00:00.000000001Z stderr F {text}\n");
        let many: String = (0..100).map(|n| line(&n.to_string())).collect();
        let last: String = (20..100).map(|n| format!("{n}\n")).collect();
        let long = line(&"x".repeat(3000));
        let long_end = "x".repeat(2047) + "\n";
        let piece = "2026-01-01T00:00:00.000000001Z stdout P half \n".to_owned() + &line("a line");
        for (log, whole, said) in [
            ("", true, ""),
            (&*line("a line"), true, "a line\n"),
            (&*piece, true, "half a line\n"),
            (&*many, true, &*last),
            (&*long, true, &*long_end),
            // The window begins within a record: what is there of it is text.
            (&long[900..], false, &*long_end),
            ("not a record\n", true, ""),
        ] {
            assert_eq!(words(log.as_bytes(), whole), said, "{log}");
        }
    }

    #[test]
    fn a_file_is_read_from_its_end_and_one_that_is_not_there_says_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("0.log");
        assert_eq!(read(&log), "");
        let line = |text: &str| format!("2026-01-01T00:00:00.000000001Z stderr F {text}\n");
        std::fs::write(&log, line(&"y".repeat(40_000)) + &line("the end")).unwrap();
        assert_eq!(read(&log), "y".repeat(2048 - 1 - 8) + "\nthe end\n");
    }
}
