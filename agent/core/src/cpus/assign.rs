//! Which processors the containers of a pod get to themselves. Kubelet's rules: a container of a Guaranteed pod that asks for
//! a whole number of them gets so many; what an ordinary init container has had serves those that come after it.

use super::{CpuSet, Policy, take};
use crate::{
    manifest::{
        qos::{self, QosClass},
        types::Pod,
    },
    node::{Amounts, CPU},
};

/// Thousandths in one processor.
const MILLI: u64 = 1000;

/// How many processors each container of a defaulted pod is to have to itself, in the order of `PodSpec::all_containers`.
/// Of a pod with resources of its own none is, as with kubelet.
pub fn whole(pod: &Pod) -> Vec<usize> {
    let spec = &pod.spec;
    let milli = |resources: &_| Amounts::read(resources).get(CPU).unwrap_or(0);
    let count = |milli: u64| if milli.is_multiple_of(MILLI) { milli / MILLI } else { 0 };
    let mut all: Vec<usize> = spec
        .all_containers()
        .map(|container| usize::try_from(count(milli(&container.resources.requests))).unwrap_or(usize::MAX))
        .collect();
    let none = all.iter().all(|count| *count == 0);
    if !none && (spec.resources.is_some() || qos::of(pod) != QosClass::Guaranteed) {
        all.fill(0);
    }
    all
}

/// A container, in the order of its pod's.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// So many it is to have to itself.
    pub count: usize,
    /// It is over before those behind it begin.
    pub passes: bool,
    /// What it has already.
    pub has: CpuSet,
}

/// There are too few.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Short {
    /// So many are wanted for a container.
    pub requested: usize,
    /// So many there are for it.
    pub available: usize,
}

impl std::fmt::Display for Short {
    /// Kubelet's words.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { requested, available } = self;
        write!(
            f,
            "not enough cpus available to satisfy request: requested={requested}, available={available}"
        )
    }
}

/// So many a pod of these containers has to itself at most at one time, and in all: what one leaves another one has.
pub fn most(wishes: &[Wish]) -> usize {
    let (mut lasting, mut peak) = (0_usize, 0);
    for wish in wishes {
        let now = lasting.saturating_add(wish.count);
        peak = now.max(peak);
        if !wish.passes {
            lasting = now;
        }
    }
    peak
}

/// What each of a pod's containers has to itself, beside what other pods have; empty for who wants none.
///
/// # Errors
/// [`Short`]: there are not enough for one of them.
pub fn assign(policy: &Policy, others: &CpuSet, wishes: &[Wish]) -> Result<Vec<CpuSet>, Short> {
    let mut sets: Vec<CpuSet> = wishes.iter().map(|wish| wish.has.clone()).collect();
    let free = policy.allocatable().without(others);
    for (i, wish) in wishes.iter().enumerate().filter(|(_, wish)| wish.has.is_empty()) {
        let (mut of_pod, mut beside) = (CpuSet::default(), CpuSet::default());
        for (j, set) in sets.iter().enumerate() {
            of_pod.add(set);
            let first = wishes.get(i.min(j));
            if !first.is_some_and(|first| first.passes) {
                beside.add(set);
            }
        }
        let (again, new) = (of_pod.without(&beside), free.without(&of_pod));
        let short = Short { requested: wish.count, available: again.len() + new.len() };
        let first = take(&policy.cores, &again, wish.count.min(again.len())).ok_or(short)?;
        let mut set = take(&policy.cores, &new, wish.count - first.len()).ok_or(short)?;
        set.add(&first);
        if let Some(place) = sets.get_mut(i) {
            *place = set;
        }
    }
    Ok(sets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::types::{Container, Resources, RestartPolicy};

    fn policy() -> Policy {
        let cores = ["0,4", "1,5", "2,6", "3,7"].map(|core| core.parse().unwrap()).into();
        Policy { cores, reserved: "0".parse().unwrap() }
    }

    /// `I2`: an init container that wants two; `S` a sidecar, `M` a regular one; `M1=3`: it has 3 already.
    fn wishes(text: &str) -> Vec<Wish> {
        let wish = |word: &str| {
            let (wish, has) = word.split_once('=').unwrap_or((word, ""));
            let (kind, count) = wish.split_at(1);
            let has = has.replace('+', ",").parse().unwrap();
            Wish { count: count.parse().unwrap(), passes: kind == "I", has }
        };
        text.split_whitespace().map(wish).collect()
    }

    #[test]
    fn containers_of_a_pod_share_only_with_init_containers_before_them() {
        for (pod, others, sets) in [
            ("M2", "", "1,5"),
            ("M1 M0 M2", "", "4 - 1,5"),
            ("M7", "", "1-7"),
            ("M8", "", "requested=8, available=7"),
            ("M2 M2", "1-4", "requested=2, available=1"),
            ("M2 M2", "1", "2,6 3,7"),
            ("I3 M1 M2", "", "1,4-5 4 1,5"),
            ("I2 M3", "", "1,5 1,4-5"),
            ("I2 S1 I2 M2", "", "1,5 1 4-5 4-5"),
            ("S1 I6 M6", "", "4 1-3,5-7 1-3,5-7"),
            ("S1 I7", "", "requested=7, available=6"),
            // An earlier agent has begun them.
            ("I2 M1=3 M1", "", "3-4 3 4"),
            ("I2=3+7 M1 M2", "1", "3,7 3 4,7"),
        ] {
            let (taken, wishes) = (others.parse().unwrap(), wishes(pod));
            let show = |set: &CpuSet| if set.is_empty() { "-".to_owned() } else { set.to_string() };
            let found = match assign(&policy(), &taken, &wishes) {
                Ok(sets) => {
                    let all: CpuSet = sets.iter().flat_map(CpuSet::iter).collect();
                    assert_eq!(all.len(), most(&wishes), "{pod}");
                    sets.iter().map(show).collect::<Vec<_>>().join(" ")
                }
                Err(short) => short.to_string().split(": ").last().unwrap().to_owned(),
            };
            assert_eq!(found, sets, "{pod} beside {others:?}");
        }
    }

    #[test]
    fn whole_processors_are_for_guaranteed_pods() {
        let resources = |cpu: &str, memory: &str| {
            let amounts =
                [("cpu", cpu), ("memory", memory)].map(|(name, amount)| (name.to_owned(), amount.to_owned()));
            Resources { limits: amounts.clone().into(), requests: amounts.into() }
        };
        let container = |cpu: &str| Container { resources: resources(cpu, "1Mi"), ..Container::default() };
        let mut pod = Pod::default();
        pod.spec.init_containers =
            vec![container("3"), Container { restart_policy: Some(RestartPolicy::Always), ..container("1") }];
        pod.spec.containers = ["2", "1500m", "2000m", "100m"].map(container).into();
        assert_eq!(whole(&pod), [3, 1, 2, 0, 2, 0]);
        let mut of_pod = pod.clone();
        of_pod.spec.resources = Some(resources("9", "1Gi"));
        assert_eq!(whole(&of_pod), [0; 6]);
        pod.spec.containers[3].resources.limits.remove("memory");
        assert_eq!(whole(&pod), [0; 6]);
        assert_eq!(whole(&Pod::default()), [0; 0]);
    }
}
