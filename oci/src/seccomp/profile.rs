//! A profile, whatever form it was written in: what `compile` takes. Plain data.

/// What becomes of a system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// It is made.
    Allow,
    /// It fails with this error.
    Errno(i32),
    /// It ends the process.
    KillProcess,
    /// It ends the thread.
    KillThread,
    /// It raises SIGSYS.
    Trap,
    /// A tracer is asked; the number is for it.
    Trace(u16),
    /// It is made and logged.
    Log,
}

/// How an argument is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compare {
    Equal(u64),
    NotEqual(u64),
    Less(u64),
    LessOrEqual(u64),
    Greater(u64),
    GreaterOrEqual(u64),
    /// With the mask first.
    Masked(u64, u64),
}

/// A condition on one argument, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) argument: u32,
    pub(super) compare: Compare,
}

/// One rule: all conditions hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) syscall: String,
    pub(super) action: Action,
    pub(super) conditions: Vec<Condition>,
}

/// Architectures beside the machine's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Further {
    X86,
    X32,
    Arm,
}

/// A whole profile, for one set of capabilities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Profile {
    /// For system calls without a rule.
    pub(super) default: Action,
    pub(super) further: Vec<Further>,
    pub(super) rules: Vec<Rule>,
}
