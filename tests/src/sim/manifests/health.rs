//! Probes and hooks of simulated containers.

use super::super::rng::Rng;
use berth_core::manifest::types::{
    Container, ExecAction, Lifecycle, LifecycleHandler, PortRef, Probe, SleepAction, TcpSocket,
};

/// Gives the container some, or none.
pub(super) fn add(rng: &mut Rng, container: &mut Container, grace_s: u64) {
    let mut some = |per_mille| rng.chance(per_mille).then(|| probe(rng));
    container.liveness_probe = some(200);
    container.readiness_probe = some(200);
    container.startup_probe = some(150);
    if let Some(readiness) = &mut container.readiness_probe {
        readiness.success_threshold = Some(rng.range(1, 2) as u32);
    }
    for probe in [&mut container.liveness_probe, &mut container.startup_probe].into_iter().flatten() {
        let own = *rng.pick(&[1, 3, 60]);
        probe.termination_grace_period_seconds = rng.chance(300).then_some(own);
    }
    let post_start = rng.chance(100).then(|| hook(rng, 20));
    let pre_stop = rng.chance(200).then(|| hook(rng, grace_s));
    if post_start.is_some() || pre_stop.is_some() {
        container.lifecycle = Some(Lifecycle { post_start, pre_stop, stop_signal: None });
    }
}

/// Gives the container other probes, or takes them.
pub(super) fn change(rng: &mut Rng, container: &mut Container) {
    for probe in [&mut container.liveness_probe, &mut container.readiness_probe, &mut container.startup_probe]
    {
        if rng.chance(400) {
            *probe = if rng.chance(600) { Some(self::probe(rng)) } else { None };
        }
    }
}

fn probe(rng: &mut Rng) -> Probe {
    Probe {
        tcp_socket: Some(TcpSocket { port: PortRef::Number(80), host: None }),
        initial_delay_seconds: *rng.pick(&[0, 0, 3, 40]),
        timeout_seconds: Some(*rng.pick(&[1, 1, 5])),
        period_seconds: Some(*rng.pick(&[2, 10, 10, 30])),
        success_threshold: Some(1),
        failure_threshold: Some(*rng.pick(&[1, 2, 3])),
        ..Probe::default()
    }
}

fn hook(rng: &mut Rng, longest_s: u64) -> LifecycleHandler {
    if rng.chance(300) {
        let sleep = Some(SleepAction { seconds: rng.range(0, longest_s) });
        return LifecycleHandler { sleep, ..LifecycleHandler::default() };
    }
    let exec = Some(ExecAction { command: vec!["do".to_owned()] });
    LifecycleHandler { exec, ..LifecycleHandler::default() }
}
