//! Probes and hooks: over the network from a task of their own, commands by the way of every command in a container.
//! Each answer comes back as news; one that does not come in time is the answer that there is none.

use crate::{
    agent::{Agent, Told},
    api::ask::{ExecAsk, Session},
    check,
};
use berth_core::{
    check::{Answer, Check, Handler, OUTPUT_LEN_MAX_BYTES, Purpose, Verdict},
    event::{FailReason, Failure, Outcome},
    ids::{ActionId, ContainerId, PodUid},
};
use berth_oci::{container, network};
use nix::{fcntl::OFlag, unistd::pipe2};
use std::{fs::File, io, os::fd::OwnedFd, time::Duration};
use tokio::{
    io::AsyncReadExt as _,
    net::unix::pipe::Receiver,
    sync::{mpsc, oneshot},
};

impl Agent {
    /// Asks a container that runs.
    pub(super) fn check(&mut self, action: ActionId, pod: &PodUid, run: &ContainerId, check: Check) {
        let roots = &self.env.roots;
        if let Err(error) = container::note_hook(roots, run, check.purpose) {
            return self.done(action, Outcome::Failed(error.to_failure(FailReason::Internal)));
        }
        let Check { purpose, handler, host_network, timeout_s } = check;
        let place = match network::addresses(roots, pod).into_iter().next() {
            Some(address) => check::Place::at(address),
            None => check::Place::within((!host_network).then(|| roots.pod_ns(pod, "net"))),
        };
        match handler {
            Handler::Exec { command } => self.check_by_command(action, run, command, timeout_s),
            handler => {
                let (told, hook) = (self.told.clone(), is_hook(purpose));
                tokio::spawn(async move {
                    let answer = check::ask(&handler, place, timeout_s, hook).await;
                    // Fails when the agent ends.
                    let _ = told.send(Told::Done(action, Outcome::Checked(answer))).await;
                });
            }
        }
    }

    fn check_by_command(
        &mut self,
        action: ActionId,
        run: &ContainerId,
        command: Vec<String>,
        timeout_s: u64,
    ) {
        let (output, fds) = match ends() {
            Ok(ends) => ends,
            Err(error) => {
                return self.failed(action, FailReason::Internal, format!("cannot make a pipe: {error}"));
            }
        };
        let shown = command.join(" ");
        let (answer, begun) = oneshot::channel();
        self.exec(ExecAsk { container: run.0.to_string(), command, tty: false, fds }, answer);
        let told = self.told.clone();
        tokio::spawn(async move {
            let outcome = match begun.await {
                Ok(Ok(session)) => Outcome::Checked(attend(session, output, &shown, timeout_s, &told).await),
                Ok(Err(refusal)) => {
                    Outcome::Failed(Failure { reason: FailReason::Internal, message: refusal.message })
                }
                // The agent ends.
                Err(_) => return,
            };
            let _ = told.send(Told::Done(action, outcome)).await;
        });
    }
}

fn is_hook(purpose: Purpose) -> bool {
    matches!(purpose, Purpose::PostStart | Purpose::PreStop)
}

/// Nothing to read, and one pipe for all that the command says.
fn ends() -> io::Result<(Receiver, Vec<OwnedFd>)> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
    let nothing = File::open("/dev/null")?;
    Ok((Receiver::from_owned_fd(read)?, vec![nothing.into(), write.try_clone()?, write]))
}

/// Waits for a command's end, or has it killed.
async fn attend(
    mut session: Session,
    mut output: Receiver,
    command: &str,
    timeout_s: u64,
    told: &mpsc::Sender<Told>,
) -> Answer {
    let mut said = Vec::new();
    let ended = async {
        loop {
            tokio::select! {
                biased;
                code = &mut session.exit => return code.ok(),
                read = listen(&mut output, &mut said) => if !read {
                    return (&mut session.exit).await.ok();
                },
            }
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(timeout_s), ended).await;
    let Ok(code) = ended else {
        let _ = told.send(Told::Overtime(session.id)).await;
        let output = format!("command timed out: \"{command}\" timed out after {timeout_s}s");
        return Answer { verdict: Verdict::Failure, output };
    };
    // What it said in its last moment.
    while said.len() < OUTPUT_LEN_MAX_BYTES && output.try_read_buf(&mut said).is_ok_and(|n| n > 0) {}
    said.truncate(OUTPUT_LEN_MAX_BYTES);
    let verdict = if code == Some(0) { Verdict::Success } else { Verdict::Failure };
    Answer { verdict, output: String::from_utf8_lossy(&said).trim_end().to_owned() }
}

/// Takes in a part of what the command says; beyond the bound it is read and forgotten, so that the command does not
/// stand still. False at its end.
async fn listen(output: &mut Receiver, said: &mut Vec<u8>) -> bool {
    if said.len() < OUTPUT_LEN_MAX_BYTES {
        return output.read_buf(said).await.is_ok_and(|n| n > 0);
    }
    output.read(&mut [0; 1024]).await.is_ok_and(|n| n > 0)
}
