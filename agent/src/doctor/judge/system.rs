//! The system around the kernel: room, limits, rights, the clock.

use super::{
    super::{Finding, facts::Facts},
    kernel,
};

const MIB: u64 = 1 << 20;
/// Free bytes below which images no longer fit.
const FREE_LOW_BYTES: u64 = 256 * MIB;
/// Free bytes below which logs and checkpoints soon no longer fit.
const FREE_NONE_BYTES: u64 = 16 * MIB;
/// Free inodes below which an image may not fit.
const INODES_LOW: u64 = 10_000;
/// Inotify instances that a user should have: one for the agent, and what others use.
const INSTANCES_LOW: u64 = 16;
/// Inotify watches: one for each path of each manifest directory, and some for `logs -f`.
const WATCHES_LOW: u64 = 1024;
/// 2025-01-01: no machine with this program lives before.
const CLOCK_FLOOR_S: u64 = 1_735_689_600;

/// Room for images, logs and checkpoints.
pub(super) fn space(facts: &Facts) -> Finding {
    const ID: &str = "space";
    const TITLE: &str = "room for state";
    let Some(state) = &facts.state else {
        return Finding::fail(
            ID,
            TITLE,
            "the state directory's file system cannot be seen",
            "is it mounted?",
        );
    };
    let (at, free) = (state.path.display(), state.free_bytes / MIB);
    let remedy = "remove what is not needed, or set stateDirectory to a larger file system";
    match state.free_bytes {
        _ if state.read_only => Finding::fail(
            ID,
            TITLE,
            format!("{at} is mounted read-only"),
            "set stateDirectory in /etc/berth/config.yaml to a writable place",
        ),
        0..FREE_NONE_BYTES => Finding::fail(ID, TITLE, format!("{free} MiB are free on {at}"), remedy),
        FREE_NONE_BYTES..FREE_LOW_BYTES => {
            Finding::warn(ID, TITLE, format!("{free} MiB are free on {at}"), remedy)
        }
        _ => Finding::ok(ID, TITLE, format!("{free} MiB are free on {at}")),
    }
}

/// Room for files.
pub(super) fn inodes(facts: &Facts) -> Finding {
    const ID: &str = "inodes";
    const TITLE: &str = "room for files";
    match facts.state.as_ref().and_then(|state| state.free_inodes) {
        None => Finding::ok(ID, TITLE, "the file system has no fixed number of inodes"),
        Some(free) if free < INODES_LOW => Finding::warn(
            ID,
            TITLE,
            format!("{free} inodes are free; an image can have as many files"),
            "remove files, or make the file system with more inodes (mkfs.ext4 -N)",
        ),
        Some(free) => Finding::ok(ID, TITLE, format!("{free} inodes are free")),
    }
}

/// Records of this boot must go with it.
pub(super) fn run_directory(facts: &Facts) -> Finding {
    const ID: &str = "run-directory";
    const TITLE: &str = "run directory";
    match &facts.run {
        Some((path, true)) => Finding::ok(ID, TITLE, format!("{} is on a tmpfs", path.display())),
        Some((path, false)) => Finding::warn(
            ID,
            TITLE,
            format!(
                "{} is not on a tmpfs: it wears the disk, and outlives the boot that it describes",
                path.display()
            ),
            "mount a tmpfs at /run",
        ),
        None => Finding::fail(
            ID,
            TITLE,
            "the run directory's file system cannot be seen",
            "mount a tmpfs at /run",
        ),
    }
}

/// Whether pods' name server gets its port.
pub(super) fn names_port(facts: &Facts) -> Finding {
    const ID: &str = "names-port";
    const TITLE: &str = "port of pods' name server";
    if !facts.network_wanted {
        return Finding::ok(ID, TITLE, kernel::NOT_WANTED);
    }
    if !facts.names_port_taken {
        return Finding::ok(ID, TITLE, "nobody has port 53 of all addresses");
    }
    Finding::warn(
        ID,
        TITLE,
        "another program has port 53 of all addresses of the node: pods find no names, or will not after a reboot",
        "have it listen on addresses of its own only (dnsmasq: bind-dynamic and except-interface=berth*; named: listen-on; \
         unbound: interface)",
    )
}

/// Whether a firewall that is known lets pods through.
pub(super) fn firewall(facts: &Facts) -> Finding {
    const ID: &str = "firewall";
    const TITLE: &str = "firewall (firewalld)";
    if !facts.network_wanted {
        return Finding::ok(ID, TITLE, kernel::NOT_WANTED);
    }
    if facts.firewalled.is_empty() {
        return Finding::ok(ID, TITLE, "not there, not looked at, or it knows the bridges of pods");
    }
    let trust =
        |bridge: &String| format!("firewall-cmd --permanent --zone=trusted --add-interface={bridge}\n");
    Finding::warn(
        ID,
        TITLE,
        format!(
            "it runs and has {} in no zone: its default one may refuse pods' questions for names and their way out",
            facts.firewalled.join(", ")
        ),
        facts.firewalled.iter().map(trust).collect::<String>() + "firewall-cmd --reload",
    )
}

/// Limits on watching files.
pub(super) fn inotify(facts: &Facts) -> Finding {
    const ID: &str = "inotify";
    const TITLE: &str = "inotify";
    let (Some(instances), Some(watches)) = (facts.inotify_instances, facts.inotify_watches) else {
        return Finding::warn(
            ID,
            TITLE,
            "the kernel has none; manifests are looked at every fileCheckFrequency only",
            "build the kernel with CONFIG_INOTIFY_USER",
        );
    };
    let detail = format!("{instances} instances, {watches} watches for each user");
    if instances < INSTANCES_LOW || watches < WATCHES_LOW {
        let remedy = "sysctl fs.inotify.max_user_instances=128 fs.inotify.max_user_watches=8192";
        return Finding::warn(ID, TITLE, detail, remedy);
    }
    Finding::ok(ID, TITLE, detail)
}

/// Whether this user may talk to the agent.
pub(super) fn rights(facts: &Facts) -> Finding {
    const ID: &str = "rights";
    const TITLE: &str = "right to use Berth";
    match &facts.group {
        Some(group) if !group.exists => Finding::warn(
            ID,
            TITLE,
            format!("apiSocketGroup {:?} does not exist: only root can use the socket", group.name),
            format!("groupadd --system {}", group.name),
        ),
        _ if facts.is_root => Finding::ok(ID, TITLE, "you are root"),
        Some(group) if group.is_member => Finding::ok(ID, TITLE, format!("you are in group {}", group.name)),
        Some(group) => Finding::warn(
            ID,
            TITLE,
            format!("you are neither root nor in group {}", group.name),
            format!("usermod -aG {} $USER, and log in again", group.name),
        ),
        None => Finding::warn(
            ID,
            TITLE,
            "you are not root, and no group may use the socket",
            "use sudo, or set apiSocketGroup in /etc/berth/config.yaml",
        ),
    }
}

/// Berth needs no right clock; people who read its logs do.
pub(super) fn clock(facts: &Facts) -> Finding {
    const ID: &str = "clock";
    const TITLE: &str = "clock";
    let now = berth_core::time::Wall(facts.now_s.saturating_mul(berth_core::time::NS_PER_S)).rfc3339();
    if facts.now_s < CLOCK_FLOOR_S {
        return Finding::warn(
            ID,
            TITLE,
            format!("it says {now}: pods run all the same, but times in logs and states are wrong"),
            "set it, or have it set (NTP, RTC battery)",
        );
    }
    Finding::ok(ID, TITLE, now)
}
