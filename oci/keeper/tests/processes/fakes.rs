//! The fakes: an agent that hands its socket to the test and then only waits, a zygote whose workers run
//! shell scripts instead of containers.

use berth_keeper::{
    link,
    protocol::{FailClass, KEEPER_FD, Text, Work, WorkReport},
};
use std::{
    io::Read as _,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::{net::UnixStream, process::CommandExt as _},
    },
    process::{Command, Stdio, exit},
};

/// The socket to the keeper.
fn keeper() -> OwnedFd {
    crate::sys::fd_by_number(KEEPER_FD)
}

/// Says who we are to the test, then waits for its end or for a signal.
pub(crate) fn agent(args: &[String]) -> ! {
    let keeper = keeper();
    let mut test = UnixStream::connect(&args[0]).unwrap();
    let mut fds: Vec<_> = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    fds.sort();
    let variables: Vec<_> = std::env::vars().map(|(name, _)| name).collect();
    let about = format!("{}\n{}\n{}\n", std::process::id(), fds.join(" "), variables.join(" "));
    crate::harness::send_fd(&test, about.as_bytes(), keeper.as_fd());
    let mut status = [0];
    let _ = test.read(&mut status);
    drop(keeper);
    exit(status[0].into())
}

// The one who is not waited for outlives the zygote.
#[allow(clippy::zombie_processes)]
/// Takes work. A bundle is a script; some words are for the zygote itself.
pub(crate) fn zygote() -> ! {
    let keeper = keeper();
    if link::send(&keeper, &WorkReport::Ready, &[]).is_err() {
        exit(0);
    }
    loop {
        let Ok((work, fds)) = link::recv::<Work>(&keeper) else { exit(0) };
        let (ticket, script) = match &work {
            Work::Create { ticket, bundle, .. } | Work::Exec { ticket, bundle, .. } => {
                (*ticket, bundle.clone())
            }
        };
        match script.as_str() {
            "never" => continue,
            "zygote dies" => exit(9),
            "late" => {
                let report = WorkReport::Lost { ticket, class: FailClass::Timeout };
                link::send(&keeper, &report, &[]).unwrap();
                continue;
            }
            _ => {}
        }
        let mut worker = Command::new(std::env::current_exe().unwrap());
        worker.args(["worker", &ticket.to_string(), &script]);
        let mut fds = fds.into_iter().collect::<Vec<_>>();
        let stderr = fds.pop().unwrap();
        let stdout = fds.pop().unwrap();
        worker.stdin(fds.pop().map_or(Stdio::null(), Stdio::from)).stdout(stdout).stderr(stderr);
        if script == "worker waits" {
            worker.spawn().unwrap();
            continue;
        }
        let status = worker.status().unwrap();
        if !status.success() {
            link::send(&keeper, &WorkReport::Lost { ticket, class: FailClass::Lost }, &[]).unwrap();
        }
    }
}

// Not to wait for the script is the point.
#[allow(clippy::zombie_processes)]
/// One operation: starts the script, reports, ends. The script is then the keeper's child.
pub(crate) fn worker(args: &[String]) -> ! {
    let keeper = keeper();
    crate::harness::close_on_exec(&keeper);
    let ticket = args[0].parse().unwrap();
    let report = |report: &WorkReport| link::send(&keeper, report, &[]).unwrap();
    match args[1].as_str() {
        "worker dies" => exit(1),
        "worker waits" => {
            println!("up");
            loop {
                std::thread::park();
            }
        }
        "refused" => {
            let text = Text::try_from("no such program").unwrap();
            report(&WorkReport::Failed { ticket, class: FailClass::Runtime, text });
        }
        script => {
            let child = Command::new("/bin/sh").args(["-c", script]).process_group(0).spawn().unwrap();
            report(&WorkReport::Started { ticket, pid: i32::try_from(child.id()).unwrap() });
        }
    }
    exit(0)
}
