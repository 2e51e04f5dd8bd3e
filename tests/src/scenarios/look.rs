//! What is to be seen of pods, in words, and what there is to be seen: facts read from the JSON that `berth get pods`
//! shows. Pure.

use super::NODE;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Under this name are the words about the pod itself, beside those about its containers.
const POD: &str = "pod";
/// The word for a pod that is not there.
const GONE: &str = "gone";

/// By pod: what is to be seen of it. All of it at once; nothing stands for nothing.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct Look(BTreeMap<String, OfPod>);

/// Words about the pod, or by container, with [`POD`] for the pod itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum OfPod {
    Itself(String),
    Parts(BTreeMap<String, String>),
}

/// What one pod was when a scenario noted it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Noted {
    uid: String,
    runs: BTreeMap<String, String>,
}

/// By pod.
pub(super) type Notes = BTreeMap<String, Noted>;

impl Look {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether all of it is to be seen; of a pod of which there are two revisions, of either.
    pub(super) fn is_in(&self, list: &Value, notes: &Notes) -> bool {
        self.0.iter().all(|(pod, wanted)| {
            let shown: Vec<&Value> = named(list, pod).collect();
            match wanted {
                OfPod::Itself(word) if word == GONE => shown.is_empty(),
                wanted => shown.iter().any(|shown| wanted.are_of(shown, notes.get(pod))),
            }
        })
    }

    /// What is seen of the pods that it is about.
    pub(super) fn instead(&self, list: &Value, notes: &Notes) -> String {
        let mut lines = Vec::new();
        for pod in self.0.keys() {
            let shown: Vec<&Value> = named(list, pod).collect();
            if shown.is_empty() {
                lines.push(format!("{pod}: {GONE}"));
            }
            for shown in shown {
                for (part, facts) in facts(shown, notes.get(pod)) {
                    let facts: Vec<String> = facts.into_iter().collect();
                    lines.push(format!("{pod}/{part}: {}", facts.join(" ")));
                }
            }
        }
        lines.join("\n")
    }
}

impl OfPod {
    fn are_of(&self, shown: &Value, noted: Option<&Noted>) -> bool {
        let facts = facts(shown, noted);
        let hold = |part: &str, words: &str| {
            facts.get(part).is_some_and(|facts| words.split_whitespace().all(|word| facts.contains(word)))
        };
        match self {
            Self::Itself(words) => hold(POD, words),
            Self::Parts(parts) => parts.iter().all(|(part, words)| hold(part, words)),
        }
    }
}

/// The pods of this name; the node's stands behind it.
pub(super) fn named<'a>(list: &'a Value, pod: &str) -> impl Iterator<Item = &'a Value> {
    let full = format!("{pod}-{NODE}");
    items(&list["items"]).filter(move |item| item["metadata"]["name"] == full.as_str())
}

pub(super) fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// What the pod is now.
pub(super) fn note(shown: &Value) -> Noted {
    let runs = statuses(shown).map(|status| (text(&status["name"]), text(&status["containerID"])));
    Noted { uid: text(&shown["metadata"]["uid"]), runs: runs.collect() }
}

pub(super) fn statuses(shown: &Value) -> impl Iterator<Item = &Value> {
    let list = |field: &str| items(&shown["status"][field]);
    list("initContainerStatuses").chain(list("containerStatuses"))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// All that can be said of the pod and its containers.
fn facts(shown: &Value, noted: Option<&Noted>) -> BTreeMap<String, BTreeSet<String>> {
    let of_container = |status: &Value| {
        let name = text(&status["name"]);
        let run = noted.and_then(|noted| noted.runs.get(&name));
        (name, container(status, run))
    };
    let mut all: BTreeMap<_, _> = statuses(shown).map(of_container).collect();
    all.insert(POD.to_owned(), pod(shown, noted));
    all
}

/// `Running`, `DeadlineExceeded`, `Ready` or `!Ready` and `Ready:ContainersNotReady`, `terminating`, `same` or `new`;
/// labels as `app=web`.
fn pod(shown: &Value, noted: Option<&Noted>) -> BTreeSet<String> {
    let status = &shown["status"];
    let mut facts = BTreeSet::from([text(&status["phase"]), text(&status["reason"])]);
    for condition in items(&status["conditions"]) {
        let (kind, holds) = (text(&condition["type"]), condition["status"] == "True");
        if let Some(reason) = condition["reason"].as_str() {
            facts.insert(format!("{kind}:{reason}"));
        }
        facts.insert(if holds { kind } else { format!("!{kind}") });
    }
    for (name, value) in shown["metadata"]["labels"].as_object().into_iter().flatten() {
        facts.insert(format!("{name}={}", text(value)));
    }
    if shown["metadata"]["deletionTimestamp"].is_string() {
        facts.insert("terminating".to_owned());
    }
    facts.extend(noted.map(|noted| compared(&noted.uid, &shown["metadata"]["uid"])));
    facts.remove("");
    facts
}

/// `running`, `waiting` or `terminated` with its reason, `code=1`, `says=words`, `ready`, `unready`, `started`,
/// `restarts=2`, `back-off=10s`, `cpus=1,3` for processors that are its own, of what it has `cpu=100m` (as its request) and `memory<=64Mi` (as its limit), of the run before `last=Error` and `last-code=1`, `same` or `new`.
fn container(status: &Value, noted: Option<&String>) -> BTreeSet<String> {
    let mut facts = BTreeSet::new();
    for (state, about) in status["state"].as_object().into_iter().flatten() {
        facts.extend([state.clone(), text(&about["reason"])]);
        let words = about["message"].as_str().unwrap_or_default();
        let wait = words.strip_prefix("back-off ").and_then(|words| words.split_once(' '));
        facts.extend(wait.map(|(wait, _)| format!("back-off={wait}")));
        facts.extend(about["exitCode"].as_i64().map(|code| format!("code={code}")));
        facts.extend(about["message"].as_str().map(|message| format!("says={}", message.replace(' ', "_"))));
    }
    let last = &status["lastState"]["terminated"];
    facts.extend(last["reason"].as_str().map(|reason| format!("last={reason}")));
    facts.extend(last["exitCode"].as_i64().map(|code| format!("last-code={code}")));
    facts.extend(last["message"].as_str().map(|message| format!("last-says={}", message.replace(' ', "_"))));
    facts.insert(if status["ready"] == true { "ready" } else { "unready" }.to_owned());
    if status["started"] == true {
        facts.insert("started".to_owned());
    }
    facts.extend(status["restartCount"].as_u64().map(|count| format!("restarts={count}")));
    for (list, sign) in [("requests", "="), ("limits", "<=")] {
        for (name, amount) in status["resources"][list].as_object().into_iter().flatten() {
            facts.insert(format!("{name}{sign}{}", text(amount)));
        }
    }
    let own: Vec<String> = items(&status["allocatedResourcesStatus"])
        .filter(|resource| resource["name"] == "cpu")
        .flat_map(|resource| items(&resource["resources"]))
        .map(|cpu| text(&cpu["resourceID"]))
        .collect();
    if !own.is_empty() {
        facts.insert(format!("cpus={}", own.join(",")));
    }
    facts.extend(noted.map(|run| compared(run, &status["containerID"])));
    facts.remove("");
    facts
}

fn compared(noted: &str, now: &Value) -> String {
    if now == noted { "same" } else { "new" }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn words_are_held_against_what_is_shown() {
        let list = json!({"items": [{
            "metadata": {"name": "web-edge", "uid": "u1"},
            "status": {
                "phase": "Running",
                "conditions": [{"type": "Ready", "status": "False", "reason": "ContainersNotReady"}],
                "containerStatuses": [{
                    "name": "main", "ready": false, "started": true, "restartCount": 2, "containerID": "berth://b",
                    "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 20s restarting"}},
                    "lastState": {"terminated": {"exitCode": 3, "reason": "Error"}},
                }],
            },
        }]});
        let noted = Noted {
            uid: "u0".to_owned(),
            runs: BTreeMap::from([("main".to_owned(), "berth://b".to_owned())]),
        };
        let notes = BTreeMap::from([("web".to_owned(), noted)]);
        for (look, holds) in [
            (json!({}), true),
            (json!({"web": "Running !Ready Ready:ContainersNotReady new"}), true),
            (json!({"web": "Running Ready"}), false),
            (json!({"web": "terminating"}), false),
            (
                json!({"web": {"main": "waiting CrashLoopBackOff says=back-off_20s_restarting last-code=3 last=Error"}}),
                true,
            ),
            (json!({"web": {"main": "back-off=20s"}}), true),
            (json!({"web": {"main": "back-off=10s"}}), false),
            (json!({"web": {"pod": "new", "main": "restarts=2 started unready same"}}), true),
            (json!({"web": {"main": "restarts=1"}}), false),
            (json!({"web": {"other": "running"}}), false),
            (json!({"web": "gone"}), false),
            (json!({"db": "gone"}), true),
            (json!({"db": "Running"}), false),
            (json!({"web": "Running", "db": "Running"}), false),
        ] {
            let parsed: Look = serde_json::from_value(look.clone()).unwrap();
            assert_eq!(parsed.is_in(&list, &notes), holds, "{look}");
        }
    }
}
