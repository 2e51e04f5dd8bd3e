//! Sparse files: the old GNU format, and GNU's formats 0.0, 0.1 and 1.0 in PAX records. The map is read and
//! checked here; whoever writes the file leaves the holes.

use super::{BLOCK_BYTES, Input, Member, TarReader, header::Raw, pax::SparseRecords};
use crate::error::Error;
use std::io::Read as _;

/// Segments of one sparse file.
const SEGMENTS_MAX_COUNT: usize = 65_536;

/// Stored bytes of a sparse file: where they belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

/// The map in a GNU header of type S, and in the blocks that follow it.
pub(super) fn old_gnu<R: Input>(
    reader: &mut TarReader<R>,
    raw: &Raw,
    member: &mut Member,
) -> Result<(), Error> {
    let bad = |reader: &TarReader<R>| reader.damaged("the map of a sparse file", "it cannot be read");
    let stored = member.size;
    let header = raw.header().as_gnu().ok_or_else(|| bad(reader))?;
    let mut map = Vec::new();
    let mut add = |entry: &tar::GnuSparseHeader| -> Option<()> {
        if !entry.is_empty() {
            map.push(Segment { offset: entry.offset().ok()?, length: entry.length().ok()? });
        }
        Some(())
    };
    header.sparse.iter().try_for_each(&mut add).ok_or_else(|| bad(reader))?;
    let mut more = header.is_extended();
    let mut blocks = 0;
    while more {
        blocks += 1;
        let block =
            reader.block()?.filter(|_| blocks * 21 <= SEGMENTS_MAX_COUNT).ok_or_else(|| bad(reader))?;
        let mut extension = tar::GnuExtSparseHeader::new();
        extension.as_mut_bytes().copy_from_slice(&block);
        extension.sparse().iter().try_for_each(&mut add).ok_or_else(|| bad(reader))?;
        more = extension.is_extended();
    }
    member.size = header.real_size().map_err(|_| bad(reader))?;
    finish(reader, map, stored, member)
}

/// The map in PAX records, or (version 1.0) in decimal lines before the stored bytes.
pub(super) fn pax<R: Input>(
    reader: &mut TarReader<R>,
    records: &SparseRecords,
    member: &mut Member,
) -> Result<(), Error> {
    let bad = |reader: &TarReader<R>| reader.damaged("the map of a sparse file", "it cannot be read");
    let numbers = match records.version {
        (1, 0) => {
            let count = line(reader)?;
            if count > SEGMENTS_MAX_COUNT as u64 {
                return Err(bad(reader));
            }
            let numbers = (0..count * 2).map(|_| line(reader)).collect::<Result<Vec<_>, _>>()?;
            // The stored bytes begin at the next block of the entry.
            let past = (member.size - reader.content) % BLOCK_BYTES as u64;
            if past != 0 {
                let mut fill = [0; BLOCK_BYTES];
                let length = BLOCK_BYTES - past as usize;
                reader.read_exact(&mut fill[..length]).map_err(|_| bad(reader))?;
            }
            numbers
        }
        (0, _) => records.map.clone(),
        _ => return Err(bad(reader)),
    };
    if numbers.len() % 2 != 0 {
        return Err(bad(reader));
    }
    let map = numbers.chunks_exact(2).map(|pair| Segment { offset: pair[0], length: pair[1] }).collect();
    let stored = reader.content;
    member.size = records.size.ok_or_else(|| bad(reader))?;
    finish(reader, map, stored, member)
}

/// One decimal number and its newline.
fn line<R: Input>(reader: &mut TarReader<R>) -> Result<u64, Error> {
    const DIGITS_MAX_COUNT: usize = 20;
    let mut number = Some(0_u64);
    for _ in 0..=DIGITS_MAX_COUNT {
        let mut byte = [0];
        reader.read_exact(&mut byte).map_err(|error| reader.broken(error))?;
        number = match (byte[0], number) {
            (b'\n', Some(number)) => return Ok(number),
            (digit @ b'0'..=b'9', Some(n)) => {
                n.checked_mul(10).and_then(|n| n.checked_add((digit - b'0').into()))
            }
            _ => None,
        };
    }
    Err(reader.damaged("the map of a sparse file", "no number where one belongs"))
}

/// Holds the map to the file's size and to the bytes stored: ascending, inside, and all accounted for.
fn finish<R: Input>(
    reader: &TarReader<R>,
    map: Vec<Segment>,
    stored: u64,
    member: &mut Member,
) -> Result<(), Error> {
    let mut end = 0;
    let mut sum = 0_u64;
    for segment in &map {
        let next = segment.offset.checked_add(segment.length);
        if segment.offset < end || next.is_none_or(|next| next > member.size) {
            return Err(
                reader.damaged("the map of a sparse file", "segments overlap or lie outside the file")
            );
        }
        end = segment.offset + segment.length;
        sum += segment.length;
    }
    if sum != stored || map.len() > SEGMENTS_MAX_COUNT {
        return Err(reader.damaged("the map of a sparse file", "it does not fit the bytes stored"));
    }
    member.sparse = Some(map);
    Ok(())
}
