//! One connection: one request, its replies, the end. A client that is slow to ask or to listen is cut off.

use super::{
    ask::{Answer, Ask, Asks, ExecAsk, Refusal, Session, ask},
    images, interfaces, pods, sys, usage,
    wire::{ImageOperation, REQUEST_LEN_MAX_BYTES, Reply, Request},
};
use crate::agent::Env;
use serde_json::{Value, json};
use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncWriteExt, Interest},
    net::UnixStream,
    sync::watch,
    time::timeout,
};

/// Seconds in which a request must have come.
const REQUEST_WITHIN_S: u64 = 5;
/// Seconds in which a client must have taken a reply.
const REPLY_WITHIN_S: u64 = 10;
/// Arguments of a command to run.
const COMMAND_LEN_MAX: usize = 1024;

/// What all connections share.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    /// The way to the main loop.
    pub(crate) asks: Asks,
    /// Raised when pods or events may have changed.
    pub(crate) changes: watch::Receiver<u64>,
    /// Configuration, node and image store.
    pub(crate) env: Arc<Env>,
}

/// A client.
#[derive(Debug)]
pub(super) struct Connection {
    stream: UnixStream,
}

/// Serves one client.
pub(super) async fn serve(stream: UnixStream, context: Context) {
    let peer = stream.peer_cred().map(|peer| (peer.uid(), peer.pid().unwrap_or(0)));
    let mut connection = Connection::new(stream);
    let request = match timeout(Duration::from_secs(REQUEST_WITHIN_S), connection.request()).await {
        Ok(Ok(request)) => request,
        Ok(Err(refusal)) => return connection.refuse(refusal).await,
        Err(_) => return connection.refuse(Refusal::bad("no request came in time")).await,
    };
    let (uid, pid) = peer.unwrap_or((u32::MAX, 0));
    match &request.0 {
        // Asked four times a second while somebody watches.
        Request::Image { operation: ImageOperation::Progress } => {
            tracing::debug!(uid, pid, request = ?request.0, "asked for");
        }
        Request::Exec { .. } | Request::Upgrade { .. } | Request::Image { .. } => {
            tracing::info!(uid, pid, request = ?request.0, "asked for");
        }
        other => tracing::debug!(uid, pid, request = ?other, "asked for"),
    }
    match connection.answer(request.0, request.1, context).await {
        Ok(()) => {}
        Err(Stop::Refused(refusal)) => connection.refuse(refusal).await,
        Err(Stop::Gone) => {}
    }
}

/// Why a connection ends early.
#[derive(Debug)]
pub(super) enum Stop {
    /// With this as the last word.
    Refused(Refusal),
    /// The client is gone or does not listen.
    Gone,
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<io::Error> for Stop {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

impl Connection {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self { stream }
    }

    /// Reads the request line and the descriptors that come with it.
    async fn request(&mut self) -> Result<(Request, Vec<OwnedFd>), Refusal> {
        let mut line = Vec::new();
        let mut fds = Vec::new();
        let mut part = vec![0; 4096];
        let end = loop {
            let received = self
                .stream
                .async_io(Interest::READABLE, || sys::receive(self.stream.as_fd(), &mut part, &mut fds));
            let n = received.await.map_err(|e| Refusal::bad(format!("request: {e}")))?;
            line.extend_from_slice(&part[..n]);
            if let Some(end) = line.iter().position(|byte| *byte == b'\n') {
                break end;
            }
            if n == 0 || line.len() > REQUEST_LEN_MAX_BYTES {
                return Err(Refusal::bad(format!(
                    "no request line of at most {REQUEST_LEN_MAX_BYTES} bytes"
                )));
            }
        };
        let request =
            serde_json::from_slice(&line[..end]).map_err(|e| Refusal::bad(format!("request: {e}")))?;
        Ok((request, fds))
    }

    async fn reply(&mut self, reply: &Reply) -> io::Result<()> {
        let mut line = serde_json::to_vec(reply).map_err(io::Error::other)?;
        line.push(b'\n');
        let late = |_| io::Error::from(io::ErrorKind::TimedOut);
        timeout(Duration::from_secs(REPLY_WITHIN_S), self.stream.write_all(&line)).await.map_err(late)?
    }

    async fn data(&mut self, value: Value) -> io::Result<()> {
        self.reply(&Reply::Data(value)).await
    }

    /// Says no; a client that does not hear it is gone.
    pub(super) async fn refuse(&mut self, refusal: Refusal) {
        let Refusal { reason, message } = refusal;
        let _ = self.reply(&Reply::Error { reason: reason.into(), message }).await;
    }

    async fn answer(&mut self, request: Request, fds: Vec<OwnedFd>, context: Context) -> Result<(), Stop> {
        let Context { asks, changes, env } = context;
        if !fds.is_empty() && !matches!(request, Request::Exec { .. } | Request::Image { .. }) {
            return Err(Refusal::bad("descriptors beside a request that takes none").into());
        }
        let answer: Answer = match request {
            Request::Pods { watch: true } => return self.watch_pods(&asks, changes).await,
            Request::Events { watch: true } => return self.watch_events(&asks, changes).await,
            Request::Pods { watch: false } => {
                let mut pods = ask(&asks, Ask::Pods).await??;
                let noted = tokio::task::spawn_blocking(move || {
                    interfaces::note(&mut pods, &env);
                    pods
                });
                noted.await.map_err(|e| Refusal::internal(e.to_string()))
            }
            Request::Events { watch: false } => {
                ask(&asks, |answer| Ask::Events(0, answer)).await.map(|(_, items)| event_list(items))
            }
            Request::Problems => ask(&asks, Ask::Problems).await?,
            Request::Objects => ask(&asks, Ask::Objects).await?,
            Request::Sources => ask(&asks, Ask::Sources).await?,
            Request::Node => ask(&asks, Ask::Node).await?,
            Request::Usage { storage } => usage::summary(&asks, env, storage).await,
            Request::Status => ask(&asks, Ask::Status).await?,
            Request::Drain => ask(&asks, Ask::Drain).await?,
            Request::Halt => ask(&asks, Ask::Halt).await?,
            Request::Boot => ask(&asks, Ask::Boot).await?,
            Request::Upgrade { path } => ask(&asks, |answer| Ask::Upgrade(path, answer)).await?,
            Request::Config => {
                serde_json::to_value(&env.config).map_err(|e| Refusal::internal(e.to_string()))
            }
            Request::Images => {
                let pods = ask(&asks, Ask::Pods).await??;
                let list = tokio::task::spawn_blocking(move || pods::images(&env.store.list(), &pods)).await;
                list.map_err(|e| Refusal::internal(e.to_string()))
            }
            Request::Image { operation } => images::perform(operation, fds, &asks, env).await,
            Request::LogLocation { namespace, pod, container } => {
                let pods = ask(&asks, Ask::Pods).await??;
                let found = pods::find(&pods, &env.node.name, &namespace, &pod, container.as_deref());
                found.map(|found| found.log_location(&env.config.log_directory))
            }
            Request::Exec { namespace, pod, container, command, tty } => {
                let pods = ask(&asks, Ask::Pods).await??;
                let found = pods::find(&pods, &env.node.name, &namespace, &pod, container.as_deref())?;
                let container = found.running_id()?;
                return self.exec(&asks, ExecAsk { container, command, tty, fds }).await;
            }
        };
        Ok(self.data(answer?).await?)
    }

    async fn watch_pods(&mut self, asks: &Asks, mut changes: watch::Receiver<u64>) -> Result<(), Stop> {
        let mut told = None;
        loop {
            changes.mark_unchanged();
            let pods = ask(asks, Ask::Pods).await??;
            if told.as_ref() != Some(&pods) {
                self.data(pods.clone()).await?;
                told = Some(pods);
            }
            self.until(&mut changes).await?;
        }
    }

    async fn watch_events(&mut self, asks: &Asks, mut changes: watch::Receiver<u64>) -> Result<(), Stop> {
        changes.mark_unchanged();
        let (mut after, items) = ask(asks, |answer| Ask::Events(0, answer)).await?;
        self.data(event_list(items)).await?;
        loop {
            self.until(&mut changes).await?;
            changes.mark_unchanged();
            let (next, items) = ask(asks, |answer| Ask::Events(after, answer)).await?;
            after = next;
            for item in items {
                self.data(item).await?;
            }
        }
    }

    /// Waits for a change, or for the client to go.
    async fn until(&mut self, changes: &mut watch::Receiver<u64>) -> Result<(), Stop> {
        tokio::select! {
            changed = changes.changed() => changed.map_err(|_| Stop::Gone),
            () = self.hung_up() => Err(Stop::Gone),
        }
    }

    /// Waits until the client closes, or says more than its one request.
    async fn hung_up(&self) {
        let mut byte = [0];
        while self.stream.readable().await.is_ok() {
            match self.stream.try_read(&mut byte) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                _ => return,
            }
        }
    }

    async fn exec(&mut self, asks: &Asks, what: ExecAsk) -> Result<(), Stop> {
        let wanted = if what.tty { 1 } else { 3 };
        if what.command.is_empty() || what.command.len() > COMMAND_LEN_MAX {
            return Err(Refusal::bad(format!("a command has 1 to {COMMAND_LEN_MAX} words")).into());
        }
        if what.fds.len() != wanted {
            return Err(Refusal::bad(format!(
                "{} descriptors beside the request, not {wanted}",
                what.fds.len()
            ))
            .into());
        }
        let Session { id, mut exit } = ask(asks, |answer| Ask::Exec(Box::new(what), answer)).await??;
        self.data(json!({"started": true})).await?;
        let ended = tokio::select! {
            code = &mut exit => code,
            () = self.hung_up() => {
                let _ = asks.send(Ask::HangUp(id)).await;
                return Err(Stop::Gone);
            }
        };
        let code = ended.map_err(|_| Refusal::internal("the command's exit status is not known"))?;
        Ok(self.data(json!({"exitCode": code})).await?)
    }
}

fn event_list(items: Vec<Value>) -> Value {
    json!({"apiVersion": "v1", "kind": "EventList", "metadata": {}, "items": items})
}
