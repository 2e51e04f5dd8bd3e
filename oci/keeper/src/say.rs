//! The keeper's few words on stderr: one line each, cut at 256 bytes, dropped rather than waited for.

use std::fmt::{self, Write};

/// A line that cuts what does not fit.
#[derive(Default)]
pub(crate) struct Cut<const N: usize>(pub(crate) heapless::String<N>);

impl<const N: usize> Write for Cut<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for char in text.chars() {
            if self.0.push(char).is_err() {
                break;
            }
        }
        Ok(())
    }
}

/// Says a line.
pub(crate) fn line(what: fmt::Arguments<'_>) {
    let mut text = Cut::<255>::default();
    let _ = write!(text, "berth keeper: {what}");
    let mut bytes = heapless::Vec::<u8, 256>::new();
    let _ = bytes.extend_from_slice(text.0.as_bytes());
    let _ = bytes.push(b'\n');
    crate::sys::fd::say(&bytes);
}

/// `say!("…", …)`: see [`line`].
macro_rules! say {
    ($($arg:tt)*) => { $crate::say::line(format_args!($($arg)*)) };
}
pub(crate) use say;
