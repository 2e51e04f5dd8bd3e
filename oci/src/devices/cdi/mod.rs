//! The Container Device Interface: which devices the specifications in `/etc/cdi` and `/var/run/cdi` have, and what a
//! container with one of them gets. Reads these files and nothing else; what is behind the devices is not looked at.

mod spec;

pub(crate) use spec::{Edits, Hook, Node};

use berth_core::devices::{is_class, is_device};
use spec::SpecFile;
use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    path::{Path, PathBuf},
};

/// Bytes of a file.
const FILE_LEN_MAX_BYTES: u64 = 1024 * 1024;
/// Files of one directory; further ones are not read.
const FILES_MAX: usize = 256;
/// Devices altogether.
const DEVICES_MAX: usize = 4096;

/// All devices.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    /// By their full name; or why one cannot be used.
    pub(crate) devices: BTreeMap<String, Result<Edits, String>>,
    /// What is wrong with files.
    pub(crate) problems: Vec<String>,
}

impl Registry {
    /// Reads the directories; what a later one has counts before what an earlier one has.
    pub(crate) fn read(dirs: &[PathBuf]) -> Self {
        let mut registry = Self::default();
        for dir in dirs {
            let mut of_dir: BTreeMap<String, (PathBuf, Result<Edits, String>)> = BTreeMap::new();
            for path in files(dir) {
                match read(&path) {
                    Ok(file) => add(&file, &path, &mut of_dir),
                    Err(why) => registry.problems.push(format!("{}: {why}", path.display())),
                }
            }
            registry.devices.extend(of_dir.into_iter().map(|(name, (_, edits))| (name, edits)));
        }
        registry
    }
}

/// Two files of one directory that have the same device contradict each other, as the specification has it.
fn add(file: &SpecFile, path: &Path, devices: &mut BTreeMap<String, (PathBuf, Result<Edits, String>)>) {
    for device in &file.devices {
        let name = format!("{}={}", file.kind, device.name);
        let edits = file.container_edits.clone().and(&device.container_edits);
        let edits = edits.check().map(|()| edits).map_err(|why| format!("{}: {name}: {why}", path.display()));
        if let Some((other, known)) = devices.get_mut(&name) {
            *known = Err(format!("{name} stands in {} and in {}", other.display(), path.display()));
        } else if devices.len() < DEVICES_MAX && is_device(&name) {
            devices.insert(name, (path.to_owned(), edits));
        }
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let is_spec = |path: &PathBuf| path.extension().is_some_and(|end| end == "json" || end == "yaml");
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_spec).collect();
    files.sort_unstable();
    files.truncate(FILES_MAX);
    files
}

fn read(path: &Path) -> Result<SpecFile, String> {
    let meta = fs::metadata(path).map_err(|error| error.to_string())?;
    if !meta.is_file() || meta.len() > FILE_LEN_MAX_BYTES {
        return Err(format!("is no file of at most {FILE_LEN_MAX_BYTES} bytes"));
    }
    let mut text = String::new();
    let opened = fs::File::open(path).map_err(|error| error.to_string())?;
    opened.take(FILE_LEN_MAX_BYTES).read_to_string(&mut text).map_err(|error| error.to_string())?;
    // JSON is YAML.
    let file: SpecFile = serde_yaml::from_str(&text).map_err(|error| error.to_string())?;
    let known = file.cdi_version.split('.').next().is_some_and(|major| ["0", "1"].contains(&major));
    if !known {
        return Err(format!("cdiVersion {:?} is not known: 0.3 to 1.0 are", file.cdi_version));
    }
    if !is_class(&file.kind) {
        return Err(format!("kind {:?} is not like example.com/scanner", file.kind));
    }
    Ok(file)
}

/// Absolute, and no way back in it.
fn is_clean(path: &str) -> bool {
    path.starts_with('/') && path.len() > 1 && path.split('/').all(|part| part != ".." && part != ".")
}

#[cfg(test)]
mod tests;
