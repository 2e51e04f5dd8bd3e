//! The quality-of-service class of a pod, as Kubernetes derives it from requests and limits. Never looks
//! at the machine.

use super::{
    quantity,
    types::{Pod, Resources},
};

/// `status.qosClass`; decides the cgroup parent and the OOM score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QosClass {
    /// Every container has cpu and memory limits, and requests equal to them.
    Guaranteed,
    /// Some container asks for something.
    Burstable,
    /// Nobody asks for anything.
    BestEffort,
}

impl QosClass {
    /// As in `status.qosClass`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Guaranteed => "Guaranteed",
            Self::Burstable => "Burstable",
            Self::BestEffort => "BestEffort",
        }
    }
}

/// The resources that count for the class.
const COUNTED: [&str; 2] = ["cpu", "memory"];

/// The class of a defaulted, valid pod (requests already follow from limits).
pub fn of(pod: &Pod) -> QosClass {
    let positive = |text: &String| quantity::parse(text).is_ok_and(|q| q.is_positive());
    let mut any = false;
    let mut guaranteed = true;
    // What the pod asks for as a whole stands in the place of what its containers do.
    let of_pod = pod.spec.resources.as_ref().filter(|resources| {
        COUNTED
            .iter()
            .any(|name| resources.limits.contains_key(*name) || resources.requests.contains_key(*name))
    });
    let counted: Vec<&Resources> = match of_pod {
        Some(resources) => vec![resources],
        None => pod.spec.all_containers().map(|c| &c.resources).collect(),
    };
    for resources in counted {
        for name in COUNTED {
            let limit = resources.limits.get(name).filter(|text| positive(text));
            let request = resources.requests.get(name).filter(|text| positive(text));
            any |= limit.is_some() || request.is_some();
            let equal = match (limit, request) {
                (Some(limit), Some(request)) => {
                    quantity::parse(limit).ok().map(|q| q.nano())
                        == quantity::parse(request).ok().map(|q| q.nano())
                }
                _ => false,
            };
            guaranteed &= equal;
        }
    }
    match (any, guaranteed) {
        (false, _) => QosClass::BestEffort,
        (true, true) => QosClass::Guaranteed,
        (true, false) => QosClass::Burstable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::types::Container;

    /// A container from `cpu limit, cpu request, memory limit, memory request`; "" leaves one out.
    fn container(values: [&str; 4]) -> Container {
        let pick = |name: &str, value: &str| (!value.is_empty()).then(|| (name.to_owned(), value.to_owned()));
        let limits = [pick("cpu", values[0]), pick("memory", values[2])].into_iter().flatten().collect();
        let requests = [pick("cpu", values[1]), pick("memory", values[3])].into_iter().flatten().collect();
        Container { resources: Resources { limits, requests }, ..Container::default() }
    }

    #[test]
    fn classes_follow_from_requests_and_limits() {
        let full = ["100m", "0.1", "1Gi", "1024Mi"];
        let cases: &[(&[[&str; 4]], QosClass)] = &[
            (&[["", "", "", ""]], QosClass::BestEffort),
            (&[["0", "0", "", ""]], QosClass::BestEffort),
            (&[full], QosClass::Guaranteed),
            (&[full, full], QosClass::Guaranteed),
            (&[full, ["", "", "", ""]], QosClass::Burstable),
            (&[["100m", "100m", "", ""]], QosClass::Burstable),
            (&[["100m", "50m", "1Gi", "1Gi"]], QosClass::Burstable),
            (&[["", "1m", "", ""]], QosClass::Burstable),
        ];
        for (containers, class) in cases {
            let mut pod = Pod::default();
            pod.spec.containers = containers.iter().map(|values| container(*values)).collect();
            assert_eq!(of(&pod), *class, "{containers:?}");
        }
    }

    #[test]
    fn what_the_pod_asks_for_as_a_whole_counts_instead() {
        let full = ["1", "1", "1Gi", "1Gi"];
        for (of_pod, containers, class) in [
            (full, &[["", "", "", ""]][..], QosClass::Guaranteed),
            (["1", "500m", "", ""], &[full], QosClass::Burstable),
            // Nothing is said for the pod.
            (["", "", "", ""], &[full], QosClass::Guaranteed),
        ] {
            let mut pod = Pod::default();
            pod.spec.containers = containers.iter().map(|values| container(*values)).collect();
            pod.spec.resources = Some(container(of_pod).resources);
            assert_eq!(of(&pod), class, "{of_pod:?}");
        }
    }
}
