//! SELinux: gives a volume the label of the container that is to see it, all of it.
//!
//! Containers may have filled the tree: it is walked by descriptors, links are labelled themselves and never followed, and
//! no mount is entered. The top comes last, so that it says of what is below it that all of it has the label.

use super::DEPTH_MAX;
use crate::{
    error::{Error, Result},
    fsys::sys::{NOFOLLOW, has_label, names, open_child, open_path, set_label},
};
use nix::{
    dir::Dir,
    errno::Errno,
    fcntl::{OFlag, ResolveFlag},
    sys::stat::{SFlag, fstatat, lstat},
};
use std::{
    ffi::{CStr, CString},
    os::fd::AsRawFd,
    path::Path,
};

/// Labels the file, or the directory and all below it.
///
/// # Errors
/// [`Error::Config`]: the kernel does not know the label, or the tree is too deep. [`Error::Io`].
pub(crate) fn relabel(path: &Path, label: &str) -> Result<()> {
    let wrong = |errno| match errno {
        Errno::EINVAL => Error::Config(format!("SELinux label {label}: the kernel does not know it")),
        Errno::ELOOP => Error::Config(format!(
            "seLinuxOptions: {} has directories more than {DEPTH_MAX} deep: remove them",
            path.display()
        )),
        errno => Error::sys("label", path)(errno),
    };
    let label = CString::new(label).map_err(|_| wrong(Errno::EINVAL))?;
    let top = CString::new(path.as_os_str().as_encoded_bytes()).map_err(|_| wrong(Errno::EINVAL))?;
    let all = || {
        if has_label(&top, &label) {
            return Ok(());
        }
        if is_dir(lstat(path)?.st_mode) {
            let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
            let dir = open_path(path, flags, ResolveFlag::empty())?;
            walk(open_child(&dir, c".")?, &label, 0)?;
        }
        label_one(&top, &label)
    };
    all().map_err(wrong)
}

fn walk(mut dir: Dir, label: &CStr, depth: usize) -> std::result::Result<(), Errno> {
    if depth >= DEPTH_MAX {
        return Err(Errno::ELOOP);
    }
    for name in &names(&mut dir)? {
        if is_dir(fstatat(Some(dir.as_raw_fd()), name.as_c_str(), NOFOLLOW)?.st_mode) {
            walk(open_child(&dir, name)?, label, depth + 1)?;
        }
        let here = format!("/proc/self/fd/{}/", dir.as_raw_fd()).into_bytes();
        let path = CString::new([&here, name.to_bytes()].concat()).map_err(|_| Errno::EINVAL)?;
        label_one(&path, label)?;
    }
    Ok(())
}

/// What is mounted with one label for all of it, or cannot have any, stays as it is.
fn label_one(path: &CStr, label: &CStr) -> std::result::Result<(), Errno> {
    match set_label(path, label) {
        Err(Errno::EOPNOTSUPP) => Ok(()),
        other => other,
    }
}

fn is_dir(mode: libc::mode_t) -> bool {
    mode & SFlag::S_IFMT.bits() == SFlag::S_IFDIR.bits()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::symlink};

    #[test]
    fn a_tree_gets_the_label_and_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let text = |name: &str| CString::new(path(name).as_os_str().as_encoded_bytes()).unwrap();
        let (label, other) =
            (c"system_u:object_r:container_file_t:s0:c1,c2", c"system_u:object_r:other_t:s0");
        fs::create_dir_all(path("tree/sub/deep")).unwrap();
        for name in ["outside", "tree/plain", "tree/sub/file"] {
            fs::write(path(name), "").unwrap();
        }
        symlink(path("outside"), path("tree/sub/link")).unwrap();
        if set_label(&text("outside"), other).is_err() {
            eprintln!("skipped: needs root, and a file system with such attributes");
            return;
        }
        relabel(&path("tree"), label.to_str().unwrap()).unwrap();
        for name in ["tree", "tree/plain", "tree/sub", "tree/sub/deep", "tree/sub/file", "tree/sub/link"] {
            assert!(has_label(&text(name), label), "{name}");
        }
        assert!(has_label(&text("outside"), other));
        // What its top says counts for all of it.
        set_label(&text("tree/plain"), other).unwrap();
        relabel(&path("tree"), label.to_str().unwrap()).unwrap();
        assert!(has_label(&text("tree/plain"), other));
        // One file alone.
        relabel(&path("outside"), label.to_str().unwrap()).unwrap();
        assert!(has_label(&text("outside"), label));
        let deep: std::path::PathBuf = (0..=DEPTH_MAX).map(|_| "d").collect();
        fs::create_dir_all(path("deep").join(deep)).unwrap();
        let error = relabel(&path("deep"), label.to_str().unwrap()).unwrap_err();
        assert!(error.to_string().contains("more than 256 deep"), "{error}");
    }
}
