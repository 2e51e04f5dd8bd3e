//! A whole Berth on this host: keeper, agent, zygote and real containers below a temporary directory, in a
//! mount namespace of the test's own with its own view of the unified cgroup hierarchy. Needs root; says so
//! and passes where it is not root.

#[cfg(test)]
mod bench;

use bench::Bench;
use std::{collections::BTreeSet, fs};

/// The keeper lets an agent wait longer each time that it dies at once.
const KILLS: usize = 6;

/// A pod whose container writes `count` numbered lines at once, and then one every 10 ms.
fn counter(name: &str, count: u32, mark: &str) -> String {
    let script = format!(
        "i=0; while [ $i -lt {count} ]; do echo {mark} $i; i=$((i+1)); done; \
         trap 'echo bye; exit 0' TERM; while :; do echo {mark} $i; i=$((i+1)); usleep 10000; done"
    );
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\nspec:\n  terminationGracePeriodSeconds: 5\n  \
         containers:\n  - name: c\n    image: busybox:1\n    imagePullPolicy: IfNotPresent\n    \
         command: [\"/bin/sh\", \"-c\", \"{script}\"]\n"
    )
}

#[test]
fn a_manifest_becomes_a_pod_and_goes_again() {
    let Some(mut bench) = Bench::start("life") else { return };
    bench.manifest("web.yaml", &counter("web", 10, "one"));
    let first = bench.running("web");
    assert_eq!(first.restarts, 0);
    bench.until_log(&first, "one 9");

    bench.manifest("web.yaml", &counter("web", 10, "two"));
    let second =
        bench.until(|list| bench::find(list, "web").filter(|pod| pod.running && pod.uid != first.uid));
    bench.until_log(&second, "two 9");
    assert!(!bench.log_dir(&first).exists(), "the old revision's logs are gone with it");

    bench.manifest("web.yaml", "kind: [");
    bench.until_problem("web.yaml");
    assert_eq!(bench.running("web").uid, second.uid, "a broken manifest harms nothing");

    bench.remove_manifest("web.yaml");
    bench.until(|list| list["items"].as_array().unwrap().is_empty().then_some(()));
    bench.nothing_left();
    bench.stop();
}

#[test]
fn a_killed_agent_loses_nothing() {
    let Some(mut bench) = Bench::start("kill") else { return };
    bench.manifest("web.yaml", &counter("web", 20_000, "line"));
    let before = bench.running("web");
    let mut pids = BTreeSet::new();
    for _ in 0..KILLS {
        pids.insert(bench.kill_agent());
        bench.lines_grow(&before);
    }
    assert_eq!(pids.len(), KILLS, "each agent was another process");
    let after = bench.running("web");
    assert_eq!((after.id.as_str(), after.restarts), (before.id.as_str(), 0), "the container runs on");
    bench.assert_lines_complete(&before, "line");
    bench.remove_manifest("web.yaml");
    bench.until(|list| list["items"].as_array().unwrap().is_empty().then_some(()));
    bench.nothing_left();
    bench.stop();
}

#[test]
fn an_exit_without_an_agent_is_not_lost() {
    let Some(mut bench) = Bench::start("exit") else { return };
    let job = "apiVersion: v1\nkind: Pod\nmetadata: {name: job}\nspec:\n  restartPolicy: Never\n  containers:\n  \
               - {name: c, image: 'busybox:1', command: [/bin/sh, -c, 'read x < /gate/fifo; echo done; exit 7'],\n     \
               volumeMounts: [{name: gate, mountPath: /gate}]}\n  volumes: [{name: gate, hostPath: {path: GATE}}]\n";
    let gate = bench.dir().join("gate");
    fs::create_dir(&gate).unwrap();
    nix::unistd::mkfifo(&gate.join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    bench.manifest("job.yaml", &job.replace("GATE", gate.to_str().unwrap()));
    let pod = bench.running("job");
    let agent = bench.agent_pid();
    bench.kill(agent);
    // The container ends while the agent is away, or just back: both must do.
    fs::write(gate.join("fifo"), "go\n").unwrap();
    let code = bench.until(|list| {
        let pod = bench::find(list, "job")?;
        pod.status["state"]["terminated"]["exitCode"].as_i64()
    });
    assert_eq!(code, 7);
    bench.until_log(&pod, "done");
    bench.remove_manifest("job.yaml");
    bench.until(|list| list["items"].as_array().unwrap().is_empty().then_some(()));
    bench.nothing_left();
    bench.stop();
}

#[test]
fn what_changes_while_berth_is_down_is_acted_on() {
    let Some(mut bench) = Bench::start("down") else { return };
    bench.manifest("gone.yaml", &counter("gone", 1, "a"));
    bench.manifest("stays.yaml", &counter("stays", 1, "a"));
    let (_gone, stays) = (bench.running("gone"), bench.running("stays"));
    bench.stop();
    assert!(bench.alive(&stays), "the service is down, the pods are not");
    bench.remove_manifest("gone.yaml");
    bench.start_again();
    bench.until(|list| bench::find(list, "gone").is_none().then_some(()));
    let adopted = bench.running("stays");
    assert_eq!((adopted.id, adopted.restarts), (stays.id.clone(), 0), "adopted, not started anew");
    bench.remove_manifest("stays.yaml");
    bench.until(|list| list["items"].as_array().unwrap().is_empty().then_some(()));
    bench.nothing_left();
    bench.stop();
}

#[test]
fn commands_run_in_a_container_with_their_own_ends() {
    let Some(mut bench) = Bench::start("exec") else { return };
    bench.manifest("web.yaml", &counter("web", 1, "a"));
    bench.running("web");
    let (status, out, err) =
        bench.berth(&["exec", "web", "--", "sh", "-c", "echo out; echo err >&2; exit 5"]);
    assert_eq!((status, out.as_str()), (5, "out\n"), "{err}");
    assert!(err.contains("err\n"), "{err}");
    let (status, out, err) = bench.berth(&["logs", "web", "--tail=1000"]);
    assert!(status == 0 && out.starts_with("a 0\na 1\n"), "{status} {out} {err}");
    let (status, _, err) = bench.berth(&["exec", "web", "--", "no-such-program"]);
    assert!(status != 0 && err.contains("no-such-program"), "{status} {err}");
    let (status, _, err) = bench.berth(&["exec", "none", "--", "true"]);
    assert!(status != 0 && err.contains("not found"), "{status} {err}");
    bench.remove_manifest("web.yaml");
    bench.until(|list| list["items"].as_array().unwrap().is_empty().then_some(()));
    bench.nothing_left();
    bench.stop();
}

#[test]
fn the_program_is_exchanged_under_running_pods() {
    let Some(mut bench) = Bench::start("upgrade") else { return };
    bench.manifest("web.yaml", &counter("web", 2000, "line"));
    let before = bench.running("web");
    let (agent, keeper) = (bench.agent_pid(), bench.keeper_pid());
    let program = bench.dir().join("berth-next");
    fs::copy(env!("CARGO_BIN_EXE_berth"), &program).unwrap();
    let (status, out, err) = bench.berth(&["upgrade", program.to_str().unwrap()]);
    assert_eq!(status, 0, "{out} {err}");
    bench.until_agent_is(&program);
    assert_ne!(bench.agent_pid(), agent, "another agent");
    assert_eq!(bench.keeper_pid(), keeper, "the same process, another program");
    let after = bench.running("web");
    assert_eq!((after.id.as_str(), after.restarts), (before.id.as_str(), 0), "the container runs on");
    bench.lines_grow(&before);
    bench.assert_lines_complete(&before, "line");
    bench.remove_manifest("web.yaml");
    bench.until(|list| list["items"].as_array().unwrap().is_empty().then_some(()));
    bench.nothing_left();
    bench.stop();
}

/// Pods come, change and go while agents are killed in the middle of it. More rounds: BERTH_KILLS=100.
#[test]
fn agents_killed_at_any_moment() {
    let Some(mut bench) = Bench::start("any") else { return };
    let kills = std::env::var("BERTH_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut below = move |n: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % n
    };
    for round in 0..kills {
        for _ in 0..3 {
            let file = format!("{}.yaml", below(4));
            match below(4) {
                0 => drop(std::fs::remove_file(bench.dir().join("manifests").join(&file))),
                _ => {
                    bench.manifest(&file, &counter(&format!("pod{}", &file[..1]), 500, &format!("r{round}")))
                }
            }
        }
        // One that serves already, or one that has only just begun.
        let (agent, life_us) =
            if round % 2 == 0 { (bench.agent_pid(), 60_000) } else { (bench.newborn_agent(), 8_000) };
        std::thread::sleep(std::time::Duration::from_micros(below(life_us)));
        bench.kill(agent);
    }
    for file in 0..4 {
        bench.manifest(&format!("{file}.yaml"), &counter(&format!("pod{file}"), 500, "last"));
    }
    let pods: Vec<_> = (0..4)
        .map(|file| {
            let name = format!("pod{file}");
            let pod = bench.until(|list| bench::find_with(list, &name, "last").filter(|pod| pod.running));
            bench.until_log(&pod, "last 499");
            pod
        })
        .collect();
    assert_eq!(bench.containers(), 4, "one for each pod and no other");
    for pod in &pods {
        assert_eq!(pod.restarts, 0, "{pod:?}");
        bench.assert_lines_complete(pod, "last");
        bench.remove_manifest(&format!("{}.yaml", pod.name.trim_start_matches("pod")));
    }
    bench.until(|list| list["items"].as_array().unwrap().is_empty().then_some(()));
    bench.nothing_left();
    bench.stop();
}
