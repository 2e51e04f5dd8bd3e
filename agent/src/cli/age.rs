//! Times and lengths of time as kubectl shows and takes them. Pure.

use crate::config::Period;
use berth_core::time::{NS_PER_S, Wall};
use serde::{
    Deserialize,
    de::{IntoDeserializer, value},
};
use std::time::Duration;

/// A length of time with two units at most: exact when short, rough when long.
pub(crate) fn human(seconds: i64) -> String {
    // A clock that was set back a little is no reason to alarm anybody.
    if seconds < -1 {
        return "<invalid>".into();
    }
    let s = seconds.max(0);
    let (m, h, d) = (s / 60, s / 3600, s / 86_400);
    let two = |big: i64, unit: char, small: i64, small_unit: char| match small {
        0 => format!("{big}{unit}"),
        _ => format!("{big}{unit}{small}{small_unit}"),
    };
    match () {
        () if s < 120 => format!("{s}s"),
        () if m < 10 => two(m, 'm', s % 60, 's'),
        () if m < 180 => format!("{m}m"),
        () if h < 8 => two(h, 'h', m % 60, 'm'),
        () if h < 48 => format!("{h}h"),
        () if d < 8 => two(d, 'd', h % 24, 'h'),
        () if d < 730 => format!("{d}d"),
        () if d < 2920 => two(d / 365, 'y', d % 365, 'd'),
        () => format!("{}y", d / 365),
    }
}

/// How long ago an RFC 3339 `timestamp` was; `<unknown>` without one.
pub(crate) fn since(timestamp: &str, now: Wall) -> String {
    seconds_since(timestamp, now).map_or_else(|| "<unknown>".into(), human)
}

/// Whole seconds since an RFC 3339 `timestamp`.
pub(crate) fn seconds_since(timestamp: &str, now: Wall) -> Option<i64> {
    let then = parse_rfc3339(timestamp)?;
    i64::try_from((i128::from(now.0) - i128::from(then.0)).div_euclid(i128::from(NS_PER_S))).ok()
}

/// Reads RFC 3339 with any offset and any fraction; none of the years before 1970.
pub(crate) fn parse_rfc3339(text: &str) -> Option<Wall> {
    let (date, rest) = text.split_once(['T', 't', ' '])?;
    let zone_at = rest.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = rest.split_at(zone_at);
    let [year, month, day] = numbers(date, '-')?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let [h, m, s] = numbers(clock, ':')?;
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || h > 23 || m > 59 || s > 60 {
        return None;
    }
    let offset_s = match zone {
        "Z" | "z" => 0,
        _ => {
            let (sign, zone) = zone.split_at(1);
            let (zh, zm) = zone.split_once(':')?;
            let offset = zh.parse::<i64>().ok()? * 3600 + zm.parse::<i64>().ok()? * 60;
            if sign == "-" { -offset } else { offset }
        }
    };
    if fraction.is_empty() || fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nanos: u64 = format!("{fraction:0<9}").parse().ok()?;
    let seconds = days_from_civil(year, month, day) * 86_400 + h * 3600 + m * 60 + s - offset_s;
    let seconds = u64::try_from(seconds).ok()?;
    seconds.checked_mul(NS_PER_S)?.checked_add(nanos).map(Wall)
}

/// Three numbers, `separator` between them.
fn numbers(text: &str, separator: char) -> Option<[i64; 3]> {
    let parts: Vec<i64> = text
        .split(separator)
        .map(|part| part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok()).flatten())
        .collect::<Option<_>>()?;
    parts.try_into().ok()
}

/// Days since 1970-01-01 in the Gregorian calendar.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March here, so that the leap day is the last of its year.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Reads a length of time as Go writes it: `90s`, `1h30m`. For clap.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let from: value::StrDeserializer<'_, value::Error> = text.into_deserializer();
    Period::deserialize(from).map(|period| period.0).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_kubectls() {
        const D: i64 = 86_400;
        for (seconds, text) in [
            (-5, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (192, "3m12s"),
            (599, "9m59s"),
            (600, "10m"),
            (179 * 60 + 59, "179m"),
            (3 * 3600, "3h"),
            (7 * 3600 + 59 * 60, "7h59m"),
            (8 * 3600 + 60, "8h"),
            (47 * 3600, "47h"),
            (2 * D, "2d"),
            (7 * D + 5 * 3600, "7d5h"),
            (8 * D + 5 * 3600, "8d"),
            (729 * D, "729d"),
            (2 * 365 * D, "2y"),
            (3 * 365 * D + 9 * D, "3y9d"),
            (9 * 365 * D, "9y"),
        ] {
            assert_eq!(human(seconds), text, "{seconds}");
        }
    }

    #[test]
    fn times_are_read_in_any_zone() {
        for (text, ns) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-02-29T00:00:00Z", Some(951_782_400 * NS_PER_S)),
            ("2024-02-29T23:59:59.5Z", Some(1_709_251_199 * NS_PER_S + NS_PER_S / 2)),
            ("1970-01-01T02:00:00.000000001+02:00", Some(1)),
            ("1969-12-31T23:00:00-01:30", Some(1800 * NS_PER_S)),
            ("1969-12-31T23:59:59Z", None),
            ("2024-13-01T00:00:00Z", None),
            ("2024-01-01T00:00:00", None),
            ("2024-01-01", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(parse_rfc3339(text).map(|wall| wall.0), ns, "{text}");
        }
        for secs in [0, 86_399, 951_782_400, 1_709_251_199, 4_102_444_800] {
            let wall = Wall(secs * NS_PER_S);
            assert_eq!(parse_rfc3339(&wall.rfc3339()), Some(wall));
        }
    }

    #[test]
    fn ages_are_counted_from_now() {
        let now = Wall(100 * NS_PER_S);
        assert_eq!(since("1970-01-01T00:00:10Z", now), "90s");
        assert_eq!(since("1970-01-01T00:01:40.5Z", now), "0s");
        assert_eq!(since("", now), "<unknown>");
    }

    #[test]
    fn durations_are_gos() {
        assert_eq!(parse_duration("1m30s"), Ok(Duration::from_secs(90)));
        assert!(parse_duration("soon").unwrap_err().contains("no duration"));
    }
}
