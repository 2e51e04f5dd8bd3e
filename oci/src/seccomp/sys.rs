//! seccomp(2).

use nix::errno::Errno;

const SET_MODE_FILTER: libc::c_uint = 1;
/// `BPF_MAXINSNS`.
pub(super) const INSTRUCTIONS_MAX: usize = 4096;
/// Bytes of a `struct sock_filter`.
pub(super) const INSTRUCTION_LEN: usize = 8;

/// A program that the kernel asks at each system call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// One instruction each, in the machine's byte order.
    instructions: Vec<u64>,
}

impl Filter {
    /// From the bytes that libseccomp exports; none if they cannot be a program.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (whole, rest) = bytes.as_chunks::<INSTRUCTION_LEN>();
        let fits = rest.is_empty() && !whole.is_empty() && whole.len() <= INSTRUCTIONS_MAX;
        fits.then(|| Self { instructions: whole.iter().map(|bytes| u64::from_ne_bytes(*bytes)).collect() })
    }

    /// How many instructions.
    pub fn len(&self) -> usize {
        self.instructions.len()
    }

    /// Never so.
    pub fn is_empty(&self) -> bool {
        self.instructions.is_empty()
    }
}

/// Confines the calling thread from now on. It needs CAP_SYS_ADMIN, or must not be able to gain privileges.
///
/// # Errors
/// Of seccomp(2).
pub fn load(filter: &Filter) -> Result<(), Errno> {
    let program = libc::sock_fprog {
        len: u16::try_from(filter.instructions.len()).map_err(|_| Errno::EINVAL)?,
        filter: filter.instructions.as_ptr().cast_mut().cast(),
    };
    // SAFETY: `program` and the instructions behind it live over the call; an instruction is 8 bytes, as
    // `struct sock_filter`, and the kernel copies them.
    Errno::result(unsafe { libc::syscall(libc::SYS_seccomp, SET_MODE_FILTER, 0, &raw const program) })
        .map(drop)
}

/// Has a command run under the filter, for tests.
#[cfg(test)]
pub(super) fn confine(command: &mut std::process::Command, filter: Filter) {
    use std::os::unix::process::CommandExt;
    // SAFETY: between fork and exec only system calls are made and memory that exists already is read.
    unsafe {
        command.pre_exec(move || {
            Errno::result(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
            load(&filter).map_err(Into::into)
        });
    }
}
