//! `cargo xtask`: what a person does often with this project, each with `--help`. It installs what it
//! needs from Debian's and Rust's registries; it decides nothing about Berth itself.

mod apt;
mod arch;
mod compile;
mod demo;
mod fuzz;
mod guest;
mod images;
mod layer;
mod package;
mod perf;
mod power;
mod scenario;
mod sh;
mod suite;
mod tidy;
mod vm;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Build, try, test and measure Berth", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Boot an appliance with Berth in QEMU and watch a small application live in it
    Demo(demo::Args),
    /// Run all tests (the guests of both architectures too); of guests that fail each is tried once more by itself, and told as unsteady if it passes then
    Test(suite::Args),
    /// Boot an appliance with Berth in QEMU and run a script in it
    Vm(vm::Args),
    /// Run the simulator over many seeds
    Sim(suite::SimArgs),
    /// Fuzz whatever comes from outside as bytes
    Fuzz(fuzz::Args),
    /// Cut the power of a guest at random moments of its work on images, and look at what it finds
    PowerCuts(power::Args),
    /// Measure against a peer in the same run
    Bench(perf::Args),
    /// Build the release binary, static, for one architecture
    Build(compile::Args),
    /// Make the Debian package and the system extension for one architecture
    Package(package::Args),
    /// Make the test images (busybox and small static programs) for one architecture
    Images(images::Args),
    /// Check the Yocto layer
    Layer(layer::Args),
    /// Check the tree: licences and advisories, documents, file headers, the support table
    Tidy(tidy::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.task {
        Task::Demo(args) => demo::run(&args),
        Task::Test(args) => suite::run(&args),
        Task::Vm(args) => return vm::main(&args),
        Task::Sim(args) => suite::sim(&args),
        Task::Fuzz(args) => fuzz::run(&args),
        Task::PowerCuts(args) => power::run(&args, &guest::qemu::stream),
        Task::Bench(args) => perf::run(&args),
        Task::Build(args) => compile::run(&args),
        Task::Package(args) => package::run(&args),
        Task::Images(args) => images::run(&args),
        Task::Layer(args) => layer::run(&args),
        Task::Tidy(args) => tidy::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
