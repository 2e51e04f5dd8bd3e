//! The entries of a layer in the making, and the tar stream that they become: ustar headers, PAX records
//! for what ustar cannot say. Never reads a file system: all content is given.

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file with this content.
    File(Vec<u8>),
    /// A directory.
    Dir,
    /// A symbolic link to this target.
    Symlink(String),
    /// A hard link to this path of the image.
    Hardlink(String),
    /// A character device.
    CharDevice(u32, u32),
    /// A block device.
    BlockDevice(u32, u32),
    /// A named pipe.
    Fifo,
}

/// One entry of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Path in the image, as it is to stand in the tar stream.
    pub path: String,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    /// Owner.
    pub uid: u64,
    /// Group.
    pub gid: u64,
    /// Seconds since 1970.
    pub mtime: u64,
    /// What it is.
    pub kind: EntryKind,
    /// Extended attributes.
    pub xattrs: Vec<(String, Vec<u8>)>,
}

impl Entry {
    fn new(path: &str, mode: u32, kind: EntryKind) -> Self {
        Self { path: path.to_owned(), mode, uid: 0, gid: 0, mtime: 0, kind, xattrs: Vec::new() }
    }

    /// A regular file.
    pub fn file(path: &str, mode: u32, content: impl Into<Vec<u8>>) -> Self {
        Self::new(path, mode, EntryKind::File(content.into()))
    }

    /// A directory.
    pub fn dir(path: &str, mode: u32) -> Self {
        Self::new(path, mode, EntryKind::Dir)
    }

    /// A symbolic link.
    pub fn symlink(path: &str, target: &str) -> Self {
        Self::new(path, 0o777, EntryKind::Symlink(target.to_owned()))
    }

    /// A hard link to another path of the image.
    pub fn hardlink(path: &str, target: &str) -> Self {
        Self::new(path, 0o644, EntryKind::Hardlink(target.to_owned()))
    }

    /// A character device.
    pub fn char_device(path: &str, mode: u32, major: u32, minor: u32) -> Self {
        Self::new(path, mode, EntryKind::CharDevice(major, minor))
    }

    /// A block device.
    pub fn block_device(path: &str, mode: u32, major: u32, minor: u32) -> Self {
        Self::new(path, mode, EntryKind::BlockDevice(major, minor))
    }

    /// A named pipe.
    pub fn fifo(path: &str, mode: u32) -> Self {
        Self::new(path, mode, EntryKind::Fifo)
    }

    /// Removes `path` of the layers below.
    pub fn whiteout(path: &str) -> Self {
        let (dir, name) = path.rsplit_once('/').map_or(("", path), |(dir, name)| (dir, name));
        let slash = if dir.is_empty() { "" } else { "/" };
        Self::file(&format!("{dir}{slash}.wh.{name}"), 0o644, "")
    }

    /// Hides all that the layers below have in the directory `path`.
    pub fn opaque(path: &str) -> Self {
        Self::file(&format!("{path}/.wh..wh..opq"), 0o644, "")
    }

    /// With this owner and group.
    #[must_use]
    pub fn owner(mut self, uid: u64, gid: u64) -> Self {
        (self.uid, self.gid) = (uid, gid);
        self
    }

    /// With this modification time, in seconds since 1970.
    #[must_use]
    pub fn mtime(mut self, seconds: u64) -> Self {
        self.mtime = seconds;
        self
    }

    /// With this extended attribute.
    #[must_use]
    pub fn xattr(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.xattrs.push((name.to_owned(), value.into()));
        self
    }

    fn tar_type(&self) -> tar::EntryType {
        match self.kind {
            EntryKind::File(_) => tar::EntryType::Regular,
            EntryKind::Dir => tar::EntryType::Directory,
            EntryKind::Symlink(_) => tar::EntryType::Symlink,
            EntryKind::Hardlink(_) => tar::EntryType::Link,
            EntryKind::CharDevice(..) => tar::EntryType::Char,
            EntryKind::BlockDevice(..) => tar::EntryType::Block,
            EntryKind::Fifo => tar::EntryType::Fifo,
        }
    }
}

/// The name field of a ustar header holds this much.
const USTAR_NAME_BYTES: usize = 100;

/// The tar stream of `entries`, end marker included.
pub(crate) fn tar(entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::new();
    for entry in entries {
        append(&mut out, entry);
    }
    out.extend_from_slice(&[0; 1024]);
    out
}

fn append(out: &mut Vec<u8>, entry: &Entry) {
    let link = match &entry.kind {
        EntryKind::Symlink(target) | EntryKind::Hardlink(target) => target.as_bytes(),
        _ => &[],
    };
    let mut records = Vec::new();
    if entry.path.len() > USTAR_NAME_BYTES {
        record(&mut records, "path", entry.path.as_bytes());
    }
    if link.len() > USTAR_NAME_BYTES {
        record(&mut records, "linkpath", link);
    }
    for (name, value) in &entry.xattrs {
        record(&mut records, &format!("SCHILY.xattr.{name}"), value);
    }
    if !records.is_empty() {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::XHeader);
        header.set_mode(0o644);
        put(out, header, b"PaxHeaders.0/x", &[], &records);
    }
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(entry.tar_type());
    header.set_mode(entry.mode);
    header.set_uid(entry.uid);
    header.set_gid(entry.gid);
    header.set_mtime(entry.mtime);
    if let EntryKind::CharDevice(major, minor) | EntryKind::BlockDevice(major, minor) = entry.kind {
        // A ustar header has these fields: this cannot fail.
        let _ = header.set_device_major(major).and_then(|()| header.set_device_minor(minor));
    }
    let content: &[u8] = if let EntryKind::File(content) = &entry.kind { content } else { &[] };
    put(out, header, entry.path.as_bytes(), link, content);
}

/// Appends a header and its data. Names are written as they are, so that hostile ones can be made.
fn put(out: &mut Vec<u8>, mut header: tar::Header, name: &[u8], link: &[u8], data: &[u8]) {
    let old = header.as_old_mut();
    copy(&mut old.name, name);
    copy(&mut old.linkname, link);
    header.set_size(data.len() as u64);
    header.set_cksum();
    out.extend_from_slice(header.as_bytes());
    out.extend_from_slice(data);
    out.resize(out.len().next_multiple_of(512), 0);
}

fn copy(field: &mut [u8; USTAR_NAME_BYTES], value: &[u8]) {
    let length = value.len().min(field.len());
    field[..length].copy_from_slice(&value[..length]);
}

/// One PAX record: its own length in decimal, which counts its own digits, then `key=value\n`.
fn record(out: &mut Vec<u8>, key: &str, value: &[u8]) {
    let rest = 3 + key.len() + value.len();
    let mut length = rest + 1;
    while rest + decimal_digits(length) != length {
        length = rest + decimal_digits(length);
    }
    out.extend_from_slice(format!("{length} {key}=").as_bytes());
    out.extend_from_slice(value);
    out.push(b'\n');
}

fn decimal_digits(number: usize) -> usize {
    number.checked_ilog10().unwrap_or(0) as usize + 1
}
