//! An address of manifests: it says right and wrong things, or nothing. What it says is judged by the core's own
//! `answer`; what the box is to make of it is known here by itself, from what was said and not from what was understood.

use super::{manifests::IMAGES, rng::Rng};
use berth_core::manifest::{
    LoadOutput, Problem,
    answer::{Answer, answer},
};

/// Where it is.
pub(crate) const URL: &str = "http://manifests.test/pods";
/// The node's name.
const NODE: &str = "node";
/// No pods, said in the one way that counts.
pub(crate) const NO_PODS: &str = "{apiVersion: v1, kind: PodList, items: []}";

/// What it says to whoever asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Says {
    /// Nothing: no connection, no certificate, another status than 200, an answer that is cut.
    Nothing,
    /// This whole text, to who shows that token, if there is one.
    Text(String, Option<&'static str>),
}

/// The address, and the box's side of it.
#[derive(Debug)]
pub(crate) struct Address {
    says: Says,
    /// The names of the pods that are meant; none for what must change nothing.
    means: Option<Vec<String>>,
    /// What the box shows when it asks.
    pub(crate) token: Option<&'static str>,
    /// The last text that was right, as it is on the box's disk.
    kept: Option<String>,
    /// The pods that the last text that meant any has.
    expected: Vec<String>,
    /// An empty answer means no pods, as it does to kubelet.
    pub(crate) empty_counts: bool,
    /// That the box understood something else than was said.
    pub(crate) misunderstood: Option<String>,
}

impl Address {
    /// One that has never said anything.
    pub(crate) fn new() -> Self {
        Self {
            says: Says::Nothing,
            means: None,
            token: None,
            kept: None,
            expected: Vec::new(),
            empty_counts: false,
            misunderstood: None,
        }
    }

    /// From now on it says this, and means these pods; none: nothing that may change anything.
    pub(crate) fn say(&mut self, says: Says, means: Option<&[&str]>) {
        let name = |name: &&str| format!("{name}-{NODE}");
        (self.says, self.means) = (says, means.map(|names| names.iter().map(name).collect()));
    }

    /// It says something else by chance; what.
    pub(crate) fn change(&mut self, rng: &mut Rng) -> String {
        match rng.range(0, 3) {
            0 => self.say(Says::Nothing, None),
            1 => {
                let wrong = *rng.pick(&WRONG);
                self.say(Says::Text(wrong.to_owned(), None), None);
            }
            2 if rng.chance(300) => self.say(Says::Text(NO_PODS.to_owned(), None), Some(&[])),
            _ => {
                // Of the first there may be a file too, and that goes before this.
                let names: Vec<&str> =
                    ["p0", "u1", "u2", "u3"].into_iter().filter(|_| rng.chance(500)).collect();
                if !names.is_empty() {
                    let pods: Vec<String> = names.iter().map(|name| some_pod(rng, name)).collect();
                    let text = match rng.chance(500) {
                        true => pods.join("\n---\n"),
                        false => format!("{{apiVersion: v1, kind: List, items: [{}]}}", pods.join(", ")),
                    };
                    self.say(Says::Text(text, None), Some(&names));
                }
            }
        }
        format!("the address says {:?}, and means {:?}", self.says, self.means)
    }

    /// What it wants no longer changes, and is right.
    pub(crate) fn mend(&mut self) {
        if self.means.is_none() {
            let text = self.kept.clone().unwrap_or_else(|| NO_PODS.to_owned());
            (self.says, self.means) = (Says::Text(text, None), Some(self.expected.clone()));
        }
    }

    /// The box asks, and takes what it may; what counts then, and what is wrong with what was said.
    pub(crate) fn ask(&mut self) -> (LoadOutput, Vec<Problem>) {
        let mut problems = Vec::new();
        if let Says::Text(text, token) = &self.says
            && (token.is_none() || *token == self.token)
        {
            if let Some(means) = &self.means {
                self.expected.clone_from(means);
            }
            match answer(URL, text.as_bytes(), NODE) {
                // On the disk before it counts.
                Answer::Taken(_) => self.kept = Some(text.clone()),
                Answer::Refused(_) if self.empty_counts && text.is_empty() => self.kept = None,
                Answer::Refused(why) => problems = why,
            }
        }
        let output = self.kept.as_ref().map(|text| answer(URL, text.as_bytes(), NODE));
        let output = match output {
            Some(Answer::Taken(output)) => output,
            _ => LoadOutput::default(),
        };
        let understood: Vec<String> = output.pods.iter().map(|pod| pod.key.name.to_string()).collect();
        if understood != self.expected {
            let expected = &self.expected;
            self.misunderstood =
                Some(format!("{:?} was taken for {understood:?}, and means {expected:?}", self.says));
        }
        (output, problems)
    }
}

/// Texts that must change nothing.
const WRONG: [&str; 9] = [
    "",
    "# nothing here",
    "null",
    "<html><body>Sign in</body></html>",
    "{\"message\": \"upstream timed out\"}",
    "{apiVersion: v1, kind: PodList}",
    "{apiVersion: v1, kind: Pod, metadata: {name: u1}, spec: {containers: []}}",
    "{apiVersion: v1, kind: ConfigMap, metadata: {name: m}}",
    "{apiVersion: v1, kind: Pod, metadata: {name: u2}, spec: {containers: [{name: c0, image: serve}]}}\n---\n{kind: Pod",
];

/// A pod's manifest.
pub(crate) fn pod(name: &str, image: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{containers: [{{name: c0, image: {image}, \
         imagePullPolicy: IfNotPresent}}]}}}}"
    )
}

fn some_pod(rng: &mut Rng, name: &str) -> String {
    let (image, grace_s) = (*rng.pick(&IMAGES), *rng.pick(&[0, 1, 30]));
    let policy = *rng.pick(&["Always", "Always", "OnFailure", "Never"]);
    pod(name, image).replace(
        "spec: {",
        &format!("spec: {{terminationGracePeriodSeconds: {grace_s}, restartPolicy: {policy}, "),
    )
}
