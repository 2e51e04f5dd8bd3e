//! Content digests, and readers that compute them on the way. Only sha256: it is what every registry and
//! tool writes; another algorithm is refused by name and never taken on trust.

use crate::error::Error;
use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    io::{self, Read},
};

/// A sha256 digest, written `sha256:<64 lower-case hex digits>`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = Hasher::default();
        hasher.update(bytes);
        hasher.finish()
    }

    /// Reads the written form.
    ///
    /// # Errors
    /// `Corrupt` if it is not a digest, `Unsupported` for an algorithm other than sha256.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bad = || Error::corrupt("a digest", "sha256:<64 hex digits>", format!("{:.80}", text));
        let (algorithm, hex) = text.split_once(':').ok_or_else(bad)?;
        if algorithm != "sha256" {
            let known = algorithm.len() <= 16 && algorithm.bytes().all(|b| b.is_ascii_alphanumeric());
            return Err(if known {
                Error::unsupported("a digest", format!("algorithm {algorithm}: only sha256 is supported"))
            } else {
                bad()
            });
        }
        Self::from_hex(hex).ok_or_else(bad)
    }

    /// Reads 64 lower-case hex digits.
    pub fn from_hex(hex: &str) -> Option<Self> {
        let hex = hex.as_bytes();
        if hex.len() != 64 {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(hex.chunks_exact(2)) {
            *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
        }
        Some(Self(bytes))
    }

    /// The 64 hex digits alone: safe as a file name.
    pub fn hex(&self) -> String {
        use fmt::Write as _;
        self.0.iter().fold(String::with_capacity(64), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// Holds `bytes` against the digest; `what` names them in the error.
    pub(crate) fn verify(&self, what: &str, bytes: &[u8]) -> Result<(), Error> {
        self.expect(what, &Self::of(bytes))
    }

    pub(crate) fn expect(&self, what: &str, got: &Self) -> Result<(), Error> {
        if self == got { Ok(()) } else { Err(Error::corrupt(what, self.to_string(), got.to_string())) }
    }
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// The chain ID of a stack of layers: identifies the unpacked result of a layer on top of all below it.
pub(crate) fn chain(parent: Option<&Digest>, diff: &Digest) -> Digest {
    match parent {
        None => *diff,
        Some(parent) => Digest::of(format!("{parent} {diff}").as_bytes()),
    }
}

/// Makes a digest of bytes that come in parts.
#[derive(Clone)]
pub(crate) struct Hasher(Context);

impl Default for Hasher {
    fn default() -> Self {
        Self(Context::new(&SHA256))
    }
}

impl Hasher {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn finish(self) -> Digest {
        let mut bytes = [0; 32];
        // SHA-256 gives that many.
        self.0.finish().as_ref().iter().zip(&mut bytes).for_each(|(from, to)| *to = *from);
        Digest(bytes)
    }
}

impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Passes bytes through, hashes and counts them.
pub(crate) struct HashReader<R> {
    inner: R,
    hash: Hasher,
    bytes: u64,
}

impl<R: Read> HashReader<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, hash: Hasher::default(), bytes: 0 }
    }

    /// Digest and length of all that was read.
    pub(crate) fn finish(&self) -> (Digest, u64) {
        (self.hash.clone().finish(), self.bytes)
    }
}

impl<R: Read> Read for HashReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(&buffer[..count]);
        self.bytes += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn written_and_read() {
        let digest = Digest::of(b"");
        assert_eq!(digest.to_string(), EMPTY);
        assert_eq!(Digest::parse(EMPTY).unwrap(), digest);
    }

    #[test]
    fn refused() {
        for bad in
            ["", "sha256", "sha256:", "sha256:zz", &EMPTY.to_uppercase(), &EMPTY[..70], &format!("{EMPTY}0")]
        {
            assert!(Digest::parse(bad).is_err(), "{bad}");
        }
        assert!(matches!(Digest::parse("sha512:00"), Err(Error::Unsupported { .. })));
    }

    #[test]
    fn the_reader_counts_and_hashes() {
        let mut reader = HashReader::new(&b"abc"[..]);
        io::copy(&mut reader, &mut io::sink()).unwrap();
        assert_eq!(reader.finish(), (Digest::of(b"abc"), 3));
    }

    #[test]
    fn chain_ids_follow_the_specification() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        assert_eq!(chain(None, &a), a);
        assert_eq!(chain(Some(&a), &b), Digest::of(format!("{a} {b}").as_bytes()));
    }
}
