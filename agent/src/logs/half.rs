//! What of an append has come about when the agent was killed in it. Whole records stay: a follower may have read them.
//! Pure.

use super::format::StreamKind;

/// Whose output the first record is.
pub(super) fn kind(written: &[u8]) -> Option<StreamKind> {
    let word = written.split(|byte| *byte == b' ').nth(1)?;
    [StreamKind::Stdout, StreamKind::Stderr].into_iter().find(|kind| kind.as_str().as_bytes() == word)
}

/// Of the whole records that `written` begins with their bytes, and how many bytes of `staged` they hold. None: they
/// are not of these.
pub(super) fn whole(written: &[u8], staged: &[u8], kind: StreamKind) -> Option<(usize, usize)> {
    let (mut len, mut used) = (0, 0);
    for record in written.split_inclusive(|byte| *byte == b'\n') {
        let Some(line) = record.strip_suffix(b"\n") else { break };
        let mut words = line.splitn(4, |byte| *byte == b' ').skip(1);
        let (stream, flag, text) = (words.next()?, words.next()?, words.next()?);
        let rest = staged.get(used..)?.strip_prefix(text)?;
        if stream != kind.as_str().as_bytes() {
            return None;
        }
        // A last line may have none.
        let line_feed = usize::from(flag == b"F" && rest.first() == Some(&b'\n'));
        used += text.len() + line_feed;
        len += record.len();
    }
    Some((len, used))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_records_are_kept_and_what_they_hold_is_counted() {
        let two = "T stdout F a\nT stdout F b\n";
        for (written, staged, found) in [
            ("", "a\nb\n", Some((0, 0))),
            (two, "a\nb\nc\n", Some((two.len(), 4))),
            ("T stdout F a\nT stdout F", "a\nb\n", Some((13, 2))),
            ("T stdout F a\nT stdout P b\n", "a\nbc\n", Some((26, 3))),
            ("T stdout F a", "a", Some((0, 0))),
            ("T stdout F a\n", "a", Some((13, 1))),
            ("T stdout F \n", "\n", Some((12, 1))),
            ("T stdout F a b\n", "a b\n", Some((15, 4))),
            ("T stdout F x\n", "a\n", None),
            ("T stderr F a\n", "a\n", None),
            ("T stdout F a\nT stdout F b\n", "a\n", None),
            ("rubbish\n", "a\n", None),
        ] {
            assert_eq!(
                whole(written.as_bytes(), staged.as_bytes(), StreamKind::Stdout),
                found,
                "{written:?}"
            );
        }
        assert_eq!(kind(b"T stderr F a\n"), Some(StreamKind::Stderr));
        assert_eq!(kind(b"T std"), None);
    }
}
