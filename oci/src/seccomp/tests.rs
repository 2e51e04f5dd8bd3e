//! Choice, cache, and filters loaded into a real process.

use super::*;
use berth_core::manifest::types::{PodSecurityContext, PodSpec, SeccompProfile, SecurityContext};
use std::{
    fs,
    process::Command,
    sync::{
        Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

fn roots(dir: &Path) -> Roots {
    Roots { run: dir.join("run"), state: dir.join("state"), ..Roots::default() }
}

#[test]
fn the_container_has_the_first_word_and_privileged_the_last() {
    let profile = |kind| Some(SeccompProfile { kind, localhost_profile: Some("a.json".into()) });
    let unconfined = SeccompKind::Unconfined;
    for (pod, own, privileged, chosen) in [
        (None, None, false, Choice::RuntimeDefault),
        (Some(unconfined), None, false, Choice::Unconfined),
        (Some(unconfined), Some(SeccompKind::RuntimeDefault), false, Choice::RuntimeDefault),
        (None, Some(SeccompKind::Localhost), false, Choice::Localhost("a.json".into())),
        (None, None, true, Choice::Unconfined),
        (None, Some(SeccompKind::RuntimeDefault), true, Choice::Unconfined),
    ] {
        let security = PodSecurityContext { seccomp_profile: pod.and_then(profile), ..Default::default() };
        let pod =
            Pod { spec: PodSpec { security_context: security, ..PodSpec::default() }, ..Pod::default() };
        let security = SecurityContext {
            seccomp_profile: own.and_then(profile),
            privileged: Some(privileged),
            ..SecurityContext::default()
        };
        let container = Container { security_context: Some(security), ..Container::default() };
        assert_eq!(choice(&pod, &container, &Policy::default()), chosen);
    }
    let lax = Policy { seccomp_unconfined: true, ..Policy::default() };
    assert_eq!(choice(&Pod::default(), &Container::default(), &lax), Choice::Unconfined);
}

#[test]
fn a_filter_is_compiled_once_for_each_set_of_capabilities() {
    let dir = tempfile::tempdir().unwrap();
    let roots = roots(dir.path());
    assert_eq!(ensure(&roots, &Choice::Unconfined, CapabilitySet(0)).unwrap(), None);
    let first = ensure(&roots, &Choice::RuntimeDefault, CapabilitySet(0)).unwrap().unwrap();
    let other = ensure(&roots, &Choice::RuntimeDefault, CapabilitySet::ALL).unwrap().unwrap();
    assert_ne!(first, other);
    assert!(Filter::read(&first).unwrap().len() > 100);
    fs::write(&first, "x").unwrap();
    assert_eq!(ensure(&roots, &Choice::RuntimeDefault, CapabilitySet(0)).unwrap().unwrap(), first);
    assert!(Filter::read(&first).unwrap_err().to_string().contains("not a seccomp filter"), "not made again");
    fs::remove_file(&first).unwrap();
    warm_up(&roots).unwrap();
    assert_eq!(fs::read_dir(dir.path().join("run/seccomp")).unwrap().count(), 3, "the usual, none, all");
    Filter::read(&first).unwrap();
}

#[test]
fn who_needs_a_filter_that_is_being_compiled_waits_for_that_one() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::new(&roots(dir.path()));
    let compiled = AtomicUsize::new(0);
    let (begun, other) = (Barrier::new(2), AtomicUsize::new(0));
    let compile = || {
        compiled.fetch_add(1, Ordering::SeqCst);
        begun.wait();
        Ok(vec![0; 8])
    };
    thread::scope(|scope| {
        scope.spawn(|| cache.builtin(CapabilitySet(0), compile).unwrap());
        begun.wait();
        let second = || {
            other.fetch_add(1, Ordering::SeqCst);
            Ok(vec![1; 8])
        };
        cache.builtin(CapabilitySet(0), second).unwrap();
    });
    assert_eq!((compiled.into_inner(), other.into_inner()), (1, 0));
}

#[test]
fn the_next_boot_finds_the_usual_filters_and_none_that_is_not_whole() {
    let dir = tempfile::tempdir().unwrap();
    let roots = roots(dir.path());
    let kept = || {
        let entries = fs::read_dir(roots.filters()).unwrap().map(|entry| entry.unwrap().path());
        entries.collect::<std::collections::BTreeSet<_>>()
    };
    warm_up(&roots).unwrap();
    let (first, written) = (kept(), |path: &PathBuf| fs::metadata(path).unwrap().modified().unwrap());
    assert_eq!(first.len(), 2);
    let (path, usual) = (first.first().unwrap(), builtin::relevant(CapabilitySet::default()));
    let (before, old) = (written(path), roots.filters().join("default-of-another-kernel.bpf"));
    fs::write(&old, "x").unwrap();
    let boot = || {
        fs::remove_dir_all(&roots.run).unwrap();
        let compiled = AtomicUsize::new(0);
        let compile = || {
            compiled.fetch_add(1, Ordering::SeqCst);
            compile::compile(&builtin::profile(usual)?)
        };
        Filter::read(&Cache::new(&roots).builtin(usual, compile).unwrap()).unwrap();
        compiled.into_inner()
    };
    assert_eq!(boot(), 0);
    warm_up(&roots).unwrap();
    assert_eq!(
        (kept(), written(path)),
        (first.clone(), before),
        "not written again, and what is old is gone"
    );
    for path in &first {
        let mut bytes = fs::read(path).unwrap();
        bytes[100] ^= 1;
        fs::write(path, &bytes).unwrap();
    }
    assert_eq!(boot(), 1);
    first.iter().for_each(|path| fs::write(path, "short").unwrap());
    assert_eq!(boot(), 1);
    warm_up(&roots).unwrap();
    assert_eq!(boot(), 0);
}

#[test]
fn profiles_of_the_nodes_are_found_below_their_directory_only() {
    let dir = tempfile::tempdir().unwrap();
    let roots = roots(dir.path());
    fs::create_dir_all(profiles_dir(&roots).join("sub")).unwrap();
    fs::write(profiles_dir(&roots).join("sub/good.json"), r#"{"defaultAction":"SCMP_ACT_ALLOW"}"#).unwrap();
    fs::write(profiles_dir(&roots).join("bad.json"), "{").unwrap();
    let of = |name: &str| ensure(&roots, &Choice::Localhost(name.into()), CapabilitySet(0));
    of("sub/good.json").unwrap().unwrap();
    for (name, word) in [
        ("", "relative path"),
        ("../x", "relative path"),
        ("/etc/passwd", "relative path"),
        ("none.json", "No such file"),
        ("sub", "not a file"),
        ("bad.json", "\"bad.json\": not a seccomp profile"),
    ] {
        let error = of(name).unwrap_err();
        assert!(matches!(&error, Error::Config(text) if text.contains(word)), "{error}");
    }
}

/// Runs a shell under the filter.
fn shell(filter: Filter, script: &str) -> (Option<i32>, String) {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    sys::confine(&mut command, filter);
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn the_kernel_takes_the_default_filter_and_denies_what_it_denies() {
    let dir = tempfile::tempdir().unwrap();
    let path = ensure(&roots(dir.path()), &Choice::RuntimeDefault, CapabilitySet(0)).unwrap().unwrap();
    let filter = Filter::read(&path).unwrap();
    let script = "grep Seccomp: /proc/self/status; unshare -u true 2>/dev/null && exit 1; (echo a | cat >/dev/null) || exit 2; exit 7";
    assert_eq!(shell(filter, script), (Some(7), "Seccomp:\t2\n".into()));
}

#[test]
fn a_profile_of_the_nodes_is_loaded_as_written() {
    let dir = tempfile::tempdir().unwrap();
    let roots = roots(dir.path());
    fs::create_dir_all(profiles_dir(&roots)).unwrap();
    let json = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":122}]}"#;
    fs::write(profiles_dir(&roots).join("p.json"), json).unwrap();
    let path = ensure(&roots, &Choice::Localhost("p.json".into()), CapabilitySet(0)).unwrap().unwrap();
    let script = format!("mkdir {}/x 2>&1 | grep -o 'Disk quota' ", dir.path().display());
    assert_eq!(shell(Filter::read(&path).unwrap(), &script), (Some(0), "Disk quota\n".into()));
}
