//! The raw call of the doctor: whether the kernel takes a device filter (an eBPF program for cgroups).

use super::Trial;
use nix::{errno::Errno, libc};
use std::os::fd::{FromRawFd, OwnedFd};

const BPF_PROG_LOAD: libc::c_int = 5;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
/// `r0 = 1; exit`: allow everything.
const PROGRAM: [u64; 2] = [0x0000_0001_0000_00b7, 0x0000_0000_0000_0095];

/// The beginning of the kernel's `union bpf_attr` for BPF_PROG_LOAD; the rest is zero when left out.
#[repr(C)]
struct Load {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
}

/// Loads a filter that is never attached, and drops it.
pub(super) fn load_device_filter() -> Trial {
    let license = c"Apache-2.0";
    let load = Load {
        prog_type: BPF_PROG_TYPE_CGROUP_DEVICE,
        insn_cnt: 2,
        insns: PROGRAM.as_ptr() as u64,
        license: license.as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log_buf: 0,
        kern_version: 0,
        prog_flags: 0,
    };
    // SAFETY: the kernel reads the attribute, whose size is told, and from it two addresses that point to live
    // memory of the length told and to a string with its zero; it writes nothing (no log is asked for).
    let fd = unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_LOAD, &raw const load, size_of::<Load>()) };
    match libc::c_int::try_from(fd) {
        Ok(fd) if fd >= 0 => {
            // SAFETY: the kernel has just opened this descriptor for us.
            drop(unsafe { OwnedFd::from_raw_fd(fd) });
            Trial::Works
        }
        _ => match Errno::last() {
            Errno::EPERM | Errno::EACCES => Trial::Unknown("only root can try".into()),
            error => Trial::Fails(error.desc().to_lowercase()),
        },
    }
}
