//! `stamp FILE [stay]`: reads the boot clock in its very first instructions, appends it to FILE as decimal
//! nanoseconds and a newline, and ends, or stays until it is killed. Used to measure how long a start takes.
#![no_std]
#![no_main]
#![allow(missing_docs)]

mod sys;

use sys::{argument, call, exit, nr};

const AT_FDCWD: usize = -100_isize as usize;
const O_WRONLY_CREAT_APPEND: usize = 0o1 | 0o100 | 0o2000;
const CLOCK_BOOTTIME: usize = 7;
const DIGITS: usize = 20;

#[unsafe(no_mangle)]
extern "C" fn main(stack: *const usize) -> ! {
    let mut time = [0_u64; 2];
    call(nr::CLOCK_GETTIME, CLOCK_BOOTTIME, time.as_mut_ptr() as usize, 0, 0);
    let mut text = [b'\n'; DIGITS + 1];
    let (mut rest, mut at) = (time[0] * 1_000_000_000 + time[1], DIGITS);
    while at > 0 && (rest > 0 || at == DIGITS) {
        at -= 1;
        text[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let Some(path) = argument(stack, 1) else { exit(2) };
    let file = call(nr::OPENAT, AT_FDCWD, path.as_ptr() as usize, O_WRONLY_CREAT_APPEND, 0o644);
    if file < 0 {
        exit(1);
    }
    let line = &text[at..];
    call(nr::WRITE, file as usize, line.as_ptr() as usize, line.len(), 0);
    if argument(stack, 2).is_some() {
        loop {
            call(nr::PAUSE, 0, 0, 0, 0);
        }
    }
    exit(0)
}
