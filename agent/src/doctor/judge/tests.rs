//! A healthy machine, and one change at a time.

use super::super::{
    Finding, State,
    facts::{Cgroups, Facts, Group, NAMESPACES, Space, Trial},
};
use super::all;

fn healthy() -> Facts {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
    Facts {
        kernel: "6.12.5-edge".into(),
        is_root: true,
        cgroup: Cgroups {
            mount: "/sys/fs/cgroup".into(),
            kind: Some("cgroup2".into()),
            options: words("rw nsdelegate favordynmods"),
            controllers: words("cpuset cpu io memory pids"),
            ..Cgroups::default()
        },
        namespaces: NAMESPACES.to_vec(),
        overlay_known: true,
        overlay: Trial::Works,
        seccomp: true,
        device_filter: Trial::Works,
        inotify_instances: Some(128),
        inotify_watches: Some(8192),
        psi: true,
        kernel_options: None,
        network_wanted: true,
        cni: None,
        network: Trial::Works,
        packet_rules: Trial::Works,
        own_addresses: Trial::Works,
        names_port_taken: false,
        networks: vec!["default 10.86.0.0/16".into()],
        firewalled: Vec::new(),
        state: Some(Space {
            path: "/var/lib".into(),
            free_bytes: 1 << 40,
            free_inodes: Some(1 << 20),
            read_only: false,
        }),
        run: Some(("/run/berth".into(), true)),
        group: None,
        now_s: 2_000_000_000,
    }
}

/// The findings that are not well, as `state id`.
fn unwell(findings: &[Finding]) -> Vec<String> {
    let unwell = findings.iter().filter(|finding| finding.state != State::Ok);
    unwell.map(|finding| format!("{:?} {}", finding.state, finding.id).to_lowercase()).collect()
}

#[test]
fn a_healthy_machine_has_nothing_to_do() {
    let findings = all(&healthy());
    assert_eq!(unwell(&findings), [""; 0]);
    assert!(findings.iter().all(|finding| finding.remedy.is_empty()), "{findings:?}");
    let mut ids: Vec<_> = findings.iter().map(|finding| finding.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), findings.len(), "every id once");
}

#[test]
fn each_change_is_found_with_something_to_do() {
    let space = |free_bytes, free_inodes, read_only| {
        Some(Space { path: "/var/lib".into(), free_bytes, free_inodes, read_only })
    };
    let group = |exists, is_member| Some(Group { name: "berth".into(), exists, is_member });
    let options = |names: &[&str]| Some(names.iter().map(|name| ((*name).into(), "y".into())).collect());
    type Change = Box<dyn Fn(&mut Facts)>;
    let cases: Vec<(&str, Change)> = vec![
        ("fail cgroup-v2", Box::new(|f| f.cgroup.kind = Some("tmpfs".into()))),
        ("fail cgroup-v2", Box::new(|f| f.cgroup.kind = None)),
        ("fail cgroup-v2", Box::new(|f| f.cgroup.options.push("ro".into()))),
        ("warn cgroup-controllers", Box::new(|f| f.cgroup.controllers.retain(|c| c != "memory"))),
        ("fail kernel", Box::new(|f| f.kernel = "5.10.0".into())),
        ("fail kernel", Box::new(|f| f.kernel = "5.13.19-x".into())),
        ("warn kernel", Box::new(|f| f.kernel = String::new())),
        ("fail namespaces", Box::new(|f| f.namespaces.retain(|ns| *ns != "net"))),
        ("fail overlay-state", Box::new(|f| f.overlay = Trial::Fails("x".into()))),
        ("warn overlay-state", Box::new(|f| f.overlay = Trial::Unknown("x".into()))),
        ("fail seccomp", Box::new(|f| f.seccomp = false)),
        ("fail cgroup-bpf", Box::new(|f| f.device_filter = Trial::Fails("x".into()))),
        ("warn cgroup-bpf", Box::new(|f| f.device_filter = Trial::Unknown("x".into()))),
        ("warn psi", Box::new(|f| f.psi = false)),
        ("warn network", Box::new(|f| f.network = Trial::Fails("x".into()))),
        ("warn network", Box::new(|f| f.network = Trial::Unknown("x".into()))),
        ("warn network", Box::new(|f| f.cni = Some(Trial::Fails("x".into())))),
        ("warn packet-rules", Box::new(|f| f.packet_rules = Trial::Fails("x".into()))),
        ("warn packet-rules", Box::new(|f| f.packet_rules = Trial::Unknown("x".into()))),
        ("warn own-addresses", Box::new(|f| f.own_addresses = Trial::Fails("x".into()))),
        ("warn own-addresses", Box::new(|f| f.own_addresses = Trial::Unknown("x".into()))),
        ("warn names-port", Box::new(|f| f.names_port_taken = true)),
        ("warn firewall", Box::new(|f| f.firewalled = vec!["berth0".into(), "berth-plant".into()])),
        ("fail kernel-options", Box::new(move |f| f.kernel_options = options(&["CGROUPS"]))),
        ("fail space", Box::new(move |f| f.state = space(1, None, false))),
        ("warn space", Box::new(move |f| f.state = space(100 << 20, None, false))),
        ("fail space", Box::new(move |f| f.state = space(1 << 40, None, true))),
        ("fail space", Box::new(|f| f.state = None)),
        ("warn inodes", Box::new(move |f| f.state = space(1 << 40, Some(5), false))),
        ("warn run-directory", Box::new(|f| f.run = Some(("/run/berth".into(), false)))),
        ("fail run-directory", Box::new(|f| f.run = None)),
        ("warn inotify", Box::new(|f| f.inotify_instances = Some(1))),
        ("warn inotify", Box::new(|f| f.inotify_watches = None)),
        ("warn rights", Box::new(|f| f.is_root = false)),
        ("warn rights", Box::new(move |f| f.group = group(false, false))),
        ("warn clock", Box::new(|f| f.now_s = 0)),
    ];
    for (i, (expected, change)) in cases.iter().enumerate() {
        let mut facts = healthy();
        change(&mut facts);
        let findings = all(&facts);
        assert_eq!(unwell(&findings), [*expected], "case {i}");
        let finding = findings.iter().find(|finding| finding.state != State::Ok).unwrap();
        assert!(!finding.remedy.is_empty() && !finding.detail.is_empty(), "case {i}: {finding:?}");
    }
}

#[test]
fn what_is_well_although_it_looks_otherwise() {
    let mut facts = healthy();
    facts.namespaces.retain(|ns| *ns != "user");
    facts.network_wanted = false;
    facts.network = Trial::Fails("x".into());
    facts.packet_rules = Trial::Fails("x".into());
    facts.own_addresses = Trial::Fails("x".into());
    facts.names_port_taken = true;
    facts.firewalled = vec!["berth0".into()];
    facts.cgroup.options.clear();
    facts.is_root = false;
    facts.group = Some(Group { name: "berth".into(), exists: true, is_member: true });
    assert_eq!(unwell(&all(&facts)), [""; 0]);
}

#[test]
fn a_hybrid_machine_is_told_what_to_put_on_the_kernels_command_line() {
    let mut facts = healthy();
    facts.cgroup = Cgroups {
        mount: "/sys/fs/cgroup".into(),
        kind: Some("tmpfs".into()),
        elsewhere: Some("/sys/fs/cgroup/unified".into()),
        v1: vec!["cpu".into(), "memory".into()],
        ..Cgroups::default()
    };
    let findings = all(&facts);
    let unified = &findings[0];
    assert!(unified.detail.contains("hybrid") && unified.detail.contains("cpu, memory"), "{unified:?}");
    for part in ["systemd.unified_cgroup_hierarchy=1", "cgroup_no_v1=all", "mount -t cgroup2"] {
        assert!(unified.remedy.contains(part), "{part}: {unified:?}");
    }
    assert!(findings[1].remedy.contains("cgroup_no_v1=all"), "{:?}", findings[1]);
}

#[test]
fn a_controller_that_was_disabled_on_the_command_line() {
    let mut facts = healthy();
    facts.cgroup.controllers.retain(|c| c != "memory");
    facts.cgroup.disabled = vec!["memory".into()];
    let controllers = &all(&facts)[1];
    assert_eq!(controllers.remedy, "remove cgroup_disable=memory from the kernel's command line");
}
