//! The names of a source's images. Pure.

use crate::reference::Reference;
use std::path::Path;

/// Endings that say how a file is packed, and nothing about its name.
const ENDINGS: [&str; 9] =
    [".gz", ".zst", ".zstd", ".tgz", ".tzst", ".tar", ".oci", ".oci-archive", ".docker"];

/// The name of what has no name inside: the file's, in lower case, without endings. None if that is no
/// possible name.
pub(super) fn of_file(path: &Path) -> Option<Reference> {
    Reference::parse(&stem(path)?).ok()
}

fn stem(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?.to_ascii_lowercase();
    let mut stem = name.as_str();
    while let Some(shorter) = ENDINGS.iter().find_map(|ending| stem.strip_suffix(ending)) {
        stem = shorter;
    }
    Some(stem.to_owned())
}

/// The name of an OCI descriptor from its annotations; see the parent module for the rules.
pub(super) fn of_annotations(full: Option<&str>, short: Option<&str>, path: &Path) -> Option<Reference> {
    // What is no reference (tools put sentences there) names nothing.
    let parse = |text: &str| Reference::parse(text).ok();
    match (full, short) {
        (Some(full), _) => parse(full),
        (None, Some(short)) if short.contains(['/', ':', '@']) => parse(short),
        (None, Some(tag)) => stem(path).and_then(|stem| parse(&format!("{stem}:{tag}"))),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_file_name() {
        let table = [
            ("/x/foo.tar", Some("foo:latest")),
            ("/x/Foo-1.2.tar.gz", Some("foo-1.2:latest")),
            ("/x/foo.oci-archive.tzst", Some("foo:latest")),
            ("/x/foo", Some("foo:latest")),
            ("/x/foo:3.tar", Some("foo:3")),
            ("/x/.tar", None),
            ("/x/a b.tar", None),
        ];
        for (path, expected) in table {
            assert_eq!(of_file(Path::new(path)).map(|r| r.familiar()).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn by_annotation() {
        let table = [
            (None, Some("demo/web:1"), Some("demo/web:1")),
            (None, Some("docker.io/library/busybox:latest"), Some("busybox:latest")),
            (None, Some("busybox:latest"), Some("busybox:latest")),
            (None, Some("1.36"), Some("file:1.36")),
            (Some("docker.io/library/a:2"), Some("2"), Some("a:2")),
            (Some("A sentence"), None, None),
            (None, None, None),
        ];
        for (full, short, expected) in table {
            let name = of_annotations(full, short, Path::new("/d/file.tar"));
            assert_eq!(name.map(|r| r.familiar()).as_deref(), expected, "{full:?} {short:?}");
        }
    }
}
