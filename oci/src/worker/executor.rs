//! The last steps in the container's own process, in its namespaces and as its user: capabilities, filter
//! of system calls, the program. libcontainer calls it for a container's init and for an exec alike, so both
//! are confined in the same way.

use super::{sys, trouble};
use crate::{
    seccomp::{self, Filter},
    spec::{capabilities::CapabilitySet, labels::Label},
};
use libcontainer::{
    oci_spec::runtime::{Process, Spec},
    workload::{Executor, ExecutorError, ExecutorSetEnvsError, ExecutorValidationError},
};
use nix::{
    errno::Errno,
    sched::{CloneFlags, setns},
    unistd::{Gid, Uid, setgroups, setresgid, setresuid},
};
use std::{collections::HashMap, ffi::CString, fs, os::fd::OwnedFd, path::Path, sync::Arc};

/// Runs the spec's program, confined.
#[derive(Clone)]
pub(super) struct Confined {
    /// What the process may have.
    pub(super) capabilities: CapabilitySet,
    /// None for unconfined.
    pub(super) filter: Option<Arc<Filter>>,
    /// For the security modules.
    pub(super) labels: Arc<[Label]>,
    /// The pod's users, where the runtime does not join them: for an exec it knows all namespaces but this one.
    pub(super) users: Option<Arc<OwnedFd>>,
}

impl Executor for Confined {
    /// The runtime still waits for this one's word: what can be found out now is an error of the create.
    fn validate(&self, spec: &Spec) -> Result<(), ExecutorValidationError> {
        let ready = process(spec).and_then(|process| {
            if let Some(users) = &self.users {
                join(users, process)
                    .map_err(|errno| format!("cannot join the pod's users: {}", errno.desc()))?;
            }
            let sealed = process.no_new_privileges() == Some(true);
            sys::limit_capabilities(self.capabilities, self.filter.is_some() && !sealed)
                .map_err(|errno| format!("cannot limit the process to its capabilities: {errno}"))?;
            program(process).map(drop)
        });
        ready.map_err(|message| {
            trouble::fatal(&message);
            ExecutorValidationError::ArgValidationError(message)
        })
    }

    /// The program gets its environment directly.
    fn setup_envs(&self, _: HashMap<String, String>) -> Result<(), ExecutorSetEnvsError> {
        Ok(())
    }

    fn exec(&self, spec: &Spec) -> Result<(), ExecutorError> {
        let message = match process(spec).and_then(|process| self.run(process)) {
            Ok(never) => match never {},
            Err(message) => message,
        };
        trouble::fatal(&message);
        Err(ExecutorError::Other(message))
    }
}

/// What does not exist.
enum Never {}

impl Confined {
    fn run(&self, process: &Process) -> Result<Never, String> {
        let args = process.args().clone().unwrap_or_default();
        let path = program(process)?;
        let (args, env) = (strings(&args)?, strings(process.env().as_deref().unwrap_or_default())?);
        self.labels.iter().try_for_each(set_label)?;
        sys::reset_signals();
        if let Some(filter) = &self.filter {
            seccomp::load(filter).map_err(|errno| format!("cannot load the seccomp filter: {errno}"))?;
        }
        let errno = sys::execve(&path, &args, &env);
        let name = args.first().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Err(not_run(&name, errno))
    }
}

/// Holds from the next execve(2) on. The container's own /proc is the one at hand.
fn set_label(label: &Label) -> Result<(), String> {
    fs::write(Path::new("/proc/thread-self/attr").join(&label.file), &label.value).map_err(|error| {
        let why = match error.raw_os_error() {
            Some(libc::ENOENT) => "it is not loaded in the kernel".to_owned(),
            Some(libc::EINVAL) => "the kernel does not know it".to_owned(),
            _ => error.to_string(),
        };
        format!("{}: {why}", label.name)
    })
}

/// Does nothing in the place of a program: for the throwaway create by which a zygote warms up.
#[derive(Clone)]
pub(crate) struct Nothing;

impl Executor for Nothing {
    fn validate(&self, _: &Spec) -> Result<(), ExecutorValidationError> {
        Ok(())
    }

    fn exec(&self, _: &Spec) -> Result<(), ExecutorError> {
        sys::exit(0)
    }
}

fn process(spec: &Spec) -> Result<&Process, String> {
    spec.process().as_ref().ok_or_else(|| "the spec has no process".to_owned())
}

/// Becomes the process' user in the user namespace; all capabilities are of that from then on.
fn join(users: &OwnedFd, process: &Process) -> Result<(), Errno> {
    let user = process.user();
    let groups: Vec<Gid> = user.additional_gids().iter().flatten().copied().map(Gid::from_raw).collect();
    let (uid, gid) = (Uid::from_raw(user.uid()), Gid::from_raw(user.gid()));
    setns(users, CloneFlags::CLONE_NEWUSER)?;
    setgroups(&groups)?;
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)
}

/// Finds the program as a shell would, and whether it can be run.
fn program(process: &Process) -> Result<CString, String> {
    let name = process.args().iter().flatten().next().ok_or("the spec has no command")?;
    let text = |path: &Path| {
        CString::new(path.as_os_str().as_encoded_bytes()).map_err(|_| not_run(name, Errno::EINVAL))
    };
    if name.contains('/') {
        let path = Path::new(name);
        runnable(path).map_err(|errno| not_run(name, errno))?;
        return text(path);
    }
    let env = process.env().iter().flatten();
    let dirs = env.filter_map(|line| line.strip_prefix("PATH=")).next_back().unwrap_or_default();
    let mut refused = None;
    for dir in dirs.split(':') {
        let path = Path::new(if dir.is_empty() { "." } else { dir }).join(name);
        match runnable(&path) {
            Ok(()) => return text(&path),
            Err(Errno::EACCES) => refused = refused.or(Some(path)),
            Err(_) => {}
        }
    }
    match refused {
        Some(path) => Err(not_run(&path.to_string_lossy(), Errno::EACCES)),
        None => Err(format!("exec: {name:?}: executable file not found in $PATH")),
    }
}

fn runnable(path: &Path) -> Result<(), Errno> {
    let io = |error: std::io::Error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO));
    if fs::metadata(path).map_err(io)?.is_dir() {
        return Err(Errno::EISDIR);
    }
    let path = CString::new(path.as_os_str().as_encoded_bytes()).map_err(|_| Errno::EINVAL)?;
    sys::may_execute(&path)
}

fn not_run(name: &str, errno: Errno) -> String {
    let why = match errno {
        Errno::ENOENT => {
            "no such file or directory, or its interpreter (#! line, dynamic loader) is not in the image"
        }
        Errno::ENOEXEC => "exec format error: is the image for another architecture?",
        Errno::EACCES => "permission denied",
        Errno::EISDIR => "is a directory",
        other => return format!("exec: {name:?}: {} ({other:?})", other.desc().to_lowercase()),
    };
    format!("exec: {name:?}: {}", why.to_lowercase())
}

fn strings(list: &[String]) -> Result<Vec<CString>, String> {
    list.iter()
        .map(|text| {
            CString::new(text.as_bytes()).map_err(|_| "an argument or variable holds a 0 byte".to_owned())
        })
        .collect()
}
