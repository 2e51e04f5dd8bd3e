//! `berth version`: of this program, and of the processes that run.

use super::{
    age,
    failure::Failure,
    json,
    output::{self, Machine},
    session::Session,
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

/// A line for each process: `agent 0.1.0, pid 12, up 5m`.
fn print(status: &Value, session: &mut Session<'_>) -> Result<(), Failure> {
    for (name, process) in json::pairs(status, "") {
        if process.is_object() {
            let mut parts = vec![name.to_owned()];
            let version = json::text(process, "/version");
            if !version.is_empty() {
                parts[0] = format!("{name} {version}");
            }
            if json::number(process, "/pid") > 0 {
                parts.push(format!("pid {}", json::number(process, "/pid")));
            }
            let started = json::text(process, "/startTime");
            if !started.is_empty() {
                parts.push(format!("up {}", age::since(started, (session.now)())));
            }
            writeln!(session.out, "{}", parts.join(", "))?;
        } else {
            writeln!(session.out, "{name}: {}", json::plain(process))?;
        }
    }
    Ok(())
}
