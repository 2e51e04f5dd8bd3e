//! The last good answer of an address on disk, so that a boot without network has its pods. With everything that it
//! has, Secrets too, or its pods could not start: only root may read it. A first line holds the digest of the rest,
//! so that a file that power, flash or a person has damaged is known for one and not used.

use berth_images::Digest;
use berth_oci::durable;
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

/// Begins the first line; the number is the form's.
const MAGIC: &str = "berth-url-checkpoint 1 ";
/// Bytes of a file: a body and what stands before it.
const FILE_LEN_MAX_BYTES: u64 = berth_images::http::BODY_MAX_BYTES as u64 + 64 * 1024;
/// Characters of a digest that make a file's name.
const NAME_LEN: usize = 32;

/// What is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Kept {
    pub(crate) url: String,
    /// Nanoseconds since 1970.
    pub(crate) received_ns: u64,
    pub(crate) etag: Option<String>,
    pub(crate) last_modified: Option<String>,
    /// As it came.
    #[serde(skip)]
    pub(crate) body: Vec<u8>,
}

/// Where all of it is kept.
pub(crate) fn dir(state: &Path) -> PathBuf {
    state.join("urls")
}

/// The files that are there, by name; of a write that was cut too.
pub(crate) fn list(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}

/// Where what an address said is kept.
pub(crate) fn path(dir: &Path, url: &str) -> PathBuf {
    dir.join(&Digest::of(url.as_bytes()).hex()[..NAME_LEN])
}

/// Keeps it, durably.
pub(crate) fn write(path: &Path, kept: &Kept) -> Result<(), berth_oci::Error> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).map_err(berth_oci::Error::io("create the directory", dir))?;
    }
    let mut rest = serde_json::to_vec(kept).unwrap_or_default();
    rest.push(b'\n');
    rest.extend_from_slice(&kept.body);
    let mut content = format!("{MAGIC}{}\n", Digest::of(&rest).hex()).into_bytes();
    content.append(&mut rest);
    durable::replace(path, &content)
}

/// What is kept of `url`; None if there is nothing.
///
/// # Errors
/// What is wrong with the file.
pub(super) fn read_of(path: &Path, url: &str) -> Result<Option<Kept>, String> {
    match read(path)? {
        Some(kept) if kept.url != url => Err(format!("it is of {}", kept.url)),
        kept => Ok(kept),
    }
}

/// What the file has; None if it is not there.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn read(path: &Path) -> Result<Option<Kept>, String> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FILE_LEN_MAX_BYTES + 1).read_to_end(&mut bytes));
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("cannot be read: {error}")),
        Ok(_) => {}
    }
    parse(&bytes).map(Some)
}

fn parse(bytes: &[u8]) -> Result<Kept, String> {
    let damaged = || "it is damaged (its digest is not that of its content)".to_owned();
    let (digest, rest) = line(bytes).ok_or_else(damaged)?;
    let digest = str::from_utf8(digest).ok().and_then(|line| line.strip_prefix(MAGIC)).ok_or_else(damaged)?;
    if Digest::of(rest).hex() != digest {
        return Err(damaged());
    }
    let (head, body) = line(rest).ok_or_else(damaged)?;
    let kept: Kept =
        serde_json::from_slice(head).map_err(|error| format!("its head cannot be read: {error}"))?;
    Ok(Kept { body: body.to_vec(), ..kept })
}

/// The first line and what follows it.
fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    Some((bytes.get(..end)?, bytes.get(end + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> Kept {
        let etag = Some("\"a\"".to_owned());
        Kept {
            url: "http://a/".into(),
            received_ns: 7,
            etag,
            last_modified: None,
            body: b"a\nb\n\xff".to_vec(),
        }
    }

    #[test]
    fn what_is_kept_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = path(&dir.path().join("urls"), "http://a/");
        assert_eq!(read_of(&path, "http://a/"), Ok(None));
        write(&path, &kept()).unwrap();
        assert_eq!(read_of(&path, "http://a/"), Ok(Some(kept())));
        read_of(&path, "http://b/").unwrap_err();
    }

    #[test]
    fn no_cut_and_no_wrong_byte_goes_unseen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        write(&path, &kept()).unwrap();
        let whole = fs::read(&path).unwrap();
        for end in 0..whole.len() {
            parse(&whole[..end]).unwrap_err();
        }
        for at in 0..whole.len() {
            let mut wrong = whole.clone();
            wrong[at] ^= 1;
            parse(&wrong).unwrap_err();
        }
        parse(&vec![0; whole.len()]).unwrap_err();
        parse(&[&whole[..], b"x"].concat()).unwrap_err();
    }
}
