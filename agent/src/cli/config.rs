//! `berth config`: what is in effect, each key explained.

use super::{failure::Failure, output, session::Session};
use crate::{api::wire::Request, config::Config};
use clap::ValueEnum;
use std::path::PathBuf;

/// Show the configuration in effect, each key explained
///
/// That of the running agent; when none runs, or with --file, that which an agent started now would have. The
/// output can be used as a configuration file.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment, after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Read this file instead of asking the agent; exits with 1 and says where if anything in it is wrong
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Form of the output
    #[arg(short, long, value_name = "FORM", default_value = "yaml")]
    output: Form,
}

const EXAMPLES: &str = "\
Examples:
  berth config                               what the agent works with
  berth config --file /etc/berth/config.yaml  is this file right?
  berth config -o json | jq .maxPods";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// YAML, each key explained
    Yaml,
    /// JSON
    Json,
}

/// Runs the verb.
pub(crate) fn run(args: &Args, session: &mut Session<'_>) -> Result<(), Failure> {
    let config = match &args.file {
        Some(file) => Config::load(Some(file)).map_err(Failure::error)?,
        None => match session.client.call(&Request::Config) {
            Ok(value) => serde_json::from_value(value).map_err(|error| {
                Failure::error(format!(
                    "the agent's configuration cannot be understood ({error}); is it of another version? See \
                     `berth version`"
                ))
            })?,
            Err(Failure::Error(why)) => {
                writeln!(session.err, "note: {why}. This is what an agent started now would have:")?;
                Config::load(None).map_err(Failure::error)?
            }
            Err(other) => return Err(other),
        },
    };
    match args.output {
        Form::Json => output::json(session.out, &config),
        Form::Yaml => Ok(session.out.write_all(config.documented().as_bytes())?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::{Agent, run_verb};

    #[test]
    fn the_agents_configuration_is_shown_explained() {
        let config = Config { max_pods: 7, ..Config::default() };
        let value = serde_json::to_value(&config).unwrap();
        let agent = Agent::that_knows(move |_| value.clone());
        let ran = run_verb(&agent, |session| run(&Args { file: None, output: Form::Yaml }, session));
        assert_eq!(ran.result, Ok(()));
        assert_eq!(ran.out, config.documented());
    }

    #[test]
    fn what_is_wrong_with_a_file_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("c.yaml");
        std::fs::write(&file, "maxPods: many\n").unwrap();
        let agent = Agent::that_tells(Vec::new());
        let ran = run_verb(&agent, |session| run(&Args { file: Some(file), output: Form::Json }, session));
        let Err(Failure::Error(message)) = ran.result else { panic!() };
        assert!(message.contains("c.yaml:1:"), "{message}");
    }
}
