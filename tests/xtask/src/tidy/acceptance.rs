//! What Kubernetes' own tests ask of a node, and which scenario or test covers it: `tests/acceptance.list` as a page for
//! people. Says nothing that is not in the list, and lets no name in the list be wrong.

use crate::sh::{self, Result};
use std::fs;

/// The list.
const LIST: &str = "tests/acceptance.list";
/// The page.
const PAGE: &str = "ACCEPTANCE.md";
/// Where scenarios are that the simulator and guests play.
const SCENARIOS: &str = "tests/scenarios";
/// Above the tables.
const HEAD: &str = "# What Kubernetes' tests ask of a node\n\nEvery item of Kubernetes' own tests of static pods, kubelet and \
    pods that has a meaning without an API server, and which scenario or test here covers it; what is left out, and why. Made from \
    `tests/acceptance.list`; `cargo xtask tidy --write` writes it anew and sees to it that all that is named is there.\n";

/// What is said of an item.
#[derive(Debug, PartialEq, Eq)]
enum Said<'a> {
    Covered(Vec<&'a str>),
    NotYet(&'a str),
    LeftOut(&'a str),
}

/// Writes the page, or compares it; checks the names.
pub(super) fn check(write: bool, problems: &mut Vec<String>) -> Result {
    let list = fs::read_to_string(sh::root().join(LIST))?;
    let page = page(&list, problems, &|cover| is_there(cover));
    let path = sh::root().join(PAGE);
    if write {
        fs::write(&path, &page)?;
    } else if fs::read_to_string(&path).unwrap_or_default() != page {
        problems.push(format!("{PAGE} is not what {LIST} says: run `cargo xtask tidy --write`"));
    }
    Ok(())
}

fn page(list: &str, problems: &mut Vec<String>, is_there: &dyn Fn(&str) -> bool) -> String {
    let (mut text, mut counts) = (String::new(), [0_usize; 3]);
    for (number, line) in list.lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(heading) = line.strip_prefix("== ") {
            text.push_str(&format!("\n## {heading}\n\n| Item | Covered by |\n|---|---|\n"));
            continue;
        }
        let Some((item, said)) = line.split_once(" | ") else {
            problems.push(format!("{LIST}:{}: not `ITEM | COVER`", number + 1));
            continue;
        };
        let said = read(said);
        let shown = match &said {
            Said::Covered(covers) => {
                for cover in covers.iter().filter(|cover| !is_there(cover)) {
                    problems.push(format!("{LIST}:{}: there is no {cover:?}", number + 1));
                }
                covers.iter().map(|cover| show(cover)).collect::<Vec<_>>().join(", ")
            }
            Said::NotYet(why) => format!("**not yet**: {why}"),
            Said::LeftOut(why) => format!("left out: {why}"),
        };
        counts[match said {
            Said::Covered(_) => 0,
            Said::NotYet(_) => 1,
            Said::LeftOut(_) => 2,
        }] += 1;
        text.push_str(&format!("| {item} | {shown} |\n"));
    }
    let [covered, not_yet, left_out] = counts;
    format!("{HEAD}\n{covered} covered, {not_yet} not yet, {left_out} left out.\n{text}")
}

fn read(said: &str) -> Said<'_> {
    match (said.strip_prefix("! "), said.strip_prefix("- ")) {
        (Some(why), _) => Said::NotYet(why),
        (None, Some(why)) => Said::LeftOut(why),
        (None, None) => Said::Covered(said.split(';').map(str::trim).collect()),
    }
}

fn show(cover: &str) -> String {
    if let Some(name) = cover.strip_prefix("scenario ") {
        return format!("`{SCENARIOS}/{name}.yaml`");
    }
    match (cover.strip_prefix("guest "), cover.split_once(' ')) {
        (Some(guest), _) => match guest.split_once(": ") {
            Some((name, step)) => format!("`tests/guest/{name}` ({step})"),
            None => format!("`tests/guest/{guest}`"),
        },
        (None, Some((file, "fn"))) => format!("`{file}`"),
        (None, Some((file, function))) => format!("`{file}` ({function})"),
        (None, None) => cover.to_owned(),
    }
}

/// The scenario is there, or the guest has such words, or the file such a test; `fn` stands for any.
fn is_there(cover: &str) -> bool {
    let text = |path: String| fs::read_to_string(sh::root().join(path)).unwrap_or_default();
    if let Some(name) = cover.strip_prefix("scenario ") {
        return !text(format!("{SCENARIOS}/{name}.yaml")).is_empty();
    }
    if let Some(guest) = cover.strip_prefix("guest ") {
        let (name, step) = guest.split_once(": ").unwrap_or((guest, ""));
        let script = text(format!("tests/guest/{name}/script.sh"));
        let in_step = |line: &str| line.starts_with("step ") && line.contains(step);
        return !script.is_empty() && (step.is_empty() || script.lines().any(in_step));
    }
    let Some((file, function)) = cover.split_once(' ') else { return false };
    let source = text(file.to_owned());
    match function {
        "fn" => source.contains("#[test]") || source.contains("#[tokio::test"),
        name => source.contains(&format!("fn {name}(")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_not_there_is_a_problem() {
        let mut problems = Vec::new();
        let list = "# x\n== One\na | guest here: step; b.rs gone\ne | scenario there\nc | - no\nd | ! later\nwrong\n";
        let page = page(list, &mut problems, &|cover| !cover.starts_with("b.rs"));
        assert!(page.contains("2 covered, 1 not yet, 1 left out"));
        assert!(page.contains("| a | `tests/guest/here` (step), `b.rs` (gone) |\n| e | `tests/scenarios/there.yaml` |\n| c | left out: no |"));
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(
            is_there("guest first-pod")
                && is_there("scenario init-in-order")
                && !is_there("scenario no-such")
                && !is_there("guest no-such")
                && !is_there("guest first-pod: nonsense")
        );
    }
}
