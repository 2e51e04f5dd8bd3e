//! A container's process is this program until it becomes the container's own, and the container can get at
//! a running program's file through /proc. So the zygote runs from a read-only view of it, which nobody in a
//! container can make writable: the mount is in no tree. It costs no memory, unlike a sealed copy.

use super::sys;
use std::{
    ffi::{CStr, CString},
    os::unix::ffi::OsStringExt,
    path::Path,
};

/// Set when it has been done, or tried.
const DONE: &CStr = c"BERTH_ZYGOTE_SEALED";
const PROGRAM: &str = "/proc/self/exe";

/// Executes this program again through such a view, once. If the kernel cannot do that, goes on as it is
/// and says so.
pub(super) fn reexec_read_only() {
    if std::env::var_os("BERTH_ZYGOTE_SEALED").is_some() {
        sys::unset_env(DONE);
        return;
    }
    let args: Result<Vec<CString>, _> = std::env::args_os().map(|arg| CString::new(arg.into_vec())).collect();
    let Ok(args) = args else { return };
    let errno = match sys::read_only_view(Path::new(PROGRAM)) {
        Ok(view) => {
            sys::set_env(DONE, c"1");
            let errno = sys::exec_fd(&view, &args.iter().map(CString::as_c_str).collect::<Vec<_>>());
            sys::unset_env(DONE);
            errno
        }
        Err(errno) => errno,
    };
    eprintln!("zygote: runs from a program file that is not write-protected: {errno}");
}
