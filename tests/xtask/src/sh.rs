//! Running other programs: one line of what is run on stderr, an error that names it when it fails.

use std::{
    error::Error,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// What every task returns.
pub(crate) type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// The root of the checkout.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// `target/` of the checkout, where everything that is made goes.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Runs `command`; it must succeed.
pub(crate) fn run(command: &mut Command) -> Result {
    eprintln!("+ {}", show(command));
    let status = command.status().map_err(|e| format!("{}: {e}", show(command)))?;
    if status.success() { Ok(()) } else { Err(format!("{}: {status}", show(command)).into()) }
}

/// Runs `command` and returns its standard output; it must succeed.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let out = command.stderr(Stdio::inherit()).output().map_err(|e| format!("{}: {e}", show(command)))?;
    if !out.status.success() {
        return Err(format!("{}: {}", show(command), out.status).into());
    }
    Ok(String::from_utf8(out.stdout)?)
}

/// `program` with `args`.
pub(crate) fn cmd<S: AsRef<std::ffi::OsStr>>(program: &str, args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(program);
    command.args(args);
    command
}

/// The toolchain's cargo in the root of the checkout, free of what `cargo run` put into our environment.
pub(crate) fn cargo() -> Command {
    in_checkout(Command::new(cargo_program()))
}

/// The same, killed with all that it has started after so many seconds.
pub(crate) fn cargo_for(seconds: u64) -> Command {
    let mut command = cmd("timeout", ["--kill-after=10", &seconds.to_string()]);
    command.arg(cargo_program());
    in_checkout(command)
}

fn cargo_program() -> std::ffi::OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

fn in_checkout(mut command: Command) -> Command {
    clean_env(&mut command).current_dir(root());
    command
}

/// Removes what an outer cargo tells an inner one and the inner one would take for its own.
pub(crate) fn clean_env(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST") {
            command.env_remove(name);
        }
    }
    command
}

fn show(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|a| a.to_string_lossy().into_owned()));
    words.join(" ")
}
