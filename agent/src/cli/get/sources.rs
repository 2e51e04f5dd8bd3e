//! `berth get sources`: where manifests come from, and how it is with the addresses among these.

use super::{
    super::{
        failure::Failure,
        json,
        output::Form,
        session::Session,
        table::{Cell, headings},
    },
    Args, print,
};
use crate::api::wire::Request;
use serde_json::Value;

pub(super) fn run(args: &Args, names: &[String], session: &mut Session<'_>) -> Result<(), Failure> {
    let meaningless = [
        ("-w", args.watch),
        ("-l", args.selector.is_some()),
        ("--show-labels", args.show_labels),
        ("--for", args.about.is_some()),
    ];
    args.refuse("sources", &meaningless)?;
    let answer = session.client.call(&Request::Sources)?;
    let location = |source: &Value| json::text(source, "/location").to_owned();
    let wanted = |source: &&Value| names.is_empty() || names.contains(&location(source));
    let sources: Vec<&Value> = json::list(&answer, "/items").iter().filter(wanted).collect();
    match args.output {
        Some(form @ (Form::Json | Form::Yaml)) => super::items(session, form, &sources),
        Some(Form::Name) => {
            sources.iter().try_for_each(|source| Ok(writeln!(session.out, "{}", location(source))?))
        }
        None | Some(Form::Wide) => {
            let rows = sources.iter().map(|source| row(source)).collect();
            let columns = headings(&["KIND", "LOCATION", "PODS", "STATE", "LAST-GOOD", "MESSAGE"]);
            print(session, columns, rows, args.no_headers, "No sources.")
        }
    }
}

fn row(source: &Value) -> Vec<Cell> {
    let text = |field: &str| json::or_none(json::text(source, field)).to_owned();
    let pods = source.pointer("/pods").and_then(Value::as_u64).unwrap_or_default().to_string();
    vec![
        text("/kind").as_str().into(),
        text("/location").as_str().into(),
        pods.as_str().into(),
        text("/state").as_str().into(),
        text("/lastGood").as_str().into(),
        text("/message").as_str().into(),
    ]
}
