//! `berth checkpoint`: what is kept of addresses of manifests for a boot without network. Reads the files themselves,
//! so it needs no agent. Never shows a value of a Secret or ConfigMap.

use super::{
    failure::Failure,
    json, output,
    session::Session,
    table::{Cell, Table, headings},
};
use crate::{
    config::Config,
    source::checkpoint::{self, Kept},
};
use berth_core::{
    manifest::answer::{Answer, answer},
    time::Wall,
};
use clap::Subcommand;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Show or remove what is kept of the addresses of staticPodURL
///
/// At its start the agent runs what each address said last, before it has been asked. Removing that changes nothing
/// in a running agent.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment, after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
    /// Configuration file that names the stateDirectory [default: /etc/berth/config.yaml, if there is one]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// All that is kept
    Ls,
    /// When it came, and which pods and objects are in it
    Show {
        /// The address, or the name from `ls`
        #[arg(value_name = "URL|NAME")]
        name: String,
    },
    /// Remove it: the next start of the agent has no pods of these addresses until they answer
    Rm {
        /// Addresses, or names from `ls`
        #[arg(value_name = "URL|NAME", required = true)]
        names: Vec<String>,
    },
}

const EXAMPLES: &str = "\
Examples:
  berth checkpoint ls
  berth checkpoint show https://boxes.example/pods.yaml
  berth checkpoint rm https://boxes.example/pods.yaml";

/// Runs the verb.
pub(crate) fn run(args: &Args, session: &mut Session<'_>) -> Result<(), Failure> {
    let config = Config::load(args.config.as_deref()).map_err(Failure::error)?;
    let dir = checkpoint::dir(&config.state_directory);
    match &args.verb {
        Verb::Ls => list(&dir, session),
        Verb::Show { name } => {
            let path = find(&dir, name)?;
            let kept = checkpoint::read(&path)
                .and_then(|kept| kept.ok_or_else(|| "it is gone".to_owned()))
                .map_err(|why| Failure::error(format!("{}: {why}", path.display())))?;
            output::yaml(session.out, &shown(&kept))
        }
        Verb::Rm { names } => names.iter().try_for_each(|name| {
            let path = find(&dir, name)?;
            berth_oci::durable::remove(&path).map_err(Failure::error)?;
            Ok(writeln!(session.out, "removed {name}")?)
        }),
    }
}

fn list(dir: &Path, session: &mut Session<'_>) -> Result<(), Failure> {
    let paths =
        checkpoint::list(dir).map_err(|error| Failure::error(format!("{}: {error}", dir.display())))?;
    if paths.is_empty() {
        return Ok(writeln!(session.err, "Nothing is kept.")?);
    }
    let mut rows = vec![headings(&["NAME", "PODS", "RECEIVED", "URL"])];
    for path in &paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let row: [String; 4] = match checkpoint::read(path) {
            Ok(Some(kept)) => {
                let pods = json::list(&shown(&kept), "/pods").len().to_string();
                [name, pods, Wall(kept.received_ns).rfc3339(), kept.url]
            }
            Ok(None) => continue,
            Err(why) => [name, "<none>".into(), "<none>".into(), format!("<{why}>")],
        };
        rows.push(row.iter().map(|text| Cell::from(text.as_str())).collect());
    }
    Ok(session.out.write_all(Table::new(session.colour).layout(&rows).as_bytes())?)
}

/// Any node's name: pods are shown without it.
const NODE: &str = "n";

/// What may be shown of it.
fn shown(kept: &Kept) -> Value {
    let name = |name: &str| name.strip_suffix("-n").unwrap_or(name).to_owned();
    let (pods, objects) = match answer(&kept.url, &kept.body, NODE) {
        Answer::Taken(output) => (output.pods, output.objects),
        Answer::Refused(_) => (Vec::new(), Vec::new()),
    };
    let pods = pods.iter().map(|pod| {
        let images: Vec<&str> =
            pod.pod.spec.all_containers().map(|container| container.image.as_str()).collect();
        json!({"namespace": &*pod.key.namespace, "name": name(&pod.key.name), "images": images})
    });
    json!({
        "url": kept.url, "received": Wall(kept.received_ns).rfc3339(), "etag": kept.etag,
        "lastModified": kept.last_modified, "bytes": kept.body.len(), "pods": pods.collect::<Vec<_>>(),
        "objects": objects.iter().map(|object| object.key.to_string()).collect::<Vec<_>>(),
    })
}

/// The file that is meant.
fn find(dir: &Path, name: &str) -> Result<PathBuf, Failure> {
    let paths = checkpoint::list(dir).unwrap_or_default();
    let by_url = checkpoint::path(dir, name);
    let meant = |path: &&PathBuf| **path == by_url || path.file_name().is_some_and(|file| file == name);
    let missing =
        || Failure::error(format!("nothing is kept of {name}; `berth checkpoint ls` shows what is"));
    paths.iter().find(meant).cloned().ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::{super::testing, Args, run};
    use crate::source::checkpoint::{self, Kept};
    use clap::Parser;
    use testing::Agent;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn what_is_kept_is_listed_shown_without_values_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("config.yaml");
        std::fs::write(&config, format!("stateDirectory: {}\n", dir.path().display())).unwrap();
        let url = "https://a.test/pods";
        let body = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {k: hush}\n---\n\
            apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: c, image: i:1}]}\n";
        let kept = Kept {
            url: url.into(),
            received_ns: 60_000_000_000,
            etag: None,
            last_modified: None,
            body: body.into(),
        };
        let state = checkpoint::dir(dir.path());
        checkpoint::write(&checkpoint::path(&state, url), &kept).unwrap();
        std::fs::write(state.join("other"), "").unwrap();
        let agent = Agent::that_knows(|_| serde_json::Value::Null);
        let said = |line: &str| {
            let line = format!("checkpoint --config {} {line}", config.display());
            testing::run_verb(&agent, |session| run(&Line::parse_from(line.split(' ')).args, session))
        };
        let listed = said("ls").out;
        assert!(
            listed.contains("1970-01-01T00:01:00Z") && listed.contains(url) && listed.contains("damaged"),
            "{listed}"
        );
        let shown = said(&format!("show {url}")).out;
        assert!(
            shown.contains("name: web\n") && shown.contains("i:1") && shown.contains("default/s"),
            "{shown}"
        );
        assert!(!shown.contains("hush"));
        said("rm other");
        said(&format!("rm {url}"));
        assert_eq!(said("ls").out, "");
    }
}
