//! Looks at directories and reads manifests: never blocks on a FIFO or device, never reads a file that
//! somebody is writing, never more than a file's limit.

use super::{
    keepsake::Ground,
    select::{self, Entry, Kind, Stamp},
    sys,
};
use berth_core::manifest::limits::FILE_LEN_MAX_BYTES;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read},
    os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt},
    path::Path,
};

/// Entries of one directory that are looked at, manifests or not.
pub(super) const ENTRIES_MAX: usize = 4096;

/// What reading a file came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// All of it.
    Bytes(Vec<u8>),
    /// Somebody has it open for writing: it will be told when he closes it.
    BeingWritten,
    /// It went away between the look and the reading.
    Gone,
    /// It cannot be read; the words say why and what to do.
    Unfit(String),
}

/// What is at a configured path.
pub(super) fn ground(path: &Path) -> Ground {
    match fs::metadata(path) {
        Ok(meta) if meta.is_dir() => Ground::Directory(meta.dev()),
        Ok(_) => Ground::File,
        Err(_) => Ground::Nothing,
    }
}

/// The manifests at a configured path: of a directory all, of a file itself, of nothing none.
///
/// # Errors
/// When the directory is there and cannot be read.
pub(super) fn list(path: &Path) -> io::Result<Vec<Entry>> {
    let meta = match fs::metadata(path) {
        Ok(meta) => meta,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(e) => return Err(e),
    };
    if !meta.is_dir() {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let link = fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink());
        return Ok(name.and_then(|name| entry(path, name, link)).into_iter().collect());
    }
    let mut entries = Vec::new();
    for (count, found) in fs::read_dir(path)?.enumerate() {
        if count >= ENTRIES_MAX {
            return Err(io::Error::other(format!(
                "more than {ENTRIES_MAX} entries; move what is no manifest elsewhere"
            )));
        }
        // A name that is not UTF-8 ends in no way that counts.
        let found = found?;
        let Ok(name) = found.file_name().into_string() else { continue };
        if select::format(&name).is_some() {
            let link = found.file_type().is_ok_and(|kind| kind.is_symlink());
            entries.extend(entry(&path.join(&name), name, link));
        }
    }
    Ok(entries)
}

/// What is at `path`; None if nothing is (any more).
fn entry(path: &Path, name: String, link: bool) -> Option<Entry> {
    let (kind, stamp) = match fs::metadata(path) {
        Ok(meta) => (kind(&meta), Some(Stamp::of(&meta))),
        Err(_) if link => (Kind::Unfit("is a link to something that cannot be reached".into()), None),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return None,
        Err(e) => (Kind::Unfit(format!("cannot be looked at: {e}")), None),
    };
    Some(Entry { name, path: path.into(), kind, link, stamp })
}

fn kind(meta: &fs::Metadata) -> Kind {
    const NULL: u64 = nix::libc::makedev(1, 3);
    let what = meta.file_type();
    if what.is_file() {
        Kind::File
    } else if what.is_char_device() && meta.rdev() == NULL {
        Kind::Mask
    } else if what.is_dir() {
        Kind::Unfit("is a directory; directories are not searched".into())
    } else {
        Kind::Unfit("is neither a file nor a directory".into())
    }
}

/// Reads the file, kept from changing meanwhile where the file system can do that.
pub(super) fn read(path: &Path) -> Content {
    // Not blocking: what is a file now may be a FIFO when it is opened.
    let flags = nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY;
    let mut file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Content::Gone,
        Err(e) => return Content::Unfit(format!("cannot be opened: {e}")),
    };
    let lease = sys::Lease::take(&file);
    if matches!(lease, sys::Lease::Writers) {
        return Content::BeingWritten;
    }
    let content = whole(&mut file).unwrap_or_else(|e| Content::Unfit(format!("cannot be read: {e}")));
    lease.give_back(&file);
    content
}

fn whole(file: &mut File) -> io::Result<Content> {
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Ok(Content::Unfit("is no regular file".into()));
    }
    let too_large =
        || Content::Unfit(format!("has more than {FILE_LEN_MAX_BYTES} bytes, the limit; split it"));
    if meta.len() > FILE_LEN_MAX_BYTES as u64 {
        return Ok(too_large());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(meta.len()).unwrap_or(0) + 1);
    file.take(FILE_LEN_MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(if bytes.len() > FILE_LEN_MAX_BYTES { too_large() } else { Content::Bytes(bytes) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_file_that_is_open_for_writing_waits() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.yaml");
        let mut writer = File::create(&path).unwrap();
        writer.write_all(b"half").unwrap();
        assert_eq!(read(&path), Content::BeingWritten);
        drop(writer);
        assert_eq!(read(&path), Content::Bytes(b"half".to_vec()));
        // The lease is gone: the next writer does not wait.
        OpenOptions::new().write(true).custom_flags(nix::libc::O_NONBLOCK).open(&path).unwrap();
        let _reader = File::open(&path).unwrap();
        assert_eq!(read(&path), Content::Bytes(b"half".to_vec()), "readers are no hindrance");
    }

    #[test]
    fn what_is_no_file_is_told_and_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        nix::unistd::mkfifo(&at("fifo.yaml"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        fs::create_dir(at("dir.yaml")).unwrap();
        std::os::unix::fs::symlink("/dev/null", at("mask.yaml")).unwrap();
        std::os::unix::fs::symlink("nowhere", at("dangling.yaml")).unwrap();
        fs::write(at("file.yaml"), "x").unwrap();
        fs::write(at("file.yaml.bak"), "x").unwrap();
        let mut entries = list(dir.path()).unwrap();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        let kinds: Vec<_> = entries.iter().map(|e| (e.name.as_str(), format!("{:?}", e.kind))).collect();
        assert_eq!(kinds[0].0, "dangling.yaml");
        assert!(kinds[0].1.contains("cannot be reached"));
        assert!(kinds[1].1.contains("is a directory"));
        assert_eq!(kinds[2], ("fifo.yaml", r#"Unfit("is neither a file nor a directory")"#.into()));
        assert_eq!(kinds[3], ("file.yaml", "File".into()));
        assert_eq!(kinds[4], ("mask.yaml", "Mask".into()));
        assert_eq!(kinds.len(), 5);
        assert_eq!(read(&at("fifo.yaml")), Content::Unfit("is no regular file".into()));
        assert_eq!(read(&at("none.yaml")), Content::Gone);
    }

    #[test]
    fn a_file_above_the_limit_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.yaml");
        File::create(&path).unwrap().set_len(FILE_LEN_MAX_BYTES as u64 + 1).unwrap();
        assert!(matches!(read(&path), Content::Unfit(why) if why.contains("the limit")));
    }

    #[test]
    fn a_path_may_be_a_file_or_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.yaml");
        assert_eq!(list(&path).unwrap(), []);
        fs::write(&path, "x").unwrap();
        assert_eq!(list(&path).unwrap().len(), 1);
        assert_eq!(list(&path.join("below")).unwrap(), []);
    }
}
