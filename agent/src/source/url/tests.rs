//! Sources by address against a server on the loopback: what counts, what does not, and what of it outlives the
//! agent. Every wait is for an event.

use super::super::{Reports, Settings, Source, UrlSettings, keepsake::tests::carry_out};
use crate::config::UrlList;
use berth_core::{
    event::{DesiredSet, Event},
    manifest::objects::Salt,
    world::{World, WorldConfig},
};
use serde::Serialize;
use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

/// Longer than any of this takes on a loaded machine; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(30);
pub(super) const NOTHING: &str = "{apiVersion: v1, kind: PodList, items: []}";

pub(super) fn pod(name: &str, image: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec: {{containers: [{{name: c, image: {image}}}]}}\n"
    )
}

/// Says one thing to everybody; 304 to who has it.
struct Server {
    port: u16,
    says: Arc<Mutex<(u16, String)>>,
}

impl Server {
    fn new(says: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let says = Arc::new(Mutex::new((200, says.to_owned())));
        let shared = Arc::clone(&says);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                answer(stream, &shared.lock().unwrap());
            }
        });
        Self { port, says }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/pods", self.port)
    }

    fn say(&self, status: u16, text: &str) {
        *self.says.lock().unwrap() = (status, text.to_owned());
    }
}

fn answer(mut stream: TcpStream, (status, text): &(u16, String)) {
    let lines = BufReader::new(&stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    let request = lines.collect::<Vec<_>>().join("\n").to_lowercase();
    let etag = format!("\"{:x}\"", text.len());
    let head = match (status, request.contains(&format!("if-none-match: {etag}"))) {
        (200, true) => "HTTP/1.1 304 x\r\n\r\n".to_owned(),
        _ => format!("HTTP/1.1 {status} x\r\nETag: {etag}\r\nContent-Length: {}\r\n\r\n{text}", text.len()),
    };
    let _ = stream.write_all(head.as_bytes());
}

pub(super) struct Bench {
    dir: tempfile::TempDir,
    source: Source,
    pub(super) desired: DesiredSet,
    pub(super) reports: Reports,
    pub(super) events: Vec<String>,
}

impl Bench {
    /// `urls`: as in a configuration.
    pub(super) fn new(urls: &[impl Serialize]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("owner")).unwrap();
        Self::at(dir, urls)
    }

    /// An agent's start in `dir`.
    fn at(dir: tempfile::TempDir, urls: &[impl Serialize]) -> Self {
        let UrlList(sources) = serde_json::from_value(serde_json::json!(urls)).unwrap();
        let reports = Reports::default();
        let settings = Settings {
            salt: Salt::default(),
            paths: vec![dir.path().join("owner")],
            node: "box".into(),
            rescan: Duration::from_secs(3600),
            copies: dir.path().join("lastgood"),
            kept: dir.path().join("kept"),
            copy_after: Duration::ZERO,
            urls: UrlSettings {
                sources,
                // Shorter than a configuration may have it.
                period: Duration::from_millis(10),
                config: "config.yaml".into(),
                checkpoints: dir.path().join("urls"),
                ..UrlSettings::default()
            },
            reports: reports.clone(),
        };
        let mut source = Source::new(settings, Vec::new());
        let desired = source.look().expect("the first look tells");
        let mut bench = Self { dir, source, desired, reports, events: Vec::new() };
        bench.hear();
        bench
    }

    fn hear(&mut self) {
        let events = self.source.take_events().into_iter();
        self.events.extend(events.map(|event| format!("{} {}", event.reason, event.message)));
    }

    fn again(self, urls: &[impl Serialize]) -> Self {
        let Self { dir, source, .. } = self;
        drop(source);
        Self::at(dir, urls)
    }

    pub(super) fn pods(&self) -> Vec<String> {
        let image = |pod: &berth_core::manifest::DesiredPod| {
            format!("{}={}", pod.key.name, pod.pod.spec.containers[0].image)
        };
        self.desired.pods.iter().map(image).collect()
    }

    fn checkpoint(&self, url: &str) -> PathBuf {
        super::checkpoint::path(&self.dir.path().join("urls"), url)
    }

    pub(super) async fn until(&mut self, what: &str, reached: impl Fn(&Self) -> bool) {
        let waiting = async {
            while !reached(self) {
                self.source.changed().await;
                if let Some(desired) = self.source.look() {
                    self.desired = desired;
                }
                self.hear();
            }
        };
        if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
            panic!(
                "{what}: {:?} {:?} {:?} {:?}",
                self.pods(),
                self.desired.problems,
                self.events,
                self.reports.show()
            );
        }
    }

    pub(super) async fn until_pods(&mut self, expected: &[&str]) {
        self.until(&format!("{expected:?}"), |bench| bench.pods() == expected).await;
    }
}

fn is_file(path: &Path) -> bool {
    path.is_file()
}

#[tokio::test]
async fn pods_come_change_and_go_with_what_is_said() {
    let server = Server::new(&pod("a", "i:1"));
    let mut bench = Bench::new(&[server.url()]);
    assert!(bench.desired.problems.is_empty(), "nothing waits for it: {:?}", bench.desired.problems);
    assert!(bench.desired.notices[0].message.contains("has never answered"), "{:?}", bench.desired.notices);
    bench.until_pods(&["a-box=i:1"]).await;
    assert!(bench.desired.notices.is_empty());
    assert!(is_file(&bench.checkpoint(&server.url())));
    server.say(200, &format!("{}---\n{}", pod("a", "i:22"), pod("b", "i:1")));
    bench.until_pods(&["a-box=i:22", "b-box=i:1"]).await;
    server.say(200, NOTHING);
    bench.until_pods(&[]).await;
    assert!(bench.events.is_empty(), "{:?}", bench.events);
}

#[tokio::test]
async fn nothing_but_an_explicit_empty_list_takes_pods_away() {
    let server = Server::new(&pod("a", "i:1"));
    let mut bench = Bench::new(&[server.url()]);
    bench.until_pods(&["a-box=i:1"]).await;
    for (status, text) in [
        (200, ""),
        (200, "# none"),
        (200, "kind: Pod\nmetadata: {name: x}"),
        (200, "service unavailable"),
        (404, NOTHING),
        (500, ""),
        (204, ""),
    ] {
        let wrong = |bench: &Bench| bench.events.iter().any(|event| event.starts_with("SourceFailed"));
        let refused = |bench: &Bench| !bench.desired.problems.is_empty();
        server.say(status, text);
        bench.until(text, |bench| wrong(bench) || refused(bench)).await;
        assert_eq!(bench.pods(), ["a-box=i:1"], "{status} {text}");
        server.say(200, &pod("a", "i:1"));
        bench
            .until("well again", |bench| {
                bench.events.iter().any(|event| event.starts_with("SourceRecovered"))
            })
            .await;
        assert!(bench.desired.problems.is_empty());
        bench.events.clear();
    }
}

#[tokio::test]
async fn what_was_said_last_outlives_the_agent_without_network() {
    let server = Server::new(&format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\nstringData: {{k: v}}\n---\n{}",
        pod("a", "i:1")
    ));
    let url = server.url();
    let urls = [url.clone()];
    let mut bench = Bench::new(&urls);
    bench.until_pods(&["a-box=i:1"]).await;
    server.say(500, "");
    let bench = bench.again(&urls);
    assert_eq!(bench.pods(), ["a-box=i:1"], "at once");
    assert_eq!(bench.desired.objects.iter().count(), 1);
    assert!(bench.desired.problems.is_empty());
    // Power that was cut, flash that lost bits: told, and not used.
    let checkpoint = bench.checkpoint(&url);
    let whole = fs::read(&checkpoint).unwrap();
    let mut bench = bench;
    for damaged in [&whole[..whole.len() / 2], b"", &[0; 64]] {
        fs::write(&checkpoint, damaged).unwrap();
        bench = bench.again(&urls);
        assert!(bench.pods().is_empty());
        assert!(bench.events[0].starts_with("CheckpointDamaged"), "{:?}", bench.events);
        assert!(bench.desired.silent.contains(&*url), "what was its own may not be cleaned away");
    }
    server.say(200, &pod("a", "i:2"));
    bench.until_pods(&["a-box=i:2"]).await;
    // No longer configured: forgotten.
    let bench = bench.again(&[""; 0]);
    assert!(bench.pods().is_empty() && !is_file(&bench.checkpoint(&url)));
}

#[tokio::test]
async fn sources_are_independent_and_their_order_decides() {
    // Accepts, and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_url = format!("http://127.0.0.1:{}/", silent.local_addr().unwrap().port());
    let (one, two) = (
        Server::new(&pod("a", "one:1")),
        Server::new(&format!("{}---\n{}", pod("a", "two:1"), pod("b", "two:1"))),
    );
    let urls = [silent_url, "ftp://a/".to_owned(), one.url(), two.url(), two.url()];
    let mut bench = Bench::new(&urls);
    fs::write(bench.dir.path().join("owner/b.yaml"), pod("b", "file:1")).unwrap();
    bench.until_pods(&["b-box=file:1", "a-box=one:1"]).await;
    let states = |bench: &Bench| -> Vec<String> {
        bench.reports.show().iter().map(|report| report["state"].as_str().unwrap().to_owned()).collect()
    };
    let expected = ["Pending", "Misconfigured", "Current", "Current", "Misconfigured"];
    bench.until("both have answered", |bench| states(bench) == expected).await;
    let told = |what: &str| bench.desired.problems.iter().any(|problem| problem.to_string().contains(what));
    assert!(
        told("comes from") && told("config.yaml: staticPodURL: ftp://a/: it must begin"),
        "{:?}",
        bench.desired.problems
    );
    assert!(told("it stands here already"));
}

#[tokio::test]
async fn pods_that_run_hold_where_nothing_was_kept() {
    let server = Server::new(&pod("a", "i:1"));
    let mut bench = Bench::new(&[server.url()]);
    bench.until_pods(&["a-box=i:1"]).await;
    let running = bench.desired.pods.clone();
    let sources = serde_json::from_value::<UrlList>(serde_json::json!([server.url()])).unwrap().0;
    let settings =
        UrlSettings { sources, checkpoints: bench.dir.path().join("other"), ..UrlSettings::default() };
    let urls = super::Urls::start(&settings, "box", &running, &Reports::default()).unwrap();
    let output = urls.outputs().next().unwrap().1;
    assert_eq!(output.pods, running);
}

#[tokio::test]
async fn after_a_boot_pods_have_the_images_that_they_had_until_the_address_is_heard() {
    let server = Server::new(&pod("a", "i:1"));
    let urls = [server.url()];
    let mut bench = Bench::new(&urls);
    bench.until_pods(&["a-box=i:1"]).await;
    let (mut world, mut now_s) = (World::new(WorldConfig::default()), 1);
    for event in [Event::Inventory(Box::default()), Event::Desired(Arc::new(bench.desired.clone()))] {
        carry_out(&mut world, &mut now_s, event, true);
    }
    assert!(bench.source.note_runs(&world));
    assert!(!bench.source.note_runs(&world), "that is known already");
    let pinned = |bench: &Bench| bench.source.pins().of(&bench.desired.pods[0].uid, "i:1");
    assert_eq!(pinned(&bench), None, "it has said that it wants what i:1 means");
    assert_eq!(
        bench.source.pins().kept().collect::<Vec<_>>(),
        ["i:1@sha256:digest"],
        "and that is not removed"
    );
    bench.source.urls.as_ref().unwrap().finish();
    server.say(500, "");
    let mut bench = bench.again(&urls);
    assert_eq!(pinned(&bench).as_deref(), Some("i:1@sha256:digest"));
    server.say(200, &pod("a", "i:1"));
    bench.until("it is heard", |bench| pinned(bench).is_none()).await;
    assert_eq!(bench.pods(), ["a-box=i:1"]);
}

#[tokio::test]
async fn what_cannot_be_kept_is_not_acted_on() {
    let server = Server::new(&pod("a", "i:1"));
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("owner")).unwrap();
    // Nothing can be written below a file.
    fs::write(dir.path().join("urls"), "").unwrap();
    let mut bench = Bench::at(dir, &[server.url()]);
    bench
        .until("it is told", |bench| bench.events.iter().any(|event| event.contains("cannot be kept")))
        .await;
    assert!(bench.pods().is_empty());
    fs::remove_file(bench.dir.path().join("urls")).unwrap();
    bench.until_pods(&["a-box=i:1"]).await;
}
