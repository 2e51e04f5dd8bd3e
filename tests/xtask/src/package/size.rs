//! How much of a root file system Berth takes: what every installed system has of the tree, without what the layer has as
//! packages of their own and leaves to whoever wants it.

use crate::sh::Result;
use std::{fs, path::Path};

/// At most so much (SPECIFICATION.md), bytes.
const INSTALLED_MAX_BYTES: u64 = 10 << 20;
/// Documents, manual pages, completions: nothing of them is in the example image.
const BESIDE: [&str; 5] =
    ["usr/share/bash-completion", "usr/share/doc", "usr/share/fish", "usr/share/man", "usr/share/zsh"];

/// The tree of a release is within the bound; so many bytes.
pub(super) fn check(tree: &Path) -> Result<u64> {
    let bytes = bytes(tree, tree)?;
    if bytes <= INSTALLED_MAX_BYTES {
        return Ok(bytes);
    }
    Err(format!(
        "{}: {bytes} bytes installed, at most {INSTALLED_MAX_BYTES} are allowed: `nm --size-sort` on the program before it is \
         stripped says what they are",
        tree.display()
    )
    .into())
}

/// Bytes of the files below `folder`, those that are counted.
fn bytes(tree: &Path, folder: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if BESIDE.iter().any(|beside| path == tree.join(beside)) {
            continue;
        }
        sum += if entry.file_type()?.is_dir() { bytes(tree, &path)? } else { entry.metadata()?.len() };
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_too_many_is_found_where_it_counts() {
        let tree = std::env::temp_dir().join(format!("berth-size-{}", std::process::id()));
        let file = |path: &str, bytes: u64| {
            let path = tree.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::File::create(path).unwrap().set_len(bytes).unwrap();
        };
        file("usr/bin/berth", INSTALLED_MAX_BYTES - 1);
        file("etc/berth/config.yaml", 1);
        file("usr/share/man/man1/berth.1", 9);
        assert_eq!(check(&tree).unwrap(), INSTALLED_MAX_BYTES);
        file("etc/berth/config.yaml", 2);
        assert!(check(&tree).unwrap_err().to_string().contains("10485761 bytes installed"));
        fs::remove_dir_all(tree).unwrap();
    }
}
