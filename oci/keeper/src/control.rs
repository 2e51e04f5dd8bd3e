//! The messages between the front (the process that a service manager watches) and the keeper.

use crate::{
    codec::{DecodeError, Message, Reader, Writer},
    protocol::MESSAGE_LEN_MAX,
    settings::Line,
};

/// Raised with every change of these messages.
pub(crate) const CONTROL_VERSION: u16 = 1;
/// Why a front is not served.
pub(crate) type Reason = heapless::String<256>;

const _: () = assert!(crate::config::SETTINGS_LEN_MAX + 16 < MESSAGE_LEN_MAX);

/// From the front to the keeper.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)]
pub(crate) enum ToKeeper {
    /// First message: serve, with these settings if you hold. Beside it: stdout and stderr for the
    /// keeper and its children from now on. Answer: `Attached`, then `Ready` or `Refused`.
    Attach {
        /// [`CONTROL_VERSION`] of the front.
        version: u16,
        /// See `settings`.
        settings: Line,
    },
    /// Stop agent and zygote, hold the containers. Answer: `Held`.
    Hold,
    /// Does the agent live? Answer: `Pong`, when it has said so; asked a second time without one, the agent
    /// is killed.
    Ping,
}

/// From the keeper to the front.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)]
pub(crate) enum ToFront {
    /// You are the front now.
    Attached,
    /// The agent serves.
    Ready,
    /// Agent and zygote are stopped.
    Held,
    /// You are not, or no longer, the front.
    Refused {
        /// For people.
        why: Reason,
    },
    /// It does.
    Pong,
    /// The agent cannot run on this machine or with its configuration, and has said why: `Held` follows, and
    /// then the front is to end with `EXIT_UNFIT`.
    Unfit,
}

impl Message for ToKeeper {
    fn write(&self, to: &mut Writer<'_>) {
        match self {
            Self::Attach { version, settings } => {
                to.u8(1);
                to.u16(*version);
                to.str(settings);
            }
            Self::Hold => to.u8(2),
            Self::Ping => to.u8(3),
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match from.u8()? {
            1 => Self::Attach { version: from.u16()?, settings: from.str()? },
            2 => Self::Hold,
            3 => Self::Ping,
            other => return Err(DecodeError::Tag(other)),
        })
    }
}

impl Message for ToFront {
    fn write(&self, to: &mut Writer<'_>) {
        match self {
            Self::Attached => to.u8(1),
            Self::Ready => to.u8(2),
            Self::Held => to.u8(3),
            Self::Refused { why } => {
                to.u8(4);
                to.str(why);
            }
            Self::Pong => to.u8(5),
            Self::Unfit => to.u8(6),
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match from.u8()? {
            1 => Self::Attached,
            2 => Self::Ready,
            3 => Self::Held,
            4 => Self::Refused { why: from.str()? },
            5 => Self::Pong,
            6 => Self::Unfit,
            other => return Err(DecodeError::Tag(other)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        let settings = Line::try_from("x".repeat(crate::config::SETTINGS_LEN_MAX).as_str()).unwrap();
        for message in [ToKeeper::Attach { version: 1, settings }, ToKeeper::Hold, ToKeeper::Ping] {
            assert_eq!(ToKeeper::decode(&message.encode()), Ok(message));
        }
        let why = Reason::try_from("because").unwrap();
        let refused = ToFront::Refused { why };
        let plain = [ToFront::Attached, ToFront::Ready, ToFront::Held, ToFront::Pong, ToFront::Unfit];
        for message in plain.into_iter().chain([refused]) {
            assert_eq!(ToFront::decode(&message.encode()), Ok(message));
        }
        assert_eq!(ToKeeper::decode(b"\x09"), Err(DecodeError::Tag(9)));
        assert_eq!(ToFront::decode(b"\x09"), Err(DecodeError::Tag(9)));
    }
}
