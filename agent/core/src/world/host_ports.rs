//! Whether the ports of the node that a pod wants are free. A pod whose ports another one has waits, refused,
//! as with kubelet's admission; it begins when the other one has ended or is gone.

use super::{
    World,
    state::{Pod, Refusal, Stage},
};
use crate::network::{clash, of_pod};

/// Which of its ports is taken, and by whom; none if it may begin.
pub(super) fn taken(world: &World, pod: &Pod) -> Option<Refusal> {
    let wanted = of_pod(&pod.desired.pod.spec);
    if wanted.is_empty() {
        return None;
    }
    let mut begun = world.pods.values().filter(|other| other.stage != Stage::Queued && other.slots() > 0);
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
        manifest::{
            DesiredPod,
            types::{ContainerPort, RestartPolicy},
        },
        world::scene::{Scene, pod},
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
