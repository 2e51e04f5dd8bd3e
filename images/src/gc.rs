//! Which images to remove when the disk fills up or they have not been used for long: kubelet's rules
//! (imageGCHighThresholdPercent and the like, Kubernetes' kubelet configuration v1beta1). Pure: ages come from
//! the caller's clock, which need not be right, only steady.

/// When images are removed, as the configuration says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GcPolicy {
    /// Percent of the disk in use from which on images are removed; 100: never for this.
    pub high_percent: u8,
    /// Percent of the disk in use down to which they are removed.
    pub low_percent: u8,
    /// Seconds since an image was first seen before it may go for want of room.
    pub min_age_s: u64,
    /// Seconds without use after which an image goes in any case; 0: never for this.
    pub max_age_s: u64,
}

/// The file system of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskUse {
    /// Bytes in all.
    pub capacity_bytes: u64,
    /// Bytes that can still be written.
    pub available_bytes: u64,
}

/// An image as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GcImage {
    /// `sha256:…` of its config.
    pub id: String,
    /// Bytes that its removal frees.
    pub bytes: u64,
    /// A manifest names it now or did in its previous revision, a container uses it, the vendor baked it, or
    /// the owner pinned it.
    pub kept: bool,
    /// Seconds since it was last used.
    pub unused_s: u64,
    /// Seconds since it was first seen.
    pub age_s: u64,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GcPlan {
    /// The ids of the images to be removed, in this order.
    pub remove: Vec<String>,
    /// Bytes by which the disk will still be over its low threshold, when it was over the high one.
    pub missing_bytes: u64,
}

impl DiskUse {
    /// Percent in use, as kubelet counts: what is reserved for root counts as used.
    pub fn percent(&self) -> u8 {
        let free = u128::from(self.available_bytes.min(self.capacity_bytes)) * 100;
        let free = free.checked_div(u128::from(self.capacity_bytes)).unwrap_or(100);
        100 - u8::try_from(free).unwrap_or(100)
    }
}

/// Decides: first what was not used for too long, then, if the disk is over the high threshold, the images
/// longest unused until it would be under the low one.
pub fn plan(policy: &GcPolicy, disk: &DiskUse, images: &[GcImage]) -> GcPlan {
    let mut candidates: Vec<&GcImage> = images.iter().filter(|image| !image.kept).collect();
    // The longest unused first; of equals the one that was there first, then by name, so that it is one order.
    candidates
        .sort_by(|a, b| (b.unused_s, b.age_s).cmp(&(a.unused_s, a.age_s)).then_with(|| a.id.cmp(&b.id)));
    let (old, rest): (Vec<&GcImage>, Vec<&GcImage>) =
        candidates.into_iter().partition(|image| policy.max_age_s > 0 && image.unused_s > policy.max_age_s);
    let mut plan = GcPlan { remove: old.iter().map(|image| image.id.clone()).collect(), missing_bytes: 0 };
    let over = policy.high_percent < 100 && disk.percent() >= policy.high_percent;
    if !over {
        return plan;
    }
    let percent = u128::from(100 - policy.low_percent.min(100));
    let wanted = u64::try_from(u128::from(disk.capacity_bytes) * percent / 100).unwrap_or(u64::MAX);
    let freed: u64 = old.iter().map(|image| image.bytes).sum();
    let mut missing = wanted.saturating_sub(disk.available_bytes.saturating_add(freed));
    for image in rest.into_iter().filter(|image| image.age_s >= policy.min_age_s) {
        if missing == 0 {
            break;
        }
        plan.remove.push(image.id.clone());
        missing = missing.saturating_sub(image.bytes);
    }
    plan.missing_bytes = missing;
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: GcPolicy = GcPolicy { high_percent: 85, low_percent: 80, min_age_s: 120, max_age_s: 0 };

    fn image(id: &str, bytes: u64, unused_s: u64, age_s: u64) -> GcImage {
        GcImage { id: id.into(), bytes, kept: false, unused_s, age_s }
    }

    fn disk(available: u64) -> DiskUse {
        DiskUse { capacity_bytes: 1000, available_bytes: available }
    }

    #[test]
    fn percents() {
        for (available, percent) in
            [(1000, 0), (999, 1), (150, 85), (151, 85), (160, 84), (0, 100), (2000, 0)]
        {
            assert_eq!(disk(available).percent(), percent, "{available}");
        }
        assert_eq!(DiskUse { capacity_bytes: 0, available_bytes: 0 }.percent(), 0);
        let huge = DiskUse { capacity_bytes: u64::MAX, available_bytes: u64::MAX / 2 };
        assert_eq!(huge.percent(), 51);
    }

    #[test]
    fn decisions() {
        let kept = |image: GcImage| GcImage { kept: true, ..image };
        let all = vec![
            image("a", 30, 500, 900),
            image("b", 30, 900, 900),
            image("young", 500, 100, 100),
            kept(image("kept", 500, 9999, 9999)),
        ];
        let max_age = GcPolicy { max_age_s: 600, ..POLICY };
        let never = GcPolicy { high_percent: 100, ..POLICY };
        let rows: [(&str, GcPolicy, u64, &[&str], u64); 8] = [
            ("room enough", POLICY, 160, &[], 0),
            ("the longest unused goes first", POLICY, 150, &["b", "a"], 0),
            ("no more than needed", GcPolicy { low_percent: 83, ..POLICY }, 150, &["b"], 0),
            ("young and kept ones stay whatever is missing", POLICY, 0, &["b", "a"], 140),
            ("too old goes with room enough", max_age, 900, &["b"], 0),
            ("what the old ones free counts", GcPolicy { low_percent: 82, ..max_age }, 150, &["b"], 0),
            ("switched off", never, 0, &[], 0),
            ("age counts although room does not", GcPolicy { max_age_s: 600, ..never }, 0, &["b"], 0),
        ];
        for (what, policy, available, remove, missing) in rows {
            let plan = plan(&policy, &disk(available), &all);
            assert_eq!(
                (plan.remove, plan.missing_bytes),
                (remove.iter().map(|s| (*s).to_owned()).collect(), missing),
                "{what}"
            );
        }
    }

    #[test]
    fn the_order_is_one() {
        let equal = [image("z", 1, 7, 200), image("a", 1, 7, 200), image("m", 1, 7, 300)];
        assert_eq!(plan(&POLICY, &disk(0), &equal).remove, ["m", "a", "z"]);
    }
}
