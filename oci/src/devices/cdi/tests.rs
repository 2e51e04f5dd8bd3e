//! Specifications as files have them.

use super::*;

const CAM: &str = r#"{
  "cdiVersion": "0.6.0", "kind": "example.com/cam",
  "containerEdits": {"env": ["CAMS=1"]},
  "devices": [
    {"name": "left", "annotations": {"a": "b"}, "containerEdits": {"deviceNodes": [{"path": "/dev/video0", "permissions": "rw"}]}},
    {"name": "right", "containerEdits": {"mounts": [{"hostPath": "/lib/x", "containerPath": "/lib/x", "options": ["ro", "nosuid"]}]}}
  ]
}"#;

fn registry(first: &[(&str, &str)], second: &[(&str, &str)]) -> Registry {
    let dir = tempfile::tempdir().unwrap();
    let dirs = ["one", "two"].map(|name| dir.path().join(name));
    for (dir, files) in dirs.iter().zip([first, second]) {
        fs::create_dir(dir).unwrap();
        files.iter().for_each(|(name, text)| fs::write(dir.join(name), text).unwrap());
    }
    Registry::read(&dirs)
}

#[test]
fn files_in_json_and_yaml_make_devices() {
    let yaml =
        "cdiVersion: 0.5.0\nkind: example.com/gpu\ndevices: [{name: '0', containerEdits: {env: [A=b]}}]\n";
    let found = registry(&[("cam.json", CAM), ("gpu.yaml", yaml), ("x.txt", "no")], &[]);
    assert_eq!(found.problems, Vec::<String>::new());
    let names: Vec<&String> = found.devices.keys().collect();
    assert_eq!(names, ["example.com/cam=left", "example.com/cam=right", "example.com/gpu=0"]);
    let left = found.devices["example.com/cam=left"].as_ref().unwrap();
    assert_eq!(
        (left.env.as_slice(), left.device_nodes[0].path.as_str()),
        (&["CAMS=1".to_owned()][..], "/dev/video0")
    );
}

#[test]
fn a_later_directory_counts_first_and_two_files_of_one_contradict_each_other() {
    let other =
        "cdiVersion: 0.5.0\nkind: example.com/cam\ndevices: [{name: left, containerEdits: {env: [B=c]}}]\n";
    let found = registry(&[("cam.json", CAM)], &[("o.yaml", other)]);
    assert_eq!(found.devices["example.com/cam=left"].as_ref().unwrap().env, ["B=c"]);
    let found = registry(&[("cam.json", CAM), ("o.yaml", other)], &[]);
    assert!(found.devices["example.com/cam=left"].as_ref().unwrap_err().contains("stands in"));
    assert!(found.devices["example.com/cam=right"].is_ok());
}

#[test]
fn what_cannot_be_carried_out_is_said() {
    for (edits, says) in [
        ("{intelRdt: {}}", "intelRdt and netDevices are not supported"),
        ("{env: [A]}", "is not NAME=value"),
        ("{deviceNodes: [{path: /srv/x}]}", "is no path below /dev"),
        ("{deviceNodes: [{path: /dev/../x}]}", "is no path below /dev"),
        ("{deviceNodes: [{path: /dev/x, type: p}]}", "is neither b nor c"),
        ("{mounts: [{hostPath: x, containerPath: /y}]}", "is no absolute path"),
        ("{mounts: [{hostPath: /x, containerPath: /y, type: tmpfs}]}", "type \"tmpfs\" is not supported"),
        ("{mounts: [{hostPath: /x, containerPath: /y, options: [dirsync]}]}", "option \"dirsync\""),
        ("{hooks: [{hookName: poststop, path: /x}]}", "hook \"poststop\": there are prestart"),
        ("{hooks: [{hookName: createContainer, path: x}]}", "is no absolute path"),
    ] {
        let text = format!("cdiVersion: 0.6.0\nkind: a/b\ndevices: [{{name: c, containerEdits: {edits}}}]\n");
        let found = registry(&[("a.yaml", &text)], &[]);
        let why = found.devices["a/b=c"].as_ref().unwrap_err();
        assert!(why.contains(says) && why.contains("a.yaml: a/b=c"), "{edits}: {why}");
    }
    for (text, says) in [
        ("kind: a/b", "cdiVersion"),
        ("{cdiVersion: 2.0.0, kind: a/b}", "is not known"),
        ("{cdiVersion: 0.6.0, kind: a}", "is not like example.com/scanner"),
        ("{cdiVersion: 0.6.0, kind: a/b, thing: 1}", "thing"),
        ("{", ""),
    ] {
        let found = registry(&[("a.yaml", text)], &[]);
        assert!(
            found.problems.len() == 1 && found.problems[0].contains(says),
            "{text}: {:?}",
            found.problems
        );
    }
}
