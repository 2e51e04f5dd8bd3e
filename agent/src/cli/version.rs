//! `berth version`: of this program, and of the processes that run.

use super::{
    age,
    failure::Failure,
    json,
    output::{self, Machine},
    session::Session,
    table::printable,
};
use crate::api::wire::Request;
use serde_json::{Value, json};

/// Show the version of this program and of the running agent and keeper
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  berth version -o json | jq -r .client.version")]
pub(crate) struct Args {
    /// Form of the output [default: a line for each]
    #[arg(short, long, value_name = "FORM")]
    output: Option<Machine>,
    /// Do not ask the agent
    #[arg(long)]
    client: bool,
}

/// Of this program.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Runs the verb.
pub(crate) fn run(args: &Args, session: &mut Session<'_>) -> Result<(), Failure> {
    // That nothing runs is no error: the question was for a version.
    let status = if args.client { None } else { Some(session.client.call(&Request::Status)) };
    match args.output {
        Some(Machine::Json) => {
            let mut all = json!({"client": {"version": VERSION, "arch": std::env::consts::ARCH}});
            match status {
                Some(Ok(status)) => all["server"] = status,
                Some(Err(Failure::Error(why))) => all["error"] = Value::from(why),
                _ => {}
            }
            output::json(session.out, &all)
        }
        None => {
            writeln!(session.out, "berth {VERSION} ({})", std::env::consts::ARCH)?;
            match status {
                Some(Ok(status)) => print(&status, session),
                Some(Err(Failure::Error(why))) => Ok(writeln!(session.err, "{why}")?),
                _ => Ok(()),
            }
        }
    }
}

/// A line for each process, and one for the node.
fn print(status: &Value, session: &mut Session<'_>) -> Result<(), Failure> {
    let started = age::since(json::text(status, "/agent/startedAt"), (session.now)());
    let (version, node) = (json::text(status, "/version"), json::text(status, "/node"));
    writeln!(session.out, "agent {version}, pid {}, up {started}", json::number(status, "/agent/pid"))?;
    writeln!(session.out, "keeper pid {}", json::number(status, "/keeper/pid"))?;
    let about =
        [json::text(status, "/osImage").to_owned(), format!("Linux {}", json::text(status, "/kernel"))];
    let about = about.iter().map(|part| printable(part)).filter(|part| !part.is_empty());
    writeln!(session.out, "node {node}, {}", about.collect::<Vec<_>>().join(", "))?;
    if version != VERSION {
        writeln!(
            session.err,
            "note: the agent is of another version than this program; see `berth upgrade --help`"
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::{Agent, run_verb};

    #[test]
    fn the_agent_and_its_node_are_named() {
        let agent = Agent::that_knows(|_| {
            json!({
                "version": "0.0.9", "node": "box", "kernel": "6.12.1", "osImage": "Poky",
                "agent": {"pid": 12, "startedAt": "1970-01-01T00:00:30Z"}, "keeper": {"pid": 11},
            })
        });
        let ran = run_verb(&agent, |session| run(&Args { output: None, client: false }, session));
        assert_eq!(ran.result, Ok(()));
        let server = ran.out.split_once('\n').unwrap().1;
        assert_eq!(server, "agent 0.0.9, pid 12, up 30s\nkeeper pid 11\nnode box, Poky, Linux 6.12.1\n");
        assert!(ran.err.contains("another version"), "{}", ran.err);
    }

    #[test]
    fn without_an_agent_the_programs_own_version_is_enough() {
        let agent = Agent::that_tells(Vec::new());
        let ran =
            run_verb(&agent, |session| run(&Args { output: Some(Machine::Json), client: false }, session));
        assert_eq!(ran.result, Ok(()));
        let all: Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!(all["client"]["version"], VERSION);
        assert!(all["error"].as_str().unwrap().contains("closed the connection"));
    }
}
