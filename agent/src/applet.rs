//! The long-lived processes that this binary can be. Their arguments are read here by hand and not by the
//! command line's parser, whose tables would stay in the memory of processes that live for years.

mod sys;

use crate::{agent, config::Config};
use berth_keeper::{KeeperConfig, LOG_PIPE_BYTES_DEFAULT, STAGE_PIPE_BYTES_DEFAULT};
use berth_oci::sandbox::{init, own_users};
use std::{
    convert::Infallible,
    ffi::{OsStr, OsString},
    os::unix::{ffi::OsStrExt, process::CommandExt},
    path::PathBuf,
    process::{Command, ExitCode},
};

/// What a process of ours is for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Applet {
    /// Parent of all others and of every container.
    Keeper(Options),
    /// Decides.
    Agent(Options),
    /// Forks the workers.
    Zygote,
    /// Holds the process numbers of a pod.
    PodInit,
    /// Has the namespaces of a pod with users of its own until they are pinned; of these kinds.
    PodUsers(Vec<String>),
}

/// What keeper and agent are called with.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// `--config FILE`.
    pub(crate) config: Option<PathBuf>,
}

/// The applet that the arguments (without the program's name) ask for. None when they ask for something
/// else, for help, or have a mistake in them: then the command line's parser has the word.
pub(crate) fn from_args(mut args: impl Iterator<Item = OsString>) -> Option<Applet> {
    let name = args.next()?;
    match name.as_bytes() {
        b"keeper" => options(args).map(Applet::Keeper),
        b"agent" => options(args).map(Applet::Agent),
        b"zygote" => args.next().is_none().then_some(Applet::Zygote),
        name if name == own_users::APPLET.as_bytes() => {
            args.map(OsString::into_string).collect::<Result<_, _>>().ok().map(Applet::PodUsers)
        }
        name if name == init::APPLET.as_bytes() => args.next().is_none().then_some(Applet::PodInit),
        _ => None,
    }
}

fn options(mut args: impl Iterator<Item = OsString>) -> Option<Options> {
    let mut options = Options::default();
    while let Some(arg) = args.next() {
        let value = match arg.as_bytes().strip_prefix(b"--config") {
            Some(b"") => args.next()?,
            Some([b'=', value @ ..]) => OsStr::from_bytes(value).to_owned(),
            _ => return None,
        };
        options.config = Some(value.into());
    }
    Some(options)
}

impl Applet {
    /// Becomes the applet; returns when it has nothing more to do.
    pub(crate) fn run(self) -> ExitCode {
        match self {
            Self::Keeper(options) => keeper(&options),
            Self::Agent(options) if sys::has_keeper() => agent::main(agent::Args { config: options.config }),
            Self::Agent(options) => {
                let Err(error) = become_keeper(&options);
                eprintln!("error: cannot start the keeper: {error}");
                ExitCode::FAILURE
            }
            Self::Zygote => berth_oci::zygote::run(),
            Self::PodInit => exit_code(init::run()),
            Self::PodUsers(kinds) => exit_code(own_users::run(&kinds)),
        }
    }
}

/// Replaces this process by a keeper of the same binary, which starts an agent of its own.
fn become_keeper(options: &Options) -> std::io::Result<Infallible> {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("berth").arg("keeper");
    if let Some(config) = &options.config {
        command.arg("--config").arg(config);
    }
    Err(command.exec())
}

/// The keeper starts itself with arguments of its own; does what they say, if they are that.
pub(crate) fn keeper_itself(args: &[OsString]) -> Option<ExitCode> {
    let (name, args) = args.split_first()?;
    (name == "keeper").then(|| berth_keeper::internal(args)).flatten().map(exit_code)
}

fn keeper(options: &Options) -> ExitCode {
    let fail = |what: String| {
        eprintln!("error: {what}");
        ExitCode::FAILURE
    };
    let config = match Config::load(options.config.as_deref()) {
        Ok(config) => config,
        Err(error) => {
            fail(format!("the keeper cannot start:\n{error}"));
            return agent::unfit();
        }
    };
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => {
            return fail(format!("the keeper cannot find its own program (is /proc mounted?): {error}"));
        }
    };
    let agent_args = options.config.iter().flat_map(|file| ["--config".into(), file.into()]).collect();
    exit_code(berth_keeper::run(&KeeperConfig {
        program,
        agent_args,
        run_dir: config.run_directory,
        log_pipe_bytes: LOG_PIPE_BYTES_DEFAULT,
        stage_pipe_bytes: STAGE_PIPE_BYTES_DEFAULT,
    }))
}

fn exit_code(status: i32) -> ExitCode {
    u8::try_from(status).map_or(ExitCode::FAILURE, ExitCode::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_right_arguments_make_an_applet() {
        let with = |path: &str| Options { config: Some(path.into()) };
        for (args, expected) in [
            ("keeper", Some(Applet::Keeper(Options::default()))),
            ("agent", Some(Applet::Agent(Options::default()))),
            ("zygote", Some(Applet::Zygote)),
            ("pod-init", Some(Applet::PodInit)),
            ("pod-init 1", None),
            ("agent --config /a", Some(Applet::Agent(with("/a")))),
            ("keeper --config=/a", Some(Applet::Keeper(with("/a")))),
            ("", None),
            ("agent --config", None),
            ("agent --help", None),
            ("agent --configuration=/a", None),
            ("zygote --config /a", None),
            ("get pods", None),
        ] {
            assert_eq!(from_args(args.split_whitespace().map(OsString::from)), expected, "{args}");
        }
    }
}
