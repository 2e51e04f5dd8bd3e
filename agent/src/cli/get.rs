//! `berth get`: lists of pods, events, images, problems, sources, the node and the objects beside the pods.

mod events;
mod images;
mod kind;
mod nodes;
mod objects;
mod pods;
mod problems;
mod sources;
mod watch;

pub(crate) use events::{object as event_object, seen as event_seen};
pub(crate) use images::{short_id, size as image_size};

use super::{
    failure::Failure,
    output::{self, Form},
    select::{DEFAULT_NAMESPACE, Selector},
    session::Session,
    table::{Cell, Table},
};
use kind::{Kind, KindParser, Target};
use serde::Serialize;
use serde_json::Value;

/// Show pods, images, events, problems, sources, the node, or the objects beside pods
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// What to show: pods, images, events, problems (of manifests), sources, nodes, configmaps, secrets, pvc; also pod/NAME
    #[arg(value_name = "KIND", value_parser = KindParser)]
    target: Target,
    /// Only these; pod names with or without the node's suffix
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Namespace of the objects
    #[arg(short, long, value_name = "NAME", default_value = DEFAULT_NAMESPACE)]
    namespace: String,
    /// All namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Form of the output [default: a table]
    #[arg(short, long, value_name = "FORM")]
    output: Option<Form>,
    /// Go on and show what changes
    #[arg(short, long)]
    watch: bool,
    /// Only objects with these labels: app=web,tier!=back,canary,!old,zone in (a,b)
    #[arg(short = 'l', long, value_name = "LABELS")]
    selector: Option<Selector>,
    /// No line of column headings
    #[arg(long)]
    no_headers: bool,
    /// A column with the labels
    #[arg(long)]
    show_labels: bool,
    /// Only events of this pod, as pod/NAME or NAME
    #[arg(long = "for", value_name = "POD")]
    about: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  berth get pods                       the pods of namespace default
  berth get pods -A -o wide            of all namespaces, with addresses, node and uid
  berth get pod web -o yaml            one pod as Kubernetes knows it, with its status
  berth get pods -l app=web -w         follow what becomes of them
  berth get pods -o json | jq -r '.items[].status.phase'
  berth get events --for pod/web       what happened to a pod
  berth get images                     the images in the store
  berth get secrets                    names and keys, never a value; also configmaps, pvc
  berth get problems                   what is wrong with manifests, with file, line and column
  berth get sources                    where manifests come from, and how it is with their addresses";

/// Runs the verb.
pub(crate) fn run(args: &Args, session: &mut Session<'_>) -> Result<(), Failure> {
    let mut names = args.names.clone();
    names.extend(args.target.name.clone());
    match args.target.kind {
        Kind::Pods => pods::run(args, &names, session),
        Kind::Events => events::run(args, &names, session),
        Kind::Images => images::run(args, &names, session),
        Kind::Problems => problems::run(args, &names, session),
        Kind::Sources => sources::run(args, &names, session),
        Kind::Nodes => nodes::run(args, &names, session),
        Kind::ConfigMaps => objects::run(args, &objects::CONFIG_MAPS, &names, session),
        Kind::Secrets => objects::run(args, &objects::SECRETS, &names, session),
        Kind::Claims => objects::run(args, &objects::CLAIMS, &names, session),
        Kind::Policies => objects::run(args, &objects::POLICIES, &names, session),
    }
}

impl Args {
    /// Whether an object of this namespace is asked for.
    fn in_namespace(&self, namespace: &str) -> bool {
        self.all_namespaces || self.namespace == namespace
    }

    /// Whether an object's labels are asked for.
    fn selected(&self, object: &Value) -> bool {
        self.selector.as_ref().is_none_or(|selector| selector.matches(object))
    }

    /// ` in default namespace`, for sentences.
    fn place(&self) -> String {
        if self.all_namespaces { String::new() } else { format!(" in namespace {}", self.namespace) }
    }

    /// Refuses options that have no meaning for `kind`.
    fn refuse(&self, kind: &str, options: &[(&str, bool)]) -> Result<(), Failure> {
        match options.iter().find(|(_, given)| *given) {
            Some((option, _)) => Err(Failure::Usage(format!("{option} has no meaning for {kind}"))),
            None => Ok(()),
        }
    }
}

/// Prints `{"items": …}`.
fn items(session: &mut Session<'_>, form: Form, items: impl Serialize) -> Result<(), Failure> {
    let items = serde_json::to_value(items).map_err(Failure::error)?;
    structured(session, form, &serde_json::json!({ "items": items }))
}

/// Prints a value as YAML or JSON.
pub(crate) fn structured(session: &mut Session<'_>, form: Form, value: &Value) -> Result<(), Failure> {
    match form {
        Form::Yaml => output::yaml(session.out, value),
        _ => output::json(session.out, value),
    }
}

/// Prints rows under headings; a note on stderr when there are none.
pub(crate) fn print(
    session: &mut Session<'_>,
    headings: Vec<Cell>,
    rows: Vec<Vec<Cell>>,
    no_headers: bool,
    nothing: &str,
) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(writeln!(session.err, "{nothing}")?);
    }
    let heading = (!no_headers).then_some(headings);
    let all: Vec<_> = heading.into_iter().chain(rows).collect();
    Ok(session.out.write_all(Table::new(session.colour).layout(&all).as_bytes())?)
}
