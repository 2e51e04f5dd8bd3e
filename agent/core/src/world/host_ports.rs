//! Whether the ports of the node that a pod wants are free. A pod whose ports another one has waits, refused,
//! as with kubelet's admission; it begins when the other one has ended or is gone. So does one that this agent found
//! begun and of which nothing runs: it may have ended and left its ports to another, and the disk did not take that.

use super::{
    World,
    planner::Planner,
    state::{Container, Pod, Refusal, Stage},
};
use crate::{
    ids::PodUid,
    network::{clash, of_pod},
};

/// Which of its ports is taken, and by whom; none if it may begin. `before`: those that have not begun, and will first.
pub(super) fn taken(world: &World, pod: &Pod, before: &[PodUid]) -> Option<Refusal> {
    let has = |other: &Pod| other.stage != Stage::Queued && other.slots() > 0;
    taken_by(world, pod, |other| has(other) || before.contains(&other.desired.uid))
}

/// Holds pods back that were found begun and may have ended: nothing of them runs, and others have their ports.
/// Returns those that may go on.
pub(super) fn hold_back(world: &mut World, planner: &mut Planner) -> Vec<PodUid> {
    let may_wait = |pod: &Pod| {
        pod.found
            && pod.stage == Stage::Active
            && pod.slots() > 0
            && !pod.containers.iter().any(Container::may_run)
    };
    let all: Vec<_> = world.pods.iter().filter(|(_, pod)| pod.found).map(|(uid, _)| uid.clone()).collect();
    let mut released = Vec::new();
    for uid in all {
        let Some(pod) = world.pods.get(&uid) else { continue };
        // Of two that are held back for each other, the one that is looked at later begins.
        let has = |other: &Pod| {
            other.desired.uid != uid
                && other.stage != Stage::Queued
                && other.slots() > 0
                && other.refusal.is_none()
        };
        let refusal = may_wait(pod).then(|| taken_by(world, pod, has)).flatten();
        let Some(pod) = world.pods.get_mut(&uid) else { continue };
        if let Some(refusal) = &refusal
            && pod.refusal.is_none()
        {
            planner.warn(&pod.desired, refusal.event, refusal.message.clone());
        }
        if pod.stage != Stage::Active {
            continue;
        }
        let held = pod.refusal.is_some();
        pod.refusal = refusal;
        if held && pod.refusal.is_none() {
            released.push(uid);
        }
    }
    released
}

/// Which of its ports is taken, and by whom among those of whom `may_have` holds.
fn taken_by(world: &World, pod: &Pod, may_have: impl Fn(&Pod) -> bool) -> Option<Refusal> {
    let wanted = of_pod(&pod.desired.pod.spec);
    if wanted.is_empty() {
        return None;
    }
    let mut begun = world.pods.values().filter(|other| may_have(other));
    let (port, other) = begun.find_map(|other| {
        let port = clash(&wanted, &of_pod(&other.desired.pod.spec))?;
        Some((port, other))
    })?;
    let message = format!(
        "{port} of the node is taken by pod {}; the pod waits until it is free, or give it another hostPort",
        other.desired.key
    );
    Some(Refusal::new("NodePorts", message))
}

#[cfg(test)]
mod tests {
    use crate::{
        check::Standing,
        event::{ContainerRecord, Inventory, RecordState, SandboxRecord},
        ids::ContainerId,
        manifest::{
            DesiredPod,
            types::{ContainerPort, RestartPolicy},
        },
        time::{Mono, Now},
        world::scene::{Scene, facts, pod},
    };
    use std::sync::Arc;

    fn with_port(name: &str, host_port: u16, policy: RestartPolicy) -> DesiredPod {
        let mut desired = pod(name, 1, &["main=app"], policy);
        let port = ContainerPort {
            container_port: 80,
            host_port: Some(host_port),
            protocol: "TCP".into(),
            ..ContainerPort::default()
        };
        Arc::make_mut(&mut desired.pod).spec.containers[0].ports.push(port);
        desired
    }

    #[test]
    fn a_port_has_one_pod_at_a_time_and_the_next_begins_when_it_is_free() {
        let [a, b, c] = [("a", 8080), ("b", 8080), ("c", 8081)]
            .map(|(name, port)| with_port(name, port, RestartPolicy::Always));
        let mut scene = Scene::new();
        scene.desire(&[&a, &b, &c]);
        scene.settle();
        let told: Vec<_> = scene.events.iter().filter(|event| event.reason == "NodePorts").collect();
        let [told] = told[..] else { panic!("{told:?}") };
        assert_eq!(told.pod, b.key);
        assert!(
            told.message.starts_with("TCP port 8080 of the node is taken by pod default/a-node"),
            "{told:?}"
        );
        assert!(scene.world.runs(&c.uid)[0].pid.is_some());
        assert!(scene.world.runs(&b.uid)[0].pid.is_none());
        scene.desire(&[&b, &c]);
        scene.exit(&a, "main", 0);
        scene.settle();
        assert!(scene.world.runs(&b.uid)[0].pid.is_some());
    }

    #[test]
    fn a_pod_whose_end_was_not_kept_does_not_begin_again_beside_the_one_that_has_its_port() {
        let a = with_port("a", 8080, RestartPolicy::Never);
        let b = with_port("b", 8080, RestartPolicy::Always);
        let sandbox = |pod: &DesiredPod| SandboxRecord {
            desired: pod.clone(),
            ready: true,
            begun: Mono(1),
            ips: vec![],
            unsettled: false,
            given: None,
        };
        let running = ContainerRecord {
            id: ContainerId("b-0".into()),
            pod: b.uid.clone(),
            name: "main".to_owned(),
            attempt: 0,
            image: facts("app"),
            state: RecordState::Running { pid: 9, at: Now::default() },
            devices: Vec::new(),
            given: None,
            standing: Standing::default(),
        };
        let mut scene = Scene::found(Inventory {
            boot_id: "boot".to_owned(),
            sandboxes: vec![sandbox(&a), sandbox(&b)],
            containers: vec![running],
            checkpoints: Vec::new(),
        });
        scene.desire(&[&a, &b]);
        scene.settle();
        assert!(scene.world.runs(&a.uid)[0].pid.is_none());
        assert_eq!(scene.reasons().iter().filter(|reason| **reason == "NodePorts").count(), 1);
        // Between two runs the port is still the other one's.
        scene.exit(&b, "main", 1);
        scene.settle();
        scene.pass(1);
        scene.settle();
        assert!(scene.world.runs(&a.uid)[0].pid.is_none());
        scene.desire(&[&a]);
        scene.exit(&b, "main", 0);
        scene.settle();
        assert!(
            scene.world.runs(&a.uid)[0].pid.is_some(),
            "the port is free, and nothing says that it has ended"
        );
    }

    #[test]
    fn a_pod_that_has_ended_for_good_leaves_its_port_to_others() {
        let a = with_port("a", 8080, RestartPolicy::Never);
        let b = with_port("b", 8080, RestartPolicy::Always);
        let mut scene = Scene::new();
        scene.desire(&[&a, &b]);
        scene.settle();
        assert!(scene.world.runs(&b.uid)[0].pid.is_none());
        scene.exit(&a, "main", 0);
        scene.settle();
        assert!(scene.world.runs(&b.uid)[0].pid.is_some());
    }
}
