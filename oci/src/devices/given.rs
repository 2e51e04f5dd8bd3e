//! From the names of devices to what a container gets of them: nodes with mode and owner as its process needs them,
//! rules for the kernel, and what else their specifications say. And what of all that is asked for is there.

use super::{
    Access, DeviceKind, DeviceNode, DeviceRule,
    cdi::{self, Edits, Registry},
};
use crate::{
    container::mounts::Bind,
    error::{Error, Result},
    users::ProcessUser,
};
use berth_core::devices::{Asked, Grant, Seen, kind_of};
use libcontainer::oci_spec::runtime::{Hook, Hooks};
use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

/// What a container gets.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Given {
    /// Device nodes.
    pub nodes: Vec<DeviceNode>,
    /// What it may do with them.
    pub rules: Vec<DeviceRule>,
    /// Variables.
    pub env: Vec<(String, String)>,
    /// Files and directories of the node's.
    pub binds: Vec<Bind>,
    /// Groups of its process.
    pub groups: Vec<u32>,
    /// Programs of the node's.
    pub hooks: Option<Hooks>,
}

/// What [`look`] has found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// For the core.
    pub seen: Seen,
    /// Paths with which what was found would change.
    pub paths: BTreeSet<PathBuf>,
}

/// A device node of the node's.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    block: bool,
    number: (u32, u32),
    mode: u32,
    owner: (u32, u32),
}

impl Found {
    fn identity(&self) -> String {
        let (major, minor) = self.number;
        format!("{}{major}:{minor}", if self.block { 'b' } else { 'c' })
    }
}

/// What stands at the path.
fn find(path: &str) -> std::result::Result<Found, String> {
    let meta = fs::metadata(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => format!("{path} is not there"),
        _ => format!("{path}: {error}"),
    })?;
    let kind = meta.file_type();
    if !kind.is_char_device() && !kind.is_block_device() {
        return Err(format!("{path} is no device"));
    }
    let number = (libc::major(meta.rdev()), libc::minor(meta.rdev()));
    Ok(Found {
        block: kind.is_block_device(),
        number,
        mode: meta.mode() & 0o777,
        owner: (meta.uid(), meta.gid()),
    })
}

/// As its specification says, and as the node has it where that says nothing.
fn find_node(node: &cdi::Node) -> std::result::Result<Found, String> {
    if let Some(major) = node.major.filter(|_| !node.kind.is_empty()) {
        let number = (major, node.minor.unwrap_or(0));
        return Ok(Found { block: node.kind == "b", number, mode: 0o666, owner: (0, 0) });
    }
    find(host_path(node))
}

fn host_path(node: &cdi::Node) -> &str {
    if node.host_path.is_empty() { &node.path } else { &node.host_path }
}

/// The numbers of all its nodes.
fn find_edits(edits: &Edits) -> std::result::Result<String, String> {
    for mount in &edits.mounts {
        if !Path::new(&mount.host_path).exists() {
            return Err(format!("{} is not there", mount.host_path));
        }
    }
    let numbers = edits.device_nodes.iter().map(|node| find_node(node).map(|found| found.identity()));
    Ok(numbers.collect::<std::result::Result<Vec<_>, _>>()?.join(","))
}

/// Looks at all that is asked for.
pub fn look(cdi_dirs: &[PathBuf], asked: &Asked) -> Looked {
    let mut looked = Looked::default();
    let Looked { seen, paths } = &mut looked;
    let note = |seen: &mut Seen, name: &str, found: std::result::Result<String, String>| match found {
        Ok(identity) => drop(seen.there.insert(name.to_owned(), identity)),
        Err(why) => drop(seen.lacking.insert(name.to_owned(), why)),
    };
    for path in &asked.paths {
        paths.insert(path.into());
        note(seen, path, find(path).map(|found| found.identity()));
    }
    if asked.kinds.is_empty() {
        return looked;
    }
    let registry = Registry::read(cdi_dirs);
    for (name, edits) in &registry.devices {
        if !kind_of(name).is_some_and(|kind| asked.kinds.contains(kind)) {
            continue;
        }
        if let Ok(edits) = edits {
            paths.extend(edits.device_nodes.iter().map(|node| PathBuf::from(host_path(node))));
            paths.extend(edits.mounts.iter().map(|mount| PathBuf::from(&mount.host_path)));
        }
        let found = edits.as_ref().map_err(Clone::clone).and_then(find_edits);
        note(seen, name, found.map_err(|why| format!("{name}: {why}")));
    }
    seen.problems = registry.problems;
    looked
}

/// What a container that runs as `user` gets.
///
/// # Errors
/// [`Error::Device`]: one of them has gone meanwhile.
pub fn give(cdi_dirs: &[PathBuf], grants: &[Grant], user: &ProcessUser) -> Result<Given> {
    let mut given = Given::default();
    let by_name = grants.iter().any(|grant| kind_of(&grant.device).is_some());
    let registry = if by_name { Registry::read(cdi_dirs) } else { Registry::default() };
    let mut hooks = Vec::new();
    for grant in grants {
        if kind_of(&grant.device).is_none() {
            let at = if grant.path.is_empty() { &grant.device } else { &grant.path };
            let access = if grant.read_only { "r" } else { "rw" };
            let node =
                cdi::Node { path: at.clone(), host_path: grant.device.clone(), ..cdi::Node::default() };
            given.add_node(&cdi::Node { permissions: access.to_owned(), ..node }, user)?;
            continue;
        }
        match registry.devices.get(&grant.device) {
            Some(Ok(edits)) => given.add(edits, user, &mut hooks)?,
            Some(Err(why)) => return Err(Error::Device(why.clone())),
            None => return Err(Error::Device(format!("no CDI specification has {}", grant.device))),
        }
    }
    given.hooks = (!hooks.is_empty()).then(|| to_oci(&hooks));
    Ok(given)
}

impl Given {
    fn add(&mut self, edits: &Edits, user: &ProcessUser, hooks: &mut Vec<cdi::Hook>) -> Result<()> {
        for node in &edits.device_nodes {
            self.add_node(node, user)?;
        }
        let pairs = edits.env.iter().filter_map(|line| line.split_once('='));
        self.env.extend(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let new = |hook: &&cdi::Hook| !hooks.contains(hook);
        let fresh: Vec<cdi::Hook> = edits.hooks.iter().filter(new).cloned().collect();
        hooks.extend(fresh);
        for mount in &edits.mounts {
            let has = |option: &str| mount.options.iter().any(|other| other == option);
            let restrictions =
                ["nosuid", "nodev", "noexec"].into_iter().filter(|option| has(option)).collect();
            let bind = Bind {
                source: (&mount.host_path).into(),
                destination: mount.container_path.clone(),
                read_only: has("ro"),
                restrictions,
                ..Bind::default()
            };
            if !self.binds.iter().any(|other| other.destination == bind.destination) {
                self.binds.push(bind);
            }
        }
        self.groups.extend(edits.additional_gids.iter().filter(|gid| **gid != 0));
        Ok(())
    }

    /// One at a path is enough; the first one counts.
    fn add_node(&mut self, node: &cdi::Node, user: &ProcessUser) -> Result<()> {
        let found = find_node(node).map_err(Error::Device)?;
        let all = node.permissions.is_empty();
        let access = Access::of(all || node.permissions.contains('r'), all || node.permissions.contains('w'));
        let kind = if found.block { DeviceKind::Block } else { DeviceKind::Char };
        let (major, minor) = found.number;
        self.rules.push(DeviceRule { kind, major: Some(major), minor: Some(minor), access });
        if self.nodes.iter().any(|other| other.path == Path::new(&node.path)) {
            return Ok(());
        }
        // Who is not root gets a node of its own, whatever the owner on the node.
        let is_own = user.uid != 0 && node.uid.is_none() && node.gid.is_none();
        let needed = if is_own && access.writes() { 0o600 } else { 0o400 };
        let (uid, gid) = if is_own { (user.uid, user.gid) } else { found.owner };
        self.nodes.push(DeviceNode {
            path: (&node.path).into(),
            block: found.block,
            number: found.number,
            mode: node.file_mode.map_or(found.mode | if is_own { needed } else { 0 }, |mode| mode & 0o777),
            uid: node.uid.unwrap_or(uid),
            gid: node.gid.unwrap_or(gid),
        });
        Ok(())
    }
}

fn to_oci(hooks: &[cdi::Hook]) -> Hooks {
    let of = |name: &str| {
        let mine = hooks.iter().filter(|hook| hook.hook_name == name);
        let list: Vec<Hook> = mine.map(hook).collect();
        (!list.is_empty()).then_some(list)
    };
    let mut all = Hooks::default();
    all.set_create_runtime(of("createRuntime"))
        .set_create_container(of("createContainer"))
        .set_start_container(of("startContainer"));
    #[allow(deprecated)]
    all.set_prestart(of("prestart"));
    all
}

fn hook(hook: &cdi::Hook) -> Hook {
    let mut oci = Hook::default();
    oci.set_path(hook.path.clone().into())
        .set_args(hook.args.clone())
        .set_env(hook.env.clone())
        .set_timeout(hook.timeout);
    oci
}

#[cfg(test)]
mod tests;
