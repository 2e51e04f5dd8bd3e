//! Kubelet's arithmetic from milli-CPUs to cgroup v2. Pure.

/// The period of all CPU quotas, in microseconds.
pub const PERIOD_US: u64 = 100_000;
/// The least quota that the kernel takes, in microseconds.
const QUOTA_MIN_US: u64 = 1000;
/// Bounds of the shares of cgroup v1, in which Kubernetes counts.
const SHARES: (u64, u64) = (2, 262_144);
/// The greatest weight of cgroup v2; the least is 1.
const WEIGHT_MAX: u64 = 10_000;

/// Shares of cgroup v1 for a request in thousandths of a CPU; 0 is the least that there is.
pub fn shares(milli_cpu: u64) -> u64 {
    milli_cpu.saturating_mul(1024).saturating_div(1000).clamp(SHARES.0, SHARES.1)
}

/// `cpu.weight` for shares.
pub fn weight(shares: u64) -> u64 {
    let (least, most) = SHARES;
    1 + (shares.clamp(least, most) - least) * (WEIGHT_MAX - 1) / (most - least)
}

/// The quota of `cpu.max` for a limit in thousandths of a CPU; none for 0: no limit.
pub fn quota_us(milli_cpu: u64) -> Option<u64> {
    (milli_cpu > 0).then(|| (milli_cpu.saturating_mul(PERIOD_US) / 1000).max(QUOTA_MIN_US))
}
