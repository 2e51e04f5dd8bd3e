//! Bounds-checked cursors over bytes. They never panic and never allocate; a writer that runs over its
//! buffer remembers that instead of failing at each field.

use super::DecodeError;
use heapless::String;

/// Appends fields to a buffer.
#[derive(Debug)]
pub struct Writer<'a> {
    bytes: &'a mut [u8],
    len: usize,
    overflow: bool,
}

impl<'a> Writer<'a> {
    /// A writer at the buffer's start.
    pub fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes, len: 0, overflow: false }
    }

    /// What was written, or nothing if it did not fit.
    pub fn written(&self) -> Option<&[u8]> {
        if self.overflow { None } else { self.bytes.get(..self.len) }
    }

    /// Appends raw bytes.
    pub fn raw(&mut self, data: &[u8]) {
        let end = self.len.saturating_add(data.len());
        match self.bytes.get_mut(self.len..end) {
            Some(room) => {
                room.copy_from_slice(data);
                self.len = end;
            }
            None => self.overflow = true,
        }
    }

    /// Appends a byte.
    pub fn u8(&mut self, value: u8) {
        self.raw(&[value]);
    }

    /// Appends a truth value.
    pub fn bool(&mut self, value: bool) {
        self.u8(u8::from(value));
    }

    /// Appends 16 bits.
    pub fn u16(&mut self, value: u16) {
        self.raw(&value.to_le_bytes());
    }

    /// Appends 32 bits.
    pub fn u32(&mut self, value: u32) {
        self.raw(&value.to_le_bytes());
    }

    /// Appends 32 bits with a sign.
    pub fn i32(&mut self, value: i32) {
        self.raw(&value.to_le_bytes());
    }

    /// Appends 64 bits.
    pub fn u64(&mut self, value: u64) {
        self.raw(&value.to_le_bytes());
    }

    /// Appends a string of at most 65,535 bytes.
    pub fn str(&mut self, value: &str) {
        match u16::try_from(value.len()) {
            Ok(len) => {
                self.u16(len);
                self.raw(value.as_bytes());
            }
            Err(_) => self.overflow = true,
        }
    }
}

/// Takes fields from bytes.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader at the bytes' start.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Nothing may be left.
    ///
    /// # Errors
    /// `Trailing` if there is.
    pub fn end(&self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::Trailing) }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(DecodeError::Short)?;
        self.rest = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        self.take(N)?.try_into().map_err(|_| DecodeError::Short)
    }

    /// Takes a byte.
    ///
    /// # Errors
    /// `Short`.
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    /// Takes a truth value; anything but 0 and 1 is none.
    ///
    /// # Errors
    /// `Short`, `Tag`.
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(DecodeError::Tag(other)),
        }
    }

    /// Takes 16 bits.
    ///
    /// # Errors
    /// `Short`.
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_le_bytes)
    }

    /// Takes 32 bits.
    ///
    /// # Errors
    /// `Short`.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_le_bytes)
    }

    /// Takes 32 bits with a sign.
    ///
    /// # Errors
    /// `Short`.
    pub fn i32(&mut self) -> Result<i32, DecodeError> {
        self.array().map(i32::from_le_bytes)
    }

    /// Takes 64 bits.
    ///
    /// # Errors
    /// `Short`.
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_le_bytes)
    }

    /// Takes a string.
    ///
    /// # Errors
    /// `Short`, `TooLong`, `NotUtf8`.
    pub fn str<const N: usize>(&mut self) -> Result<String<N>, DecodeError> {
        let len = usize::from(self.u16()?);
        if len > N {
            return Err(DecodeError::TooLong);
        }
        let text = std::str::from_utf8(self.take(len)?).map_err(|_| DecodeError::NotUtf8)?;
        String::try_from(text).map_err(|_| DecodeError::TooLong)
    }
}
