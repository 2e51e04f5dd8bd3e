//! `berth get configmaps|secrets|pvc`: what there is beside the pods, and from which file. The agent tells no
//! values, so none can be shown.

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

/// How one kind is listed.
pub(super) struct Listing {
    /// As a manifest's `kind` has it.
    kind: &'static str,
    /// In lower case, for `-o name` and sentences.
    name: &'static str,
    /// The same for many.
    plural: &'static str,
    /// Columns between the name and the file: heading, and the field that is shown.
    columns: &'static [(&'static str, &'static str)],
}

/// ConfigMaps.
pub(super) const CONFIG_MAPS: Listing =
    Listing { kind: "ConfigMap", name: "configmap", plural: "configmaps", columns: &[("DATA", "/keys")] };
/// Secrets.
pub(super) const SECRETS: Listing = Listing {
    kind: "Secret",
    name: "secret",
    plural: "secrets",
    columns: &[("TYPE", "/type"), ("DATA", "/keys")],
};
/// PersistentVolumeClaims.
pub(super) const CLAIMS: Listing = Listing {
    kind: "PersistentVolumeClaim",
    name: "persistentvolumeclaim",
    plural: "persistentvolumeclaims",
    columns: &[("REQUESTED", "/storage")],
};

/// NetworkPolicies.
pub(super) const POLICIES: Listing = Listing {
    kind: "NetworkPolicy",
    name: "networkpolicy",
    plural: "networkpolicies",
    columns: &[("POD-SELECTOR", "/podSelector")],
};

pub(super) fn run(
    args: &Args,
    listing: &Listing,
    names: &[String],
    session: &mut Session<'_>,
) -> Result<(), Failure> {
    let meaningless = [
        ("-w", args.watch),
        ("-l", args.selector.is_some()),
        ("--show-labels", args.show_labels),
        ("--for", args.about.is_some()),
    ];
    args.refuse(listing.name, &meaningless)?;
    let answer = session.client.call(&Request::Objects)?;
    let wanted = |object: &&Value| {
        json::text(object, "/kind") == listing.kind
            && args.in_namespace(json::text(object, "/namespace"))
            && (names.is_empty() || names.iter().any(|name| name == json::text(object, "/name")))
    };
    let objects: Vec<&Value> = json::list(&answer, "/items").iter().filter(wanted).collect();
    match args.output {
        Some(form @ (Form::Json | Form::Yaml)) => super::items(session, form, &objects),
        Some(Form::Name) => objects.iter().try_for_each(|object| {
            Ok(writeln!(session.out, "{}/{}", listing.name, json::text(object, "/name"))?)
        }),
        None | Some(Form::Wide) => {
            let rows = objects.iter().map(|object| row(object, args, listing)).collect();
            let mut columns = if args.all_namespaces { vec!["NAMESPACE", "NAME"] } else { vec!["NAME"] };
            columns.extend(listing.columns.iter().map(|(heading, _)| heading));
            columns.push("FILE");
            let nothing = format!("No {}{}.", listing.plural, args.place());
            print(session, headings(&columns), rows, args.no_headers, &nothing)
        }
    }
}

fn row(object: &Value, args: &Args, listing: &Listing) -> Vec<Cell> {
    let mut row: Vec<Cell> = Vec::with_capacity(listing.columns.len() + 3);
    if args.all_namespaces {
        row.push(json::text(object, "/namespace").into());
    }
    row.push(json::text(object, "/name").into());
    for (_, field) in listing.columns {
        let shown = match object.pointer(field) {
            // As kubectl: how many, not which.
            Some(Value::Array(keys)) => keys.len().to_string(),
            _ => json::text(object, field).to_owned(),
        };
        row.push(shown.as_str().into());
    }
    row.push(json::text(object, "/file").into());
    row
}

#[cfg(test)]
mod tests {
    use super::super::{super::testing, Args, run};
    use clap::Parser;
    use serde_json::json;
    use testing::Agent;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn said(agent: &Agent, line: &str) -> String {
        let args = Line::parse_from(line.split(' ')).args;
        testing::run_verb(agent, |session| run(&args, session)).out
    }

    #[test]
    fn objects_are_listed_by_kind_and_namespace() {
        let object = |kind: &str, namespace: &str, name: &str| {
            json!({"kind": kind, "namespace": namespace, "name": name, "type": "Opaque", "keys": ["a", "b"],
                "immutable": false, "storage": "1Gi", "file": "x.yaml"})
        };
        let items = vec![
            object("ConfigMap", "default", "conf"),
            object("Secret", "default", "word"),
            object("Secret", "other", "word"),
        ];
        let agent = Agent::that_knows(move |_| json!({"items": items}));
        let out = said(&agent, "get secrets -A");
        assert_eq!(out.lines().count(), 3, "{out}");
        assert!(out.lines().next().unwrap().split_whitespace().eq([
            "NAMESPACE",
            "NAME",
            "TYPE",
            "DATA",
            "FILE"
        ]));
        assert!(
            out.lines().nth(2).unwrap().split_whitespace().eq(["other", "word", "Opaque", "2", "x.yaml"])
        );
        assert_eq!(said(&agent, "get cm -o name"), "configmap/conf\n");
        assert_eq!(said(&agent, "get pvc"), "");
    }
}
