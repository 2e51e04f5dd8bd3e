//! The socket from outside, with a main loop that answers by rote.

use super::{
    ask::{Ask, Session},
    conn::Context,
    listen,
    wire::{REQUEST_LEN_MAX_BYTES, Request},
};
use crate::agent::Env;
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, IoSlice, Write},
    os::{
        fd::{AsRawFd, OwnedFd, RawFd},
        unix::{fs::PermissionsExt, net::UnixStream},
    },
    path::PathBuf,
    sync::Arc,
};
use tokio::sync::{mpsc, oneshot, watch};

/// A served socket; the sides are driven in one thread by `talk`.
struct Bench {
    dir: tempfile::TempDir,
    asks: mpsc::Receiver<Ask>,
    changes: watch::Sender<u64>,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (asks, hear) = mpsc::channel(4);
        let (changes, see) = watch::channel(0);
        let env = Arc::new(Env::for_test(dir.path()));
        let listener = listen::listen(&dir.path().join("run/berth.sock"), "").unwrap();
        tokio::spawn(listen::serve(listener, Context { asks, changes: see, env }));
        Self { dir, asks: hear, changes }
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("run/berth.sock")
    }

    fn client(&self) -> UnixStream {
        UnixStream::connect(self.socket()).unwrap()
    }

    /// Answers what comes until the client is done.
    async fn talk<T: Send + 'static>(&mut self, client: impl FnOnce() -> T + Send + 'static) -> T {
        let mut client = tokio::task::spawn_blocking(client);
        loop {
            tokio::select! {
                done = &mut client => return done.unwrap(),
                Some(ask) = self.asks.recv() => by_rote(ask),
            }
        }
    }
}

fn by_rote(ask: Ask) {
    let status =
        json!([{"name": "c", "restartCount": 2, "containerID": "berth://c1", "state": {"running": {}}}]);
    let pod = json!({"metadata": {"name": "web-box", "namespace": "default", "uid": "u"},
        "spec": {"containers": [{"name": "c"}]}, "status": {"containerStatuses": status}});
    match ask {
        Ask::Pods(answer) => drop(answer.send(Ok(json!({"kind": "PodList", "items": [pod]})))),
        Ask::Events(after, answer) => drop(answer.send((after + 1, vec![json!({"n": after + 1})]))),
        Ask::Problems(answer)
        | Ask::Objects(answer)
        | Ask::Sources(answer)
        | Ask::Node(answer)
        | Ask::Status(answer) => {
            drop(answer.send(Ok(json!({"items": []}))));
        }
        Ask::Exec(what, answer) => {
            assert_eq!((what.container.as_str(), what.fds.len()), ("c1", 3));
            // The command's stdout is the second descriptor.
            std::fs::File::from(what.fds.into_iter().nth(1).unwrap()).write_all(b"hello").unwrap();
            let (end, exit) = oneshot::channel();
            end.send(7).unwrap();
            drop(answer.send(Ok(Session { id: "s".into(), exit })));
        }
        Ask::Weighings(answer) => drop(answer.send(Vec::new())),
        Ask::HangUp(_)
        | Ask::Upgrade(..)
        | Ask::RemoveImages(..)
        | Ask::ImagesChanged
        | Ask::Boot(_)
        | Ask::Drain(_)
        | Ask::Halt(_) => {}
    }
}

fn ask(client: &mut UnixStream, request: &Request) {
    client.write_all(format!("{}\n", serde_json::to_string(request).unwrap()).as_bytes()).unwrap();
}

fn replies(client: UnixStream) -> Vec<Value> {
    BufReader::new(client).lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect()
}

#[tokio::test]
async fn a_question_is_answered_and_the_connection_closed() {
    let mut bench = Bench::new();
    for (request, expected) in [
        (Request::Pods { watch: false }, "PodList"),
        (Request::Events { watch: false }, "EventList"),
        (Request::Config, "staticPodPath"),
        (Request::Status, "items"),
        (Request::Usage { storage: true }, "workingSetBytes"),
        (
            Request::LogLocation { namespace: "default".into(), pod: "web".into(), container: None },
            "/pods/default_web-box_u/c",
        ),
    ] {
        let mut client = bench.client();
        let got = bench
            .talk(move || {
                ask(&mut client, &request);
                replies(client)
            })
            .await;
        assert_eq!(got.len(), 1);
        assert!(got[0]["data"].to_string().contains(expected), "{got:?}");
    }
}

#[tokio::test]
async fn nonsense_is_refused_by_reason() {
    let mut bench = Bench::new();
    let long = vec![b'x'; REQUEST_LEN_MAX_BYTES + 1];
    let missing =
        serde_json::to_vec(&Request::LogLocation { namespace: "n".into(), pod: "p".into(), container: None });
    for (bytes, reason) in [
        (b"{}\n".to_vec(), "BadRequest"),
        (b"{\"verb\":\"fly\"}\n".to_vec(), "BadRequest"),
        (long, "BadRequest"),
        ([missing.unwrap(), b"\n".to_vec()].concat(), "NotFound"),
    ] {
        let mut client = bench.client();
        let got = bench
            .talk(move || {
                let _ = client.write_all(&bytes);
                replies(client)
            })
            .await;
        assert_eq!(got.last().unwrap()["error"]["reason"], reason, "{got:?}");
    }
}

#[tokio::test]
async fn a_watch_tells_again_after_a_change() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    let (first, told) = oneshot::channel();
    let changes = bench.changes.clone();
    tokio::spawn(async move {
        told.await.unwrap();
        changes.send_modify(|n| *n += 1);
    });
    let got = bench
        .talk(move || {
            ask(&mut client, &Request::Events { watch: true });
            let mut lines = BufReader::new(client).lines();
            let list = lines.next().unwrap().unwrap();
            first.send(()).unwrap();
            (list, lines.next().unwrap().unwrap())
        })
        .await;
    assert!(got.0.contains("EventList"), "{}", got.0);
    assert_eq!(got.1, r#"{"data":{"n":2}}"#);
}

#[tokio::test]
async fn a_command_gets_the_clients_own_descriptors() {
    let mut bench = Bench::new();
    let client = bench.client();
    let (read, write) = std::io::pipe().unwrap();
    let got = bench
        .talk(move || {
            let request = Request::Exec {
                namespace: "default".into(),
                pod: "web".into(),
                container: None,
                command: vec!["true".into()],
                tty: false,
            };
            let line = format!("{}\n", serde_json::to_string(&request).unwrap());
            let null: OwnedFd = std::fs::File::open("/dev/null").unwrap().into();
            let fds: [RawFd; 3] = [null.as_raw_fd(), write.as_raw_fd(), null.as_raw_fd()];
            let control = nix::sys::socket::ControlMessage::ScmRights(&fds);
            let parts = [IoSlice::new(line.as_bytes())];
            let flags = nix::sys::socket::MsgFlags::empty();
            nix::sys::socket::sendmsg::<()>(client.as_raw_fd(), &parts, &[control], flags, None).unwrap();
            drop(write);
            (replies(client), std::io::read_to_string(read).unwrap())
        })
        .await;
    assert_eq!(got.0, [json!({"data": {"started": true}}), json!({"data": {"exitCode": 7}})]);
    assert_eq!(got.1, "hello");
}

#[tokio::test]
async fn the_socket_is_roots_alone_and_replaces_an_old_one() {
    let bench = Bench::new();
    assert_eq!(std::fs::metadata(bench.socket()).unwrap().permissions().mode() & 0o777, 0o600);
    let again = listen::listen(&bench.socket(), "").unwrap();
    drop(again);
    let error = listen::listen(&bench.socket(), "no-such-group").unwrap_err();
    assert!(error.to_string().contains("no group no-such-group"), "{error}");
}

#[tokio::test]
async fn there_is_room_for_so_many_and_no_more() {
    let mut bench = Bench::new();
    let held: Vec<UnixStream> = (0..listen::CONNECTIONS_MAX).map(|_| bench.client()).collect();
    let client = bench.client();
    let got = bench.talk(move || replies(client)).await;
    assert_eq!(got[0]["error"]["reason"], "TooManyRequests");
    drop(held);
}
