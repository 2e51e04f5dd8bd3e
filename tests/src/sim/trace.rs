//! The last things that happened, kept only when somebody will read them.

use berth_core::action::{Action, ActionKind};
use std::collections::VecDeque;

/// Happenings kept.
const KEPT: usize = 200;

/// Off, or a ring of lines.
#[derive(Debug, Default)]
pub(crate) struct Trace(Option<VecDeque<String>>);

impl Trace {
    pub(crate) fn on() -> Self {
        Self(Some(VecDeque::new()))
    }

    pub(crate) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn say(&mut self, at: u64, line: String) {
        if let Some(lines) = &mut self.0 {
            if lines.len() == KEPT {
                lines.pop_front();
            }
            lines.push_back(format!("{:>12.6} {line}", at as f64 / 1e9));
        }
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.iter().flatten().cloned().collect()
    }
}

pub(crate) fn action(action: &Action) -> String {
    let what = match &action.kind {
        ActionKind::EnsureImage { image, .. } => format!("ensure image {image}"),
        ActionKind::CreateSandbox { .. } => "create sandbox".to_owned(),
        ActionKind::RefreshFiles { .. } => "refresh files".to_owned(),
        ActionKind::Update { .. } => "update".to_owned(),
        ActionKind::StartContainer { container, attempt, id, .. } => {
            format!("start {container} #{attempt} as {id}")
        }
        ActionKind::Resize { runs, .. } => format!("resize {runs:?}"),
        ActionKind::Signal { id, signal } => format!("signal {signal} to {id}"),
        ActionKind::Check { id, check } => format!("check {:?} of {id}", check.purpose),
        ActionKind::Note { id, started, ready } => format!("note {id}: {started} {ready}"),
        ActionKind::Measure { .. } => "measure".to_owned(),
        ActionKind::Observe => "observe the node".to_owned(),
        ActionKind::Reclaim => "reclaim".to_owned(),
        ActionKind::Weigh { signal, pods } => format!("weigh {} of {} pods", signal.as_str(), pods.len()),
        ActionKind::Kill { id } => format!("kill {id}"),
        ActionKind::RemoveContainer { id } => format!("remove container {id}"),
        ActionKind::RemoveSandbox { .. } => "remove sandbox".to_owned(),
        ActionKind::SaveCheckpoint { checkpoint } => format!("save {:?}", checkpoint.containers),
        ActionKind::DropCheckpoint => "drop checkpoint".to_owned(),
    };
    format!("plan {}: {} {what}", action.id.0, action.pod)
}
