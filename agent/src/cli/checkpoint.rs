//! `berth checkpoint`: what is kept of addresses of manifests, and of pods that ask for it, for when their source is gone.
//! Reads the files themselves, so it needs no agent. Never shows a value of a Secret or ConfigMap.

use super::{
    failure::Failure,
    output,
    session::Session,
    table::{Cell, Table, headings},
};
use crate::{
    config::Config,
    source::{
        checkpoint::{self, Digests},
        keepsake::file::{self, Filed},
    },
};
use berth_core::{
    manifest::{
        DesiredPod,
        answer::{Answer, answer},
        identity::written_name,
        keepsake::{Images, Keepsake},
        objects::Object,
    },
    time::Wall,
};
use clap::Subcommand;
use serde_json::{Value, json};
use std::{
    borrow::Cow,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Show or remove what is kept of pods for the time when their source is gone
///
/// Of each address of staticPodURL its last good answer is kept: at its start the agent runs that, before the address
/// has been asked. Of each pod with the annotation `berth/checkpoint: "true"` the pod is kept with every ConfigMap,
/// Secret and claim that it names. A revision takes the place of the one before when it is ready or has succeeded.
///
/// Such a pod runs on, and starts at boot, when its source is lost: its file or directory is not there (any more), cannot
/// be read, or the address does not answer. To delete the manifest while Berth runs is no loss but a removal, and ends the
/// checkpoint too; so does an answer or a file that is right and does not have the pod. What went while Berth did not run
/// is taken for lost: `rm` ends the pod then. So the annotation is not for manifests that are part of the system's image.
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
    /// When it was kept, and which pods, objects and images are in it
    Show {
        /// The address, the pod ([NAMESPACE/]NAME), or the name from `ls`
        #[arg(value_name = "URL|POD|NAME")]
        name: String,
    },
    /// Remove it: a pod that runs only because it is kept ends; an address has no pods at the agent's next start until it
    /// answers
    ///
    /// A pod whose manifest is there and still has the annotation is kept anew.
    #[command(verbatim_doc_comment)]
    Rm {
        /// Addresses, pods ([NAMESPACE/]NAME), or names from `ls`
        #[arg(value_name = "URL|POD|NAME", required = true)]
        names: Vec<String>,
    },
}

const EXAMPLES: &str = "\
Examples:
  berth checkpoint ls
  berth checkpoint show https://boxes.example/pods.yaml
  berth checkpoint show web
  berth checkpoint rm web https://boxes.example/pods.yaml";

/// Runs the verb.
pub(crate) fn run(args: &Args, session: &mut Session<'_>) -> Result<(), Failure> {
    let config = Config::load(args.config.as_deref()).map_err(Failure::error)?;
    let shelf = Shelf::look(&config.state_directory)?;
    match &args.verb {
        Verb::Ls => list(&shelf, session),
        Verb::Show { name } => {
            let found = shelf.find(name)?;
            match &found.kept {
                Ok(kept) => output::yaml(session.out, &shown(kept, &shelf.digests)),
                Err(why) => Err(Failure::error(format!("{}: {why}", found.path.display()))),
            }
        }
        Verb::Rm { names } => names.iter().try_for_each(|name| {
            berth_oci::durable::remove(&shelf.find(name)?.path).map_err(Failure::error)?;
            Ok(writeln!(session.out, "removed {name}")?)
        }),
    }
}

/// What a file keeps.
enum Kept {
    /// An answer of an address.
    Answer(Box<checkpoint::Kept>),
    /// A pod.
    Pod(Box<Filed>),
}

struct Found {
    path: PathBuf,
    kept: Result<Kept, String>,
}

/// All that is kept.
struct Shelf {
    found: Vec<Found>,
    digests: Digests,
}

impl Shelf {
    fn look(state: &Path) -> Result<Self, Failure> {
        let (urls, pods) = (checkpoint::dir(state), file::dir(state));
        let unread = |dir: &Path, error: io::Error| Failure::error(format!("{}: {error}", dir.display()));
        let mut found = Vec::new();
        for path in checkpoint::list(&urls).map_err(|error| unread(&urls, error))? {
            let kept = checkpoint::read(&path).transpose();
            found.extend(kept.map(|kept| Found { kept: kept.map(|kept| Kept::Answer(kept.into())), path }));
        }
        for path in file::list(&pods).map_err(|error| unread(&pods, error))? {
            let kept = file::read(&path).transpose();
            found.extend(kept.map(|kept| Found { kept: kept.map(|kept| Kept::Pod(kept.into())), path }));
        }
        Ok(Self { found, digests: checkpoint::digests(&urls) })
    }

    /// The one that is meant.
    fn find(&self, name: &str) -> Result<&Found, Failure> {
        let meant = |found: &&Found| found.name() == name || found.is_called(name);
        let missing =
            || Failure::error(format!("nothing is kept of {name}; `berth checkpoint ls` shows what is"));
        self.found.iter().find(meant).ok_or_else(missing)
    }
}

impl Found {
    /// The file's.
    fn name(&self) -> Cow<'_, str> {
        self.path.file_name().unwrap_or_default().to_string_lossy()
    }

    fn is_called(&self, name: &str) -> bool {
        match &self.kept {
            Ok(Kept::Answer(kept)) => kept.url == name,
            Ok(Kept::Pod(filed)) => {
                let pod = &filed.keepsake.pod;
                let (namespace, name) = name.split_once('/').unwrap_or(("default", name));
                *pod.key.namespace == *namespace && (*pod.key.name == *name || written_name(pod) == name)
            }
            Err(_) => false,
        }
    }
}

fn list(shelf: &Shelf, session: &mut Session<'_>) -> Result<(), Failure> {
    if shelf.found.is_empty() {
        return Ok(writeln!(session.err, "Nothing is kept.")?);
    }
    let mut rows = vec![headings(&["NAME", "KIND", "PODS", "KEPT", "FROM"])];
    for found in &shelf.found {
        let row: [String; 5] = match &found.kept {
            Ok(Kept::Answer(kept)) => {
                let pods = read(kept).0.len().to_string();
                [found.name().into(), "URL".into(), pods, Wall(kept.received_ns).rfc3339(), kept.url.clone()]
            }
            Ok(Kept::Pod(filed)) => {
                let pod = &filed.keepsake.pod;
                let (written, origin) = (filed.written.rfc3339(), pod.origin.to_string());
                [pod.key.to_string(), "Pod".into(), "1".into(), written, origin]
            }
            Err(why) => {
                let none = || "<none>".to_owned();
                [found.name().into(), none(), none(), none(), format!("<{why}>")]
            }
        };
        rows.push(row.iter().map(|text| Cell::from(text.as_str())).collect());
    }
    Ok(session.out.write_all(Table::new(session.colour).layout(&rows).as_bytes())?)
}

/// Any node's name: pods are shown without it.
const NODE: &str = "n";

fn read(kept: &checkpoint::Kept) -> (Vec<DesiredPod>, Vec<Arc<Object>>) {
    match answer(&kept.url, &kept.body, NODE) {
        Answer::Taken(output) => (output.pods, output.objects),
        Answer::Refused(_) => (Vec::new(), Vec::new()),
    }
}

/// What may be shown of it.
fn shown(kept: &Kept, digests: &Digests) -> Value {
    match kept {
        Kept::Answer(kept) => {
            let (pods, objects) = read(kept);
            let nothing = Images::new();
            let images = |pod: &DesiredPod| digests.0.get(&checkpoint::name(pod)).map(|(_, images)| images);
            let pods = pods.iter().map(|pod| shown_pod(pod, images(pod).unwrap_or(&nothing)));
            json!({
                "url": kept.url, "received": Wall(kept.received_ns).rfc3339(), "etag": kept.etag,
                "lastModified": kept.last_modified, "bytes": kept.body.len(),
                "pods": pods.collect::<Vec<_>>(), "objects": keys(&objects),
            })
        }
        Kept::Pod(filed) => {
            let Keepsake { pod, objects, images } = &filed.keepsake;
            json!({
                "from": &*pod.origin, "kept": filed.written.rfc3339(), "uid": pod.uid,
                "pods": [shown_pod(pod, images)], "objects": keys(objects),
            })
        }
    }
}

fn shown_pod(pod: &DesiredPod, digests: &Images) -> Value {
    let spec = &pod.pod.spec;
    let volumes = spec.volumes.iter().filter_map(|volume| Some(&volume.image.as_ref()?.reference));
    let named = spec.all_containers().map(|container| &container.image).chain(volumes);
    let image = |name: &String| json!({"image": name, "digest": digests.get(name)});
    let images: Vec<Value> = named.map(image).collect();
    json!({"namespace": &*pod.key.namespace, "name": written_name(pod), "images": images})
}

fn keys(objects: &[Arc<Object>]) -> Vec<String> {
    objects.iter().map(|object| object.key.to_string()).collect()
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
