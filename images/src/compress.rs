//! Plain, gzip and zstd streams, told apart by their first bytes and never by a name. Memory: the gzip
//! window (32 KiB), or the zstd window, held to `ZSTD_WINDOW_MAX_BYTES`; and the buffers.

use crate::{
    build::Compression,
    error::Error,
    limits::{COPY_BUFFER_BYTES, ZSTD_SKIP_MAX_BYTES, ZSTD_WINDOW_MAX_BYTES},
    tarstream::{Input, skip_by_reading},
};
use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::{
    BlockDecodingStrategy, FrameDecoder,
    errors::{FrameDecoderError, ReadFrameHeaderError},
};
use std::io::{self, BufRead, BufReader, Read};

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The last three bytes of the magic of a skippable frame; the first is 0x50 to 0x5f.
const ZSTD_SKIPPABLE_MAGIC: [u8; 3] = [0x2a, 0x4d, 0x18];

/// What the first bytes of a stream say.
pub(crate) fn detect(head: &[u8]) -> Compression {
    let skippable =
        |head: &[u8]| head.len() >= 4 && head[0] & 0xf0 == 0x50 && head[1..4] == ZSTD_SKIPPABLE_MAGIC;
    if head.starts_with(&GZIP_MAGIC) {
        Compression::Gzip
    } else if head.starts_with(&ZSTD_MAGIC) || skippable(head) {
        Compression::Zstd
    } else {
        Compression::None
    }
}

/// Decompresses whatever it is given.
pub(crate) enum Decoder<R: Read> {
    Plain(BufReader<R>),
    Gzip(Box<MultiGzDecoder<BufReader<R>>>),
    Zstd(Box<Zstd<BufReader<R>>>),
}

impl<R: Read> Decoder<R> {
    pub(crate) fn new(input: R) -> io::Result<Self> {
        let mut input = BufReader::with_capacity(COPY_BUFFER_BYTES, input);
        Ok(match detect(input.fill_buf()?) {
            Compression::None => Self::Plain(input),
            Compression::Gzip => Self::Gzip(Box::new(MultiGzDecoder::new(input))),
            Compression::Zstd => Self::Zstd(Box::new(Zstd::new(input))),
        })
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(input) => input.read(buffer),
            Self::Gzip(decoder) => decoder.read(buffer),
            Self::Zstd(decoder) => decoder.read(buffer),
        }
    }
}

impl<R: Read> Input for Decoder<R> {}

/// All frames of a zstd stream, one after the other.
pub(crate) struct Zstd<R> {
    input: R,
    decoder: FrameDecoder,
    in_frame: bool,
    skipped: u64,
}

impl<R: BufRead> Zstd<R> {
    fn new(input: R) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(ZSTD_WINDOW_MAX_BYTES);
        Self { input, decoder, in_frame: false, skipped: 0 }
    }

    /// Begins the next frame that holds data; `false` at the end of the stream.
    fn next_frame(&mut self) -> io::Result<bool> {
        while !self.input.fill_buf()?.is_empty() {
            match self.decoder.init(&mut self.input) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    self.skipped += u64::from(length);
                    if self.skipped > ZSTD_SKIP_MAX_BYTES {
                        let what = "the skippable frames of a zstd stream";
                        return Err(Error::limit(what, "ZSTD_SKIP_MAX_BYTES", ZSTD_SKIP_MAX_BYTES).into_io());
                    }
                    skip_by_reading(&mut self.input, length.into())?;
                }
                Err(FrameDecoderError::WindowSizeTooBig { .. }) => {
                    let what = "the window of a zstd stream";
                    return Err(Error::limit(what, "ZSTD_WINDOW_MAX_BYTES", ZSTD_WINDOW_MAX_BYTES).into_io());
                }
                Err(error) => return Err(io::Error::other(error.to_string())),
            }
        }
        Ok(false)
    }
}

impl<R: BufRead> Read for Zstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if !self.in_frame {
                if !self.next_frame()? {
                    return Ok(0);
                }
                self.in_frame = true;
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                let step = BlockDecodingStrategy::UptoBlocks(1);
                self.decoder
                    .decode_blocks(&mut self.input, step)
                    .map_err(|e| io::Error::other(e.to_string()))?;
            }
            match self.decoder.read(buffer)? {
                0 => self.in_frame = false,
                count => return Ok(count),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        Decoder::new(bytes)?.read_to_end(&mut out).map(|_| out)
    }

    fn sample() -> Vec<u8> {
        (0..300_000_u32).flat_map(|n| (n / 7).to_le_bytes()).collect()
    }

    #[test]
    fn each_kind_comes_back() {
        for kind in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let packed = kind.apply(&sample()).unwrap();
            assert_eq!(detect(&packed), kind);
            assert_eq!(decode(&packed).unwrap(), sample(), "{kind:?}");
        }
        assert_eq!(decode(b"").unwrap(), b"");
    }

    #[test]
    fn several_members_and_frames_are_one_stream() {
        for kind in [Compression::Gzip, Compression::Zstd] {
            let mut packed = kind.apply(b"one ").unwrap();
            packed.extend(kind.apply(b"two").unwrap());
            assert_eq!(decode(&packed).unwrap(), b"one two", "{kind:?}");
        }
        let mut packed = b"\x55\x2a\x4d\x18\x03\0\0\0xyz".to_vec();
        packed.extend(Compression::Zstd.apply(b"data").unwrap());
        packed.extend(b"\x50\x2a\x4d\x18\x01\0\0\0x");
        assert_eq!(decode(&packed).unwrap(), b"data");
    }

    #[test]
    fn truncated_streams_are_errors() {
        for kind in [Compression::Gzip, Compression::Zstd] {
            let packed = kind.apply(&sample()).unwrap();
            for length in [5, packed.len() / 2, packed.len() - 1] {
                assert!(decode(&packed[..length]).is_err(), "{kind:?} {length}");
            }
        }
    }

    #[test]
    fn limits_of_zstd() {
        // A frame header asking for a window of 2 GiB, and a skippable frame of 4 GiB.
        let window = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3, 0, 0, 0, 0];
        let skip = [0x50, 0x2a, 0x4d, 0x18, 0xff, 0xff, 0xff, 0xff];
        for (bytes, name) in [(&window[..], "ZSTD_WINDOW_MAX_BYTES"), (&skip[..], "ZSTD_SKIP_MAX_BYTES")] {
            match Error::io("x", decode(bytes).unwrap_err()) {
                Error::Limit { limit, .. } => assert_eq!(limit, name),
                other => panic!("{other}"),
            }
        }
    }
}
