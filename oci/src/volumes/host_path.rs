//! hostPath: a place of the node's, checked by the volume's type and made where the type says so.

use crate::fsys;
use berth_core::manifest::types::{HostPath, HostPathType};
use std::{
    fs::{self, Metadata, OpenOptions},
    io,
    os::unix::fs::{FileTypeExt, OpenOptionsExt},
    path::{Component, Path},
};

const DIR_MODE: u32 = 0o755;
const FILE_MODE: u32 = 0o644;

/// Checks the path and makes what may be made. Links are followed: it is the node's own tree.
///
/// # Errors
/// What is wrong, as kubelet says it.
pub(super) fn check(volume: &HostPath) -> std::result::Result<(), String> {
    let path = Path::new(&volume.path);
    if !path.is_absolute() || path.components().any(|part| part == Component::ParentDir) {
        return Err(format!("hostPath {:?} must be absolute and without \"..\"", volume.path));
    }
    let there = match fs::metadata(path) {
        Ok(meta) => Some(meta),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => None,
        Err(error) => return Err(format!("cannot look at hostPath {}: {error}", path.display())),
    };
    let Some(there) = there else { return create(path, volume.kind) };
    match wanted(volume.kind) {
        Some((is, name)) if !is(&there) => Err(failed(path, name)),
        _ => Ok(()),
    }
}

/// Made where the type says so; a path without a type becomes a directory, as container runtimes do it.
fn create(path: &Path, kind: HostPathType) -> std::result::Result<(), String> {
    match kind {
        HostPathType::Unset | HostPathType::DirectoryOrCreate => {
            fsys::make_dirs(path, DIR_MODE).map_err(|error| error.to_string())
        }
        HostPathType::FileOrCreate => {
            let made = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path);
            match made {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    Err(format!("cannot create the file {}: {error}", path.display()))
                }
                _ => Ok(()),
            }
        }
        _ => Err(failed(path, wanted(kind).map_or("there", |(_, name)| name))),
    }
}

type Test = fn(&Metadata) -> bool;

/// What must be there for the type, and its name in the message.
fn wanted(kind: HostPathType) -> Option<(Test, &'static str)> {
    Some(match kind {
        HostPathType::Unset => return None,
        HostPathType::Directory | HostPathType::DirectoryOrCreate => (Metadata::is_dir, "a directory"),
        HostPathType::File | HostPathType::FileOrCreate => (Metadata::is_file, "a file"),
        HostPathType::Socket => (|meta| meta.file_type().is_socket(), "a socket file"),
        HostPathType::CharDevice => (|meta| meta.file_type().is_char_device(), "a character device"),
        HostPathType::BlockDevice => (|meta| meta.file_type().is_block_device(), "a block device"),
    })
}

fn failed(path: &Path, name: &str) -> String {
    format!("hostPath type check failed: {} is not {name}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use HostPathType::{
        BlockDevice, CharDevice, Directory, DirectoryOrCreate, File, FileOrCreate, Socket, Unset,
    };
    use std::os::unix::{
        fs::{PermissionsExt, symlink},
        net::UnixListener,
    };

    fn checked(path: &Path, kind: HostPathType) -> std::result::Result<(), String> {
        check(&HostPath { path: path.to_str().unwrap().into(), kind })
    }

    #[test]
    fn each_type_takes_its_kind_and_refuses_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("dir")).unwrap();
        fs::write(at("file"), "").unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        symlink("dir", at("link")).unwrap();
        let device = Path::new("/dev/null");
        let all = [
            (Unset, None),
            (DirectoryOrCreate, Some("a directory")),
            (Directory, Some("a directory")),
            (FileOrCreate, Some("a file")),
            (File, Some("a file")),
            (Socket, Some("a socket file")),
            (CharDevice, Some("a character device")),
            (BlockDevice, Some("a block device")),
        ];
        for (path, takes) in [
            (at("dir"), &[Unset, DirectoryOrCreate, Directory][..]),
            (at("link"), &[Unset, DirectoryOrCreate, Directory]),
            (at("file"), &[Unset, FileOrCreate, File]),
            (at("socket"), &[Unset, Socket]),
            (device.to_owned(), &[Unset, CharDevice]),
        ] {
            for (kind, name) in all {
                let expected = if takes.contains(&kind) { Ok(()) } else { Err(failed(&path, name.unwrap())) };
                assert_eq!(checked(&path, kind), expected, "{path:?} {kind:?}");
            }
        }
    }

    #[test]
    fn what_is_missing_is_made_only_where_the_type_says_so() {
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        for kind in [Unset, DirectoryOrCreate] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("a/b");
            checked(&path, kind).unwrap();
            assert!(path.is_dir());
            assert_eq!(mode(&path), 0o755);
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        for kind in [Directory, File, Socket, CharDevice, BlockDevice] {
            assert!(checked(&path, kind).unwrap_err().starts_with("hostPath type check failed"), "{kind:?}");
            assert!(!path.exists(), "{kind:?}");
        }
        assert!(checked(&path.join("parent/is/missing"), FileOrCreate).is_err());
        checked(&path, FileOrCreate).unwrap();
        assert_eq!(mode(&path), 0o644);
        // Not over a file.
        assert!(checked(&path.join("below"), DirectoryOrCreate).is_err());
        for path in ["relative", "/a/../b"] {
            assert!(checked(Path::new(path), Unset).unwrap_err().contains("must be absolute"));
        }
    }
}
