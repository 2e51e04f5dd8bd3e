//! `berth check`: are these manifests right? Off the device: needs no agent, no image, no network.

use super::{
    failure::{EXIT_ERROR, Failure},
    output::{self, Machine},
    session::Session,
};
use berth_core::manifest::{
    Format, LoadInput, LoadOutput, Problem, limits::FILE_LEN_MAX_BYTES, load, merge, objects::Salt,
};
use serde_json::json;
use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// Files in one directory that are looked at.
const DIRECTORY_ENTRIES_MAX: usize = 4096;

/// Check manifests: all that is wrong at once, with file, line and column
///
/// A pod that passes here is one that Berth runs: the same code reads it. Exits with 1 if anything is wrong.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment, after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Manifests (.yaml, .yml, .json), directories with manifests, or - for standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// The node's name that pods' names will end with
    #[arg(long, value_name = "NAME", default_value = "node")]
    node: String,
    /// Form of the output [default: a line for each problem]
    #[arg(short, long, value_name = "FORM")]
    output: Option<Machine>,
    /// Say nothing of what is right
    #[arg(short, long)]
    quiet: bool,
}

const EXAMPLES: &str = "\
Examples:
  berth check web.yaml
  berth check manifests/ -o json
  helm template chart | berth check -";

/// Runs the verb.
pub(crate) fn run(args: &Args, session: &mut Session<'_>) -> Result<(), Failure> {
    let outputs = load_all(&args.files, &args.node)?;
    let verdict = Verdict::of(&outputs);
    match args.output {
        Some(Machine::Json) => output::json(session.out, &verdict.json())?,
        None => verdict.print(args.quiet, session)?,
    }
    if verdict.problems.is_empty() { Ok(()) } else { Err(Failure::Status(EXIT_ERROR)) }
}

/// Reads the manifests of all paths; each file's name with what is in it.
///
/// # Errors
/// A file or directory cannot be read.
pub(super) fn load_all(paths: &[PathBuf], node: &str) -> Result<Vec<(String, LoadOutput)>, Failure> {
    let mut outputs = Vec::new();
    for path in paths {
        for file in files(path)? {
            let name = if file == Path::new("-") { "<stdin>".to_owned() } else { file.display().to_string() };
            let bytes = bytes(&file).map_err(|error| Failure::error(format!("{name}: {error}")))?;
            let output =
                load(&LoadInput { file: &name, bytes: &bytes, format: format(&file), node, source: "file" });
            outputs.push((name, output));
        }
    }
    Ok(outputs)
}

/// The files that a path on the command line stands for.
fn files(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    let unreadable = |error: io::Error| Failure::error(format!("{}: {error}", path.display()));
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in path.read_dir().map_err(unreadable)?.take(DIRECTORY_ENTRIES_MAX) {
        let entry = entry.map_err(unreadable)?.path();
        let hidden = entry.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let known = entry.extension().is_some_and(|e| e == "yaml" || e == "yml" || e == "json");
        if known && !hidden && entry.is_file() {
            files.push(entry);
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(Failure::error(format!(
            "{}: no .yaml, .yml or .json file in this directory",
            path.display()
        )));
    }
    Ok(files)
}

/// One byte more than is allowed at most, so that the reader of manifests can say so.
fn bytes(file: &Path) -> io::Result<Vec<u8>> {
    let limit = FILE_LEN_MAX_BYTES as u64 + 1;
    let mut bytes = Vec::new();
    if file == Path::new("-") {
        io::stdin().lock().take(limit).read_to_end(&mut bytes)?;
    } else {
        File::open(file)?.take(limit).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

fn format(file: &Path) -> Format {
    if file.extension().is_some_and(|extension| extension == "json") { Format::Json } else { Format::Yaml }
}

/// What is to be said of all files.
struct Verdict {
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    /// File and pod.
    pods: Vec<(String, String)>,
    /// File and object.
    objects: Vec<(String, String)>,
}

impl Verdict {
    fn of(outputs: &[(String, LoadOutput)]) -> Self {
        let pods = |(file, output): &(String, LoadOutput)| {
            let file = file.clone();
            output.pods.iter().map(move |pod| (file.clone(), pod.key.to_string())).collect::<Vec<_>>()
        };
        let objects = |(file, output): &(String, LoadOutput)| {
            let file = file.clone();
            output
                .objects
                .iter()
                .map(move |object| (file.clone(), object.key.to_string()))
                .collect::<Vec<_>>()
        };
        let files: Vec<(&str, LoadOutput)> =
            outputs.iter().map(|(name, output)| (name.as_str(), output.clone())).collect();
        Self {
            // Merged as Berth would, so that two files that name one pod are told too.
            problems: merge(&files, &Salt::default()).problems,
            warnings: outputs.iter().flat_map(|(_, output)| output.warnings.clone()).collect(),
            pods: outputs.iter().flat_map(pods).collect(),
            objects: outputs.iter().flat_map(objects).collect(),
        }
    }

    fn json(&self) -> serde_json::Value {
        let pods: Vec<_> = self.pods.iter().map(|(file, pod)| json!({"file": file, "pod": pod})).collect();
        let object = |(file, object): &(String, String)| json!({"file": file, "object": object});
        let objects: Vec<_> = self.objects.iter().map(object).collect();
        json!({
            "valid": self.problems.is_empty(),
            "problems": self.problems,
            "warnings": self.warnings,
            "pods": pods,
            "objects": objects,
        })
    }

    fn print(&self, quiet: bool, session: &mut Session<'_>) -> Result<(), Failure> {
        for problem in &self.problems {
            writeln!(session.out, "{problem}")?;
        }
        for warning in &self.warnings {
            writeln!(session.out, "{}", as_warning(warning))?;
        }
        let count = self.problems.len();
        match count {
            0 if quiet => {}
            0 if self.pods.is_empty() && self.objects.is_empty() => {
                writeln!(session.err, "no pods in there")?
            }
            0 => {
                for (file, pod) in &self.pods {
                    writeln!(session.out, "{file}: pod {pod} is valid")?;
                }
                for (file, object) in &self.objects {
                    writeln!(session.out, "{file}: {object} is valid")?;
                }
            }
            1 => writeln!(session.err, "1 problem")?,
            _ => writeln!(session.err, "{count} problems")?,
        }
        Ok(())
    }
}

/// `file:line:column: warning: …`.
fn as_warning(warning: &Problem) -> Problem {
    let path = if warning.path.is_empty() { String::new() } else { format!("{}: ", warning.path) };
    Problem { path: "warning".into(), message: format!("{path}{}", warning.message), ..warning.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_stands_for_its_manifests() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.yaml", "a.json", "c.yml", ".d.yaml", "e.yaml.bak", "f.txt"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let names = |path: &Path| {
            let files = files(path).unwrap();
            files.iter().map(|f| f.file_name().unwrap().to_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(dir.path()), ["a.json", "b.yaml", "c.yml"]);
        assert_eq!(names(&dir.path().join("f.txt")), ["f.txt"]);
        let empty = tempfile::tempdir().unwrap();
        assert!(files(empty.path()).is_err());
    }

    #[test]
    fn warnings_look_like_a_compilers() {
        let warning = Problem {
            file: "a.yaml".into(),
            line: 3,
            column: 5,
            path: "spec.x".into(),
            message: "has no effect".into(),
            pod: None,
        };
        assert_eq!(as_warning(&warning).to_string(), "a.yaml:3:5: warning: spec.x: has no effect");
    }
}
