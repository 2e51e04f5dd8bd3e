//! `cargo xtask fuzz`: whatever comes from outside as bytes, fuzzed by libFuzzer (`cargo fuzz`). It makes the first
//! inputs and the dictionary from the tree; what it finds on the way stays in `target/fuzz` for the next run.

use crate::{
    apt,
    sh::{self, Result, cmd},
};
use berth_images::build::{Entry, entry_tar};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    thread,
};

/// The targets of `tests/fuzz`, and what a full run of the tests gives each, seconds.
const TARGETS: [(&str, u32); 5] =
    [("manifest", 60), ("answer", 15), ("reference", 10), ("image", 15), ("layer", 15)];
/// One input, bytes.
const INPUT_MAX_BYTES: u32 = 64 * 1024;
/// One input may take so long, seconds.
const INPUT_MAX_S: u32 = 20;
/// Words of the dictionary shorter than this help nobody.
const WORD_MIN_BYTES: usize = 3;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only this target: manifest, answer, reference, image, layer
    target: Option<String>,
    /// How long each target is fuzzed
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Run the target once, with the input in this file
    #[arg(long, requires = "target")]
    replay: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result {
    let wanted = |name: &str| args.target.as_deref().is_none_or(|target| target == name);
    let targets: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).filter(|name| wanted(name)).collect();
    if targets.is_empty() {
        return Err(format!("no such target; there are {}", TARGETS.map(|(name, _)| name).join(", ")).into());
    }
    ensure()?;
    match &args.replay {
        Some(file) => sh::run(cargo_fuzz("run").args([targets[0].as_ref(), file.as_os_str()])),
        None => targets.iter().try_for_each(|target| fuzz(target, args.seconds)),
    }
}

/// All targets, each as long as a full run of the tests has for it: the first, the longest, beside the others.
pub(crate) fn all() -> Result {
    ensure()?;
    sh::run(&mut cargo_fuzz("build"))?;
    let (first, others) = TARGETS.split_at(1);
    let run = |targets: &[(&str, u32)]| {
        let mut each = targets.iter().map(|(target, seconds)| fuzz(target, *seconds));
        each.try_for_each(|result| result.map_err(|error| error.to_string()))
    };
    thread::scope(|scope| {
        let beside = scope.spawn(|| run(first));
        let result = run(others);
        beside.join().unwrap_or_else(|_| Err("the thread of the fuzzer panicked".into())).and(result)
    })
    .map_err(Into::into)
}

/// Installs what is missing, and gives the fuzzed build the versions of ours.
fn ensure() -> Result {
    apt::ensure(&["g++"])?;
    if !cmd("cargo", ["fuzz", "--version"]).output().is_ok_and(|out| out.status.success()) {
        sh::run(sh::cargo().args(["install", "--quiet", "--debug", "--locked", "cargo-fuzz"]))?;
    }
    fs::copy(sh::root().join("Cargo.lock"), crate_dir().join("Cargo.lock"))?;
    Ok(())
}

fn fuzz(target: &str, seconds: u32) -> Result {
    let dir = sh::target().join("fuzz");
    let (corpus, found) = (dir.join("corpus").join(target), dir.join("found").join(target));
    fs::create_dir_all(&corpus)?;
    fs::create_dir_all(&found)?;
    let seeds = dir.join("seeds").join(target);
    write_seeds(target, &seeds)?;
    let words = dir.join("words");
    fs::write(&words, dictionary()?)?;
    let mut run = cargo_fuzz("run");
    run.arg(target).arg(corpus).arg(seeds).arg("--");
    run.arg(format!("-max_total_time={seconds}"));
    run.arg(format!("-max_len={INPUT_MAX_BYTES}"));
    run.arg(format!("-timeout={INPUT_MAX_S}"));
    run.arg(format!("-artifact_prefix={}/", found.display()));
    run.arg(format!("-dict={}", words.display()));
    run.arg("-print_final_stats=1");
    let said = dir.join(format!("{target}.log"));
    run.stderr(fs::File::create(&said)?);
    let result = sh::run(&mut run);
    let said = fs::read_to_string(said)?;
    let any = |line: &str, words: &[&str]| words.iter().any(|word| line.contains(word));
    for line in said.lines().filter(|line| any(line, &["stat::number_of", "stat::average"])) {
        println!("   {target}: {line}");
    }
    result.map_err(|error| {
        let why: Vec<&str> = said.lines().filter(|line| any(line, &["panicked", "ERROR", "error"])).collect();
        let (why, found) = (why.join("\n"), found.display());
        format!("{error}\n{why}\nthe input is in {found}; `cargo xtask fuzz {target} --replay FILE`").into()
    })
}

/// Without a sanitizer: the stable compiler has none, and there is next to no unsafe code on these ways.
fn cargo_fuzz(verb: &str) -> std::process::Command {
    let mut cargo = sh::cargo();
    cargo.args(["fuzz", verb, "--sanitizer", "none", "--fuzz-dir"]).arg(crate_dir());
    cargo.arg("--target-dir").arg(sh::target().join("fuzz/build"));
    cargo
}

fn crate_dir() -> PathBuf {
    sh::root().join("tests/fuzz")
}

/// The first inputs: right ones, so that the fuzzer need not find them.
fn write_seeds(target: &str, dir: &Path) -> Result {
    fs::create_dir_all(dir)?;
    let inputs: Vec<Vec<u8>> = match target {
        "manifest" | "answer" => manifests()?,
        "reference" => ["busybox", "a.test:5000/b/c:1", "a.test/b@sha256:0", "[::1]:5000/b"]
            .map(|text| text.as_bytes().to_vec())
            .into(),
        "image" => IMAGES.map(|text| text.as_bytes().to_vec()).into(),
        _ => layers(),
    };
    for (number, bytes) in inputs.iter().enumerate() {
        fs::write(dir.join(number.to_string()), bytes)?;
    }
    Ok(())
}

/// The manifests of the core's own tests.
fn manifests() -> Result<Vec<Vec<u8>>> {
    let entries = fs::read_dir(sh::root().join("agent/core/src/manifest/testdata"))?;
    let files = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<PathBuf>>>()?;
    let is_manifest = |path: &&PathBuf| path.extension().is_some_and(|end| end == "yaml" || end == "json");
    files.iter().filter(is_manifest).map(|path| Ok(fs::read(path)?)).collect()
}

/// Names of fields, from the table of what is supported.
fn dictionary() -> Result<String> {
    let support = berth_core::manifest::support::markdown();
    let words: BTreeSet<&str> = support
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| word.len() >= WORD_MIN_BYTES)
        .collect();
    Ok(words.iter().map(|word| format!("\"{word}\"\n")).collect())
}

/// Index, manifest and configuration, as `tests/fuzz/targets/image.rs` reads them.
const IMAGES: [&str; 2] = [
    concat!(
        r#"{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"@manifest","#,
        r#""size":1001,"platform":{"architecture":"amd64","os":"linux"},"annotations":{"org.opencontainers.image.ref.name":"a:1"}}]}"#,
        "\0",
        r#"{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"@config","size":1002},"#,
        r#""layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"@layer","size":1003}]}"#,
        "\0",
        r#"{"architecture":"amd64","os":"linux","config":{"User":"1:2","Env":["A=b"],"Entrypoint":["/a"],"Cmd":["c"],"#,
        r#""WorkingDir":"/d","StopSignal":"SIGINT","Volumes":{"/v":{}}},"rootfs":{"type":"layers","diff_ids":["@layer"]}}"#
    ),
    concat!(
        r#"{"manifests":[{"mediaType":"application/vnd.docker.distribution.manifest.v2+json","digest":"@manifest","size":1001}]}"#,
        "\0",
        r#"{"config":{"mediaType":"application/vnd.docker.container.image.v1+json","digest":"@config","size":1002},"#,
        r#""layers":[{"mediaType":"application/vnd.docker.image.rootfs.diff.tar","digest":"@layer","size":1003}]}"#,
        "\0",
        r#"{"architecture":"amd64","os":"linux","rootfs":{"diff_ids":["@layer"]}}"#
    ),
];

/// Layers with everything that an entry can be, some of them out for what lies outside.
fn layers() -> Vec<Vec<u8>> {
    let all = vec![
        Entry::dir("d", 0o1777),
        Entry::file("d/g", 0o4755, b"content".as_slice())
            .owner(1000, 70_000)
            .xattr("user.a", b"b".as_slice()),
        Entry::symlink("s", "d/g"),
        Entry::hardlink("h", "d/f"),
        Entry::char_device("c", 0o600, 1, 3),
        Entry::fifo("p", 0o644),
        Entry::whiteout("d/f"),
        Entry::opaque("d"),
        Entry::file(&format!("{}/long", "n".repeat(120)), 0o644, b"".as_slice()),
    ];
    let out = [
        Entry::file("up/victim", 0o644, b"broken".as_slice()),
        Entry::file("abs/victim", 0o644, b"broken".as_slice()),
        Entry::file("../../outside/victim", 0o644, b"broken".as_slice()),
        Entry::hardlink("h", "up/victim"),
        Entry::whiteout("abs/victim"),
    ];
    std::iter::once(all).chain(out.map(|entry| vec![entry])).map(|entries| entry_tar(&entries)).collect()
}
