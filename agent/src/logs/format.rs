//! From a container's bytes to lines of the CRI log format:
//! `<RFC 3339 with nanoseconds> <stdout|stderr> <F|P> <text>\n`, where `P` marks a piece of a line that the
//! next record of the same stream goes on with. Pure; bytes pass unchanged, whatever they are.

/// Bytes of text in one record; a longer line is cut into `P` pieces and one `F`.
pub(super) const TEXT_LEN_MAX_BYTES: usize = 16 * 1024;

/// Which of a container's two outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StreamKind {
    /// Descriptor 1.
    Stdout = 0,
    /// Descriptor 2.
    Stderr = 1,
}

impl StreamKind {
    /// As the format spells it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// What becomes of text behind the last line feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail {
    /// It stays where it is until its line is complete.
    Keep,
    /// It is written as a piece: there is no room to wait in.
    Piece,
    /// It is written as a full record: nothing will follow.
    End,
}

/// Appends the records for `bytes` to `out`; says how many of the bytes are in them.
pub(super) fn records(out: &mut Vec<u8>, stamp: &str, kind: StreamKind, bytes: &[u8], tail: Tail) -> usize {
    let mut record = |flag: &str, text: &[u8]| {
        for part in [stamp, " ", kind.as_str(), " ", flag, " "] {
            out.extend_from_slice(part.as_bytes());
        }
        out.extend_from_slice(text);
        out.push(b'\n');
    };
    let mut used = 0;
    loop {
        let rest = &bytes[used..];
        let window = &rest[..rest.len().min(TEXT_LEN_MAX_BYTES + 1)];
        match window.iter().position(|byte| *byte == b'\n') {
            Some(end) => {
                record("F", &rest[..end]);
                used += end + 1;
            }
            None if rest.len() > TEXT_LEN_MAX_BYTES => {
                record("P", &rest[..TEXT_LEN_MAX_BYTES]);
                used += TEXT_LEN_MAX_BYTES;
            }
            None if rest.is_empty() || tail == Tail::Keep => return used,
            None => {
                record(if tail == Tail::End { "F" } else { "P" }, rest);
                return bytes.len();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(bytes: &[u8], tail: Tail) -> (String, usize) {
        let mut out = Vec::new();
        let used = records(&mut out, "T", StreamKind::Stdout, bytes, tail);
        (String::from_utf8(out).unwrap(), used)
    }

    #[test]
    fn lines_pieces_and_tails() {
        use Tail::{End, Keep, Piece};
        for (bytes, tail, records, used) in [
            ("", Keep, "", 0),
            ("", End, "", 0),
            ("a\n", Keep, "T stdout F a\n", 2),
            ("\n\n", Keep, "T stdout F \nT stdout F \n", 2),
            ("a\nb", Keep, "T stdout F a\n", 2),
            ("a\nb", Piece, "T stdout F a\nT stdout P b\n", 3),
            ("a\nb", End, "T stdout F a\nT stdout F b\n", 3),
            ("b", Keep, "", 0),
            ("a\r\n", Keep, "T stdout F a\r\n", 3),
            ("a\0b\n", Keep, "T stdout F a\0b\n", 4),
            (" a \n", Keep, "T stdout F  a \n", 4),
        ] {
            assert_eq!(format(bytes.as_bytes(), tail), (records.to_owned(), used), "{bytes:?} {tail:?}");
        }
    }

    #[test]
    fn long_lines_are_cut_and_the_last_piece_closes_them() {
        let max = TEXT_LEN_MAX_BYTES;
        for (len, flags) in
            [(max - 1, "F"), (max, "F"), (max + 1, "PF"), (2 * max, "PF"), (2 * max + 1, "PPF")]
        {
            let line = "x".repeat(len) + "\n";
            let (text, used) = format(line.as_bytes(), Tail::Keep);
            let got: String = text.lines().map(|record| &record[9..10]).collect();
            assert_eq!((got.as_str(), used), (flags, len + 1), "{len}");
            assert_eq!(text.lines().map(|record| &record[11..]).collect::<String>(), "x".repeat(len));
        }
    }

    #[test]
    fn a_tail_without_line_feed_is_kept_up_to_one_piece() {
        let (text, used) = format("x".repeat(TEXT_LEN_MAX_BYTES + 5).as_bytes(), Tail::Keep);
        assert_eq!((text.len(), used), (11 + TEXT_LEN_MAX_BYTES + 1, TEXT_LEN_MAX_BYTES));
        assert_eq!(format("x".repeat(TEXT_LEN_MAX_BYTES).as_bytes(), Tail::Keep), (String::new(), 0));
    }

    #[test]
    fn bytes_that_are_no_text_pass_unchanged() {
        let mut out = Vec::new();
        let bytes = [0xff, 0xfe, b'\n'];
        assert_eq!(records(&mut out, "T", StreamKind::Stderr, &bytes, Tail::Keep), 3);
        assert_eq!(out, b"T stderr F \xff\xfe\n");
    }
}
