//! The command line as a whole: consistent, helpful, and as the golden texts show it.

use super::*;

#[test]
fn the_command_line_is_consistent() {
    command().debug_assert();
}

#[test]
fn every_verb_explains_itself_with_an_example() {
    for verb in command().get_subcommands() {
        let name = verb.get_name();
        assert!(verb.get_about().is_some(), "{name} says nothing of itself");
        let applet = ["agent", "keeper", "zygote"].contains(&name);
        let after = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(applet || after.contains("berth"), "{name} has no example");
        for arg in verb.get_arguments() {
            assert!(arg.get_help().is_some(), "{name}: {} is not explained", arg.get_id());
        }
    }
}

/// What `berth LINE` prints when it is asked for help.
fn help(line: &str) -> String {
    let error = Cli::try_parse_from(["berth"].into_iter().chain(line.split_whitespace())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DisplayHelp);
    error.render().to_string()
}

#[test]
fn help_texts_are_as_documented() {
    for (line, golden) in [
        ("--help", include_str!("testdata/help.txt")),
        ("get --help", include_str!("testdata/get.txt")),
        ("logs -h", include_str!("testdata/logs.txt")),
    ] {
        let text = help(line);
        assert!(text == golden, "berth {line}:\n{text}");
    }
}

#[test]
fn mistakes_are_usage_errors() {
    for line in [
        "frobnicate",
        "get",
        "get deployments",
        "exec web",
        "wait pod/a",
        "logs",
        "logs a b -c c",
        "top",
        "top pods --interval=0s",
    ] {
        let parsed = Cli::try_parse_from(["berth"].into_iter().chain(line.split_whitespace()));
        assert!(parsed.is_err_and(|error| error.use_stderr()), "berth {line}");
    }
}

#[test]
fn lines_that_users_of_kubectl_type() {
    for line in [
        "get pods -A -owide",
        "get po web -o=json",
        "get pods -l app=web,tier!=back -w",
        "get ev --for pod/web",
        "describe pod/web",
        "describe po web -n prod",
        "logs -f web -c main --tail=20 --since=1h",
        "logs -p web",
        "exec -it web -c main -- sh -c 'a b'",
        "exec web -- ls -l",
        "wait --for=condition=Ready pod/web --timeout=60s",
        "wait --for=delete pod/web --timeout=-1s",
        "top pods",
        "top po web --containers --no-headers",
        "top pod -A --sort-by=memory -o wide",
        "top no --interval 5s",
        "wait pods --all --for=condition=Ready",
        "health --wait --timeout=5m --stable=10s --at-least 2",
        "doctor --boot-report -o json",
        "version --client",
    ] {
        let parsed = Cli::try_parse_from(["berth"].into_iter().chain(line.split_whitespace()));
        assert!(parsed.is_ok(), "berth {line}: {}", parsed.unwrap_err());
    }
}
