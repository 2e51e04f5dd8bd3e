//! Reads a stream on a thread of its own, some blocks ahead of who wants it: so a layer is decompressed while its files
//! are written. Memory: `AHEAD_MAX_BYTES`. It interprets nothing; an error comes where the stream had it.

use crate::{
    limits::{AHEAD_BLOCK_BYTES, AHEAD_BLOCKS},
    tarstream::Input,
};
use std::{
    io::{self, Read},
    sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel},
    thread::{Builder, Scope},
};

/// The near end of the stream. When it goes, the thread stops at its next block.
pub(crate) struct Ahead {
    filled: Receiver<io::Result<Vec<u8>>>,
    /// Blocks that were read go back to be filled again.
    spent: SyncSender<Vec<u8>>,
    block: Vec<u8>,
    /// Bytes of it that were read.
    at: usize,
}

impl Ahead {
    /// Begins to read.
    ///
    /// # Errors
    /// The thread cannot be made.
    pub(crate) fn new<'scope, R: Read + Send + 'scope>(
        scope: &'scope Scope<'scope, '_>,
        input: R,
    ) -> io::Result<Self> {
        let (to_near, filled) = sync_channel(AHEAD_BLOCKS);
        let (spent, from_near) = sync_channel(AHEAD_BLOCKS);
        Builder::new()
            .name("read-ahead".into())
            .spawn_scoped(scope, move || read_all(input, &to_near, &from_near))?;
        Ok(Self { filled, spent, block: Vec::new(), at: 0 })
    }

    /// The next block in place of the one that was read; `false` at the end of the stream.
    fn next_block(&mut self) -> io::Result<bool> {
        let spent = std::mem::take(&mut self.block);
        self.at = 0;
        if spent.capacity() > 0 {
            // There is room for all blocks; whether the thread is still there does not matter.
            let _ = self.spent.try_send(spent);
        }
        match self.filled.recv() {
            Ok(block) => self.block = block?,
            Err(_) => return Ok(false),
        }
        Ok(true)
    }
}

impl Read for Ahead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.block.len() {
            if !self.next_block()? {
                return Ok(0);
            }
        }
        let count = buffer.len().min(self.block.len() - self.at);
        buffer[..count].copy_from_slice(&self.block[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

impl Input for Ahead {}

/// Until the stream ends or fails, or nobody wants it any more.
fn read_all(mut input: impl Read, filled: &SyncSender<io::Result<Vec<u8>>>, spent: &Receiver<Vec<u8>>) {
    loop {
        let mut block = match spent.try_recv() {
            Ok(block) => block,
            Err(TryRecvError::Empty) => Vec::new(),
            Err(TryRecvError::Disconnected) => return,
        };
        block.resize(AHEAD_BLOCK_BYTES, 0);
        let (length, ended) = fill(&mut input, &mut block);
        block.truncate(length);
        if length > 0 && filled.send(Ok(block)).is_err() {
            return;
        }
        match ended {
            Ok(false) => {}
            Ok(true) => return,
            Err(error) => {
                let _ = filled.send(Err(error));
                return;
            }
        }
    }
}

/// How much of the block there is, and whether that was the end.
fn fill(input: &mut impl Read, block: &mut [u8]) -> (usize, io::Result<bool>) {
    let mut length = 0;
    while length < block.len() {
        match input.read(&mut block[length..]) {
            Ok(0) => return (length, Ok(true)),
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (length, Err(error)),
        }
    }
    (length, Ok(false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    /// Gives some bytes, then fails.
    struct Breaks(usize);

    impl Read for Breaks {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.0.min(buffer.len()).min(1000);
            self.0 -= count;
            buffer[..count].fill(7);
            if count == 0 { Err(io::Error::other("broken")) } else { Ok(count) }
        }
    }

    #[test]
    fn the_stream_is_the_same() {
        for length in [0, 1, AHEAD_BLOCK_BYTES - 1, AHEAD_BLOCK_BYTES, 20 * AHEAD_BLOCK_BYTES + 3] {
            let bytes: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
            let mut got = Vec::new();
            thread::scope(|scope| Ahead::new(scope, &bytes[..]).unwrap().read_to_end(&mut got)).unwrap();
            assert!(got == bytes, "{length}");
        }
    }

    #[test]
    fn an_error_comes_after_what_was_before_it() {
        let length = 3 * AHEAD_BLOCK_BYTES + 5;
        let mut got = Vec::new();
        let ended = thread::scope(|scope| Ahead::new(scope, Breaks(length)).unwrap().read_to_end(&mut got));
        assert_eq!(ended.unwrap_err().to_string(), "broken");
        assert_eq!(got.len(), length);
    }

    #[test]
    fn who_wants_no_more_is_not_waited_for() {
        // The scope ends only when the thread has.
        thread::scope(|scope| {
            let mut ahead = Ahead::new(scope, io::repeat(1)).unwrap();
            ahead.read_exact(&mut [0; 10]).unwrap();
        });
    }
}
