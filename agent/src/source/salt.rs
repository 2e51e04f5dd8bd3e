//! The node's salt: random bytes that only root can read, made once and kept, so that uids which depend on
//! the values of objects neither tell them nor change with a boot.

use berth_core::manifest::objects::Salt;
use berth_oci::{Error, durable};
use std::{fs::File, io::Read, path::Path};

/// Bytes of it.
const LEN_BYTES: usize = 32;
const RANDOM: &str = "/dev/urandom";

/// The salt that is kept at `path`; made if it is not there, or not whole.
///
/// # Errors
/// It cannot be kept: pods with variables from objects would be restarted at each boot.
pub(crate) fn salt(path: &Path) -> Result<Salt, Error> {
    let mut bytes = [0; LEN_BYTES];
    if File::open(path).and_then(|mut file| file.read_exact(&mut bytes)).is_err() {
        let random = File::open(RANDOM).and_then(|mut file| file.read_exact(&mut bytes));
        random.map_err(Error::io("read", RANDOM))?;
        durable::replace(path, &bytes)?;
    }
    Ok(Salt(bytes.as_slice().into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn a_salt_is_made_once_and_for_root_only() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (dir.path().join("one"), dir.path().join("other"));
        let first = salt(&one).unwrap();
        assert!(salt(&one).unwrap() == first && salt(&other).unwrap() != first);
        assert_eq!(std::fs::metadata(&one).unwrap().mode() & 0o777, 0o600);
        std::fs::write(&one, "half").unwrap();
        assert!(salt(&one).unwrap() != first);
    }
}
