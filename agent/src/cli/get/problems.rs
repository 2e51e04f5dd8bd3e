//! `berth get problems`: what is wrong with manifests. Their pods' last good revisions run on.

use super::{
    super::{
        failure::Failure,
        json,
        output::Form,
        select::pod_name,
        session::Session,
        table::{Cell, headings},
    },
    Args, print,
};
use crate::api::wire::Request;
use berth_core::manifest::Problem;
use serde_json::Value;

pub(super) fn run(args: &Args, names: &[String], session: &mut Session<'_>) -> Result<(), Failure> {
    let meaningless =
        [("-w", args.watch), ("-l", args.selector.is_some()), ("--show-labels", args.show_labels)];
    args.refuse("problems", &meaningless)?;
    let about = args.about.as_deref().map(pod_name).transpose()?;
    let problems = read(session)?;
    // A file that is no manifest at all has no namespace: problems of all are shown unless one is named.
    let wanted = |problem: &&Problem| {
        let pod = problem.pod.as_ref();
        let file = |name: &String| problem.file.ends_with(name.as_str());
        (args.namespace == super::DEFAULT_NAMESPACE
            || pod.is_some_and(|pod| *pod.namespace == *args.namespace))
            && (names.is_empty() || names.iter().any(file))
            && about.is_none_or(|about| pod.is_some_and(|pod| pod.name.starts_with(about)))
    };
    let problems: Vec<&Problem> = problems.iter().filter(wanted).collect();
    match args.output {
        Some(form @ (Form::Json | Form::Yaml)) => super::items(session, form, &problems),
        Some(Form::Name) => {
            problems.iter().try_for_each(|problem| Ok(writeln!(session.out, "{}", place(problem))?))
        }
        None | Some(Form::Wide) => {
            let rows = problems.iter().map(|problem| row(problem)).collect();
            let columns = headings(&["PLACE", "POD", "FIELD", "MESSAGE"]);
            print(session, columns, rows, args.no_headers, "No problems: all manifests are valid.")
        }
    }
}

/// Asks the agent for all problems, and for what is to be said beside them.
pub(super) fn read(session: &Session<'_>) -> Result<Vec<Problem>, Failure> {
    let answer = session.client.call(&Request::Problems)?;
    let problem = |item: &Value| serde_json::from_value(item.clone()).map_err(Failure::error);
    json::list(&answer, "/items").iter().chain(json::list(&answer, "/notices")).map(problem).collect()
}

/// `file:line:column`, as editors and terminals understand it.
fn place(problem: &Problem) -> String {
    match problem.line {
        0 => problem.file.to_string(),
        line => format!("{}:{line}:{}", problem.file, problem.column),
    }
}

fn row(problem: &Problem) -> Vec<Cell> {
    let pod = problem.pod.as_ref().map(|pod| pod.name.to_string()).unwrap_or_default();
    vec![
        place(problem).into(),
        json::or_none(&pod).into(),
        json::or_none(&problem.path).into(),
        problem.message.as_str().into(),
    ]
}
