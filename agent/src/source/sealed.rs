//! The form of a file that is believed only when it is whole: a first line with a name, a version and the digest of
//! the rest; a head as one line of JSON; a body of any bytes. What power, flash or a person has damaged is known for it.

use berth_images::Digest;
use berth_oci::durable;
use serde::{Serialize, de::DeserializeOwned};
use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::Path,
};

/// Bytes of a file: the largest body and what stands before it.
const FILE_LEN_MAX_BYTES: u64 = (berth_images::http::BODY_MAX_BYTES + HEAD_LEN_MAX_BYTES) as u64;
/// Bytes of a head: a pod of the size that a manifest may have.
const HEAD_LEN_MAX_BYTES: usize = 2 * berth_core::manifest::limits::FILE_LEN_MAX_BYTES;

/// The file's content; `magic` names its kind and version.
pub(super) fn seal(magic: &str, head: &impl Serialize, body: &[u8]) -> Vec<u8> {
    let mut rest = serde_json::to_vec(head).unwrap_or_default();
    rest.push(b'\n');
    rest.extend_from_slice(body);
    let mut content = format!("{magic} {}\n", Digest::of(&rest).hex()).into_bytes();
    content.append(&mut rest);
    content
}

/// Puts content in the place of the file, durably, with the directories above it.
pub(super) fn write(path: &Path, content: &[u8]) -> Result<(), berth_oci::Error> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).map_err(berth_oci::Error::io("create the directory", dir))?;
    }
    durable::replace(path, content)
}

/// Head and body of the file; None if it is not there.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read<H: DeserializeOwned>(path: &Path, magic: &str) -> Result<Option<(H, Vec<u8>)>, String> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FILE_LEN_MAX_BYTES + 1).read_to_end(&mut bytes));
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("cannot be read: {error}")),
        Ok(_) => {}
    }
    open(&bytes, magic).map(Some)
}

/// Head and body.
///
/// # Errors
/// What is wrong with the content.
pub(super) fn open<H: DeserializeOwned>(bytes: &[u8], magic: &str) -> Result<(H, Vec<u8>), String> {
    let damaged = || "it is damaged (its digest is not that of its content)".to_owned();
    let (first, rest) = line(bytes).ok_or_else(damaged)?;
    let digest = str::from_utf8(first).ok().and_then(|line| line.strip_prefix(magic)?.strip_prefix(' '));
    if digest.ok_or_else(damaged)? != Digest::of(rest).hex() {
        return Err(damaged());
    }
    let (head, body) = line(rest).ok_or_else(damaged)?;
    let head = serde_json::from_slice(head).map_err(|error| format!("its head cannot be read: {error}"))?;
    Ok((head, body.to_vec()))
}

/// The first line and what follows it.
fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    Some((bytes.get(..end)?, bytes.get(end + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAGIC: &str = "test 1";

    #[test]
    fn no_cut_and_no_wrong_byte_goes_unseen() {
        let whole = seal(MAGIC, &"head", b"a\nb\n\xff");
        let read = |bytes: &[u8]| open::<String>(bytes, MAGIC);
        assert_eq!(read(&whole), Ok(("head".to_owned(), b"a\nb\n\xff".to_vec())));
        for end in 0..whole.len() {
            read(&whole[..end]).unwrap_err();
        }
        for at in 0..whole.len() {
            let mut wrong = whole.clone();
            wrong[at] ^= 1;
            read(&wrong).unwrap_err();
        }
        read(&vec![0; whole.len()]).unwrap_err();
        read(&[&whole[..], b"x"].concat()).unwrap_err();
        open::<String>(&whole, "test").unwrap_err();
        open::<String>(&whole, "test 2").unwrap_err();
    }
}
