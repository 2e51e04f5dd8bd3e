//! The source against real directories and real inotify: each way in which a manifest can come, change and
//! go. Every wait is for an event; the rescan is too far away to help.

use super::{Reports, Settings, Source, UrlSettings};
use berth_core::{
    event::DesiredSet,
    manifest::{
        DesiredPod,
        objects::{ObjectKind, Salt},
    },
};
use std::{
    fs,
    io::Write,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::time::timeout;

/// Longer than any of this takes on a loaded machine; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

struct Bench {
    dir: tempfile::TempDir,
    source: Source,
    desired: DesiredSet,
}

fn pod(name: &str, image: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec: {{containers: [{{name: c, image: {image}}}]}}\n"
    )
}

impl Bench {
    /// Watches `vendor` and `owner`, both of which exist.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("vendor")).unwrap();
        fs::create_dir(dir.path().join("owner")).unwrap();
        Self::at(dir, &["vendor", "owner"], Vec::new())
    }

    fn at(dir: tempfile::TempDir, paths: &[&str], recorded: Vec<DesiredPod>) -> Self {
        let paths: Vec<PathBuf> = paths.iter().map(|path| dir.path().join(path)).collect();
        let settings = Settings {
            salt: Salt::default(),
            paths,
            node: "box".into(),
            rescan: Duration::from_secs(3600),
            copies: dir.path().join("lastgood"),
            kept: dir.path().join("kept"),
            copy_after: Duration::ZERO,
            urls: UrlSettings::default(),
            reports: Reports::default(),
        };
        let mut source = Source::new(settings, recorded);
        let desired = source.look().expect("the first look tells");
        Self { dir, source, desired }
    }

    fn path(&self, at: &str) -> PathBuf {
        self.dir.path().join(at)
    }

    fn write(&self, at: &str, text: &str) {
        fs::write(self.path(at), text).unwrap();
    }

    /// As a careful writer does it: beside, then renamed over.
    fn replace(&self, at: &str, text: &str) {
        let beside = self.path("beside");
        fs::write(&beside, text).unwrap();
        fs::rename(beside, self.path(at)).unwrap();
    }

    /// Waits until the pods are these, as `name=image`.
    async fn until(&mut self, expected: &[&str]) {
        let waiting = async {
            while self.pods() != expected {
                self.source.changed().await;
                if let Some(desired) = self.source.look() {
                    self.desired = desired;
                }
            }
        };
        if timeout(PATIENCE, waiting).await.is_err() {
            panic!("still {:?} with {:?}, not {expected:?}", self.pods(), self.desired.problems);
        }
    }

    fn pods(&self) -> Vec<String> {
        let mut pods: Vec<String> = self
            .desired
            .pods
            .iter()
            .map(|p| format!("{}={}", p.key.name.trim_end_matches("-box"), p.pod.spec.containers[0].image))
            .collect();
        pods.sort();
        pods
    }

    /// Lets the source look if it has heard anything; whether that told anything.
    fn looks(&mut self) -> bool {
        self.source.look().map(|desired| self.desired = desired).is_some()
    }

    fn problems(&self) -> String {
        self.desired.problems.iter().map(|p| format!("{p}\n")).collect()
    }
}

#[tokio::test]
async fn created_changed_renamed_removed() {
    let mut bench = Bench::new();
    bench.write("owner/a.yaml", &pod("a", "i:1"));
    bench.until(&["a=i:1"]).await;
    bench.write("owner/a.yaml", &pod("a", "i:2"));
    bench.until(&["a=i:2"]).await;
    bench.replace("owner/a.yaml", &pod("a", "i:3"));
    bench.until(&["a=i:3"]).await;
    bench.write("owner/a.yaml", &pod("b", "i:3"));
    bench.until(&["b=i:3"]).await;
    fs::rename(bench.path("owner/a.yaml"), bench.path("owner/z.json.yaml")).unwrap();
    bench.until(&["b=i:3"]).await;
    fs::remove_file(bench.path("owner/z.json.yaml")).unwrap();
    bench.until(&[]).await;
}

#[tokio::test]
async fn the_same_bytes_again_are_no_news() {
    let mut bench = Bench::new();
    bench.write("owner/a.yaml", &pod("a", "i:1"));
    bench.until(&["a=i:1"]).await;
    bench.write("owner/a.yaml", &pod("a", "i:1"));
    bench.replace("owner/a.yaml", &pod("a", "i:1"));
    assert!(!bench.looks());
}

#[tokio::test]
async fn editors_leave_nothing_behind_that_counts() {
    let mut bench = Bench::new();
    // As vim saves: backup, 4913, the file anew, backup away.
    bench.write("owner/a.yaml", &pod("a", "i:1"));
    bench.write("owner/4913", "");
    fs::rename(bench.path("owner/a.yaml"), bench.path("owner/a.yaml~")).unwrap();
    bench.write("owner/a.yaml", &pod("a", "i:2"));
    bench.write("owner/.a.yaml.swp", "b0VIM");
    bench.write("owner/a.yaml.bak", &pod("a", "i:0"));
    bench.until(&["a=i:2"]).await;
    assert_eq!(bench.problems(), "");
}

#[tokio::test]
async fn a_file_counts_when_its_writer_has_closed_it() {
    let mut bench = Bench::new();
    bench.write("owner/a.yaml", &pod("a", "i:1"));
    bench.until(&["a=i:1"]).await;
    let text = pod("a", "i:2");
    let mut writer = fs::File::create(bench.path("owner/a.yaml")).unwrap();
    writer.write_all(&text.as_bytes()[..text.len() / 2]).unwrap();
    // Something else makes the source look meanwhile.
    bench.write("owner/b.yaml", &pod("b", "i:1"));
    bench.until(&["a=i:1", "b=i:1"]).await;
    assert_eq!(bench.problems(), "");
    writer.write_all(&text.as_bytes()[text.len() / 2..]).unwrap();
    drop(writer);
    bench.until(&["a=i:2", "b=i:1"]).await;
}

#[tokio::test]
async fn a_new_file_that_is_open_for_writing_is_told_of_only_when_it_stays_so() {
    let mut bench = Bench::new();
    let text = pod("a", "i:1");
    let mut writer = fs::File::create(bench.path("owner/a.yaml")).unwrap();
    writer.write_all(&text.as_bytes()[..text.len() / 2]).unwrap();
    assert!(bench.source.look().is_none(), "no news");
    let told = async {
        while !bench.problems().contains("is being written") {
            bench.source.changed().await;
            if let Some(desired) = bench.source.look() {
                bench.desired = desired;
            }
        }
    };
    timeout(PATIENCE, told).await.unwrap();
    writer.write_all(&text.as_bytes()[text.len() / 2..]).unwrap();
    drop(writer);
    bench.until(&["a=i:1"]).await;
    assert_eq!(bench.problems(), "");
}

#[tokio::test]
async fn what_stops_parsing_runs_on_and_is_told() {
    let mut bench = Bench::new();
    bench.write("owner/a.yaml", &pod("a", "i:1"));
    bench.until(&["a=i:1"]).await;
    for broken in ["{", "", "\0\0\0\0", "kind: Pod\n"] {
        bench.write("owner/a.yaml", broken);
        bench.write("owner/b.yaml", &pod("b", "i:1"));
        bench.until(&["a=i:1", "b=i:1"]).await;
        fs::remove_file(bench.path("owner/b.yaml")).unwrap();
        bench.until(&["a=i:1"]).await;
        assert!(bench.problems().contains("owner/a.yaml:"), "{broken:?}: {}", bench.problems());
    }
    bench.write("owner/a.yaml", &pod("a", "i:2"));
    bench.until(&["a=i:2"]).await;
    assert_eq!(bench.problems(), "");
}

#[tokio::test]
async fn broken_at_start_what_runs_is_the_last_good() {
    let mut first = Bench::new();
    first.write("owner/a.yaml", &pod("a", "i:1"));
    first.write("owner/gone.yaml", &pod("gone", "i:1"));
    first.until(&["a=i:1", "gone=i:1"]).await;
    let recorded = first.desired.pods.clone();
    first.write("owner/a.yaml", "kind: [");
    fs::remove_file(first.path("owner/gone.yaml")).unwrap();
    let Bench { dir, .. } = first;
    let mut second = Bench::at(dir, &["vendor", "owner"], recorded);
    assert_eq!(second.pods(), ["a=i:1"]);
    assert!(second.problems().contains("a.yaml"));
    second.write("owner/a.yaml", &pod("a", "i:2"));
    second.until(&["a=i:2"]).await;
}

#[tokio::test]
async fn broken_at_start_after_a_reboot_the_copy_is_the_last_good() {
    let dir = {
        let mut first = Bench::new();
        first.write("owner/a.yaml", &pod("a", "i:1"));
        first.until(&["a=i:1"]).await;
        let copy = first.path("lastgood/a.yaml");
        // Written by a thread that nobody waits for; the next look is not before it.
        timeout(PATIENCE, async {
            while !copy.exists() {
                tokio::task::yield_now().await
            }
        })
        .await
        .unwrap();
        first.write("owner/a.yaml", "kind: [");
        first.dir
    };
    let mut second = Bench::at(dir, &["vendor", "owner"], Vec::new());
    assert_eq!(second.pods(), ["a=i:1"]);
    assert!(second.problems().contains("a.yaml"));
    fs::remove_file(second.path("owner/a.yaml")).unwrap();
    second.until(&[]).await;
}

#[tokio::test]
async fn the_owner_overrides_and_masks_the_vendor() {
    let mut bench = Bench::new();
    bench.write("vendor/a.yaml", &pod("a", "vendor:1"));
    bench.write("vendor/b.yaml", &pod("b", "vendor:1"));
    bench.until(&["a=vendor:1", "b=vendor:1"]).await;
    bench.write("owner/a.yaml", &pod("a", "owner:1"));
    symlink("/dev/null", bench.path("owner/b.yaml")).unwrap();
    bench.until(&["a=owner:1"]).await;
    fs::remove_file(bench.path("owner/a.yaml")).unwrap();
    fs::remove_file(bench.path("owner/b.yaml")).unwrap();
    bench.until(&["a=vendor:1", "b=vendor:1"]).await;
}

#[tokio::test]
async fn a_volume_of_links_is_swapped_as_one() {
    let mut bench = Bench::new();
    for (version, image) in [("..1", "i:1"), ("..2", "i:2")] {
        fs::create_dir(bench.path("owner").join(version)).unwrap();
        bench.write(&format!("owner/{version}/a.yaml"), &pod("a", image));
    }
    symlink("..1", bench.path("owner/..data")).unwrap();
    symlink("..data/a.yaml", bench.path("owner/a.yaml")).unwrap();
    bench.until(&["a=i:1"]).await;
    symlink("..2", bench.path("owner/..tmp")).unwrap();
    fs::rename(bench.path("owner/..tmp"), bench.path("owner/..data")).unwrap();
    bench.until(&["a=i:2"]).await;
}

#[tokio::test]
async fn what_links_lead_to_is_watched() {
    let mut bench = Bench::new();
    fs::create_dir(bench.path("else")).unwrap();
    bench.write("else/real.txt", &pod("a", "i:1"));
    symlink(bench.path("else/real.txt"), bench.path("owner/a.yaml")).unwrap();
    bench.until(&["a=i:1"]).await;
    bench.write("else/real.txt", &pod("a", "i:2"));
    bench.until(&["a=i:2"]).await;
    bench.replace("else/real.txt", &pod("a", "i:3"));
    bench.until(&["a=i:3"]).await;
    // A link that leads nowhere for a while is a broken manifest, not a removed one.
    fs::rename(bench.path("else"), bench.path("away")).unwrap();
    bench.write("owner/b.yaml", &pod("b", "i:1"));
    bench.until(&["a=i:3", "b=i:1"]).await;
    assert!(bench.problems().contains("cannot be reached"));
    fs::create_dir(bench.path("else")).unwrap();
    bench.write("else/real.txt", &pod("a", "i:4"));
    bench.until(&["a=i:4", "b=i:1"]).await;
}

#[tokio::test]
async fn the_directory_may_go_and_come_back() {
    let mut bench = Bench::new();
    bench.write("owner/a.yaml", &pod("a", "i:1"));
    bench.until(&["a=i:1"]).await;
    fs::remove_dir_all(bench.path("owner")).unwrap();
    bench.until(&[]).await;
    fs::create_dir(bench.path("owner")).unwrap();
    bench.write("owner/a.yaml", &pod("a", "i:2"));
    bench.until(&["a=i:2"]).await;
    fs::rename(bench.path("owner"), bench.path("away")).unwrap();
    bench.until(&[]).await;
    fs::rename(bench.path("away"), bench.path("owner")).unwrap();
    bench.until(&["a=i:2"]).await;
    // And a change in the directory that came back is heard too.
    bench.write("owner/a.yaml", &pod("a", "i:3"));
    bench.until(&["a=i:3"]).await;
}

#[tokio::test]
async fn a_directory_that_was_never_there_may_come_deep() {
    let mut bench = Bench::at(tempfile::tempdir().unwrap(), &["x/y/z"], Vec::new());
    fs::create_dir_all(bench.path("x/y/z")).unwrap();
    bench.write("x/y/z/a.yaml", &pod("a", "i:1"));
    bench.until(&["a=i:1"]).await;
    fs::rename(bench.path("x"), bench.path("w")).unwrap();
    bench.until(&[]).await;
}

#[tokio::test]
async fn the_directory_may_be_a_link_that_is_turned() {
    let dir = tempfile::tempdir().unwrap();
    for (name, image) in [("one", "i:1"), ("two", "i:2")] {
        fs::create_dir(dir.path().join(name)).unwrap();
        fs::write(dir.path().join(name).join("a.yaml"), pod("a", image)).unwrap();
    }
    symlink("one", dir.path().join("current")).unwrap();
    let mut bench = Bench::at(dir, &["current"], Vec::new());
    assert_eq!(bench.pods(), ["a=i:1"]);
    symlink("two", bench.path("next")).unwrap();
    fs::rename(bench.path("next"), bench.path("current")).unwrap();
    bench.until(&["a=i:2"]).await;
}

#[tokio::test]
async fn a_path_may_be_one_file() {
    let mut bench = Bench::at(tempfile::tempdir().unwrap(), &["only.yaml"], Vec::new());
    bench.write("only.yaml", &pod("a", "i:1"));
    bench.until(&["a=i:1"]).await;
    bench.write("other.yaml", &pod("b", "i:1"));
    bench.replace("only.yaml", &pod("a", "i:2"));
    bench.until(&["a=i:2"]).await;
    fs::remove_file(bench.path("only.yaml")).unwrap();
    bench.until(&[]).await;
}

#[tokio::test]
async fn fifos_and_directories_block_nothing() {
    let mut bench = Bench::new();
    nix::unistd::mkfifo(&bench.path("owner/fifo.yaml"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    fs::create_dir(bench.path("owner/dir.yaml")).unwrap();
    bench.write("owner/a.yaml", &pod("a", "i:1"));
    bench.until(&["a=i:1"]).await;
    bench.looks();
    assert!(bench.problems().contains("owner/fifo.yaml: is neither"), "{}", bench.problems());
    assert!(bench.problems().contains("owner/dir.yaml: is a directory"), "{}", bench.problems());
}

#[tokio::test]
async fn of_two_files_with_one_pod_the_first_by_name_wins() {
    let mut bench = Bench::new();
    bench.write("owner/b.yaml", &pod("same", "i:b"));
    bench.until(&["same=i:b"]).await;
    bench.write("owner/a.yaml", &pod("same", "i:a"));
    bench.until(&["same=i:a"]).await;
    assert!(bench.problems().contains("b.yaml"), "{}", bench.problems());
    fs::remove_file(bench.path("owner/a.yaml")).unwrap();
    bench.until(&["same=i:b"]).await;
    assert_eq!(bench.problems(), "");
}

#[tokio::test]
async fn of_many_changes_the_last_wins() {
    let mut bench = Bench::new();
    for version in 1..=300 {
        bench.replace("owner/a.yaml", &pod("a", &format!("i:{version}")));
    }
    bench.until(&["a=i:300"]).await;
}

#[tokio::test]
async fn an_overflow_of_the_queue_loses_nothing() {
    let mut bench = Bench::new();
    let length: usize =
        fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap().trim().parse().unwrap();
    let path = bench.path("owner/noise.yaml");
    fs::write(&path, "# nothing\n").unwrap();
    // Two kinds in turn: the kernel joins events that are the same.
    for round in 0..=length {
        let mode = if round % 2 == 0 { 0o600 } else { 0o644 };
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        drop(fs::OpenOptions::new().append(true).open(&path).unwrap());
    }
    bench.write("owner/a.yaml", &pod("a", "i:1"));
    bench.until(&["a=i:1"]).await;
}

#[tokio::test]
async fn a_directory_that_cannot_be_listed_says_nothing() {
    let mut bench = Bench::new();
    bench.write("owner/a.yaml", &pod("a", "i:1"));
    bench.until(&["a=i:1"]).await;
    for number in 0..=super::read::ENTRIES_MAX {
        bench.write(&format!("owner/{number}"), "");
    }
    assert!(bench.looks());
    assert_eq!(bench.pods(), ["a=i:1"]);
    assert!(bench.problems().contains("cannot be listed"), "{}", bench.problems());
    assert!(Path::new(&*bench.desired.problems[0].file).is_absolute());
}

#[tokio::test]
async fn a_secret_holds_on_through_a_broken_edit_and_is_in_no_copy() {
    let mut bench = Bench::new();
    let file = |secret: &str| format!("{secret}---\n{}", pod("a", "i:1"));
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {k: hush}\n";
    bench.write("owner/a.yaml", &file(secret));
    bench.until(&["a=i:1"]).await;
    let value = |bench: &Bench| {
        let object = bench.desired.objects.get(ObjectKind::Secret, "default", "s")?;
        Some(object.values["k"].bytes().to_vec())
    };
    assert_eq!(value(&bench).unwrap(), b"hush");
    let copy = bench.path("lastgood/a.yaml");
    while !copy.exists() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let copied = fs::read_to_string(&copy).unwrap();
    assert!(copied.contains("kind: Pod") && !copied.contains("hush"), "{copied}");
    bench.write("owner/a.yaml", &file("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: [\n"));
    while bench.problems().is_empty() {
        timeout(PATIENCE, bench.source.changed()).await.unwrap();
        bench.looks();
    }
    assert_eq!(value(&bench).unwrap(), b"hush");
    fs::remove_file(bench.path("owner/a.yaml")).unwrap();
    bench.until(&[]).await;
    assert_eq!(value(&bench), None);
}
