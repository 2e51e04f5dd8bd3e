//! The encoding of each message of `protocol`. A field order that differs between `write` and `read`
//! shows in the round trips of the tests.

use super::{DecodeError, Message, Reader, Writer};
use crate::protocol::{ExitStatus, FailClass, Notice, Request, SlotState, Work, WorkReport};

impl Message for ExitStatus {
    fn write(&self, to: &mut Writer<'_>) {
        to.i32(self.code);
        to.i32(self.signal);
        to.u64(self.at_ns);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { code: from.i32()?, signal: from.i32()?, at_ns: from.u64()? })
    }
}

impl Message for FailClass {
    fn write(&self, to: &mut Writer<'_>) {
        to.u8(*self as u8);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match from.u8()? {
            1 => Self::Full,
            2 => Self::Exists,
            3 => Self::NotFound,
            4 => Self::Busy,
            5 => Self::Runtime,
            6 => Self::Timeout,
            7 => Self::Lost,
            8 => Self::Internal,
            9 => Self::Machine,
            other => return Err(DecodeError::Tag(other)),
        })
    }
}

impl Message for SlotState {
    fn write(&self, to: &mut Writer<'_>) {
        match self {
            Self::Creating => to.u8(1),
            Self::Running { pid, started_ns } => {
                to.u8(2);
                to.i32(*pid);
                to.u64(*started_ns);
            }
            Self::Exited { started_ns, exit } => {
                to.u8(3);
                to.u64(*started_ns);
                exit.write(to);
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match from.u8()? {
            1 => Self::Creating,
            2 => Self::Running { pid: from.i32()?, started_ns: from.u64()? },
            3 => Self::Exited { started_ns: from.u64()?, exit: ExitStatus::read(from)? },
            other => return Err(DecodeError::Tag(other)),
        })
    }
}

impl Message for Request {
    fn write(&self, to: &mut Writer<'_>) {
        match self {
            Self::Hello { version } => {
                to.u8(1);
                to.u16(*version);
            }
            Self::Create { op, id, bundle, cgroup, deadline_ms, log_uid, log_gid } => {
                to.u8(2);
                to.u64(*op);
                to.str(id);
                to.str(bundle);
                to.str(cgroup);
                to.u32(*deadline_ms);
                to.u32(*log_uid);
                to.u32(*log_gid);
            }
            Self::Exec { op, session, container, bundle, deadline_ms, tty } => {
                to.u8(3);
                to.u64(*op);
                to.str(session);
                to.str(container);
                to.str(bundle);
                to.u32(*deadline_ms);
                to.bool(*tty);
            }
            Self::Signal { op, id, signal } => {
                to.u8(4);
                to.u64(*op);
                to.str(id);
                to.i32(*signal);
            }
            Self::Release { op, id } => {
                to.u8(5);
                to.u64(*op);
                to.str(id);
            }
            Self::Upgrade { op, path } => {
                to.u8(6);
                to.u64(*op);
                to.str(path);
            }
            Self::Ready => to.u8(7),
            Self::Alive => to.u8(8),
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match from.u8()? {
            1 => Self::Hello { version: from.u16()? },
            2 => Self::Create {
                op: from.u64()?,
                id: from.str()?,
                bundle: from.str()?,
                cgroup: from.str()?,
                deadline_ms: from.u32()?,
                log_uid: from.u32()?,
                log_gid: from.u32()?,
            },
            3 => Self::Exec {
                op: from.u64()?,
                session: from.str()?,
                container: from.str()?,
                bundle: from.str()?,
                deadline_ms: from.u32()?,
                tty: from.bool()?,
            },
            4 => Self::Signal { op: from.u64()?, id: from.str()?, signal: from.i32()? },
            5 => Self::Release { op: from.u64()?, id: from.str()? },
            6 => Self::Upgrade { op: from.u64()?, path: from.str()? },
            7 => Self::Ready,
            8 => Self::Alive,
            other => return Err(DecodeError::Tag(other)),
        })
    }
}

impl Message for Notice {
    fn write(&self, to: &mut Writer<'_>) {
        match self {
            Self::Welcome { version, pid, slots } => {
                to.u8(1);
                to.u16(*version);
                to.i32(*pid);
                to.u16(*slots);
            }
            Self::Slot { id, state } => {
                to.u8(2);
                to.str(id);
                state.write(to);
            }
            Self::ListEnd => to.u8(3),
            Self::Started { op, id, pid, at_ns } => {
                to.u8(4);
                to.u64(*op);
                to.str(id);
                to.i32(*pid);
                to.u64(*at_ns);
            }
            Self::Failed { op, id, class, text } => {
                to.u8(5);
                to.u64(*op);
                to.str(id);
                class.write(to);
                to.str(text);
            }
            Self::Done { op } => {
                to.u8(6);
                to.u64(*op);
            }
            Self::Exited { id, exit } => {
                to.u8(7);
                to.str(id);
                exit.write(to);
            }
            Self::Ping => to.u8(8),
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match from.u8()? {
            1 => Self::Welcome { version: from.u16()?, pid: from.i32()?, slots: from.u16()? },
            2 => Self::Slot { id: from.str()?, state: SlotState::read(from)? },
            3 => Self::ListEnd,
            4 => Self::Started { op: from.u64()?, id: from.str()?, pid: from.i32()?, at_ns: from.u64()? },
            5 => Self::Failed {
                op: from.u64()?,
                id: from.str()?,
                class: FailClass::read(from)?,
                text: from.str()?,
            },
            6 => Self::Done { op: from.u64()? },
            7 => Self::Exited { id: from.str()?, exit: ExitStatus::read(from)? },
            8 => Self::Ping,
            other => return Err(DecodeError::Tag(other)),
        })
    }
}

impl Message for Work {
    fn write(&self, to: &mut Writer<'_>) {
        match self {
            Self::Create { ticket, id, bundle, cgroup, deadline_ms } => {
                to.u8(1);
                to.u64(*ticket);
                to.str(id);
                to.str(bundle);
                to.str(cgroup);
                to.u32(*deadline_ms);
            }
            Self::Exec { ticket, session, container, bundle, deadline_ms, tty } => {
                to.u8(2);
                to.u64(*ticket);
                to.str(session);
                to.str(container);
                to.str(bundle);
                to.u32(*deadline_ms);
                to.bool(*tty);
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match from.u8()? {
            1 => Self::Create {
                ticket: from.u64()?,
                id: from.str()?,
                bundle: from.str()?,
                cgroup: from.str()?,
                deadline_ms: from.u32()?,
            },
            2 => Self::Exec {
                ticket: from.u64()?,
                session: from.str()?,
                container: from.str()?,
                bundle: from.str()?,
                deadline_ms: from.u32()?,
                tty: from.bool()?,
            },
            other => return Err(DecodeError::Tag(other)),
        })
    }
}

impl Message for WorkReport {
    fn write(&self, to: &mut Writer<'_>) {
        match self {
            Self::Ready => to.u8(1),
            Self::Started { ticket, pid } => {
                to.u8(2);
                to.u64(*ticket);
                to.i32(*pid);
            }
            Self::Failed { ticket, class, text } => {
                to.u8(3);
                to.u64(*ticket);
                class.write(to);
                to.str(text);
            }
            Self::Lost { ticket, class } => {
                to.u8(4);
                to.u64(*ticket);
                class.write(to);
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match from.u8()? {
            1 => Self::Ready,
            2 => Self::Started { ticket: from.u64()?, pid: from.i32()? },
            3 => Self::Failed { ticket: from.u64()?, class: FailClass::read(from)?, text: from.str()? },
            4 => Self::Lost { ticket: from.u64()?, class: FailClass::read(from)? },
            other => return Err(DecodeError::Tag(other)),
        })
    }
}
