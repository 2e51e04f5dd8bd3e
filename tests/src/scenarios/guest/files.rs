//! Manifest files, put and taken away as careful people and programs do it.

use std::{fs, io, os::unix::fs::symlink, path::Path};

/// Where they are.
pub(super) const MANIFESTS: &str = "/etc/berth/manifests";
/// The link to the folder whose files count, and its name before it is turned: as volumes of ConfigMaps have them.
const DATA: [&str; 2] = ["..data", "..data.new"];
/// The folders, in turn.
const FOLDERS: [&str; 2] = ["..1", "..2"];

fn told<T>(name: &str, result: io::Result<T>) -> Result<T, String> {
    result.map_err(|error| format!("{MANIFESTS}/{name}: {error}"))
}

/// Renamed in.
pub(super) fn write(name: &str, text: &str) -> Result<(), String> {
    let new = Path::new(MANIFESTS).join(format!(".{name}.new"));
    told(name, fs::write(&new, text).and_then(|()| fs::rename(&new, Path::new(MANIFESTS).join(name))))
}

pub(super) fn remove(name: &str) -> Result<(), String> {
    told(name, fs::remove_file(Path::new(MANIFESTS).join(name)))
}

pub(super) fn rename(name: &str, to: &str) -> Result<(), String> {
    let folder = Path::new(MANIFESTS);
    told(name, fs::rename(folder.join(name), folder.join(to)))
}

/// In a new folder, to which one link is turned that all names lead through.
pub(super) fn link(name: &str, text: &str) -> Result<(), String> {
    let folder = Path::new(MANIFESTS);
    let [data, new_data] = DATA.map(|link| folder.join(link));
    let old = fs::read_link(&data).ok();
    let turned = || -> io::Result<()> {
        let is_first = old.as_ref().is_some_and(|old| old.ends_with(FOLDERS[0]));
        let new = FOLDERS[usize::from(is_first)];
        fs::create_dir(folder.join(new))?;
        fs::write(folder.join(new).join(name), text)?;
        symlink(new, &new_data)?;
        fs::rename(&new_data, &data)?;
        match &old {
            Some(old) => fs::remove_dir_all(folder.join(old)),
            None => symlink(format!("{}/{name}", DATA[0]), folder.join(name)),
        }
    };
    told(name, turned())
}

/// All of them go.
pub(super) fn clear() -> Result<(), String> {
    for entry in fs::read_dir(MANIFESTS).map_err(|error| format!("{MANIFESTS}: {error}"))?.flatten() {
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let gone = if is_folder { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) };
        gone.map_err(|error| format!("{}: {error}", entry.path().display()))?;
    }
    Ok(())
}
