//! PAX records: `length key=value\n`, the length counting itself. The value is taken by its length, so it
//! may hold any byte, newlines too (capabilities do). Pure.

use crate::{
    limits::{XATTR_MAX_BYTES, XATTRS_MAX_COUNT},
    sys::Time,
};

/// What extended headers said about the entry that follows.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Pax {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) mtime: Option<Time>,
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) sparse: Option<SparseRecords>,
}

/// The records of GNU's sparse formats in PAX.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct SparseRecords {
    /// The file's name; `path` then holds a made-up one.
    pub(super) name: Option<Vec<u8>>,
    pub(super) version: (u64, u64),
    pub(super) size: Option<u64>,
    /// Offsets and lengths in turn.
    pub(super) map: Vec<u64>,
}

const XATTR_PREFIX: &[u8] = b"SCHILY.xattr.";

impl Pax {
    pub(super) fn read_records(&mut self, mut rest: &[u8]) -> Result<(), String> {
        while !rest.is_empty() {
            let (record, after) = split(rest).ok_or("a record's length does not fit")?;
            let equals = record.iter().position(|b| *b == b'=').ok_or("a record has no =")?;
            self.record(&record[..equals], &record[equals + 1..])?;
            rest = after;
        }
        Ok(())
    }

    fn record(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        // An empty value takes back what an earlier record said.
        let some = |value: &[u8]| (!value.is_empty()).then(|| value.to_vec());
        match key {
            b"path" => self.path = some(value),
            b"linkpath" => self.link = some(value),
            b"size" => self.size = integer(value)?,
            b"uid" => self.uid = integer(value)?,
            b"gid" => self.gid = integer(value)?,
            b"mtime" => self.mtime = time(value)?,
            _ if key.starts_with(b"GNU.sparse.") => self.sparse_record(&key[11..], value)?,
            _ if key.starts_with(XATTR_PREFIX) => self.xattr(&key[XATTR_PREFIX.len()..], value)?,
            // Times and comments that an image has no use for, and vendors' own.
            _ => {}
        }
        Ok(())
    }

    fn sparse_record(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        let sparse = self.sparse.get_or_insert_default();
        let number = || integer(value).map(Option::unwrap_or_default);
        match key {
            b"name" => sparse.name = (!value.is_empty()).then(|| value.to_vec()),
            b"major" => sparse.version.0 = number()?,
            b"minor" => sparse.version.1 = number()?,
            b"size" | b"realsize" => sparse.size = Some(number()?),
            b"offset" | b"numbytes" => sparse.map.push(number()?),
            b"map" => {
                let numbers = value.split(|b| *b == b',').filter(|n| !n.is_empty());
                sparse.map =
                    numbers.map(|n| integer(n).map(Option::unwrap_or_default)).collect::<Result<_, _>>()?;
            }
            _ => {}
        }
        Ok(())
    }

    fn xattr(&mut self, name: &[u8], value: &[u8]) -> Result<(), String> {
        if name.is_empty() || name.len() > 255 || name.contains(&0) {
            return Err("the name of an extended attribute is empty or too long".into());
        }
        if value.len() > XATTR_MAX_BYTES || self.xattrs.len() >= XATTRS_MAX_COUNT {
            return Err(
                "more or longer extended attributes than the limits XATTRS_MAX_COUNT, XATTR_MAX_BYTES".into(),
            );
        }
        self.xattrs.retain(|(known, _)| known != name);
        self.xattrs.push((name.to_vec(), value.to_vec()));
        Ok(())
    }
}

/// The first record without its length and newline, and what follows it.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    const LENGTH_MAX_DIGITS: usize = 8;
    let space = bytes.iter().take(LENGTH_MAX_DIGITS + 1).position(|b| *b == b' ')?;
    let length = usize::try_from(integer(&bytes[..space]).ok()??).ok()?;
    let record = bytes.get(space + 1..length)?;
    let (newline, record) = record.split_last()?;
    (*newline == b'\n').then_some((record, &bytes[length..]))
}

fn integer(value: &[u8]) -> Result<Option<u64>, String> {
    if value.is_empty() {
        return Ok(None);
    }
    let digits = value.iter().all(u8::is_ascii_digit).then_some(value);
    let number = digits.and_then(|d| std::str::from_utf8(d).ok()).and_then(|d| d.parse().ok());
    number.map(Some).ok_or_else(|| "a record holds no number where one belongs".into())
}

/// Seconds with a fraction of any length, perhaps negative.
fn time(value: &[u8]) -> Result<Option<Time>, String> {
    if value.is_empty() {
        return Ok(None);
    }
    let bad = || "a record's time cannot be read".to_owned();
    let text = std::str::from_utf8(value).map_err(|_| bad())?;
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return Err(bad());
    }
    let seconds: i64 = whole.parse().map_err(|_| bad())?;
    let nanos =
        (0..9).fold(0, |n, at| n * 10 + u32::from(fraction.as_bytes().get(at).map_or(0, |d| d - b'0')));
    Ok(Some(match (negative, nanos) {
        (false, nanos) => Time { seconds, nanos },
        (true, 0) => Time { seconds: -seconds, nanos: 0 },
        (true, nanos) => Time { seconds: -seconds - 1, nanos: 1_000_000_000 - nanos },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Result<Pax, String> {
        let mut pax = Pax::default();
        pax.read_records(text).map(|()| pax)
    }

    #[test]
    fn values_may_hold_anything() {
        let pax = read(b"26 SCHILY.xattr.user.a=\n=\n10 path=x\n").unwrap();
        assert_eq!(pax.xattrs, [(b"user.a".to_vec(), b"\n=".to_vec())]);
        assert_eq!(pax.path.as_deref(), Some(&b"x"[..]));
    }

    #[test]
    fn damaged_records_are_refused() {
        let table: [&[u8]; 9] = [
            b"x",
            b"5 a=b",
            b"99 path=x\n",
            b"0 path=x\n",
            b"10 path=xx",
            b"8 path=x\n",
            b"7 path\n",
            b"10 size=x\n",
            b"99999999999999999999 path=x\n",
        ];
        for text in table {
            assert!(read(text).is_err(), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn times() {
        let table = [
            ("1", (1, 0)),
            ("1.5", (1, 500_000_000)),
            ("1.0000000019", (1, 1)),
            ("-1", (-1, 0)),
            ("-1.25", (-2, 750_000_000)),
        ];
        for (text, (seconds, nanos)) in table {
            assert_eq!(time(text.as_bytes()), Ok(Some(Time { seconds, nanos })), "{text}");
        }
        for bad in ["x", ".", "1.x", "--1", "99999999999999999999"] {
            assert!(time(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
