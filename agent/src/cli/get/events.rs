//! `berth get events`: what happened, in kubectl's columns.

use super::{
    super::{
        age,
        client::Watch,
        failure::Failure,
        json,
        output::{self, Form},
        select::pod_name,
        session::Session,
        table::{Cell, Table, Tone, headings},
    },
    Args, print,
};
use crate::api::wire::Request;
use berth_core::time::Wall;
use serde_json::Value;
use std::collections::BTreeMap;

/// Events that a watch remembers; after so many it begins anew, at the price of a line shown twice.
const SHOWN_MAX: usize = 10_000;

pub(super) fn run(args: &Args, names: &[String], session: &mut Session<'_>) -> Result<(), Failure> {
    args.refuse("events", &[("-l", args.selector.is_some()), ("--show-labels", args.show_labels)])?;
    let about = args.about.as_deref().map(pod_name).transpose()?;
    let wanted = |event: &Value| {
        let name = json::text(event, "/metadata/name");
        args.in_namespace(json::text(event, "/metadata/namespace"))
            && (names.is_empty() || names.iter().any(|n| n == name))
            && about.is_none_or(|about| concerns(event, about))
    };
    if args.watch {
        return watch(args, wanted, session);
    }
    let mut list = session.client.call(&Request::Events { watch: false })?;
    let mut items = match list.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    };
    items.retain(wanted);
    match args.output {
        Some(form @ (Form::Json | Form::Yaml)) => super::structured(session, form, &output::list(items)),
        Some(Form::Name) => items.iter().try_for_each(|event| name(session, event)),
        None | Some(Form::Wide) => {
            let now = (session.now)();
            let rows = items.iter().map(|event| row(args, event, now)).collect();
            let nothing = format!("No events found{}.", args.place());
            print(session, columns(args), rows, args.no_headers, &nothing)
        }
    }
}

/// Whether the event is about the pod of this name, with or without the node's suffix.
fn concerns(event: &Value, pod: &str) -> bool {
    let object = json::text(event, "/involvedObject/name");
    let node = json::text(event, "/source/host").to_lowercase();
    json::text(event, "/involvedObject/kind") == "Pod"
        && (object == pod
            || object
                .strip_suffix(&*node)
                .and_then(|name| name.strip_suffix('-'))
                .is_some_and(|name| name == pod))
}

fn name(session: &mut Session<'_>, event: &Value) -> Result<(), Failure> {
    Ok(writeln!(session.out, "event/{}", json::text(event, "/metadata/name"))?)
}

fn columns(args: &Args) -> Vec<Cell> {
    let mut names = vec!["LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"];
    if args.all_namespaces {
        names.insert(0, "NAMESPACE");
    }
    if args.output == Some(Form::Wide) {
        names.splice(names.len() - 1.., ["SUBOBJECT", "FIRST SEEN", "COUNT", "MESSAGE"]);
    }
    headings(&names)
}

fn row(args: &Args, event: &Value, now: Wall) -> Vec<Cell> {
    let kind = json::text(event, "/type");
    let tone = if kind == "Warning" { Tone::Bad } else { Tone::Plain };
    let mut row: Vec<Cell> = vec![
        seen(event, now).into(),
        Cell::toned(kind, tone),
        json::text(event, "/reason").into(),
        object(event).into(),
    ];
    if args.all_namespaces {
        row.insert(0, json::text(event, "/metadata/namespace").into());
    }
    if args.output == Some(Form::Wide) {
        row.push(json::or_none(json::text(event, "/involvedObject/fieldPath")).into());
        row.push(age::since(first_time(event), now).into());
        row.push(json::number(event, "/count").max(1).to_string().into());
    }
    row.push(json::text(event, "/message").into());
    row
}

/// `pod/web-box`.
pub(crate) fn object(event: &Value) -> String {
    let kind = json::text(event, "/involvedObject/kind").to_lowercase();
    format!("{kind}/{}", json::text(event, "/involvedObject/name"))
}

/// `5s`, or `5s (x3 over 2m)`.
pub(crate) fn seen(event: &Value, now: Wall) -> String {
    let last = age::since(last_time(event), now);
    match json::number(event, "/count") {
        count if count > 1 => format!("{last} (x{count} over {})", age::since(first_time(event), now)),
        _ => last,
    }
}

fn last_time(event: &Value) -> &str {
    let last = json::text(event, "/lastTimestamp");
    if last.is_empty() { json::text(event, "/eventTime") } else { last }
}

fn first_time(event: &Value) -> &str {
    let first = json::text(event, "/firstTimestamp");
    if first.is_empty() { last_time(event) } else { first }
}

/// Whether an event was not shown before, or happened again since: an agent that is asked again tells all anew.
fn is_news(shown: &mut BTreeMap<String, i64>, event: &Value) -> bool {
    if shown.len() > SHOWN_MAX {
        shown.clear();
    }
    let count = json::number(event, "/count");
    shown.insert(json::text(event, "/metadata/name").to_owned(), count) != Some(count)
}

/// What there is, and from then on each event as it happens.
fn watch(args: &Args, wanted: impl Fn(&Value) -> bool, session: &mut Session<'_>) -> Result<(), Failure> {
    let mut watch = Watch::begin(&session.client, Request::Events { watch: true })?;
    let mut shown = BTreeMap::new();
    let mut table = Table::new(session.colour);
    let mut head = (!args.no_headers).then(|| columns(args));
    while let Some(answer) = watch.next(None)? {
        let one = std::slice::from_ref(&answer);
        let events = if answer.get("items").is_some() { json::list(&answer, "/items") } else { one };
        let events: Vec<&Value> =
            events.iter().filter(|event| wanted(event) && is_news(&mut shown, event)).collect();
        match args.output {
            None | Some(Form::Wide) => {
                let now = (session.now)();
                let head = if events.is_empty() { None } else { head.take() };
                let rows: Vec<_> = head.into_iter().chain(events.iter().map(|e| row(args, e, now))).collect();
                session.out.write_all(table.layout(&rows).as_bytes())?;
            }
            Some(form) => {
                for event in events {
                    match form {
                        Form::Name => name(session, event)?,
                        Form::Yaml => {
                            writeln!(session.out, "---")?;
                            output::yaml(session.out, event)?;
                        }
                        _ => output::json(session.out, event)?,
                    }
                }
            }
        }
        session.out.flush()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::{Agent, run_verb};
    use berth_core::time::NS_PER_S;
    use clap::Parser;
    use serde_json::json;

    #[test]
    fn repeated_events_tell_since_when() {
        let now = Wall(1000 * NS_PER_S);
        let mut event = json!({
            "firstTimestamp": "1970-01-01T00:10:00Z", "lastTimestamp": "1970-01-01T00:16:35Z", "count": 7,
            "involvedObject": {"kind": "Pod", "name": "web-box"}, "source": {"host": "Box"},
        });
        assert_eq!(seen(&event, now), "5s (x7 over 6m40s)");
        event["count"] = json!(1);
        assert_eq!(seen(&event, now), "5s");
        assert_eq!(object(&event), "pod/web-box");
        assert!(concerns(&event, "web") && concerns(&event, "web-box") && !concerns(&event, "we"));
        assert_eq!(seen(&json!({"eventTime": "1970-01-01T00:16:38.000001Z"}), now), "1s");
    }

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn a_watch_goes_on_with_the_next_agent_and_tells_nothing_twice() {
        let event = |name: &str, count: i64| {
            json!({
                "metadata": {"namespace": "default", "name": name}, "type": "Normal", "reason": "Pulled",
                "involvedObject": {"kind": "Pod", "name": "web-box"}, "source": {"host": "box"}, "message": name,
                "count": count, "firstTimestamp": "1970-01-01T00:00:30Z", "lastTimestamp": "1970-01-01T00:00:50Z",
            })
        };
        let agent = Agent::that_tells(vec![
            vec![json!({"items": [event("a", 1)]}), event("b", 1)],
            vec![json!({"items": [event("a", 1), event("b", 2)]})],
        ]);
        let args = Line::parse_from(["get", "events", "-w", "--for", "web"]).args;
        let ran = run_verb(&agent, |session| super::super::run(&args, session));
        let expected = "LAST SEEN   TYPE     REASON   OBJECT        MESSAGE\n\
                        10s         Normal   Pulled   pod/web-box   a\n\
                        10s         Normal   Pulled   pod/web-box   b\n\
                        10s (x2 over 30s)   Normal   Pulled   pod/web-box   b\n";
        assert_eq!(ran.out, expected);
        assert!(ran.result.is_err(), "the agent did not come back");
    }
}
