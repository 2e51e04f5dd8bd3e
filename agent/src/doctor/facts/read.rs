//! Facts that are read from files and simple calls.

use super::{Cgroups, Group, Space};
use nix::sys::{
    statfs::{TMPFS_MAGIC, statfs},
    statvfs::{FsFlags, statvfs},
};
use std::{
    fs,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

/// A file's text; empty when it cannot be read.
pub(super) fn text(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The files in a directory.
pub(super) fn texts_in(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| fs::read_to_string(entry.path()).ok()).collect()
}

/// A process of this name is there.
pub(super) fn runs(name: &str) -> bool {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .into_iter()
        .any(|entry| fs::read_to_string(entry.path().join("comm")).is_ok_and(|comm| comm.trim_end() == name))
}

/// A file's one line.
pub(super) fn line(path: &str) -> String {
    text(path).trim().to_owned()
}

/// A file's one number.
pub(super) fn number(path: &str) -> Option<u64> {
    line(path).parse().ok()
}

pub(super) fn exists(path: &str) -> bool {
    Path::new(path).exists()
}

/// Seconds since 1970 by the wall clock; 0 when it stands before.
pub(super) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Whether the module is loaded, built in or can be loaded.
pub(super) fn has_module(kernel: &str, module: &str) -> bool {
    let lists = ["modules.builtin", "modules.dep"].map(|list| text(&format!("/lib/modules/{kernel}/{list}")));
    let file = format!("/{module}.ko");
    let dashed = file.replace('_', "-");
    let is_listed = |line: &str| {
        let path = line.split(':').next().unwrap_or(line);
        let plain = path.trim_end_matches(".xz").trim_end_matches(".gz").trim_end_matches(".zst");
        plain.ends_with(&file) || plain.ends_with(&dashed)
    };
    exists(&format!("/sys/module/{module}")) || lists.iter().flat_map(|list| list.lines()).any(is_listed)
}

/// What is mounted where, and which controllers pods can get.
pub(super) fn cgroups(mount: &Path, root: &str) -> Cgroups {
    let mut cgroups = parse_mounts(&text("/proc/self/mountinfo"), mount);
    let below = mount.join(root.trim_matches('/')).join("cgroup.controllers");
    let top = mount.join("cgroup.controllers");
    // cgroupRoot is made by the agent if it is not there; it can have what the top has.
    let controllers = fs::read_to_string(below).or_else(|_| fs::read_to_string(top)).unwrap_or_default();
    cgroups.controllers = controllers.split_whitespace().map(str::to_owned).collect();
    let options = text("/proc/cmdline");
    let disabled = options.split_whitespace().filter_map(|option| option.strip_prefix("cgroup_disable="));
    cgroups.disabled = disabled.flat_map(|list| list.split(',')).map(str::to_owned).collect();
    cgroups
}

/// The cgroup mounts of a mountinfo text.
fn parse_mounts(mountinfo: &str, mount: &Path) -> Cgroups {
    let mut cgroups = Cgroups { mount: mount.to_owned(), ..Cgroups::default() };
    for line in mountinfo.lines() {
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let left: Vec<&str> = left.split(' ').collect();
        let right: Vec<&str> = right.split(' ').collect();
        let (Some(point), Some(options), Some(kind)) = (left.get(4), left.get(5), right.first()) else {
            continue;
        };
        let super_options = right.get(2).unwrap_or(&"");
        if Path::new(point) == mount {
            // The last one mounted there is the one that is seen.
            cgroups.kind = Some((*kind).to_owned());
            cgroups.options = options.split(',').chain(super_options.split(',')).map(str::to_owned).collect();
        } else if *kind == "cgroup2" {
            cgroups.elsewhere = Some(PathBuf::from(point));
        }
        if *kind == "cgroup" {
            let known =
                ["cpu", "cpuset", "memory", "pids", "blkio", "cpuacct", "devices", "freezer", "hugetlb"];
            cgroups.v1.extend(super_options.split(',').filter(|o| known.contains(o)).map(str::to_owned));
        }
    }
    cgroups
}

/// The nearest directory above (or at) `path` that is there.
fn existing(path: &Path) -> Option<&Path> {
    path.ancestors().find(|path| path.is_dir())
}

/// Room on the file system that `path` is on, or would be.
#[allow(clippy::useless_conversion)] // not on 32-bit machines
pub(super) fn space(path: &Path) -> Option<Space> {
    let path = existing(path)?;
    let stat = statvfs(path).ok()?;
    Some(Space {
        path: path.to_owned(),
        free_bytes: u64::from(stat.blocks_available()).saturating_mul(u64::from(stat.fragment_size())),
        free_inodes: (stat.files() > 0).then(|| u64::from(stat.files_available())),
        read_only: stat.flags().contains(FsFlags::ST_RDONLY),
    })
}

/// Whether `path` is on a tmpfs, or would be.
pub(super) fn is_tmpfs(path: &Path) -> Option<bool> {
    Some(statfs(existing(path)?).ok()?.filesystem_type() == TMPFS_MAGIC)
}

/// The group that may use the socket; None when there is none but root.
pub(super) fn group(name: &str) -> Option<Group> {
    if name.is_empty() {
        return None;
    }
    let group = nix::unistd::Group::from_name(name).ok().flatten();
    let mine = nix::unistd::getgroups().unwrap_or_default();
    let is_member = group.as_ref().is_some_and(|g| mine.contains(&g.gid) || nix::unistd::getegid() == g.gid);
    Some(Group { name: name.to_owned(), exists: group.is_some(), is_member })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
30 23 0:26 / /sys/fs/cgroup ro,nosuid shared:9 - tmpfs tmpfs ro,size=4096k
31 30 0:27 / /sys/fs/cgroup/unified rw,nosuid shared:10 - cgroup2 cgroup2 rw,nsdelegate
34 30 0:30 / /sys/fs/cgroup/cpu,cpuacct rw shared:15 - cgroup cgroup rw,cpu,cpuacct
35 30 0:31 / /sys/fs/cgroup/systemd rw shared:15 - cgroup cgroup rw,xattr,name=systemd
";
    const UNIFIED: &str =
        "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate,favordynmods\n";

    #[test]
    fn mounts_are_told_apart() {
        let at = Path::new("/sys/fs/cgroup");
        let hybrid = parse_mounts(HYBRID, at);
        assert_eq!(hybrid.kind.as_deref(), Some("tmpfs"));
        assert_eq!(hybrid.elsewhere.as_deref(), Some(Path::new("/sys/fs/cgroup/unified")));
        assert_eq!(hybrid.v1, ["cpu", "cpuacct"]);
        let unified = parse_mounts(UNIFIED, at);
        assert_eq!((unified.kind.as_deref(), unified.elsewhere), (Some("cgroup2"), None));
        assert!(unified.options.iter().any(|option| option == "favordynmods"));
        let over = parse_mounts(&(HYBRID.to_owned() + UNIFIED), at);
        assert_eq!(over.kind.as_deref(), Some("cgroup2"));
        assert_eq!(parse_mounts("", at), Cgroups { mount: at.into(), ..Cgroups::default() });
    }
}
