//! Manifests from addresses. Each address is asked by a task of its own, on a thread that is there only while it
//! asks: one that never answers holds up nothing. What an address said last is kept on disk before it counts, and
//! counts until it says something else that is right; no error, and no answer that is empty or wrong, changes
//! anything. Without an address nothing of this exists.

mod ask;
pub(crate) mod checkpoint;
#[cfg(test)]
mod nginx_tests;
mod pace;
mod report;
#[cfg(test)]
mod tests;

use super::{
    Pins,
    event::SourceEvent,
    files::whole,
    keepsake::{Content, Writer},
};
use crate::config::{Headers, SOURCES_MAX_COUNT, UrlSource};
use ask::{Asker, Heard, Known};
use berth_core::{
    event::DesiredSet,
    ids::PodUid,
    manifest::{DesiredPod, LoadOutput, Problem},
    world::World,
};
use berth_images::http;
use berth_oci::clock;
use checkpoint::Digests;
use pace::Pace;
pub(crate) use report::{Report, Reports, State};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::sync::mpsc;

/// What the addresses are told.
#[derive(Debug, Clone, Default)]
pub(crate) struct UrlSettings {
    /// The addresses, in their order.
    pub(crate) sources: Vec<UrlSource>,
    /// Headers for all of them.
    pub(crate) headers: Headers,
    /// Time between requests, where a source has none of its own.
    pub(crate) period: Duration,
    /// The configuration file, for messages.
    pub(crate) config: PathBuf,
    /// Where what they said is kept; made if need be.
    pub(crate) checkpoints: PathBuf,
}

/// One address.
#[derive(Debug)]
struct Address {
    url: Arc<str>,
    /// What counts.
    output: Arc<LoadOutput>,
    /// What is wrong with its configuration.
    fault: Vec<Problem>,
    /// What is wrong with its last answer.
    problems: Vec<Problem>,
    /// It has never answered: what it wants is not known.
    silent: bool,
    /// It has answered since the start.
    heard: bool,
    report: Report,
}

impl Address {
    /// With what is known of it at the start.
    fn new(url: &Arc<str>, known: &Known, report: Report) -> Self {
        Self {
            url: Arc::clone(url),
            output: Arc::clone(&known.output),
            fault: Vec::new(),
            problems: Vec::new(),
            silent: report.last_good.is_none(),
            heard: false,
            report,
        }
    }

    /// One that counts for nothing.
    fn refused(url: &Arc<str>, fault: Problem, why: String) -> Self {
        let mut address = Self::new(url, &Known::default(), Report::new(url));
        address.silent = false;
        address.misconfigured(fault, why);
        address
    }

    fn misconfigured(&mut self, fault: Problem, why: String) {
        self.fault.push(fault);
        (self.report.state, self.report.message) = (State::Misconfigured, why);
    }
}

/// All addresses.
#[derive(Debug)]
pub(super) struct Urls {
    addresses: Vec<Address>,
    heard: mpsc::Receiver<(usize, Heard)>,
    events: Vec<SourceEvent>,
    reports: Reports,
    /// Where what they said is kept.
    dir: PathBuf,
    /// Which images their pods had last.
    digests: Digests,
    writer: Writer,
    /// Their pods as they are wanted now: uid, namespace and name as written, and which address.
    pods: Vec<(PodUid, String, usize)>,
    /// Those of these whose images are not known yet.
    watched: BTreeSet<PodUid>,
}

impl Urls {
    /// Takes up what was kept of each and begins to ask. Within the runtime. `recorded`: pods that run from earlier;
    /// they hold where nothing was kept. None without an address.
    pub(super) fn start(
        settings: &UrlSettings,
        node: &str,
        recorded: &[DesiredPod],
        reports: &Reports,
    ) -> Option<Self> {
        forget_others(&settings.checkpoints, &settings.sources);
        if settings.sources.is_empty() {
            return None;
        }
        let (tell, heard) = mpsc::channel(settings.sources.len());
        let mut urls = Self {
            addresses: Vec::new(),
            heard,
            events: Vec::new(),
            reports: reports.clone(),
            dir: settings.checkpoints.clone(),
            digests: checkpoint::digests(&settings.checkpoints),
            writer: Writer::default(),
            pods: Vec::new(),
            watched: BTreeSet::new(),
        };
        let mut seen = BTreeSet::new();
        for (i, source) in settings.sources.iter().enumerate() {
            let url: Arc<str> = source.url.as_str().into();
            let why = match seen.insert(&source.url) {
                false => Some("it stands here already; this one is not asked".to_owned()),
                true if i < SOURCES_MAX_COUNT => None,
                true => Some(format!("more than {SOURCES_MAX_COUNT} addresses: this one is not asked")),
            };
            if let Some(why) = why {
                urls.addresses.push(Address::refused(&url, fault(&settings.config, source, &why), why));
                continue;
            }
            let checkpoint = checkpoint::path(&settings.checkpoints, &url);
            let (known, report, told) = take_up(&checkpoint, &url, node, recorded);
            urls.events.extend(told);
            let mut address = Address::new(&url, &known, report);
            match source.settings(&settings.headers).and_then(|http| fit(http, &known)) {
                Ok(http) => {
                    let pace = Pace {
                        period: source.period(settings.period),
                        jitter_percent: source.jitter_percent(),
                    };
                    let asker = Asker { http, checkpoint, node: node.into(), url };
                    tokio::spawn(ask::run(i, asker, known, pace, tell.clone()));
                }
                Err(why) => address.misconfigured(fault(&settings.config, source, &why), why),
            }
            urls.addresses.push(address);
        }
        urls.publish();
        Some(urls)
    }

    /// Waits until there is something new: pods, problems, or an event. Safe to be dropped and called again.
    pub(super) async fn changed(&mut self) {
        while let Some((i, heard)) = self.heard.recv().await {
            if self.take(i, heard) {
                return;
            }
        }
        // Nobody asks: all are misconfigured.
        std::future::pending().await
    }

    /// Takes in what was heard; true if it is news.
    fn take(&mut self, i: usize, heard: Heard) -> bool {
        let Some(address) = self.addresses.get_mut(i) else { return false };
        let event = address.report.note(&address.url, &heard, clock::now().wall);
        let mut news = event.is_some();
        self.events.extend(event);
        match heard {
            Heard::Unchanged => {
                news |= !std::mem::take(&mut address.problems).is_empty();
                news |= !std::mem::replace(&mut address.heard, true);
            }
            Heard::Taken(output) => {
                address.problems.clear();
                (address.silent, address.heard, address.output) = (false, true, output);
                news = true;
            }
            Heard::Refused(problems) => {
                news |= address.problems != problems;
                address.problems = problems;
            }
            Heard::Failed(_) => {}
        }
        self.publish();
        news
    }

    /// What each address gives, in their order.
    pub(super) fn outputs(&self) -> impl Iterator<Item = (&str, LoadOutput)> {
        self.addresses.iter().map(|address| (&*address.url, LoadOutput::clone(&address.output)))
    }

    /// What is wrong with them.
    pub(super) fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.addresses.iter().flat_map(|address| address.fault.iter().chain(&address.problems))
    }

    /// Those that have never answered, and a sentence about each that does not have a problem anyway.
    pub(super) fn silent(&self) -> impl Iterator<Item = (&Arc<str>, Option<Problem>)> {
        let silent = self.addresses.iter().filter(|address| address.silent);
        silent.map(|address| (&address.url, address.fault.is_empty().then(|| never_heard(&address.url))))
    }

    /// Whether the address has answered since the start.
    pub(super) fn is_heard(&self, url: &str) -> bool {
        self.addresses.iter().any(|address| address.heard && *address.url == *url)
    }

    /// What is wanted in the end.
    pub(super) fn note_desired(&mut self, desired: &DesiredSet) {
        let of = |pod: &DesiredPod| self.addresses.iter().position(|address| address.url == pod.origin);
        let pods = desired.pods.iter();
        self.pods = pods.filter_map(|pod| Some((pod.uid.clone(), checkpoint::name(pod), of(pod)?))).collect();
        self.watched = self.pods.iter().map(|(uid, ..)| uid.clone()).collect();
    }

    /// Takes note of the images that pods have got; true if any are others than before.
    pub(super) fn note_runs(&mut self, world: &World) -> bool {
        let mut news = false;
        for (uid, key, _) in &self.pods {
            if let Some(images) = self.watched.contains(uid).then(|| world.digests(uid)).flatten() {
                self.watched.remove(uid);
                let now = (uid.0.to_string(), images);
                if self.digests.0.get(key) != Some(&now) {
                    self.digests.0.insert(key.clone(), now);
                    news = true;
                }
            }
        }
        if news {
            self.digests.0.retain(|key, _| self.pods.iter().any(|(_, known, _)| known == key));
            let (path, content) = checkpoint::sealed_digests(&self.dir, &self.digests);
            self.writer.put(path, Some(Content::new(move || Ok(content.clone()))));
        }
        news
    }

    /// Pins the images of pods whose address has said nothing since the start.
    pub(super) fn pin(&self, pins: &mut Pins) {
        self.digests.0.values().for_each(|(_, images)| pins.keep(images));
        for (uid, key, address) in &self.pods {
            let heard = self.addresses.get(*address).is_some_and(|address| address.heard);
            match self.digests.0.get(key) {
                Some((known, images)) if !heard && **known == *uid.0 => pins.pin(uid, images),
                _ => {}
            }
        }
    }

    /// What happened since the last time this was asked.
    pub(super) fn take_events(&mut self) -> Vec<SourceEvent> {
        std::mem::take(&mut self.events)
    }

    /// Waits until all is written.
    #[cfg(test)]
    pub(super) fn finish(&self) {
        self.writer.finish();
    }

    fn publish(&self) {
        self.reports
            .set(self.addresses.iter().map(|address| address.report.with_pods(address.output.pods.len())));
    }
}

/// What is known of an address at the start, and what there is to tell about that.
fn take_up(
    checkpoint: &Path,
    url: &Arc<str>,
    node: &str,
    recorded: &[DesiredPod],
) -> (Known, Report, Option<SourceEvent>) {
    let mut report = Report::new(url);
    let why = match checkpoint::read_of(checkpoint, url) {
        Ok(Some(kept)) => match Known::from_kept(kept, url, node) {
            Ok(known) => {
                report.last_good = known.received;
                return (known, report, None);
            }
            Err(problem) => Some(problem.to_string()),
        },
        Ok(None) => None,
        Err(why) => Some(why),
    };
    let event = why.map(|why| {
        let message =
            format!("what was kept of the last answer of {url} is not used: {}: {why}", checkpoint.display());
        SourceEvent::of_node(true, "CheckpointDamaged", message)
    });
    let pods = recorded.iter().filter(|pod| *pod.origin == **url).cloned().collect();
    (Known::running(pods), report, event)
}

/// Whether its files are there and fit, looked at once at the start; each request reads them anew.
fn fit(settings: http::Settings, known: &Known) -> Result<http::Settings, String> {
    http::Client::new(settings.clone(), ask::floor(known.received)).map_err(|error| error.to_string())?;
    Ok(settings)
}

fn fault(config: &Path, source: &UrlSource, why: &str) -> Problem {
    let message = format!("{}: {why}", source.url);
    let place = Problem {
        line: source.line,
        column: u32::from(source.line > 0),
        path: "staticPodURL".into(),
        ..whole("", message)
    };
    Problem { file: config.to_string_lossy().into(), ..place }
}

/// While this stands nothing is taken for unwanted that was the address's.
fn never_heard(url: &str) -> Problem {
    whole(
        url,
        "has never answered, so it is not known which pods it wants; `berth get sources` tells more".into(),
    )
}

/// Removes what was kept of addresses that are not configured any more.
fn forget_others(dir: &Path, sources: &[UrlSource]) {
    let keep: BTreeSet<PathBuf> = sources.iter().map(|source| checkpoint::path(dir, &source.url)).collect();
    let there = checkpoint::list(dir).unwrap_or_default();
    for path in there.into_iter().filter(|path| !keep.contains(path)) {
        if let Err(error) = berth_oci::durable::remove(&path) {
            tracing::warn!(%error, "what was kept of an address stays");
        }
    }
}
