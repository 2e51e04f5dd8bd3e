//! `berth halt`: the containers end in order because the machine goes down. What the service manager calls then.

use super::{age, drain, failure::Failure, json, session::Session};
use crate::api::wire::Request;
use serde_json::Value;
use std::time::Duration;

/// Stop all containers, each with its grace, because the machine goes down
///
/// Pods of lower priority go first, and those that begin after others before them. Pods stay what they are: their
/// volumes (emptyDir too), restart counts and checkpoints are there when the machine is up again, as after a cut of the
/// power. If it does not go down, restart Berth.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment, after_help = EXAMPLES)]
pub(crate) struct Args {
    /// How long to wait for their end; without it shutdownGracePeriod of the configuration and 10 s more, or 90 s if that
    /// is 0
    #[arg(long, value_name = "DURATION", value_parser = age::parse_duration)]
    timeout: Option<Duration>,
}

/// Seconds beyond `shutdownGracePeriod`: the last ones are killed when it is over.
const SLACK_S: u64 = 10;
/// Seconds that are waited where pods have all the time.
const UNBOUNDED_S: u64 = 90;

const EXAMPLES: &str = "\
Example:
  berth halt --timeout=30s; poweroff -f

Exits with 1 when containers run after that time.";

/// Runs the verb.
pub(crate) fn run(args: &Args, session: &mut Session<'_>) -> Result<(), Failure> {
    let timeout = |answer: &Value| args.timeout.unwrap_or_else(|| patience(answer));
    let Some((waited, left)) = drain::left_after(session, &Request::Halt, timeout, runs)? else {
        return Ok(writeln!(session.out, "no container runs")?);
    };
    let (s, left) = (waited.as_secs(), left.join(", "));
    Err(Failure::error(format!("containers run after {s} s: those of {left}")))
}

/// By what the agent says that pods have.
fn patience(answer: &Value) -> Duration {
    let all_s = answer["shutdownGraceSeconds"].as_u64().filter(|all_s| *all_s > 0);
    Duration::from_secs(all_s.map_or(UNBOUNDED_S, |all_s| all_s.saturating_add(SLACK_S)))
}

fn runs(pod: &Value) -> bool {
    let of = |path| json::list(pod, path).iter().any(|status| !status["state"]["running"].is_null());
    of("/status/containerStatuses") || of("/status/initContainerStatuses")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::{Agent, run_verb};
    use serde_json::json;

    fn halt(answers: Vec<Value>, timeout_s: u64) -> (Result<(), Failure>, String) {
        let agent = Agent::that_tells(vec![vec![json!({})], answers]);
        let args = Args { timeout: Some(Duration::from_secs(timeout_s)) };
        let ran = run_verb(&agent, |session| run(&args, session));
        (ran.result, ran.out)
    }

    fn pod(statuses: &str, state: &str) -> Value {
        json!({"items": [{"metadata": {"name": "web-box"}, "status": {statuses: [{"state": {state: {}}}]}}]})
    }

    #[test]
    fn it_waits_for_the_last_process_and_not_for_the_pod() {
        for statuses in ["containerStatuses", "initContainerStatuses"] {
            let (result, out) = halt(vec![pod(statuses, "running"), pod(statuses, "terminated")], 60);
            assert_eq!((result, out.as_str()), (Ok(()), "no container runs\n"));
        }
    }

    #[test]
    fn it_waits_a_little_longer_than_pods_have() {
        for (answer, expected_s) in [
            (json!({"shutdownGraceSeconds": 80}), 90),
            (json!({"shutdownGraceSeconds": 0}), 90),
            (json!({}), 90),
            (json!({"shutdownGraceSeconds": 200}), 210),
        ] {
            assert_eq!(patience(&answer).as_secs(), expected_s, "{answer}");
        }
    }

    #[test]
    fn who_runs_on_is_a_failure() {
        let (result, _) = halt(vec![pod("containerStatuses", "running")], 0);
        let Err(Failure::Error(message)) = result else { panic!() };
        assert!(message.starts_with("containers run after 0 s"), "{message}");
    }
}
