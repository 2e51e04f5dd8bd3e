//! `berth doctor --boot-report`: prints the moments of this boot.

use super::super::{
    failure::Failure,
    output::{self, Machine},
    session::Session,
    table::printable,
};
use crate::{
    api::wire::Request,
    doctor::boot::{self, Moment},
};
use serde_json::json;

const NS_PER_MS: u64 = 1_000_000;
const MS_PER_S: u64 = 1_000;

pub(super) fn run(output: Option<Machine>, session: &mut Session<'_>) -> Result<(), Failure> {
    let known = session.client.call(&Request::Boot)?;
    let moments = boot::report(&known);
    let took = boot::to_the_last_container(&moments);
    match output {
        Some(Machine::Json) => {
            output::json(session.out, &json!({"moments": moments, "initToLastContainerNs": took}))
        }
        None => print(&moments, took, session),
    }
}

fn print(moments: &[Moment], took: Option<u64>, session: &mut Session<'_>) -> Result<(), Failure> {
    for moment in moments {
        writeln!(session.out, "{:>10}  {}", seconds(moment.at_ns), printable(&moment.what))?;
    }
    match took {
        Some(took) => {
            writeln!(
                session.out,
                "{:>10}  from the kernel's hand-over to the last container",
                seconds(took)
            )?;
        }
        None if moments.iter().any(|moment| moment.id == "init") => {}
        None => writeln!(
            session.err,
            "note: the kernel's log does not tell when init began (it needs root, and goes back only so far)"
        )?,
    }
    Ok(())
}

fn seconds(ns: u64) -> String {
    let ms = ns / NS_PER_MS;
    format!("{}.{:03} s", ms / MS_PER_S, ms % MS_PER_S)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::{Agent, run_verb};

    #[test]
    fn what_the_agent_knows_is_told() {
        let agent = Agent::that_knows(|_| {
            json!({"containers": [{"namespace": "default", "pod": "web-box", "container": "main",
                "restarts": 0, "sinceNs": 2_345_678_901_u64}]})
        });
        let ran = run_verb(&agent, |session| run(None, session));
        assert_eq!(ran.result, Ok(()));
        assert!(ran.out.contains("   2.345 s  default/web-box: container main runs\n"), "{}", ran.out);
    }
}
