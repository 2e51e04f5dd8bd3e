//! `berth drain`: no pod is left running. Before Berth is removed, or a disk is.

use super::{age, client::Watch, failure::Failure, json, session::Session};
use crate::api::wire::Request;
use serde_json::Value;
use std::time::{Duration, Instant};

/// Stop all pods, each with its grace, until Berth is started again
///
/// As if all manifests were removed; they stay where they are, and so do images. Disk volumes (emptyDir) go with
/// their pods.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment, after_help = EXAMPLES)]
pub(crate) struct Args {
    /// How long to wait for their end
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = age::parse_duration)]
    timeout: Duration,
}

const EXAMPLES: &str = "\
Example:
  berth drain && systemctl stop berth              nothing of Berth runs any more

Exits with 1 when pods are left after that time.";

/// Runs the verb.
pub(crate) fn run(args: &Args, session: &mut Session<'_>) -> Result<(), Failure> {
    let Some((waited, left)) = left_after(session, &Request::Drain, |_| args.timeout, |_| true)? else {
        return Ok(writeln!(session.out, "no pod is left")?);
    };
    Err(Failure::error(format!("pods are left after {} s: {}", waited.as_secs(), left.join(", "))))
}

/// Asks for their end, and waits until no pod `is_left`: none then. Else how long it has waited, by the agent's answer, and
/// the names of those that were last seen to be.
pub(super) fn left_after(
    session: &Session<'_>,
    request: &Request,
    timeout: impl Fn(&Value) -> Duration,
    is_left: impl Fn(&Value) -> bool,
) -> Result<Option<(Duration, Vec<String>)>, Failure> {
    let begun = Instant::now();
    let timeout = timeout(&session.client.call(request)?);
    let deadline = begun + timeout;
    let mut watch = Watch::begin(&session.client, Request::Pods { watch: true })?;
    let mut left = Vec::new();
    while let Some(list) = watch.next(Some(deadline))? {
        let pods = json::list(&list, "/items").iter().filter(|pod| is_left(pod));
        left = pods.map(|pod| json::text(pod, "/metadata/name").to_owned()).collect();
        if left.is_empty() {
            return Ok(None);
        }
    }
    Ok(Some((timeout, left)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::{Agent, run_verb};
    use serde_json::json;

    fn drain(answers: Vec<Value>, timeout_s: u64) -> (Result<(), Failure>, String) {
        let agent = Agent::that_tells(vec![vec![json!({})], answers]);
        let args = Args { timeout: Duration::from_secs(timeout_s) };
        let ran = run_verb(&agent, |session| run(&args, session));
        (ran.result, ran.out)
    }

    #[test]
    fn it_waits_for_the_last() {
        let pod = json!({"metadata": {"name": "web-box"}});
        let (result, out) = drain(vec![json!({"items": [pod]}), json!({"items": []})], 60);
        assert_eq!((result, out.as_str()), (Ok(()), "no pod is left\n"));
    }

    #[test]
    fn who_stays_is_a_failure() {
        let pod = json!({"metadata": {"name": "web-box"}});
        let (result, _) = drain(vec![json!({"items": [pod]})], 0);
        let Err(Failure::Error(message)) = result else { panic!() };
        assert!(message.starts_with("pods are left after 0 s"), "{message}");
    }
}
