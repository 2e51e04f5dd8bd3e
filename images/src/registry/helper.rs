//! Credential helpers: programs of the owner's that know names and passwords, `docker-credential-NAME` in the
//! program path, asked by the protocol of docker's credential helpers (`get`: the registry's name on standard
//! input, JSON on standard output). What they say is shown nowhere; one that does not end is killed with all that
//! it has started.

use super::auth::Credentials;
use crate::sys;
use serde::Deserialize;
use std::{
    ffi::OsStr,
    io::{Read as _, Write as _},
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

/// One question, start of the program included.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// What a helper may answer.
const ANSWER_MAX_BYTES: u64 = 64 * 1024;
/// Bytes of a helper's name.
const NAME_MAX_BYTES: usize = 64;
/// As which name a helper gives a token instead of a password.
const TOKEN_USER: &str = "<token>";
/// What a helper says when it knows nobody there: then the registry is asked as anybody.
const NOT_FOUND: &str = "credentials not found";

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "Username", default)]
    user: String,
    #[serde(rename = "Secret", default)]
    secret: String,
}

/// Asks the helper `name` for `registry`; None if it knows of nobody there. With `path` its program is looked for
/// there and not in the environment's `PATH`.
///
/// # Errors
/// Why there is no answer, without anything that the helper has said.
pub(super) fn get(name: &str, registry: &str, path: Option<&OsStr>) -> Result<Option<Credentials>, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > NAME_MAX_BYTES || !name.chars().all(plain) {
        return Err("the name of its credential helper may have letters, digits, `-`, `_` and `.`".into());
    }
    let program = format!("docker-credential-{name}");
    let mut command = Command::new(&program);
    command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
    if let Some(path) = path {
        command.env("PATH", path);
    }
    let mut child = command.spawn().map_err(|error| format!("{program} cannot be run: {error}"))?;
    let said = converse(&mut child, registry);
    if said.is_none() {
        // Its own group: what it has started goes with it.
        sys::kill_group(child.id());
    }
    let status = child.wait().map_err(|error| format!("{program}: {error}"))?;
    let Some(said) = said else {
        return Err(format!("{program} did not answer within {} s", ANSWER_MAX.as_secs()));
    };
    if !status.success() {
        let nobody = String::from_utf8_lossy(&said).contains(NOT_FOUND);
        return if nobody { Ok(None) } else { Err(format!("{program} failed: {status}")) };
    }
    let answer: Answer = serde_json::from_slice(&said)
        .map_err(|_| format!("{program} does not answer with Username and Secret in JSON"))?;
    Ok(match (answer.user.as_str(), answer.secret) {
        (_, secret) if secret.is_empty() => None,
        (TOKEN_USER, secret) => Some(Credentials::Identity(secret)),
        (user, password) => Some(Credentials::Password { user: user.to_owned(), password }),
    })
}

/// Puts the question and takes the answer, up to its bound; None if there is no end of it in time.
fn converse(child: &mut Child, registry: &str) -> Option<Vec<u8>> {
    if let Some(mut input) = child.stdin.take() {
        // One that does not read its question has its answer judged all the same.
        let _ = writeln!(input, "{registry}");
    }
    let output = child.stdout.take()?;
    let (done, answer) = mpsc::channel();
    thread::spawn(move || {
        let mut said = Vec::new();
        let read = output.take(ANSWER_MAX_BYTES).read_to_end(&mut said);
        // Nobody listens any more when the time is over.
        let _ = done.send(read.map(|_| said));
    });
    answer.recv_timeout(ANSWER_MAX).ok()?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_helpers_answer() {
        // Programs of the tree: one that is written and run at once may still be open for writing in another
        // thread's child.
        let path = format!("{}/src/registry/testdata:/usr/bin:/bin", env!("CARGO_MANIFEST_DIR"));
        let table = [
            ("password", "hub.test:5000", Ok(Some("geheim-user"))),
            ("password", "other.test", Ok(None)),
            ("token", "hub.test", Ok(Some("<token>"))),
            ("rubbish", "hub.test", Err("does not answer with Username and Secret")),
            ("broken", "hub.test", Err("failed: exit status: 3")),
            ("absent", "hub.test", Err("cannot be run")),
            ("../password", "hub.test", Err("may have letters")),
            ("", "hub.test", Err("may have letters")),
        ];
        for (name, registry, expected) in table {
            let got = get(name, registry, Some(OsStr::new(&path)));
            match (got, expected) {
                (Ok(got), Ok(expected)) => {
                    let user = got.map(|credentials| match credentials {
                        Credentials::Password { user, password } => {
                            assert_eq!(password, "geheim");
                            user
                        }
                        Credentials::Identity(token) => {
                            assert_eq!(token, "geheim");
                            TOKEN_USER.into()
                        }
                    });
                    assert_eq!(user.as_deref(), expected, "{name} {registry}");
                }
                (Err(why), Err(expected)) => {
                    assert!(why.contains(expected) && !why.contains("geheim"), "{name}: {why}");
                }
                (got, _) => panic!("{name} {registry}: {got:?}"),
            }
        }
    }
}
