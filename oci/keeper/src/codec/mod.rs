//! How messages become bytes and bytes become messages: a tag byte, then the fields in the order of
//! their declaration, little-endian, strings as a `u16` length and UTF-8.
//!
//! Nothing here allocates, and no input makes it panic: bytes come from processes that may be hostile.

mod bytes;
mod messages;
#[cfg(test)]
mod tests;

use crate::protocol::MESSAGE_LEN_MAX;
pub use bytes::{Reader, Writer};
use std::fmt;

/// A message's bytes.
pub type Buffer = heapless::Vec<u8, MESSAGE_LEN_MAX>;

/// What can be wrong with a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecodeError {
    /// It ends inside a field.
    Short,
    /// Bytes follow the last field.
    Trailing,
    /// A tag that no message, state or failure class has.
    Tag(u8),
    /// A string longer than its field allows.
    TooLong,
    /// A string that is not UTF-8.
    NotUtf8,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => write!(f, "the message ends inside a field"),
            Self::Trailing => write!(f, "the message has bytes after its last field"),
            Self::Tag(tag) => write!(f, "the message has an unknown tag {tag}"),
            Self::TooLong => write!(f, "a string in the message is longer than its field"),
            Self::NotUtf8 => write!(f, "a string in the message is not UTF-8"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// A message that fits into one datagram.
pub trait Message: Sized {
    /// Appends the message's bytes. Every message fits into [`MESSAGE_LEN_MAX`]: see the tests.
    fn write(&self, to: &mut Writer<'_>);

    /// Takes a message's bytes, leaving what follows.
    ///
    /// # Errors
    /// The bytes are not such a message.
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// The message as a datagram.
    fn encode(&self) -> Buffer {
        let mut bytes = [0; MESSAGE_LEN_MAX];
        let mut writer = Writer::new(&mut bytes);
        self.write(&mut writer);
        let written = writer.written().unwrap_or(&[]);
        Buffer::from_slice(written).unwrap_or_default()
    }

    /// The message in a datagram.
    ///
    /// # Errors
    /// The bytes are not exactly one such message.
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let message = Self::read(&mut reader)?;
        reader.end()?;
        Ok(message)
    }
}
