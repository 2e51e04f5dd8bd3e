//! Stop signals by name, as images write them. Never fails: what cannot be read is SIGTERM.

/// SIGTERM.
const TERM: i32 = 15;
/// SIGRTMIN as the C library of a container sees it.
const RT_MIN: i32 = 34;
/// SIGRTMAX.
const RT_MAX: i32 = 64;

/// Names and numbers; the same on every architecture that Berth runs on (arm, x86, risc-v).
const NAMES: [(&str, i32); 30] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("IOT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", TERM),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("PWR", 30),
];

/// `SIGINT`, `int`, `2`, `SIGRTMIN+3`, `RTMAX-1`: the number; SIGTERM for an empty or unknown name.
pub(crate) fn number(name: &str) -> i32 {
    known(name).unwrap_or(TERM)
}

/// It is the name or the number of a signal.
pub(crate) fn is_known(name: &str) -> bool {
    known(name).is_some()
}

fn known(name: &str) -> Option<i32> {
    let name = name.trim().to_ascii_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    let offset = |text: &str, sign: char| match text {
        "" => Some(0),
        text => text.strip_prefix(sign)?.parse::<i32>().ok(),
    };
    let found = if let Ok(number) = name.parse::<i32>() {
        Some(number)
    } else if let Some(rest) = name.strip_prefix("RTMIN") {
        offset(rest, '+').map(|more| RT_MIN.saturating_add(more))
    } else if let Some(rest) = name.strip_prefix("RTMAX") {
        offset(rest, '-').map(|less| RT_MAX.saturating_sub(less))
    } else {
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
    };
    found.filter(|number| (1..=RT_MAX).contains(number))
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn names_as_images_have_them() {
        for (name, expected) in [
            ("", 15),
            ("SIGTERM", 15),
            ("INT", 2),
            ("sigquit", 3),
            (" SIGUSR1 ", 10),
            ("9", 9),
            ("SIGRTMIN", 34),
            ("SIGRTMIN+3", 37),
            ("RTMAX-1", 63),
            ("SIGRTMIN+99", 15),
            ("SIGRTMIN3", 15),
            ("0", 15),
            ("-1", 15),
            ("65", 15),
            ("SIGNAL", 15),
        ] {
            assert_eq!(number(name), expected, "{name}");
        }
    }
}
