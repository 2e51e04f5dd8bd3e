//! `berth upgrade`: another program takes over, the pods run on.

use super::{client::Client, failure::Failure, json, session::Session};
use crate::api::wire::Request;
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// The new program's agent must serve within this once the keeper runs it, seconds.
const SUCCESSOR_WITHIN_S: u64 = 30;
/// Between two questions for it. Nothing tells when it has come.
const SUCCESSOR_STEP_MS: u64 = 20;

/// Replace the running keeper and agent by another program; pods run on
///
/// The keeper executes the program in its own place, so that it remains the parent of all containers, and then
/// starts an agent of the same program; the verb ends when that one serves. A program that cannot be executed
/// changes nothing.
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
    let answer = session.client.call(&Request::Upgrade { path: path.clone() })?;
    let within = Duration::from_secs(SUCCESSOR_WITHIN_S);
    if !is_succeeded(&session.client, json::number(&answer, "/agentPid"), within) {
        return Err(Failure::error(format!(
            "the keeper runs {path} now, but no agent of it served within {SUCCESSOR_WITHIN_S} s; its log says why"
        )));
    }
    Ok(writeln!(session.out, "upgraded to {path}")?)
}

/// Whether another agent than the one with this pid serves within this time.
fn is_succeeded(client: &Client, old: i64, within: Duration) -> bool {
    let give_up = Instant::now() + within;
    while Instant::now() < give_up {
        let now = client.call(&Request::Status).map(|status| json::number(&status, "/agent/pid"));
        if now.is_ok_and(|pid| pid != old) {
            return true;
        }
        thread::sleep(Duration::from_millis(SUCCESSOR_STEP_MS));
    }
    false
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
    use crate::cli::testing::{Agent, run_verb};
    use serde_json::json;

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

    #[test]
    fn it_ends_when_the_new_programs_agent_serves() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("berth");
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        let is = |pid: u32| json!({"agent": {"pid": pid}});
        let upgraded = json!({"keeperPid": 1, "agentPid": 5});
        let agent = Agent::that_tells(vec![vec![upgraded], vec![is(5)], vec![], vec![is(6)], vec![is(7)]]);
        let ran = run_verb(&agent, |session| run(&Args { program: file }, session));
        assert_eq!(ran.result, Ok(()));
        assert!(ran.out.starts_with("upgraded to "), "{}", ran.out);
        let client = Client::new(agent.socket.clone());
        assert_eq!(client.call(&Request::Status), Ok(is(7)), "agent 6 was enough");
    }

    #[test]
    fn an_agent_that_stays_is_no_new_one() {
        let agent = Agent::that_knows(|_| json!({"agent": {"pid": 5}}));
        assert!(!is_succeeded(&Client::new(agent.socket.clone()), 5, Duration::from_millis(1)));
    }
}
