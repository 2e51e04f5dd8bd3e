//! The keeper with real processes. This program is all of them: run by cargo it is the test, run with an
//! applet's name it is that applet: the real keeper, and fakes for agent, zygote and worker.

// All of this is test code, which the lints cannot see without the test harness.
#![allow(clippy::unwrap_used, clippy::panic)]

mod cases;
mod fakes;
mod harness;
mod sys;

use std::{ffi::OsString, panic::catch_unwind, process::exit};

#[global_allocator]
static ALLOCATOR: sys::NoneWhileServing = sys::NoneWhileServing;

macro_rules! cases {
    ($($name:ident)*) => { &[$((stringify!($name), cases::$name as fn())),*] };
}

const CASES: &[(&str, fn())] = cases! {
    exits_are_reported
    many_at_once
    a_signal_reaches_the_process
    a_killed_agent_loses_neither_logs_nor_exits
    work_that_comes_to_nothing
    the_zygotes_death_fails_what_it_had_and_nothing_else
    workers_end_with_their_zygote
    an_exec_session
    an_agent_gets_a_clean_start
    an_agent_that_says_nonsense_is_told_so
    the_service_manager_is_told
    a_hung_agent_is_killed_and_nothing_else_is_touched
    an_agent_that_can_never_run_ends_the_service_once
    a_stop_with_nothing_to_hold_ends_the_keeper
    a_stop_holds_the_containers_and_a_start_adopts_them
    a_killed_front_changes_nothing_and_the_next_one_attaches
    a_second_front_is_refused
    an_upgrade_keeps_pid_children_and_descriptors
};

fn keeper(args: &[String]) -> i32 {
    let own: Vec<OsString> = args.iter().map(Into::into).collect();
    if let Some(status) = berth_keeper::internal(&own) {
        return status;
    }
    let [_, run_dir, socket] = args else { return 2 };
    berth_keeper::run(&berth_keeper::KeeperConfig {
        program: std::env::current_exe().unwrap(),
        agent_args: vec![socket.into()],
        run_dir: run_dir.into(),
        log_pipe_bytes: 8_192,
        stage_pipe_bytes: 4_096,
    })
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    match args.get(1).map(String::as_str) {
        Some("keeper") => exit(keeper(&args[2..])),
        Some("agent") => fakes::agent(&args[2..]),
        Some("zygote") => fakes::zygote(),
        Some("worker") => fakes::worker(&args[2..]),
        Some("--list") => CASES.iter().for_each(|(name, _)| println!("{name}: test")),
        filter => test(filter.filter(|word| !word.starts_with('-'))),
    }
}

/// Runs the cases whose name contains the filter.
fn test(filter: Option<&str>) {
    // Keepers outlive their fronts; here they become ours, so that their end can be awaited.
    nix::sys::prctl::set_child_subreaper(true).unwrap();
    let mut failed = vec![];
    for (name, case) in CASES.iter().filter(|(name, _)| filter.is_none_or(|word| name.contains(word))) {
        let passed = catch_unwind(case).is_ok();
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        if !passed {
            failed.push(name);
        }
    }
    println!("test result: {} failed", failed.len());
    exit(i32::from(!failed.is_empty()));
}
