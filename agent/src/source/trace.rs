//! Which directories must be watched so that no change of what a path leads to goes unheard: the path's own
//! directory, those of all links on the way, the nearest that exists where one is missing, and for each
//! directory passed through that it stays where it is.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ffi::OsString,
    fs,
    path::{Component, Path, PathBuf},
};

/// Links that are followed on one path; the kernel's own limit.
const LINKS_MAX: usize = 40;

/// What of a directory that a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whole {
    /// Only that it is there.
    Nothing,
    /// All entries that have a manifest's name.
    Manifests,
    /// All entries.
    Everything,
}

/// What is wanted of one directory beyond word of its own removal or renaming.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Interest {
    /// All entries that have a manifest's name.
    pub(super) manifests: bool,
    /// All entries.
    pub(super) everything: bool,
    /// These entries.
    pub(super) names: BTreeSet<OsString>,
}

impl Interest {
    /// Whether any entry matters.
    pub(super) fn in_entries(&self) -> bool {
        self.manifests || self.everything || !self.names.is_empty()
    }

    /// Whether this entry matters.
    pub(super) fn in_entry(&self, name: &std::ffi::OsStr) -> bool {
        let manifest = || name.to_str().is_some_and(|name| super::select::format(name).is_some());
        self.everything || self.names.contains(name) || self.manifests && manifest()
    }

    /// Both.
    pub(super) fn join(&mut self, other: Self) {
        self.manifests |= other.manifests;
        self.everything |= other.everything;
        self.names.extend(other.names);
    }
}

/// Directories, by real path.
pub(super) type Wanted = BTreeMap<PathBuf, Interest>;

/// Adds what `path` needs, and `whole` of the directory that it leads to, if it does.
pub(super) fn trace(path: &Path, whole: Whole, wanted: &mut Wanted) {
    let mut at = PathBuf::from("/");
    let mut ahead: VecDeque<OsString> = parts(path).collect();
    let mut links = 0;
    while let Some(name) = ahead.pop_front() {
        if name == ".." {
            at.pop();
            continue;
        }
        let next = at.join(&name);
        match fs::symlink_metadata(&next) {
            Ok(meta) if meta.is_dir() => {
                wanted.entry(next.clone()).or_default();
                at = next;
            }
            Ok(meta) if meta.is_symlink() => {
                links += 1;
                wanted.entry(at.clone()).or_default().names.insert(name);
                let Some(target) = fs::read_link(&next).ok().filter(|_| links <= LINKS_MAX) else { return };
                if target.is_absolute() {
                    at = PathBuf::from("/");
                }
                for part in parts(&target).collect::<Vec<_>>().into_iter().rev() {
                    ahead.push_front(part);
                }
            }
            // A file, or nothing: it appears, changes or goes as an entry here.
            _ => {
                wanted.entry(at).or_default().names.insert(name);
                return;
            }
        }
    }
    let interest = wanted.entry(at).or_default();
    interest.manifests |= whole == Whole::Manifests;
    interest.everything |= whole == Whole::Everything;
}

fn parts(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// What is wanted below `root`, as text.
    fn wanted(root: &Path, path: &str) -> Vec<String> {
        let mut wanted = Wanted::new();
        trace(&root.join(path), Whole::Manifests, &mut wanted);
        let mut lines = Vec::new();
        for (dir, interest) in wanted {
            let Ok(dir) = dir.strip_prefix(root) else { continue };
            let names: Vec<_> = interest.names.iter().map(|n| n.to_string_lossy().into_owned()).collect();
            let all = if interest.manifests { " manifests" } else { "" };
            lines.push(format!("{}:{all} {}", dir.display(), names.join(",")).trim_end().to_owned());
        }
        lines
    }

    #[test]
    fn directories_links_and_holes() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::create_dir_all(root.join("data/..1")).unwrap();
        fs::write(root.join("data/..1/x.yaml"), "").unwrap();
        symlink("..1", root.join("data/..data")).unwrap();
        symlink("..data/x.yaml", root.join("data/x.yaml")).unwrap();
        symlink(root.join("data"), root.join("a/link")).unwrap();
        symlink("self", root.join("self")).unwrap();
        for (path, expected) in [
            ("a/b", vec![":", "a:", "a/b: manifests"]),
            ("a/none/deeper", vec![":", "a: none"]),
            ("a/link", vec![":", "a: link", "data: manifests"]),
            ("data/x.yaml", vec![":", "data: ..data,x.yaml", "data/..1: x.yaml"]),
            ("a/b/../../data/..1", vec![":", "a:", "a/b:", "data:", "data/..1: manifests"]),
            ("self", vec![": self"]),
        ] {
            assert_eq!(wanted(&root, path), expected, "{path}");
        }
    }
}
