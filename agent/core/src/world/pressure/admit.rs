//! Who may begin while the node is short of something, by kubelet's rules, and when those come back that had to go
//! for it.

use super::Pressure;
use crate::{
    event::Evicted,
    manifest::{
        DesiredPod,
        qos::{self, QosClass},
        types::Toleration,
    },
    node::{CLUSTER_CRITICAL, priority},
    pressure::{Condition, Settings},
    time::Mono,
    world::state::Refusal,
};

/// Why the pod may not begin now. Critical ones always may; for want of memory only those wait that have asked for
/// nothing and do not say that they can bear it.
pub(in crate::world) fn refusal(pressure: &Pressure, pod: &DesiredPod) -> Option<Refusal> {
    if priority(&pod.pod.spec) >= CLUSTER_CRITICAL {
        return None;
    }
    let bears = |condition: Condition| {
        condition == Condition::MemoryPressure
            && (qos::of(&pod.pod) != QosClass::BestEffort
                || pod.pod.spec.tolerations.iter().any(|toleration| tolerates(toleration, condition)))
    };
    let keeps = |condition: &Condition| pressure.holds(*condition) && !bears(*condition);
    let condition = Condition::ALL.into_iter().find(keeps)?;
    let message = format!("The node had condition: [{}]; the pod waits until it is over", condition.as_str());
    Some(Refusal::new(condition.as_str(), message))
}

/// It tolerates the condition's taint, whose effect is `NoSchedule` and whose value is empty.
fn tolerates(toleration: &Toleration, condition: Condition) -> bool {
    let effect = toleration.effect.as_deref().unwrap_or("");
    let key = toleration.key.as_deref().unwrap_or("");
    let exists = toleration.operator.as_deref() == Some("Exists");
    let value = toleration.value.as_deref().unwrap_or("");
    matches!(effect, "" | "NoSchedule")
        && (key == condition.taint() || key.is_empty() && exists)
        && (exists || value.is_empty())
}

/// From when on the pod may begin anew, as far as the node decides that; none while what it had to go for holds. It stays
/// away for at least the transition period, even if the agent is another one by then.
pub(in crate::world) fn not_before(
    pressure: &Pressure,
    settings: &Settings,
    evicted: &Evicted,
) -> Option<Mono> {
    match evicted.short_of {
        None => Some(evicted.at.mono),
        Some(condition) if pressure.holds(condition) => None,
        Some(_) => Some(evicted.at.mono.plus_s(settings.transition_s)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taints_are_tolerated_as_kubernetes_has_it() {
        let memory = "node.kubernetes.io/memory-pressure";
        for (key, operator, value, effect, tolerated) in [
            (memory, "Exists", "", "NoSchedule", true),
            (memory, "Exists", "", "", true),
            ("", "Exists", "", "", true),
            (memory, "", "", "", true),
            (memory, "Equal", "", "NoSchedule", true),
            (memory, "Equal", "x", "NoSchedule", false),
            (memory, "Exists", "", "NoExecute", false),
            ("node.kubernetes.io/disk-pressure", "Exists", "", "", false),
            ("", "", "", "", false),
        ] {
            let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            let toleration = Toleration {
                key: some(key),
                operator: some(operator),
                value: some(value),
                effect: some(effect),
                toleration_seconds: None,
            };
            assert_eq!(tolerates(&toleration, Condition::MemoryPressure), tolerated, "{toleration:?}");
        }
    }
}
