//! Which processors are taken when some are wanted.

use super::CpuSet;

/// Takes so many of the free ones: whole cores first, so that nobody else disturbs by what a core shares; then single ones of
/// cores that others use already, so that whole ones are left. None if there are too few.
pub fn take(cores: &[CpuSet], free: &CpuSet, count: usize) -> Option<CpuSet> {
    let mut taken = CpuSet::default();
    for core in cores {
        if !core.is_empty() && core.without(free).is_empty() && taken.len() + core.len() <= count {
            taken.add(core);
        }
    }
    let mut rest: Vec<CpuSet> = cores.iter().map(|core| core.both(free).without(&taken)).collect();
    // Stable: among equals the one of the lowest number.
    rest.sort_by_key(CpuSet::len);
    let singles = rest.iter().flat_map(CpuSet::iter).take(count - taken.len()).collect();
    taken.add(&singles);
    (taken.len() == count).then_some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_cores_come_first_and_then_what_is_left_of_others() {
        let threads: Vec<CpuSet> = ["0,4", "1,5", "2,6", "3,7"].map(|core| core.parse().unwrap()).into();
        let single: Vec<CpuSet> = ["0", "1", "2", "3"].map(|core| core.parse().unwrap()).into();
        for (cores, free, count, taken) in [
            (&threads, "0-7", 0, Some("")),
            (&threads, "0-7", 1, Some("0")),
            (&threads, "0-7", 2, Some("0,4")),
            (&threads, "1-7", 1, Some("4")),
            (&threads, "1-7", 2, Some("1,5")),
            (&threads, "1-7", 3, Some("1,4-5")),
            (&threads, "2-7", 2, Some("2,6")),
            (&threads, "3-6", 3, Some("4-6")),
            (&threads, "3-6", 4, Some("3-6")),
            (&threads, "3-6", 5, None),
            (&threads, "", 1, None),
            (&single, "1-3", 2, Some("1-2")),
            // What is not online cannot be taken.
            (&single, "3-9", 2, None),
        ] {
            let found = take(cores, &free.parse().unwrap(), count).map(|cpus| cpus.to_string());
            assert_eq!(found.as_deref(), taken, "{count} of {free}");
        }
    }
}
