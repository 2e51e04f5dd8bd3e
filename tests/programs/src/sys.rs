//! Linux system calls and the process entry, for programs without a libc. The only unsafe code here.

use core::arch::{asm, global_asm};

#[cfg(target_arch = "x86_64")]
pub(crate) mod nr {
    pub(crate) const WRITE: usize = 1;
    pub(crate) const PAUSE: usize = 34;
    pub(crate) const EXIT_GROUP: usize = 231;
    pub(crate) const OPENAT: usize = 257;
    pub(crate) const CLOCK_GETTIME: usize = 228;
}
#[cfg(target_arch = "aarch64")]
pub(crate) mod nr {
    pub(crate) const WRITE: usize = 64;
    /// There is no pause(2) here: ppoll with no descriptors and no timeout waits as well.
    pub(crate) const PAUSE: usize = 73;
    pub(crate) const EXIT_GROUP: usize = 94;
    pub(crate) const OPENAT: usize = 56;
    pub(crate) const CLOCK_GETTIME: usize = 113;
}

#[cfg(target_arch = "x86_64")]
global_asm!(".globl _start", "_start:", "mov rdi, rsp", "and rsp, -16", "call main", "ud2");
#[cfg(target_arch = "aarch64")]
global_asm!(".globl _start", "_start:", "mov x0, sp", "bl main", "brk #1");

/// One system call; negative results are errors.
pub(crate) fn call(number: usize, a: usize, b: usize, c: usize, d: usize) -> isize {
    let result: isize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the callers pass pointers to live, sized buffers of this program; the kernel clobbers rcx, r11.
    unsafe {
        asm!("syscall", inlateout("rax") number as isize => result, in("rdi") a, in("rsi") b, in("rdx") c,
            in("r10") d, lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above; the kernel keeps all registers but x0.
    unsafe {
        asm!("svc 0", in("x8") number, inlateout("x0") a as isize => result, in("x1") b, in("x2") c, in("x3") d,
            in("x4") 0, options(nostack));
    }
    result
}

/// The `index`-th argument, without its end mark.
pub(crate) fn argument(stack: *const usize, index: usize) -> Option<&'static [u8]> {
    // SAFETY: the kernel lays out argc and then argc pointers to NUL-terminated strings at the entry's stack
    // (System V ABI, "Initial Process Stack"); they live as long as the process.
    unsafe {
        if index >= *stack {
            return None;
        }
        let start = *stack.add(1 + index) as *const u8;
        let mut len = 0;
        while *start.add(len) != 0 {
            len += 1;
        }
        Some(core::slice::from_raw_parts(start, len))
    }
}

#[panic_handler]
fn on_panic(_: &core::panic::PanicInfo<'_>) -> ! {
    exit(101)
}

/// Ends the process.
pub(crate) fn exit(status: usize) -> ! {
    loop {
        call(nr::EXIT_GROUP, status, 0, 0, 0);
    }
}
