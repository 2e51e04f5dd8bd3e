//! One line of a log file in the CRI format: `<time> <stdout|stderr> <F|P> <text>`. Pure.

/// Bytes from which time, stream and flag can be told: all of them are in front and short.
pub(super) const HEAD_LEN_MAX_BYTES: usize = 80;

/// One record, without its line feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record<'a> {
    /// RFC 3339 with nanoseconds.
    pub(super) time: &'a str,
    /// It is of stderr.
    pub(super) is_stderr: bool,
    /// It ends a line of the container's output; else the next record of the stream goes on with it.
    pub(super) is_full: bool,
    /// What the container wrote.
    pub(super) text: &'a [u8],
}

impl<'a> Record<'a> {
    /// None when the line is none of the format.
    pub(super) fn parse(line: &'a [u8]) -> Option<Self> {
        let mut parts = line.splitn(4, |byte| *byte == b' ');
        let time = std::str::from_utf8(parts.next()?).ok()?;
        let is_stderr = match parts.next()? {
            b"stdout" => false,
            b"stderr" => true,
            _ => return None,
        };
        // Tags may be added behind the flag, with colons between.
        let is_full = match parts.next()?.split(|byte| *byte == b':').next()? {
            b"F" => true,
            b"P" => false,
            _ => return None,
        };
        Some(Self { time, is_stderr, is_full, text: parts.next().unwrap_or_default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_and_other_lines_are_not() {
        let record = |is_stderr, is_full, text| Some(Record { time: "T", is_stderr, is_full, text });
        for (line, expected) in [
            (&b"T stdout F a b"[..], record(false, true, &b"a b"[..])),
            (b"T stderr P x", record(true, false, b"x")),
            (b"T stdout F ", record(false, true, b"")),
            (b"T stdout F", record(false, true, b"")),
            (b"T stdout F:tag \xff", record(false, true, b"\xff")),
            (b"T stdin F a", None),
            (b"T stdout X a", None),
            (b"hello", None),
            (b"", None),
        ] {
            assert_eq!(Record::parse(line), expected, "{:?}", String::from_utf8_lossy(line));
        }
    }
}
