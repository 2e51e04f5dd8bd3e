//! The crates of Cargo.lock as entries of a recipe's SRC_URI, as bitbake's `update_crates` would write them. Pure.

use crate::sh::Result;
use std::fmt::Write as _;

const HEAD: &str =
    "# Made from Cargo.lock by `cargo xtask tidy --write`: every crate that is fetched, with its checksum.\n";
/// Where a crate of Cargo.lock may come from; nothing else can be fetched by a `crate://` entry.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// A crate from the registry.
#[derive(Debug, Default, PartialEq, Eq)]
struct Crate {
    name: String,
    version: String,
    checksum: String,
}

/// The text of `berth-crates.inc`.
///
/// # Errors
/// A package comes from somewhere else than crates.io, or has no checksum.
pub(super) fn inc(lock: &str) -> Result<String> {
    let crates = crates(lock)?;
    let mut text = format!("{HEAD}\nSRC_URI += \"\\\n");
    for Crate { name, version, .. } in &crates {
        let _ = writeln!(text, "    crate://crates.io/{name}/{version} \\");
    }
    text.push_str("\"\n\n");
    for Crate { name, version, checksum } in &crates {
        let _ = writeln!(text, "SRC_URI[{name}-{version}.sha256sum] = \"{checksum}\"");
    }
    Ok(text)
}

/// The packages of the lock file that are not ours, in its order (by name and version).
fn crates(lock: &str) -> Result<Vec<Crate>> {
    let mut crates = Vec::new();
    for block in lock.split("[[package]]").skip(1) {
        let field = |key: &str| {
            let line = block.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
            line.map(|value| value.trim_matches('"').to_owned())
        };
        let (Some(name), Some(version)) = (field("name"), field("version")) else {
            return Err("Cargo.lock: a package without name and version".into());
        };
        match (field("source"), field("checksum")) {
            (None, _) => {}
            (Some(source), Some(checksum)) if source == REGISTRY => {
                crates.push(Crate { name, version, checksum });
            }
            (Some(source), _) => {
                return Err(format!(
                    "Cargo.lock: {name} {version} comes from {source}: a recipe can fetch crates of crates.io only"
                )
                .into());
            }
        }
    }
    Ok(crates)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"version = 4

[[package]]
name = "a"
version = "1.2.3"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "aa"
dependencies = [
 "ours",
]

[[package]]
name = "ours"
version = "0.1.0"
dependencies = ["a"]
"#;

    #[test]
    fn crates_with_their_checksums_and_none_of_ours() {
        let inc = inc(LOCK).unwrap();
        let body = inc.strip_prefix(HEAD).unwrap();
        assert_eq!(
            body,
            "\nSRC_URI += \"\\\n    crate://crates.io/a/1.2.3 \\\n\"\n\nSRC_URI[a-1.2.3.sha256sum] = \"aa\"\n"
        );
    }

    #[test]
    fn what_no_recipe_can_fetch_is_refused() {
        let git = LOCK.replace("registry+https://github.com/rust-lang/crates.io-index", "git+https://x/y#1");
        assert!(inc(&git).unwrap_err().to_string().contains("a 1.2.3 comes from git+"));
        assert!(inc(&LOCK.replace("checksum = \"aa\"\n", "")).is_err());
        assert!(inc("[[package]]\nname = \"a\"\n").is_err());
    }
}
