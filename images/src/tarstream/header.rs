//! One 512-byte tar header: checked and turned into an entry, the PAX records before it applied. Pure.

use super::{Kind, Member, pax::Pax};
use crate::sys::Time;

/// A header as it stands, checksum checked.
pub(super) struct Raw {
    pub(super) flag: u8,
    pub(super) size: u64,
    header: Box<tar::Header>,
}

impl Raw {
    pub(super) fn header(&self) -> &tar::Header {
        &self.header
    }
}

pub(super) fn parse(block: &[u8; 512]) -> Result<Raw, String> {
    let header = Box::new(tar::Header::from_byte_slice(block).clone());
    let fields = header.as_old();
    let stated = number(&fields.cksum).ok_or("its checksum field is no number")?;
    let (unsigned, signed) = checksums(block);
    // Some old tools summed signed bytes.
    if stated != i64::from(unsigned) && stated != i64::from(signed) {
        return Err("its checksum does not fit: this is no tar archive, or it is damaged".into());
    }
    let size = number(&fields.size).and_then(|n| u64::try_from(n).ok()).ok_or("its size is no number")?;
    Ok(Raw { flag: fields.linkflag[0], size, header })
}

/// The sum over the block with the checksum field taken as blanks, over unsigned and over signed bytes.
fn checksums(block: &[u8; 512]) -> (u32, i32) {
    let blanked = block.iter().enumerate().map(|(at, b)| if (148..156).contains(&at) { b' ' } else { *b });
    blanked.fold((0, 0), |(unsigned, signed), b| (unsigned + u32::from(b), signed + i32::from(b as i8)))
}

/// A number in octal, or in base 256 when the first bit is set. An empty field is 0.
fn number(field: &[u8]) -> Option<i64> {
    if let [first, rest @ ..] = field
        && first & 0x80 != 0
    {
        // Two's complement; the first byte's top bit is only the mark.
        let negative = first & 0x40 != 0;
        let start = i64::from(first & 0x3f) - if negative { 0x40 } else { 0 };
        return rest.iter().try_fold(start, |value, b| value.checked_mul(256)?.checked_add(i64::from(*b)));
    }
    let text = field.split(|b| *b == 0).next().unwrap_or_default().trim_ascii();
    if text.is_empty() {
        return Some(0);
    }
    if text.iter().any(|b| !b.is_ascii_digit()) {
        return None;
    }
    i64::from_str_radix(std::str::from_utf8(text).ok()?, 8).ok()
}

impl Raw {
    pub(super) fn member(&self, pax: &Pax) -> Result<Member, String> {
        let fields = self.header.as_old();
        let sparse_name = pax.sparse.as_ref().and_then(|s| s.name.clone());
        let path =
            sparse_name.or_else(|| pax.path.clone()).unwrap_or_else(|| self.header.path_bytes().into_owned());
        let link = pax.link.clone();
        let link = link.or_else(|| self.header.link_name_bytes().map(|l| l.into_owned())).unwrap_or_default();
        if path.contains(&0) || link.contains(&0) {
            return Err("a path holds a NUL byte".into());
        }
        let kind = self.kind(&path)?;
        let id = |record: Option<u64>, field: &[u8], what: &str| {
            let id = record.or_else(|| number(field).and_then(|n| u64::try_from(n).ok()));
            // The last value means "do not change" to the kernel.
            let id = id.and_then(|id| u32::try_from(id).ok()).filter(|id| *id != u32::MAX);
            id.ok_or_else(|| format!("its {what} is out of range"))
        };
        let mtime = match pax.mtime {
            Some(time) => time,
            None => Time { seconds: number(&fields.mtime).ok_or("its time is no number")?, nanos: 0 },
        };
        Ok(Member {
            kind,
            mode: (number(&fields.mode).ok_or("its mode is no number")? & 0o7777) as u32,
            uid: id(pax.uid, &fields.uid, "uid")?,
            gid: id(pax.gid, &fields.gid, "gid")?,
            mtime,
            size: pax.size.unwrap_or(self.size),
            device: self.device(kind)?,
            xattrs: pax.xattrs.clone(),
            sparse: None,
            path,
            link,
        })
    }

    fn kind(&self, path: &[u8]) -> Result<Kind, String> {
        Ok(match self.flag {
            // Archives older than the directory flag mark one by a slash at the end.
            b'0' | 0 if path.ends_with(b"/") => Kind::Dir,
            b'0' | 0 | b'7' | b'S' => Kind::File,
            b'1' => Kind::Hardlink,
            b'2' => Kind::Symlink,
            b'3' => Kind::Char,
            b'4' => Kind::Block,
            b'5' => Kind::Dir,
            b'6' => Kind::Fifo,
            other => return Err(format!("the type {:?} is not known", char::from(other))),
        })
    }

    fn device(&self, kind: Kind) -> Result<(u32, u32), String> {
        if !matches!(kind, Kind::Char | Kind::Block) {
            return Ok((0, 0));
        }
        let bytes = self.header.as_bytes();
        // The same place in ustar and GNU headers.
        let part = |field: &[u8]| number(field).and_then(|n| u32::try_from(n).ok());
        let (major, minor) = (part(&bytes[329..337]), part(&bytes[337..345]));
        // The kernel's own widths: 12 bits and 20 bits.
        match (major, minor) {
            (Some(major), Some(minor)) if major < 1 << 12 && minor < 1 << 20 => Ok((major, minor)),
            _ => Err("its device number is out of range".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let table: &[(&[u8], Option<i64>)] = &[
            (b"0000644\0", Some(0o644)),
            (b"  644 \0 ", Some(0o644)),
            (b"\0\0\0\0", Some(0)),
            (b"8", None),
            (b"-1", None),
            (b"77777777777\0", Some(0o77_777_777_777)),
            (b"\x80\0\0\x01\0", Some(256)),
            (b"\xff\xff\xff\xff", Some(-1)),
            (b"\xbf\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", None),
        ];
        for (field, expected) in table {
            assert_eq!(number(field), *expected, "{field:?}");
        }
    }
}
