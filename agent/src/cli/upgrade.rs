//! `berth upgrade`: another program takes over, the pods run on.

use super::{failure::Failure, session::Session};
use crate::api::wire::Request;
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// Replace the running keeper and agent by another program; pods run on
///
/// The keeper executes the program in its own place, so that it remains the parent of all containers, and then
/// starts an agent of the same program. A program that cannot be executed changes nothing.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  cp berth.new /usr/bin/berth.tmp && mv /usr/bin/berth.tmp /usr/bin/berth && berth upgrade"
)]
pub(crate) struct Args {
    /// The program
    #[arg(value_name = "PROGRAM", default_value = "/usr/bin/berth")]
    program: PathBuf,
}

/// Runs the verb.
pub(crate) fn run(args: &Args, session: &mut Session<'_>) -> Result<(), Failure> {
    let path = program(&args.program)
        .map_err(|what| Failure::error(format!("{}: {what}", args.program.display())))?;
    session.client.call(&Request::Upgrade { path: path.clone() })?;
    Ok(writeln!(session.out, "upgraded to {path}")?)
}

/// The program's absolute path, if it can be one.
fn program(path: &Path) -> Result<String, String> {
    let path = fs::canonicalize(path).map_err(|error| format!("cannot be used: {error}"))?;
    let meta = fs::metadata(&path).map_err(|error| format!("cannot be used: {error}"))?;
    if !meta.is_file() || meta.permissions().mode() & 0o111 == 0 {
        return Err("is no executable file".into());
    }
    path.into_os_string().into_string().map_err(|_| "its path is not UTF-8".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_program_can_take_over() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("berth");
        assert!(program(&file).unwrap_err().contains("cannot be used"));
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(program(&file).unwrap_err(), "is no executable file");
        assert_eq!(program(dir.path()).unwrap_err(), "is no executable file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(program(&file).unwrap().ends_with("/berth"));
    }
}
