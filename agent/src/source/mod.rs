//! The sources: manifests in a few directories, and at addresses ([`url`]), become the desired set. Hears of changes through
//! inotify at once, and reads everything again now and then for what that cannot tell. Each look is a whole
//! one; nothing depends on having heard every event. Never starts or stops anything.

mod devices;
mod event;
mod files;
mod images;
pub(crate) mod keepsake;
mod lastgood;
mod pins;
mod read;
mod salt;
mod sealed;
mod select;
mod sys;
#[cfg(test)]
mod tests;
mod trace;
mod url;
mod watch;

use berth_core::{
    event::DesiredSet,
    manifest::{DesiredPod, Problem, objects::Salt},
    world::World,
};
pub(crate) use devices::DeviceWatch;
pub(crate) use event::SourceEvent;
use files::Files;
pub(crate) use images::ImageWatch;
use keepsake::{Ground, Keepsakes, Origin};
use lastgood::Copies;
pub(crate) use pins::Pins;
pub(crate) use salt::salt;
use select::Entry;
use std::{
    cell::Cell,
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::time::{Instant, sleep_until};
use trace::Wanted;
use url::Urls;
pub(crate) use url::{Reports, UrlSettings, checkpoint};
use watch::Watcher;

/// Looks in a row while the directories change under the eyes; the events of the last one lead to the next.
const LOOKS_MAX: usize = 4;

/// First wait before a file whose writer was just closing it is looked at again. The kernel tells of the close
/// a moment before it takes the writer off the file's count (`__fput`), and tells nothing more after that.
const WRITER_WAIT_MIN: Duration = Duration::from_millis(2);
/// The longest such wait; each is twice the one before. A writer that stays longer is told of when it closes.
const WRITER_WAIT_MAX: Duration = Duration::from_millis(256);

/// What the source is told.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Directories and files; later ones override.
    pub(crate) paths: Vec<PathBuf>,
    /// The node's name.
    pub(crate) node: String,
    /// Time between looks that nothing called for.
    pub(crate) rescan: Duration,
    /// What hides the values of objects in the uids of pods.
    pub(crate) salt: Salt,
    /// Where copies of the last good manifests are kept; made if need be.
    pub(crate) copies: PathBuf,
    /// Time after a change when its copy is written: not while its pod is being started.
    pub(crate) copy_after: Duration,
    /// Where pods are kept that ask for it; made if need be.
    pub(crate) kept: PathBuf,
    /// Addresses, behind the paths.
    pub(crate) urls: UrlSettings,
    /// Where is told how it is with them.
    pub(crate) reports: Reports,
}

/// The sources.
#[derive(Debug)]
pub(crate) struct Source {
    settings: Settings,
    /// None where the kernel gives no inotify: then there is only the rescan.
    watcher: Option<Watcher>,
    files: Files,
    copies: Copies,
    keepsakes: Keepsakes,
    /// None without an address.
    urls: Option<Urls>,
    urls_changed: bool,
    /// The manifests of each path when it could last be listed.
    layers: Vec<Vec<Entry>>,
    /// What each path was at the last look.
    grounds: Vec<Ground>,
    /// Problems of the directories themselves.
    problems: Vec<Problem>,
    started: bool,
    next_rescan: Instant,
    /// When to look again at a file that was open for writing, and the wait that led there.
    writer: Option<(Instant, Duration)>,
}

impl Source {
    /// Must be called within the runtime. `recorded`: see [`Files::new`].
    pub(crate) fn new(settings: Settings, recorded: Vec<DesiredPod>) -> Self {
        let watcher = Watcher::new();
        if let Err(error) = &watcher {
            tracing::warn!(%error, "no inotify: changes of manifests are seen by the rescan only");
        }
        let urls = Urls::start(&settings.urls, &settings.node, &recorded, &settings.reports);
        // A path, where pods come from a file.
        let recorded = recorded.into_iter().filter(|pod| pod.origin.starts_with('/')).collect();
        Self {
            urls,
            urls_changed: false,
            watcher: watcher.ok(),
            files: Files::new(&settings.node, settings.salt.clone(), recorded),
            copies: Copies::new(&settings.copies, settings.copy_after),
            keepsakes: Keepsakes::load(&settings.kept, &settings.node),
            layers: vec![Vec::new(); settings.paths.len()],
            grounds: vec![Ground::Nothing; settings.paths.len()],
            problems: Vec::new(),
            started: false,
            next_rescan: Instant::now() + settings.rescan,
            writer: None,
            settings,
        }
    }

    /// Waits until a look is called for. Safe to be dropped and called again.
    pub(crate) async fn changed(&mut self) {
        let next = self.writer.map_or(self.next_rescan, |(at, _)| at.min(self.next_rescan));
        let rescan = sleep_until(next);
        let (urls, watcher) = (self.urls.as_mut(), self.watcher.as_mut());
        let broken = tokio::select! {
            heard = async { watcher?.changed().await.err() }, if watcher.is_some() => heard,
            () = async { if let Some(urls) = urls { urls.changed().await } }, if urls.is_some() => {
                self.urls_changed = true;
                None
            }
            () = rescan => None,
        };
        if let Some(error) = broken {
            tracing::warn!(%error, "inotify is lost: changes of manifests are seen by the rescan only");
            self.watcher = None;
        }
    }

    /// Whether the next look is the slow one, which nothing but time has called for.
    pub(crate) fn is_rescan(&self) -> bool {
        Instant::now() >= self.next_rescan
    }

    /// Looks at everything. The desired set, if it is another one than before; the first look always tells.
    pub(crate) fn look(&mut self) -> Option<DesiredSet> {
        if self.is_rescan() {
            // The slow look trusts nothing.
            self.files.distrust();
        }
        self.next_rescan = Instant::now() + self.settings.rescan;
        let mut changed = !std::mem::replace(&mut self.started, true);
        changed |= std::mem::take(&mut self.urls_changed);
        let being_written = Cell::new(false);
        // Worth a word only when it stays so.
        let for_long = self.writer.is_some_and(|(at, wait)| Instant::now() >= at && wait >= WRITER_WAIT_MAX);
        let mut table = BTreeMap::new();
        for _ in 0..LOOKS_MAX {
            // What is heard from here on is about something that this look may not have seen.
            if let Some(watcher) = &mut self.watcher {
                let _ = watcher.forget();
            }
            let (wanted, mut problems) = self.survey();
            let set = self.watcher.as_mut().map(|watcher| watcher.set(wanted)).unwrap_or_default();
            if let Some(why) = set.unwatched {
                let rescan_s = self.settings.rescan.as_secs();
                let advice = format!(
                    "{why}; changes are seen every {rescan_s} s only (see fs.inotify.max_user_watches)"
                );
                problems.push(files::whole("", advice));
            }
            table = select::effective(&self.layers);
            changed |= self.files.update(
                &table,
                berth_oci::clock::now().wall,
                |entry| {
                    let content = read::read(&entry.path);
                    let open = content == read::Content::BeingWritten;
                    being_written.set(being_written.get() || open);
                    if open && !for_long { read::Content::Gone } else { content }
                },
                |name| self.copies.read(name),
            );
            changed |= problems != self.problems;
            self.problems = problems;
            if !set.news {
                break;
            }
        }
        self.writer = being_written.get().then(|| self.after_writer()).flatten();
        if changed {
            self.copies.save(self.files.take_good(), table.keys().cloned().collect());
        }
        changed |= self.keepsakes.is_disturbed();
        changed.then(|| self.desired(&table))
    }

    fn desired(&mut self, table: &BTreeMap<String, Entry>) -> DesiredSet {
        let mut answers: Vec<_> = self.urls.iter().flat_map(Urls::outputs).collect();
        let said = self.files.desired(table, &answers);
        let others: Vec<_> = self.files.outputs().chain(answers.iter().map(|(_, output)| output)).collect();
        let (paths, grounds) = (&self.settings.paths, &self.grounds);
        let (files, urls) = (&self.files, &self.urls);
        let held = self.keepsakes.take(&said, &others, |origin| match origin.starts_with('/') {
            true => {
                let of_it = paths.iter().zip(grounds).rfind(|(path, _)| Path::new(origin).starts_with(path));
                let ground = of_it.map_or(Ground::Nothing, |(_, ground)| *ground);
                Origin { ground, said: files.is_right(origin) }
            }
            false => {
                let said = urls.as_ref().is_some_and(|urls| urls.is_heard(origin));
                Origin { ground: Ground::Address, said }
            }
        });
        let mut desired = if held.is_empty() {
            said
        } else {
            answers.push(("", held));
            self.files.desired(table, &answers)
        };
        self.keepsakes.note_desired(&desired);
        desired.problems.extend(self.problems.iter().cloned());
        desired.problems.extend(self.urls.iter().flat_map(Urls::problems).cloned());
        for (url, notice) in self.urls.iter().flat_map(Urls::silent) {
            desired.silent.insert(Arc::clone(url));
            desired.notices.extend(notice);
        }
        if let Some(urls) = &mut self.urls {
            urls.note_desired(&desired);
        }
        desired
    }

    /// Takes note of what has become of pods whose checkpoints tell it; true if the pins are others now.
    pub(crate) fn note_runs(&mut self, world: &World) -> bool {
        let kept = self.keepsakes.note_runs(world);
        let answered = self.urls.as_mut().is_some_and(|urls| urls.note_runs(world));
        kept || answered
    }

    /// Which images pods are to have by their digests.
    pub(crate) fn pins(&self) -> Pins {
        let mut pins = Pins::default();
        self.keepsakes.images().for_each(|images| pins.keep(images));
        for (uid, images) in self.keepsakes.held_images() {
            pins.hold(uid);
            pins.pin(uid, images);
        }
        if let Some(urls) = &self.urls {
            urls.pin(&mut pins);
        }
        pins
    }

    /// What happened to the sources since the last time this was asked.
    pub(crate) fn take_events(&mut self) -> Vec<SourceEvent> {
        let mut events = self.urls.as_mut().map(Urls::take_events).unwrap_or_default();
        events.append(&mut self.keepsakes.take_events());
        events
    }

    /// When to look again after this look found a file open for writing.
    fn after_writer(&self) -> Option<(Instant, Duration)> {
        let now = Instant::now();
        let wait = match self.writer {
            Some((at, wait)) if now >= at => wait * 2,
            // Something was heard in the meantime: from the beginning.
            _ => WRITER_WAIT_MIN,
        };
        (wait <= WRITER_WAIT_MAX).then_some((now + wait, wait))
    }

    /// Lists all paths; what must be watched for them, and what is wrong with them.
    fn survey(&mut self) -> (Wanted, Vec<Problem>) {
        let mut wanted = Wanted::new();
        let mut problems = Vec::new();
        if !self.keepsakes.is_empty() {
            trace::trace(self.keepsakes.dir(), trace::Whole::Everything, &mut wanted);
        }
        let layers = self.layers.iter_mut().zip(&mut self.grounds);
        for (path, (layer, ground)) in self.settings.paths.iter().zip(layers) {
            trace::trace(path, trace::Whole::Manifests, &mut wanted);
            match read::list(path) {
                Ok(entries) => (*layer, *ground) = (entries, read::ground(path)),
                // A directory that cannot be read says nothing: what was there is taken to be there still.
                Err(e) => {
                    problems.push(files::whole(&path.to_string_lossy(), format!("cannot be listed: {e}")))
                }
            }
            for entry in layer.iter().filter(|entry| entry.link) {
                trace::trace(&entry.path, trace::Whole::Nothing, &mut wanted);
            }
        }
        (wanted, problems)
    }
}
