//! The keeper's whole state in a memfd, for the program that it becomes.
//!
//! Layout: magic, version, length of the rest, its checksum; then the shell's own numbers, the supervisor's
//! head, and its places, each container's with its six descriptors. Descriptors keep their numbers.

use super::{
    Keeper,
    fds::{SlotFds, Slots},
};
use crate::{
    codec::{DecodeError, Reader, Writer},
    protocol::FDS_MAX,
    supervise::{STATE_VERSION, Supervisor},
    sys,
    tables::Place,
};
use nix::{
    errno::Errno,
    sys::memfd::{MemFdCreateFlag, memfd_create},
};
use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::fd::{AsRawFd as _, OwnedFd, RawFd},
    os::unix::fs::FileExt as _,
};

const MAGIC: u64 = u64::from_le_bytes(*b"berthkpr");
const HEADER_LEN: usize = 8 + 4 + 8 + 8;
/// Bytes of one record: a place with its id, paths and descriptors.
const RECORD_LEN_MAX: usize = 1_024;
/// Bytes of a state with full tables, with room to spare.
const STATE_LEN_MAX: u64 = 512 * 1_024;

/// What a keeper before us has left, its tables apart.
pub(super) struct Saved {
    pub(super) nofile: libc::rlim_t,
    pub(super) lock: OwnedFd,
    pub(super) listener: OwnedFd,
    pub(super) front: Option<OwnedFd>,
    pub(super) agent: Option<OwnedFd>,
    pub(super) slots: Slots,
}

/// FNV-1a, continued: against a state that was cut or mixed up, not against malice.
fn checksum(mut sum: u64, bytes: &[u8]) -> u64 {
    for byte in bytes {
        sum = (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    sum
}

const CHECKSUM_START: u64 = 0xcbf2_9ce4_8422_2325;

/// The descriptors that must survive.
pub(super) fn fds(keeper: &Keeper<'_>) -> impl Iterator<Item = RawFd> {
    let own = [Some(&*keeper.lock), Some(&keeper.listener), keeper.front.as_ref(), keeper.agent.as_ref()];
    let own = own.into_iter().flatten().map(|fd| fd.as_raw_fd());
    own.chain(keeper.slots.iter().flat_map(SlotFds::raw))
}

/// Appends records to the memfd, one buffer at a time.
struct Records {
    file: File,
    len: u64,
    sum: u64,
}

impl Records {
    fn add(&mut self, fill: impl FnOnce(&mut Writer<'_>)) -> Result<(), Errno> {
        let mut buffer = [0; RECORD_LEN_MAX];
        let mut writer = Writer::new(&mut buffer);
        fill(&mut writer);
        let record = writer.written().ok_or(Errno::EMSGSIZE)?;
        self.len += record.len() as u64;
        self.sum = checksum(self.sum, record);
        self.file.write_all(record).map_err(|_| Errno::EIO)
    }
}

/// Writes the state of a keeper that has nothing under way.
pub(super) fn write(keeper: &Keeper<'_>) -> Result<File, Errno> {
    let memory = memfd_create(c"berth-keeper", MemFdCreateFlag::MFD_CLOEXEC)?;
    let mut records = Records { file: File::from(memory), len: 0, sum: CHECKSUM_START };
    let number = |fd: Option<&OwnedFd>| fd.map_or(-1, |fd| fd.as_raw_fd());
    records.file.write_all(&[0; HEADER_LEN]).map_err(|_| Errno::EIO)?;
    records.add(|to| {
        // Less than 64 bits on 32-bit machines.
        #[allow(clippy::unnecessary_cast)]
        to.u64(keeper.nofile as u64);
        for fd in [Some(&*keeper.lock), Some(&keeper.listener), keeper.front.as_ref(), keeper.agent.as_ref()]
        {
            to.i32(number(fd));
        }
        keeper.sup.save_head(to);
    })?;
    for place in places(keeper.sup.containers().high_water()) {
        records.add(|to| {
            keeper.sup.save_container(place, to);
            let fds = keeper.sup.containers().get(place).and_then(|_| keeper.slots.get(place));
            for fd in fds.map_or([-1; FDS_MAX], SlotFds::raw) {
                to.i32(fd);
            }
        })?;
    }
    for place in places(keeper.sup.sessions().high_water()) {
        records.add(|to| keeper.sup.save_session(place, to))?;
    }
    let mut header = [0; HEADER_LEN];
    let mut writer = Writer::new(&mut header);
    writer.u64(MAGIC);
    writer.u32(STATE_VERSION);
    writer.u64(records.len);
    writer.u64(records.sum);
    records.file.write_all_at(&header, 0).map_err(|_| Errno::EIO)?;
    Ok(records.file)
}

fn places(high_water: usize) -> std::ops::Range<Place> {
    0..Place::try_from(high_water).unwrap_or(Place::MAX)
}

/// Reads the state into a new supervisor and takes over the descriptors.
pub(super) fn read(sup: &mut Supervisor, memory: OwnedFd) -> Result<Saved, String> {
    let mut bytes = vec![];
    let mut file = File::from(memory);
    std::io::Seek::rewind(&mut file).map_err(|e| e.to_string())?;
    file.take(STATE_LEN_MAX).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    let body = body(&bytes)?;
    let saved = parse(sup, &mut Reader::new(body)).map_err(|e| format!("{e}"))?;
    Ok(saved)
}

/// The records, if header and checksum are right.
fn body(bytes: &[u8]) -> Result<&[u8], String> {
    let (header, body) = bytes.split_at_checked(HEADER_LEN).ok_or("it is cut short")?;
    let mut header = Reader::new(header);
    let mut field = || header.u64().map_err(|e| e.to_string());
    if field()? != MAGIC {
        return Err("it is no keeper's state".into());
    }
    let mut header = Reader::new(bytes.get(8..HEADER_LEN).unwrap_or(&[]));
    let version = header.u32().map_err(|e| e.to_string())?;
    if !reads(version) {
        return Err(format!("version {version}; this program reads {STATE_VERSION}"));
    }
    let (len, sum) = (header.u64().map_err(|e| e.to_string())?, header.u64().map_err(|e| e.to_string())?);
    if len != body.len() as u64 || sum != checksum(CHECKSUM_START, body) {
        return Err("its checksum is wrong".into());
    }
    Ok(body)
}

/// This program reads states of that version.
pub(crate) fn reads(version: u32) -> bool {
    version == STATE_VERSION
}

fn parse(sup: &mut Supervisor, from: &mut Reader<'_>) -> Result<Saved, DecodeError> {
    let nofile = from.u64()? as libc::rlim_t;
    let (lock, listener) = (take_fd(from)?, take_fd(from)?);
    let (front, agent) = (take_fd(from)?, take_fd(from)?);
    let (containers, sessions) = sup.restore_head(from)?;
    let mut slots = Slots::new();
    for place in 0..containers {
        sup.restore_container(from)?;
        let mut held = heapless::Vec::<OwnedFd, FDS_MAX>::new();
        for _ in 0..FDS_MAX {
            take_fd(from)?.into_iter().for_each(|fd| _ = held.push(fd));
        }
        slots.set(place, held.into_array().ok().map(|held| SlotFds { held, ends: None }));
    }
    for _ in 0..sessions {
        sup.restore_session(from)?;
    }
    from.end()?;
    let lock = lock.ok_or(DecodeError::Short)?;
    let listener = listener.ok_or(DecodeError::Short)?;
    Ok(Saved { nofile, lock, listener, front, agent, slots })
}

/// The next descriptor, ours from now on. `None` for -1, or if it did not survive.
fn take_fd(from: &mut Reader<'_>) -> Result<Option<OwnedFd>, DecodeError> {
    let fd = from.i32()?;
    Ok(if fd > 2 { sys::fd::adopt(fd).ok() } else { None })
}
