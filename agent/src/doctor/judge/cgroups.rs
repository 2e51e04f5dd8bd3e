//! cgroups: unified, with all controllers, and quick.

use super::super::{Finding, facts::Facts};

/// Controllers, and what pods lack without each.
const CONTROLLERS: [(&str, &str); 5] = [
    ("cpu", "cpu limits and shares"),
    ("memory", "memory limits, and the OOM killer strikes beyond the pod"),
    ("pids", "limits on the number of processes"),
    ("cpuset", "pinning to processors"),
    ("io", "accounting of disk traffic"),
];

/// The unified hierarchy is where the agent looks for it.
pub(super) fn unified(facts: &Facts) -> Finding {
    const ID: &str = "cgroup-v2";
    const TITLE: &str = "cgroup v2";
    let cgroup = &facts.cgroup;
    let at = cgroup.mount.display();
    match cgroup.kind.as_deref() {
        Some("cgroup2") if cgroup.options.iter().any(|option| option == "ro") => Finding::fail(
            ID,
            TITLE,
            format!("the unified hierarchy at {at} is mounted read-only"),
            format!("mount -o remount,rw {at}; in a container, give it a writable cgroup namespace"),
        ),
        Some("cgroup2") => Finding::ok(ID, TITLE, format!("the unified hierarchy is mounted at {at}")),
        _ => {
            let elsewhere = cgroup.elsewhere.as_ref().map(|path| path.display().to_string());
            let detail = match (&elsewhere, cgroup.v1.is_empty()) {
                (Some(path), false) => format!(
                    "this machine's cgroups are hybrid: v1 at {at} holds {}, and v2 at {path} has what is left; \
                     Berth needs v2 alone",
                    cgroup.v1.join(", ")
                ),
                (None, false) => format!("this machine's cgroups are v1 (at {at}); Berth needs v2"),
                (Some(path), true) => format!("the unified hierarchy is not at {at} but at {path}"),
                (None, true) => format!("no cgroup hierarchy is mounted at {at}"),
            };
            let remedy = match (&elsewhere, cgroup.v1.is_empty()) {
                (Some(path), true) => format!("set cgroupMount: {path} in /etc/berth/config.yaml"),
                (None, true) => format!("mount -t cgroup2 none {at}"),
                (_, false) => "with systemd: add systemd.unified_cgroup_hierarchy=1 to the kernel's command line, and \
                               reboot\nwith another init: add cgroup_no_v1=all to the kernel's command line, have only \
                               `mount -t cgroup2 none /sys/fs/cgroup` in the boot scripts, and reboot"
                    .to_owned(),
            };
            Finding::fail(ID, TITLE, detail, remedy)
        }
    }
}

/// The controllers that limits need.
pub(super) fn controllers(facts: &Facts) -> Finding {
    const ID: &str = "cgroup-controllers";
    const TITLE: &str = "cgroup controllers";
    let cgroup = &facts.cgroup;
    let missing: Vec<_> =
        CONTROLLERS.iter().filter(|(name, _)| !cgroup.controllers.iter().any(|has| has == name)).collect();
    if missing.is_empty() {
        return Finding::ok(ID, TITLE, cgroup.controllers.join(" "));
    }
    let names: Vec<_> = missing.iter().map(|(name, _)| *name).collect();
    let lacks: Vec<_> = missing.iter().map(|(_, lack)| *lack).collect();
    let in_v1 = names.iter().any(|name| cgroup.v1.iter().any(|taken| taken == name));
    let mut remedy = Vec::new();
    if names.iter().any(|name| cgroup.disabled.iter().any(|off| off == name)) {
        remedy.push(format!(
            "remove cgroup_disable={} from the kernel's command line",
            cgroup.disabled.join(",")
        ));
    }
    if in_v1 {
        remedy.push("let go of them in v1: boot with cgroup_no_v1=all".to_owned());
    }
    if remedy.is_empty() {
        let options: Vec<_> = names.iter().map(|name| kernel_option(name)).collect();
        remedy.push(format!("build the kernel with {}", options.join(", ")));
        if names.contains(&"memory") {
            remedy.push("on a Raspberry Pi: add cgroup_enable=memory to cmdline.txt".to_owned());
        }
        remedy.push(
            "in a container or a slice: have its manager delegate them (systemd: Delegate=yes)".to_owned(),
        );
    }
    let detail = format!("missing: {}; pods lack {}", names.join(" "), lacks.join(", "));
    Finding::warn(ID, TITLE, detail, remedy.join("\n"))
}

fn kernel_option(controller: &str) -> &'static str {
    match controller {
        "cpu" => "CONFIG_FAIR_GROUP_SCHED and CONFIG_CFS_BANDWIDTH",
        "memory" => "CONFIG_MEMCG",
        "pids" => "CONFIG_CGROUP_PIDS",
        "cpuset" => "CONFIG_CPUSETS",
        _ => "CONFIG_BLK_CGROUP",
    }
}

/// Moving a process into a cgroup without waiting for all processors.
pub(super) fn fast_moves(facts: &Facts) -> Finding {
    const ID: &str = "favordynmods";
    const TITLE: &str = "quick cgroup moves";
    if facts.cgroup.options.iter().any(|option| option == "favordynmods") {
        return Finding::ok(ID, TITLE, "favordynmods is set");
    }
    let mut finding = Finding::ok(ID, TITLE, "favordynmods is not set: a container may start some ms later");
    if facts.cgroup.kind.as_deref() == Some("cgroup2") {
        finding.remedy = format!(
            "if starts must be quick: mount -o remount,favordynmods {}",
            facts.cgroup.mount.display()
        );
    }
    finding
}
