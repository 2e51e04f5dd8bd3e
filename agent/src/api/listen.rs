//! The socket: who may open it, how many at a time.

use super::conn::{self, Context};
use nix::unistd::{Gid, Group, Uid, chown};
use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::Semaphore,
};

/// Connections at one time, watches and exec sessions included; a further one is refused.
pub(crate) const CONNECTIONS_MAX: usize = 64;

/// Makes the socket at `path`, in place of what an earlier agent left there. Open to root, and to `group`
/// if one is named.
///
/// # Errors
/// When the group does not exist, or the socket cannot be made.
pub(crate) fn listen(path: &Path, group: &str) -> io::Result<UnixListener> {
    let gid = group_id(group)?;
    let dir = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(dir)?;
    // Made beside and renamed: nobody ever finds it with other permissions.
    let beside: PathBuf = dir.join(".berth.sock.new");
    match fs::remove_file(&beside) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let listener = UnixListener::bind(&beside)?;
    chown(&beside, Some(Uid::from_raw(0)), Some(gid.unwrap_or(Gid::from_raw(0)))).or_else(not_root)?;
    fs::set_permissions(&beside, fs::Permissions::from_mode(if gid.is_some() { 0o660 } else { 0o600 }))?;
    fs::rename(&beside, path)?;
    if gid.is_some() {
        // The group must get through to it, and no further than it knows names.
        chown(dir, None, gid).or_else(not_root)?;
        fs::set_permissions(dir, fs::Permissions::from_mode(0o710))?;
    }
    Ok(listener)
}

/// Tests run without root own what they make.
fn not_root(errno: nix::errno::Errno) -> io::Result<()> {
    if Uid::effective().is_root() { Err(errno.into()) } else { Ok(()) }
}

fn group_id(group: &str) -> io::Result<Option<Gid>> {
    if group.is_empty() {
        return Ok(None);
    }
    let missing = || {
        io::Error::other(format!(
            "apiSocketGroup: there is no group {group}; create it or leave the key empty"
        ))
    };
    Group::from_name(group)?.map(|found| Some(found.gid)).ok_or_else(missing)
}

/// Serves until the runtime ends.
pub(crate) async fn serve(listener: UnixListener, context: Context) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, say: the client waits in the queue meanwhile.
                tracing::warn!(%error, "no connection can be taken");
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                continue;
            }
        };
        let context = context.clone();
        let place = Arc::clone(&room).try_acquire_owned();
        tokio::spawn(async move {
            match place {
                Ok(_place) => conn::serve(stream, context).await,
                Err(_) => refuse(stream).await,
            }
        });
    }
}

async fn refuse(stream: UnixStream) {
    let refusal = super::ask::Refusal {
        reason: "TooManyRequests",
        message: format!("{CONNECTIONS_MAX} connections are open already; end some watches and try again"),
    };
    conn::Connection::new(stream).refuse(refusal).await;
}
