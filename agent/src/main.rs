//! `berth`: one binary for the long-lived processes (applets `keeper`, `agent`, `zygote`) and for the command
//! line. Until it is known which of them this process is, there is one thread and next to no memory in use.

mod act;
mod agent;
mod api;
mod applet;
mod check;
mod cli;
mod config;
mod doctor;
mod events;
mod keeper_link;
mod logs;
mod names;
mod pressure;
mod source;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    if let Some(status) = applet::keeper_itself(&args) {
        return status;
    }
    match applet::from_args(args.into_iter()) {
        Some(applet) => applet.run(),
        None => cli::main(),
    }
}
