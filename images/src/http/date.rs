//! Times in headers (RFC 9110 section 5.6.7), as far as they tell whether a validator can be trusted. Pure.

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// Seconds that a text must be old for its validators to mean it and no later one: many servers count whole seconds, also
/// in the `ETag` that they make of time and size.
const SETTLED_S: i64 = 2;

/// Whether `Last-Modified` was so little before `Date`, both of one answer, that a later change may look the same
/// (RFC 9110 section 8.8.2.2). Of times that cannot be read this is not known, and not assumed.
pub(super) fn is_fresh(last_modified: Option<&str>, date: Option<&str>) -> bool {
    let seconds = |text: Option<&str>| text.and_then(seconds);
    matches!((seconds(last_modified), seconds(date)), (Some(then), Some(now)) if now - then < SETTLED_S)
}

/// Seconds since 1970 of `Sun, 06 Nov 1994 08:49:37 GMT`, the one form that may be sent.
fn seconds(text: &str) -> Option<i64> {
    let mut words = text.split_once(", ")?.1.split([' ', ':']);
    let mut word = |len: usize| words.next().filter(|word| word.len() == len);
    let number = |word: &str| -> Option<i64> {
        word.bytes().all(|byte| byte.is_ascii_digit()).then(|| word.parse().ok())?
    };
    let (day, month, year) = (number(word(2)?)?, word(3)?, number(word(4)?)?);
    let month = MONTHS.iter().position(|known| *known == month)? as i64 + 1;
    let (hour, minute, second) = (number(word(2)?)?, number(word(2)?)?, number(word(2)?)?);
    if words.next() != Some("GMT") || words.next().is_some() || !(1..=31).contains(&day) {
        return None;
    }
    // Years from March: the leap day is then the last one.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_that_servers_send() {
        for (text, expected) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Thu, 29 Feb 2024 23:59:59 GMT", Some(1_709_251_199)),
            ("Fri, 01 Mar 2024 00:00:00 GMT", Some(1_709_251_200)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 08:49:37", None),
            ("Sun, 06 Now 1994 08:49:37 GMT", None),
            ("Sun, +6 Nov 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 08:49:37 GMT x", None),
            ("Sun, 06 Növ 1994 08:49:37 GMT", None),
            ("", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }

    #[test]
    fn what_was_changed_just_now_may_change_again_unseen() {
        let at = |second: u32| format!("Sun, 06 Nov 1994 08:49:{second:02} GMT");
        for (modified, fresh) in [(37, true), (36, true), (35, false), (10, false), (59, true)] {
            assert_eq!(is_fresh(Some(&at(modified)), Some(&at(37))), fresh, "{modified}");
        }
        assert!(
            !is_fresh(None, Some(&at(37)))
                && !is_fresh(Some(&at(37)), None)
                && !is_fresh(Some("x"), Some("y"))
        );
    }
}
