//! The verbs of `berth image` against an agent that answers from a script.

use super::*;
use crate::cli::testing::{Agent, run_verb};
use serde_json::json;

/// What the verb prints and how it ends when the agent answers so.
fn said(words: &[&str], answer: Value) -> (Result<(), Failure>, String) {
    use clap::Parser as _;
    let line = ["berth", "image"].iter().chain(words);
    let crate::cli::Verb::Image(args) = crate::cli::Cli::try_parse_from(line).unwrap().verb else { panic!() };
    let agent = Agent::that_tells(vec![vec![answer]]);
    let ran = run_verb(&agent, |session| run(&args, session));
    (ran.result, ran.out)
}

#[test]
fn lists_tell_sizes_and_why_images_stay() {
    let image = json!({"names": ["b:1", "a:1"], "id": "sha256:0123456789abcdef", "sizeBytes": 2000, "uniqueBytes": 5,
        "pinned": true, "vendor": false, "usedBy": ["default/web"]});
    let nameless = json!({"names": [], "id": "sha256:ff", "sizeBytes": 1, "uniqueBytes": 1});
    let (ended, text) = said(&["ls"], json!({"items": [image, nameless]}));
    assert_eq!(ended, Ok(()));
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["NAME", "IMAGE-ID", "SIZE", "UNSHARED", "KEPT", "BY"]);
    assert_eq!(lines[1], ["<none>", "ff", "1B", "1B", "<none>"]);
    assert_eq!(lines[2], ["a:1", "0123456789abc", "2.00kB", "5B", "pin,default/web"]);
    assert_eq!(lines[3][0], "b:1");
}

#[test]
fn damage_that_stays_is_a_failure() {
    let report = |repaired: bool| {
        json!({"images": 1, "layers": 2, "unknown": 1, "damage": [
        {"images": ["a:1"], "what": "x is damaged", "repaired": repaired, "whyNot": if repaired { Value::Null } else { "no source".into() }}]})
    };
    let (ended, text) = said(&["verify", "--repair"], report(false));
    assert_eq!(ended, Err(Failure::Status(1)));
    assert!(
        text.contains("a:1: x is damaged\n  NOT repaired: no source\n1 images, 2 layers, 1 of them"),
        "{text}"
    );
    let (ended, text) = said(&["verify", "--repair"], report(true));
    assert_eq!(ended, Ok(()));
    assert!(text.ends_with("0 damaged\n"), "{text}");
}

#[test]
fn removals_are_told() {
    let (ended, text) = said(&["rm", "a", "b"], json!({"removed": ["sha256:1"], "untagged": ["a"]}));
    assert_eq!((ended, text.as_str()), (Ok(()), "untagged a\nremoved sha256:1\n"));
    let pruned =
        json!({"removed": [{"id": "sha256:1", "names": ["a:1"], "bytes": 1000}], "freedBytes": 1000});
    let (_, text) = said(&["prune", "-a", "--dry-run"], pruned);
    assert_eq!(text, "would remove sha256:1 a:1\nto be freed: 1.00kB\n");
}

#[test]
fn an_export_that_fails_leaves_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.tar");
    let (ended, _) =
        said(&["export", "a", "-o", file.to_str().unwrap()], json!({"name": "a", "digest": "d"}));
    assert_eq!((ended, file.exists()), (Ok(()), true));
    std::fs::remove_file(&file).unwrap();
    let agent = Agent::that_tells(vec![vec![]]);
    assert!(run_verb(&agent, |session| export("a", &file, session)).result.is_err());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
