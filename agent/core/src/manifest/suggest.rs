//! "Did you mean": the known name nearest to a mistyped one. Only ever for messages, never to accept a
//! name.

/// Edits (insert, delete, replace a byte) that still count as a slip.
const DISTANCE_MAX: usize = 2;
/// Bytes of a mistyped name that is worth comparing; no field name is longer than half of it.
const NAME_LEN_MAX_BYTES: usize = 96;

/// The name of `known` that `typed` was probably meant to be.
pub(super) fn nearest<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if typed.len() > NAME_LEN_MAX_BYTES {
        return None;
    }
    let rank = |name: &'a str| {
        let distance = if name.eq_ignore_ascii_case(typed) { 0 } else { distance(typed, name) };
        // A slip in three letters makes another word.
        (distance <= DISTANCE_MAX.min(typed.len().max(name.len()) / 3)).then_some((distance, name))
    };
    known.filter_map(rank).min().map(|(_, name)| name)
}

/// Levenshtein's distance in bytes; letters in the wrong order count as one edit.
fn distance(a: &str, b: &str) -> usize {
    let sorted = |text: &str| {
        let mut bytes = text.as_bytes().to_vec();
        bytes.sort_unstable();
        bytes
    };
    if a != b && sorted(a) == sorted(b) {
        return 1;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        let known = ["image", "imagePullPolicy", "hostPID", "env", "envFrom", "name"];
        let cases = [
            ("imgae", Some("image")),
            ("images", Some("image")),
            ("hostPid", Some("hostPID")),
            ("imagePullPolice", Some("imagePullPolicy")),
            ("Env", Some("env")),
            ("evn", Some("env")),
            ("replicas", None),
            ("", None),
        ];
        for (typed, meant) in cases {
            assert_eq!(nearest(typed, known.into_iter()), meant, "{typed}");
        }
        assert_eq!(nearest(&"image".repeat(30), known.into_iter()), None);
    }
}
