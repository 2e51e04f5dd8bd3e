//! What is known of each manifest: what it says now, and what it said when it was last right. Pure.

use super::{
    read::Content,
    select::{self, Entry, Kind, Stamp},
};
use berth_core::{
    manifest::{
        self, DesiredPod, LoadInput, LoadOutput, Problem,
        objects::{self, ObjectKind, Salt},
    },
    time::Wall,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
    path::Path,
};

/// One manifest.
#[derive(Debug, Default)]
struct State {
    /// Path of what was read last, and a hash of it.
    seen: Option<(String, u64)>,
    /// What the file looked like when it was read, if a later change cannot look the same.
    settled: Option<Stamp>,
    /// What it amounts to: pods that hold, problems to be shown.
    output: LoadOutput,
}

/// All manifests, by file name.
#[derive(Debug)]
pub(super) struct Files {
    node: String,
    salt: Salt,
    files: BTreeMap<String, State>,
    /// Contents that were found right since the last asking.
    good: BTreeMap<String, Vec<u8>>,
}

impl Files {
    /// `recorded`: pods that run from earlier; those of a file that turns out broken hold on.
    pub(super) fn new(node: &str, salt: Salt, recorded: Vec<DesiredPod>) -> Self {
        let mut files: BTreeMap<String, State> = BTreeMap::new();
        for pod in recorded {
            let name = pod.origin.rsplit('/').next().unwrap_or_default().to_owned();
            files.entry(name).or_default().output.pods.push(pod);
        }
        Self { node: node.into(), salt, files, good: BTreeMap::new() }
    }

    /// Takes note of what the directories have now; `read` reads a file (not asked for one that cannot have
    /// changed), `copy` what is kept of it from when it was last right. True if anything changed.
    pub(super) fn update(
        &mut self,
        table: &BTreeMap<String, Entry>,
        now: Wall,
        read: impl Fn(&Entry) -> Content,
        copy: impl Fn(&str) -> Option<Vec<u8>>,
    ) -> bool {
        let before = self.files.len();
        let masked = |name: &String| table.get(name).is_none_or(|entry| entry.kind == Kind::Mask);
        self.files.retain(|name, _| !masked(name));
        let mut changed = self.files.len() != before;
        for (name, entry) in table {
            let content = match &entry.kind {
                Kind::Mask => continue,
                Kind::Unfit(why) => Content::Unfit(why.clone()),
                Kind::File if self.is_as_it_was(name, entry) => continue,
                Kind::File => read(entry),
            };
            let settled = entry.stamp.filter(|stamp| stamp.is_settled(now));
            let settled = settled.filter(|_| matches!(content, Content::Bytes(_)));
            changed |= self.take(name, entry, content, &copy);
            if let Some(state) = self.files.get_mut(name) {
                state.settled = settled;
            }
        }
        changed
    }

    /// Has the next look read everything.
    pub(super) fn distrust(&mut self) {
        self.files.values_mut().for_each(|state| state.settled = None);
    }

    fn is_as_it_was(&self, name: &str, entry: &Entry) -> bool {
        let same = |state: &State| {
            let path = state.seen.as_ref().map(|(path, _)| Path::new(path));
            state.settled.is_some() && state.settled == entry.stamp && path == Some(&entry.path)
        };
        self.files.get(name).is_some_and(same)
    }

    /// One file's content. True if it is news.
    fn take(
        &mut self,
        name: &str,
        entry: &Entry,
        content: Content,
        copy: impl Fn(&str) -> Option<Vec<u8>>,
    ) -> bool {
        let path = entry.path.to_string_lossy().into_owned();
        let told = match &content {
            Content::Bytes(bytes) => hash(&(0_u8, bytes)),
            Content::Unfit(why) => hash(&(1_u8, why)),
            Content::BeingWritten => hash(&2_u8),
            // The next event, of its going or of its writer's, is on its way.
            Content::Gone => return false,
        };
        let state = self.files.entry(name.into()).or_default();
        let seen = Some((path.clone(), told));
        // What a file said before holds until its writer is done: that is no news.
        let known = state.seen.is_some() || !state.output.is_empty();
        if state.seen == seen || content == Content::BeingWritten && known {
            return false;
        }
        state.seen = seen;
        let problem =
            |message: String| LoadOutput { problems: vec![whole(&path, message)], ..LoadOutput::default() };
        let mut output = match content {
            Content::Bytes(bytes) if select::is_blank(&bytes) => {
                problem("is empty; put a pod into it, or remove it to remove its pods".into())
            }
            Content::Bytes(bytes) => {
                let mut output = load(&path, name, &bytes, &self.node);
                objects::keep_immutable(&mut output, &state.output);
                if output.problems.is_empty() {
                    self.good.insert(name.into(), without_secrets(&output, name, bytes));
                }
                output
            }
            Content::Unfit(why) => problem(why),
            Content::BeingWritten => problem("is being written; it is read when its writer closes it".into()),
            Content::Gone => return false,
        };
        if !output.problems.is_empty() {
            let mut before = std::mem::take(&mut state.output);
            if !known && let Some(bytes) = copy(name) {
                before = load(&path, name, &bytes, &self.node);
            }
            keep_last_good(&mut output, before);
        }
        state.output = output;
        true
    }

    /// Contents that were found right since the last time this was asked.
    pub(super) fn take_good(&mut self) -> BTreeMap<String, Vec<u8>> {
        std::mem::take(&mut self.good)
    }

    /// Everything, put together, with what addresses answered behind it.
    pub(super) fn desired(
        &self,
        table: &BTreeMap<String, Entry>,
        answers: &[(&str, LoadOutput)],
    ) -> berth_core::event::DesiredSet {
        let path = |name: &str| table.get(name).map(|entry| entry.path.to_string_lossy().into_owned());
        let paths: Vec<String> = self.files.keys().map(|name| path(name).unwrap_or_default()).collect();
        let outputs = self.outputs().cloned();
        let files: Vec<(&str, LoadOutput)> = paths.iter().map(String::as_str).zip(outputs).collect();
        manifest::merge_sources(&files, answers, &self.salt)
    }

    /// What each amounts to.
    pub(super) fn outputs(&self) -> impl Iterator<Item = &LoadOutput> {
        self.files.values().map(|state| &state.output)
    }

    /// Whether the file at this path was read and nothing is wrong with it.
    pub(super) fn is_right(&self, path: &str) -> bool {
        let read = |state: &State| state.seen.as_ref().is_some_and(|(seen, _)| seen == path);
        let name = path.rsplit('/').next().unwrap_or_default();
        self.files.get(name).is_some_and(|state| read(state) && state.output.problems.is_empty())
    }
}

/// Pods and objects that the file gave before and does not give now hold on while anything in it is wrong:
/// the part that is wrong may be theirs.
fn keep_last_good(output: &mut LoadOutput, before: LoadOutput) {
    let now: BTreeSet<_> = output.pods.iter().map(|pod| pod.key.clone()).collect();
    output.pods.extend(before.pods.into_iter().filter(|pod| !now.contains(&pod.key)));
    let now: BTreeSet<_> = output.objects.iter().map(|object| object.key.clone()).collect();
    output.objects.extend(before.objects.into_iter().filter(|object| !now.contains(&object.key)));
}

/// What of a file may be copied to another disk.
fn without_secrets(output: &LoadOutput, name: &str, bytes: Vec<u8>) -> Vec<u8> {
    let secret = output.objects.iter().any(|object| object.key.kind == ObjectKind::Secret);
    match select::format(name).filter(|_| secret) {
        Some(format) => manifest::without_secrets(&bytes, format),
        None => bytes,
    }
}

fn load(path: &str, name: &str, bytes: &[u8], node: &str) -> LoadOutput {
    let Some(format) = select::format(name) else {
        let message = "has no ending .yaml, .yml or .json; rename it".into();
        return LoadOutput { problems: vec![whole(path, message)], ..LoadOutput::default() };
    };
    manifest::load(&LoadInput { file: path, bytes, format, node, source: "file" })
}

/// A problem of the file as a whole.
pub(super) fn whole(file: &str, message: String) -> Problem {
    Problem { file: file.into(), line: 0, column: 0, path: String::new(), message, pod: None }
}

fn hash(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}
