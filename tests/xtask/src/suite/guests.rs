//! The guests of `cargo xtask test`: each scenario on the architectures it is for, some at a time, and of those that
//! failed each once more by itself. What a scenario does is told in `scenario`, never here.

use super::{
    Args,
    tally::{Step, Tally},
    told::Told,
};
use crate::{
    arch::Arch,
    guest::qemu,
    package,
    scenario::{self, Given, Scenario},
    sh::Result,
};
use std::{
    sync::{Mutex, PoisonError},
    thread,
    time::Instant,
};

/// Guests at a time, at most, unless it is said: more would only share the memory of a build machine. There is one more
/// than processors, as each of them waits for much of its time.
const JOBS_MAX: usize = 4;

/// A scenario on an architecture.
type Due<'a> = (Arch, &'a Scenario);

/// Each scenario in a guest: on ARM, which boxes have, and but for those that are the same there, on x86-64.
pub(super) fn run(args: &Args, begun: Instant, tally: &mut Tally) -> Result {
    let scenarios = scenario::find(args.only.as_deref())?;
    let archs: Vec<Arch> =
        Arch::ALL.into_iter().filter(|a| args.arch.is_none_or(|only| only == *a)).collect();
    builds(&archs, &args.profile, tally)?;
    // By name or architecture they are asked for one by one.
    let every = args.all || args.arch.is_some() || args.only.is_some();
    let mut due: Vec<Due<'_>> =
        archs.iter().flat_map(|arch| scenarios.iter().map(|scenario| (*arch, scenario))).collect();
    due.retain(|(arch, scenario)| every || *arch == Arch::Aarch64 || !scenario.is_once());
    // The longest first, or the last one runs alone.
    due.sort_by_key(|(_, scenario)| std::cmp::Reverse(scenario.weight()));
    let failed = side_by_side(args, begun, due, tally)?;
    // Three guests share two processors here, and what is right but slow fails, too, now and then. That it did is told
    // at the end, with what it said.
    for (due, first) in failed {
        let second = if args.only.is_some() { None } else { Some(boot(args, begun, due)) };
        match second {
            Some(second) if second.passed() => tally.add_unsteady(first, second),
            _ => tally.add(first),
        }
    }
    Ok(())
}

/// What runs in the guests, ahead, so that none waits for a build; beside each other, as most of the time goes into
/// linking, which keeps one processor busy.
fn builds(archs: &[Arch], profile: &str, tally: &mut Tally) -> Result {
    thread::scope(|scope| {
        let build = |arch: Arch| {
            let name = format!("build {arch}");
            scope.spawn(move || Step::run(name, || package::tree(arch, profile).map(drop)))
        };
        let builds: Vec<_> = archs.iter().map(|arch| build(*arch)).collect();
        for build in builds {
            tally.add(build.join().map_err(|_| "a build's thread panicked")?);
        }
        Result::Ok(())
    })?;
    if profile == "release" {
        archs.iter().for_each(|arch| tally.step(&format!("size {arch}"), || package::fits(*arch)));
    }
    Ok(())
}

/// Runs them; those that failed are the caller's, with how.
fn side_by_side<'a>(
    args: &Args,
    begun: Instant,
    due: Vec<Due<'a>>,
    tally: &mut Tally,
) -> Result<Vec<(Due<'a>, Step)>> {
    let processors: usize = thread::available_parallelism().map_or(1, Into::into);
    let jobs = args.jobs.unwrap_or((processors + 1).min(JOBS_MAX)).clamp(1, due.len().max(1));
    let (due, tally, failed) = (Mutex::new(due.into_iter()), Mutex::new(tally), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for job in 0..jobs {
            let work = || {
                while let Some(this) = next(&due) {
                    let step = boot(args, begun, this);
                    if step.passed() {
                        tally.lock().unwrap_or_else(PoisonError::into_inner).add(step);
                    } else {
                        println!("== {}", step.outcome());
                        failed.lock().unwrap_or_else(PoisonError::into_inner).push((this, step));
                    }
                }
            };
            thread::Builder::new().name(format!("guest-{job}")).spawn_scoped(scope, work)?;
        }
        Result::Ok(())
    })?;
    Ok(failed.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn next<T>(due: &Mutex<impl Iterator<Item = T>>) -> Option<T> {
    due.lock().unwrap_or_else(PoisonError::into_inner).next()
}

/// One of them, each of its lines told as it comes.
fn boot(args: &Args, begun: Instant, (arch, scenario): Due<'_>) -> Step {
    let told = Mutex::new(Told::default());
    let tell = |line: &str| {
        qemu::stream(&format!("  {arch} {}: {line}", scenario.name));
        told.lock().unwrap_or_else(PoisonError::into_inner).hear(line);
    };
    let given = Given { profile: &args.profile, set: &args.set, boot_max_s: args.timeout };
    let run = || match begun.elapsed().as_secs() {
        late if late > args.within => Err(format!("not begun: {late} s had passed").into()),
        _ => scenario.run(arch, &given, &tell),
    };
    let mut step = Step::run(format!("guest {arch} {}", scenario.name), run);
    step.told = told.into_inner().unwrap_or_else(PoisonError::into_inner);
    step
}
