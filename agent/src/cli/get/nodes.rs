//! `berth get nodes`: this node, as kubectl would list it.

use super::{
    super::{
        age,
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
    let meaningless = [("-w", args.watch), ("--for", args.about.is_some())];
    args.refuse("nodes", &meaningless)?;
    let node = session.client.call(&Request::Node)?;
    let name = json::text(&node, "/metadata/name");
    if let Some(other) = names.iter().find(|wanted| *wanted != name) {
        return Err(Failure::error(format!("nodes {other:?} not found: this one is {name}")));
    }
    if !args.selected(&node) {
        return Ok(writeln!(session.err, "No resources found.")?);
    }
    match args.output {
        Some(form @ (Form::Json | Form::Yaml)) => super::structured(session, form, &node),
        Some(Form::Name) => Ok(writeln!(session.out, "node/{name}")?),
        form => {
            let wide = form == Some(Form::Wide);
            let mut columns = vec!["NAME", "STATUS", "AGE", "VERSION", "CPU", "MEMORY", "PODS"];
            if wide {
                columns.extend(["INTERNAL-IP", "OS-IMAGE", "KERNEL-VERSION"]);
            }
            let now = (session.now)();
            let mut row: Vec<Cell> = vec![
                name.into(),
                ready(&node).into(),
                age::since(json::text(&node, "/metadata/creationTimestamp"), now).into(),
                json::text(&node, "/status/nodeInfo/kubeletVersion").into(),
            ];
            for resource in ["cpu", "memory", "pods"] {
                row.push(json::text(&node, &format!("/status/allocatable/{resource}")).into());
            }
            if wide {
                let places = [
                    "/status/addresses/0/address",
                    "/status/nodeInfo/osImage",
                    "/status/nodeInfo/kernelVersion",
                ];
                row.extend(places.map(|place| json::or_none(json::text(&node, place)).into()));
            }
            print(session, headings(&columns), vec![row], args.no_headers, "")
        }
    }
}

/// `Ready`, with what else is the matter.
fn ready(node: &Value) -> String {
    let conditions = json::list(node, "/status/conditions").iter();
    let holding = conditions.filter(|condition| json::text(condition, "/status") == "True");
    let names: Vec<&str> = holding.map(|condition| json::text(condition, "/type")).collect();
    names.join(",")
}
