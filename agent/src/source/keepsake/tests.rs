//! Pods that are kept, from their manifests to the next boot, with the real core between: it says what has come up.

use super::{super::*, file};
use berth_core::{
    action::{ActionKind, ImageFacts},
    event::{Event, Outcome},
    time::{Mono, NS_PER_S, Now, Wall},
    world::{WorldConfig, step},
};
use std::fs;

const NAME: &str = "web-box";

/// An agent's life on a box.
struct Machine {
    dir: tempfile::TempDir,
    source: Source,
    world: World,
    now_s: u64,
    desired: Arc<DesiredSet>,
    events: Vec<String>,
}

fn pod(command: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: web, annotations: {{berth/checkpoint: \"true\"}}}}\nspec:\n  \
         containers:\n  - {{name: c, image: 'app:1', imagePullPolicy: IfNotPresent, command: [{command}], \
         envFrom: [{{secretRef: {{name: word}}}}]}}\n"
    )
}

const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata: {name: word}\nstringData: {word: hush}\n";

impl Machine {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("owner")).unwrap();
        Self::boot(dir, "box")
    }

    fn boot(dir: tempfile::TempDir, node: &str) -> Self {
        let settings = Settings {
            salt: Salt::default(),
            paths: vec![dir.path().join("vendor"), dir.path().join("owner")],
            node: node.into(),
            rescan: Duration::from_secs(3600),
            copies: dir.path().join("lastgood"),
            copy_after: Duration::ZERO,
            kept: dir.path().join("kept"),
            urls: UrlSettings::default(),
            reports: Reports::default(),
        };
        let source = Source::new(settings, Vec::new());
        let world = World::new(WorldConfig { boot_id: "boot".into(), ..WorldConfig::default() });
        let mut this = Self { dir, source, world, now_s: 1, desired: Arc::default(), events: Vec::new() };
        this.step(Event::Inventory(Box::default()), false);
        this.look();
        this
    }

    /// The power goes and comes back.
    fn again(self) -> Self {
        self.again_as("box")
    }

    /// And then the node has this name.
    fn again_as(self, node: &str) -> Self {
        let Self { dir, source, .. } = self;
        source.keepsakes.finish();
        drop(source);
        Self::boot(dir, node)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("owner").join(name)
    }

    fn write(&mut self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
        self.look();
    }

    fn remove(&mut self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
        self.look();
    }

    fn look(&mut self) {
        if let Some(desired) = self.source.look() {
            self.desired = Arc::new(desired);
        }
        self.source.keepsakes.finish();
        self.events.extend(self.source.take_events().into_iter().map(|event| event.reason.to_owned()));
    }

    /// Does at once what the core wants of the pods as they are now; with `starts` containers too.
    fn run(&mut self, starts: bool) {
        self.step(Event::Desired(Arc::clone(&self.desired)), starts);
        self.source.note_runs(&self.world);
        self.source.keepsakes.finish();
    }

    fn step(&mut self, event: Event, starts: bool) {
        carry_out(&mut self.world, &mut self.now_s, event, starts);
    }

    fn pods(&self) -> Vec<&str> {
        self.desired.pods.iter().map(|pod| &*pod.key.name).collect()
    }

    fn uid(&self) -> String {
        self.desired.pods[0].uid.0.to_string()
    }

    fn pinned(&self) -> Option<String> {
        self.source.pins().of(&self.desired.pods[0].uid, "app:1")
    }

    fn file(&self) -> PathBuf {
        file::path_of(&self.dir.path().join("kept"), "default", "web")
    }

    fn kept(&self) -> Option<file::Filed> {
        file::read(&self.file()).unwrap()
    }
}

/// Tells the core, and does at once what it wants then; with `starts` containers start too.
pub(in super::super) fn carry_out(world: &mut World, now_s: &mut u64, event: Event, starts: bool) {
    let mut news = vec![event];
    while !news.is_empty() {
        *now_s += 1;
        let now = Now { mono: Mono(*now_s * NS_PER_S), wall: Wall(*now_s * NS_PER_S) };
        let actions = step(world, now, &news).actions.into_iter();
        news = actions
            .filter_map(|action| {
                let outcome = match action.kind {
                    ActionKind::EnsureImage { image, .. } => Outcome::Image(Box::new(ImageFacts {
                        id: "sha256:id".into(),
                        digest: "sha256:digest".into(),
                        reference: image,
                        ..ImageFacts::default()
                    })),
                    ActionKind::CreateSandbox { .. } => Outcome::Sandbox { ips: Vec::new() },
                    ActionKind::StartContainer { .. } if starts => Outcome::Started { pid: 7, at: now },
                    ActionKind::StartContainer { .. } | ActionKind::Signal { .. } => return None,
                    _ => Outcome::Ok,
                };
                Some(Event::Done { action: action.id, outcome })
            })
            .collect();
    }
}

#[tokio::test]
async fn a_pod_starts_again_when_its_source_is_gone_with_its_secret_and_its_image() {
    let mut machine = Machine::new();
    machine.write("web.yaml", &pod("serve"));
    let without = machine.kept().expect("kept at once").keepsake;
    assert_eq!((without.objects.len(), without.images.len()), (0, 0));
    machine.write("word.yaml", SECRET);
    assert_eq!(machine.kept().unwrap().keepsake.images.len(), 0, "not before it has come up");
    machine.run(true);
    let kept = machine.kept().unwrap().keepsake;
    assert_eq!((kept.objects.len(), kept.images["app:1"].as_str()), (1, "sha256:digest"));
    assert_eq!(machine.pinned(), None, "its manifest is there");
    let uid = machine.uid();
    assert!(machine.events.is_empty(), "{:?}", machine.events);
    fs::remove_dir_all(machine.dir.path().join("owner")).unwrap();
    let mut machine = machine.again();
    assert_eq!((machine.pods(), machine.uid()), (vec![NAME], uid.clone()));
    assert_eq!(machine.desired.objects.iter().count(), 1);
    assert!(machine.desired.problems.is_empty());
    assert_eq!(machine.pinned().as_deref(), Some("app:1@sha256:digest"));
    assert_eq!(machine.events, ["CheckpointUsed"]);
    // An empty directory is none with another manifest: nobody has said anything of the pod.
    fs::create_dir(machine.dir.path().join("owner")).unwrap();
    machine.look();
    assert_eq!(machine.pods(), [NAME]);
    machine.write("word.yaml", SECRET);
    machine.write("web.yaml", &pod("serve"));
    assert_eq!((machine.pods(), machine.uid()), (vec![NAME], uid));
    assert!(machine.desired.problems.is_empty(), "{:?}", machine.desired.problems);
    assert_eq!(machine.pinned(), None);
    machine.remove("web.yaml");
    assert!(machine.pods().is_empty() && machine.kept().is_none(), "that was a removal");
    assert_eq!(machine.events, ["CheckpointUsed", "CheckpointRemoved"]);
    assert!(machine.again().pods().is_empty());
}

#[tokio::test]
async fn what_is_a_removal_and_what_is_a_loss_while_the_agent_runs() {
    let mut machine = Machine::new();
    machine.write("word.yaml", SECRET);
    machine.write("web.yaml", &pod("serve"));
    // The whole directory: a stick that is pulled out.
    let (owner, away) = (machine.dir.path().join("owner"), machine.dir.path().join("away"));
    fs::rename(&owner, &away).unwrap();
    machine.look();
    assert_eq!((machine.pods(), machine.events.len()), (vec![NAME], 1));
    fs::rename(&away, &owner).unwrap();
    machine.look();
    // Another pod in its file.
    machine.write("web.yaml", &pod("serve").replace("name: web,", "name: other,"));
    assert_eq!(machine.pods(), ["other-box"]);
    assert!(machine.kept().is_none());
    // It does not ask for it any more.
    machine.write("web.yaml", &pod("serve"));
    assert!(machine.kept().is_some());
    machine.write("web.yaml", &pod("serve").replace("\"true\"", "\"false\""));
    assert!(machine.kept().is_none());
    // After a boot its file is there, is right, and has another pod.
    machine.write("web.yaml", &pod("serve"));
    fs::write(machine.path("web.yaml"), pod("serve").replace("name: web,", "name: other,")).unwrap();
    let mut machine = machine.again();
    assert_eq!(machine.pods(), ["other-box"]);
    // After a boot its file is there and is wrong.
    machine.write("web.yaml", &pod("serve"));
    let _ = fs::remove_dir_all(machine.dir.path().join("lastgood"));
    fs::write(machine.path("web.yaml"), "kind: [").unwrap();
    let machine = machine.again();
    assert_eq!(machine.pods(), [NAME]);
    assert_eq!(machine.desired.problems.len(), 1);
}

#[tokio::test]
async fn a_revision_that_never_came_up_does_not_replace_one_that_did() {
    let mut machine = Machine::new();
    machine.write("word.yaml", SECRET);
    machine.write("web.yaml", &pod("good"));
    machine.run(true);
    let good = machine.kept().unwrap();
    machine.write("web.yaml", &pod("bad"));
    machine.run(false);
    assert_eq!(machine.kept().unwrap(), good);
    machine.remove("word.yaml");
    fs::remove_file(machine.path("web.yaml")).unwrap();
    let mut machine = machine.again();
    assert_eq!(machine.uid(), *good.keepsake.pod.uid.0, "the good one, with its secret");
    machine.write("word.yaml", SECRET);
    machine.write("web.yaml", &pod("better"));
    machine.run(true);
    assert_eq!(machine.kept().unwrap().keepsake.pod.uid, machine.desired.pods[0].uid);
}

#[tokio::test]
async fn a_removed_file_ends_a_held_pod_and_is_written_again_for_one_whose_manifest_is_there() {
    let mut machine = Machine::new();
    machine.write("word.yaml", SECRET);
    machine.write("web.yaml", &pod("serve"));
    fs::remove_file(machine.file()).unwrap();
    machine.look();
    machine.write("other.yaml", SECRET);
    assert!(machine.kept().is_some());
    fs::remove_file(machine.path("web.yaml")).unwrap();
    let mut machine = machine.again();
    assert_eq!(machine.pods(), [NAME]);
    let file = machine.file();
    // The agent hears of it.
    tokio::join!(
        async {
            let heard = tokio::time::timeout(Duration::from_secs(30), machine.source.changed()).await;
            heard.expect("a removed file is heard of");
        },
        async { fs::remove_file(file).unwrap() }
    );
    machine.look();
    assert!(machine.pods().is_empty());
}

#[tokio::test]
async fn what_is_damaged_is_told_and_not_used() {
    let mut machine = Machine::new();
    machine.write("word.yaml", SECRET);
    machine.write("web.yaml", &pod("serve"));
    let whole = fs::read(machine.file()).unwrap();
    fs::remove_file(machine.path("web.yaml")).unwrap();
    for damaged in [&whole[..whole.len() / 2], b"", &[0; 64]] {
        fs::write(machine.file(), damaged).unwrap();
        machine = machine.again();
        assert!(machine.pods().is_empty());
        assert_eq!(machine.events, ["CheckpointDamaged"]);
    }
    fs::write(machine.file(), &whole).unwrap();
    // What a cut write leaves beside it is no checkpoint.
    fs::write(machine.file().with_extension("new"), &whole[..9]).unwrap();
    machine = machine.again();
    assert_eq!((machine.pods(), machine.events.as_slice()), (vec![NAME], &["CheckpointUsed".to_owned()][..]));
}

#[tokio::test]
async fn what_is_too_large_for_one_manifest_is_told() {
    let mut machine = Machine::new();
    let mut volumes = String::new();
    // Base64 makes more of it than a manifest may have.
    for i in 0..9 {
        let bytes = "AAAA".repeat(300_000 - i);
        machine.write(
            &format!("m{i}.yaml"),
            &format!(
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: m{i}}}\nbinaryData: {{b: {bytes}}}\n"
            ),
        );
        volumes.push_str(&format!("{{name: v{i}, configMap: {{name: m{i}}}}}, "));
    }
    machine.write("word.yaml", SECRET);
    machine.write("web.yaml", &format!("{}  volumes: [{volumes}]\n", pod("serve")));
    assert_eq!(machine.pods(), [NAME], "{:?}", machine.desired.problems);
    assert_eq!((machine.kept(), machine.events.as_slice()), (None, &["CheckpointFailed".to_owned()][..]));
}

/// Without network a box may not know the name that it had with it.
#[tokio::test]
async fn a_node_with_another_name_has_each_pod_once() {
    let mut machine = Machine::new();
    machine.write("word.yaml", SECRET);
    machine.write("web.yaml", &pod("serve"));
    let text = fs::read(machine.path("web.yaml")).unwrap();
    let mut machine = machine.again_as("localhost");
    assert_eq!((machine.pods(), machine.events.len()), (vec!["web-localhost"], 0), "its file is there");
    fs::remove_file(machine.path("web.yaml")).unwrap();
    machine = machine.again_as("box");
    assert_eq!(machine.pods(), [NAME], "it is not");
    fs::write(machine.path("web.yaml"), text).unwrap();
    machine.look();
    let uid = machine.uid();
    machine.remove("web.yaml");
    assert!(machine.pods().is_empty() && machine.kept().is_none());
    machine.write("web.yaml", &pod("serve"));
    assert_eq!(machine.uid(), uid);
}
