//! All scenarios on the simulated machine; and what a scenario may be, on a stage that is none.

use super::{Ask, Happening, Host, Paused, Played, Printed, Scenario, Told, load_all, play, resume};
use crate::sim::Stage;
use serde_json::Value;
use std::path::Path;

/// How long things take differs with the seed.
const SEEDS: u64 = 10;

/// Happenings shown of one that fails.
const TOLD: usize = 40;

#[test]
fn scenarios_play_on_the_simulated_machine() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut failed = 0;
    for scenario in load_all(&folder).unwrap() {
        let broken = (1..=SEEDS).find_map(|seed| Some((seed, play(&scenario, &mut Stage::new(seed)).err()?)));
        let Some((seed, why)) = broken else { continue };
        failed += 1;
        let mut again = Stage::traced(seed);
        let _ = play(&scenario, &mut again);
        let trace = again.trace();
        let last = &trace[trace.len().saturating_sub(TOLD)..];
        eprintln!("{}\nseed {seed}, after {} s: {why}\n", last.join("\n"), again.now_ns() / 1_000_000_000);
    }
    assert_eq!(failed, 0, "scenarios that fail");
}

fn scenario(steps: &str) -> Result<Scenario, String> {
    let text = format!("about: x\nmanifests: {{a.yaml: x, b: y}}\nsteps: [{steps}]\n");
    let value: Value = serde_yaml::from_str(&text).unwrap();
    let scenario: Scenario = serde_json::from_value(value).map_err(|error| error.to_string())?;
    scenario.check().map(|()| scenario)
}

#[test]
fn what_cannot_happen_is_refused_before_anything_does() {
    for (steps, why) in [
        ("drop: c", "there is no manifest \"c\""),
        ("link: {file: a.yaml, with: c}", "there is no manifest \"c\""),
        ("address-says: c", "there is no manifest \"c\""),
        ("agent-away: [drop: c]", "there is no manifest \"c\""),
        ("agent-away: [kill-runtime]", "needs an agent"),
        ("agent-away: [reboot: []]", "needs an agent"),
        ("reboot: [drop: c]", "there is no manifest \"c\""),
        ("reboot: [exit: {pod: a, container: main, code: 1}]", "cannot happen while there is no power"),
        ("node: {runs: ls}", "unknown field `runs`"),
        ("drips: a.yaml", "unknown variant `drips`"),
    ] {
        let said = scenario(steps).map(|_| ());
        assert!(said.as_ref().is_err_and(|said| said.contains(why)), "{steps}: {said:?}");
    }
    let good = scenario("drop: a.yaml, {reboot: [{replace: {file: a.yaml, with: b}}]}, halt, {short-of: x}")
        .unwrap();
    assert!(good.is_of_real_machines());
    assert!(scenario("node: {run: ls}").unwrap().is_of_real_machines());
    assert!(!scenario("drop: a.yaml, kill-runtime").unwrap().is_of_real_machines());
}

/// A stage with no pods, whose commands print what it has, one after the other.
struct Puppet {
    now_ns: u64,
    prints: Vec<&'static str>,
    /// There are commands.
    real: bool,
    /// It plays on by itself after a reboot.
    plays_on: bool,
    happened: usize,
}

impl Puppet {
    fn new(prints: &[&'static str]) -> Self {
        Self {
            now_ns: 0,
            prints: prints.iter().rev().copied().collect(),
            real: true,
            plays_on: true,
            happened: 0,
        }
    }
}

impl Host for Puppet {
    fn now_ns(&self) -> u64 {
        self.now_ns
    }

    fn happens(&mut self, _: &Happening, _: &Scenario) -> Result<(), String> {
        self.happened += 1;
        Ok(())
    }

    fn next(&mut self, until_ns: u64) -> Result<Option<Value>, String> {
        let news = self.now_ns == 0;
        self.now_ns = until_ns;
        Ok(news.then(|| serde_json::json!({"items": []})))
    }

    fn told(&mut self) -> Result<Vec<Told>, String> {
        Ok(Vec::new())
    }

    fn prints(&mut self, _: &Ask) -> Result<Option<Printed>, String> {
        let out = if self.prints.len() > 1 { self.prints.pop() } else { self.prints.last().copied() };
        let out = out.unwrap_or_default().to_owned();
        Ok(self.real.then(|| Printed { out, err: "why".to_owned(), well: true }))
    }

    fn reboots(&mut self, _: &[Happening], _: &Scenario) -> Result<bool, String> {
        self.now_ns = 0;
        Ok(self.plays_on)
    }

    fn clear(&mut self) -> Result<(), String> {
        Ok(())
    }

    fn left(&self) -> Vec<String> {
        Vec::new()
    }
}

#[test]
fn what_commands_print_is_awaited_and_not_asked_where_there_are_none() {
    let asks = scenario("node: {run: ls, prints: c, within: 9}").unwrap();
    assert!(matches!(play(&asks, &mut Puppet::new(&["a", "b", "c"])), Ok(Played::Over)));
    let mut other = Puppet::new(&["a", "b"]);
    let said = play(&asks, &mut other).unwrap_err();
    assert!(said.contains("printed:\nb\nwhy"), "{said}");
    assert!(other.now_ns >= 9_000_000_000);
    let mut none = Puppet { real: false, ..Puppet::new(&["a"]) };
    assert!(matches!(play(&asks, &mut none), Ok(Played::Over)) && none.now_ns == 0);
}

#[test]
fn a_scenario_goes_on_after_a_reboot_where_it_was() {
    let steps = "drop: a.yaml, {reboot: [{remove: a.yaml}]}, {drop: b}, {node: {run: ls, prints: x}}";
    let reboots = scenario(steps).unwrap();
    let mut first = Puppet { plays_on: false, ..Puppet::new(&["x"]) };
    let Ok(Played::Reboots(paused)) = play(&reboots, &mut first) else { panic!("it does not boot again") };
    assert_eq!((first.happened, paused.meanwhile(&reboots).len()), (1, 1));
    let kept: Paused = serde_json::from_str(&serde_json::to_string(&paused).unwrap()).unwrap();
    let mut second = Puppet::new(&["x"]);
    assert!(matches!(resume(&reboots, &mut second, kept), Ok(Played::Over)));
    assert_eq!(second.happened, 1, "what comes after it, once");
    let mut at_once = Puppet::new(&["x"]);
    assert!(matches!(play(&reboots, &mut at_once), Ok(Played::Over)) && at_once.happened == 2);
}
