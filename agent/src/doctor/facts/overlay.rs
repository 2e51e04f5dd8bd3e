//! Tries an overlay on the state directory's file system, in a mount namespace that nobody else sees: whether
//! files can be hidden and directories emptied, which need extended attributes and file types in directories.

use super::Trial;
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};
use std::{fs, io, path::Path};

/// Makes the trial; leaves nothing behind. This process is in a mount namespace of its own afterwards.
pub(super) fn attempt(state: &Path, is_root: bool) -> Trial {
    if !is_root {
        return Trial::Unknown("only root can try".into());
    }
    let Some(parent) = state.ancestors().find(|path| path.is_dir()) else {
        return Trial::Unknown(format!("{} cannot be made", state.display()));
    };
    let directory = parent.join(format!(".berth-doctor-{}", std::process::id()));
    let trial = match fs::create_dir(&directory) {
        Ok(()) => attempt_in(&directory),
        Err(error) => Trial::Unknown(format!("cannot write to {}: {error}", parent.display())),
    };
    let _ = fs::remove_dir_all(&directory);
    trial
}

fn attempt_in(directory: &Path) -> Trial {
    let private = unshare(CloneFlags::CLONE_NEWNS).and_then(|()| {
        mount::<str, _, str, str>(None, "/", None, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None)
    });
    if let Err(error) = private {
        return Trial::Unknown(format!("no mount namespace can be made: {error}"));
    }
    let [lower, upper, work, merged] = ["lower", "upper", "work", "merged"].map(|name| directory.join(name));
    if let Err(error) = prepare(&lower, &[&upper, &work, &merged]) {
        return Trial::Unknown(format!("cannot write to {}: {error}", directory.display()));
    }
    let options =
        format!("lowerdir={},upperdir={},workdir={}", lower.display(), upper.display(), work.display());
    let mounted = mount(Some("overlay"), &merged, Some("overlay"), MsFlags::empty(), Some(options.as_str()));
    let trial = match mounted {
        Ok(()) => change(&merged).err().map_or(Trial::Works, Trial::Fails),
        Err(error) => Trial::Fails(format!("it cannot be mounted: {error}")),
    };
    // Lazily: nobody else can see it, and it must not be in the way of the removal.
    let _ = nix::mount::umount2(&merged, nix::mount::MntFlags::MNT_DETACH);
    trial
}

fn prepare(lower: &Path, others: &[&Path]) -> io::Result<()> {
    fs::create_dir_all(lower.join("directory"))?;
    fs::write(lower.join("directory/old"), "")?;
    fs::write(lower.join("file"), "")?;
    others.iter().try_for_each(fs::create_dir)
}

/// What containers do with files of their image.
fn change(merged: &Path) -> Result<(), String> {
    let told = |what: &'static str| move |error: io::Error| format!("{what}: {error}");
    fs::remove_file(merged.join("file")).map_err(told("a file of a lower layer cannot be removed"))?;
    fs::remove_dir_all(merged.join("directory"))
        .map_err(told("a directory of a lower layer cannot be removed"))?;
    fs::create_dir(merged.join("directory")).map_err(told("a removed directory cannot be made again"))?;
    let names = |path: &Path| -> io::Result<usize> { Ok(fs::read_dir(path)?.count()) };
    let left = names(merged).map_err(told("it cannot be read"))?;
    let inside = names(&merged.join("directory")).map_err(told("it cannot be read"))?;
    if left != 1 || inside != 0 {
        return Err("removed files come back: the file system lacks d_type or extended attributes".into());
    }
    Ok(())
}
