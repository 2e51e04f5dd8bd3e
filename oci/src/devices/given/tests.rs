//! What containers get of devices that every machine has.

use super::*;

fn grant(device: &str) -> Grant {
    Grant { device: device.to_owned(), ..Grant::default() }
}

fn user(uid: u32) -> ProcessUser {
    ProcessUser { uid, gid: uid + 1, groups: vec![uid + 1], home: String::new() }
}

fn cdi(text: &str) -> (tempfile::TempDir, Vec<PathBuf>) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.yaml"), text).unwrap();
    let dirs = vec![dir.path().to_owned()];
    (dir, dirs)
}

#[test]
fn what_is_there_is_seen_and_what_is_not_is_said() {
    let spec = "cdiVersion: 0.6.0\nkind: a/b\ndevices:\n- {name: nil, containerEdits: {deviceNodes: [{path: /dev/x, hostPath: /dev/null}]}}\n- {name: gone, containerEdits: {deviceNodes: [{path: /dev/berth-none}]}}\n- {name: named, containerEdits: {deviceNodes: [{path: /dev/x, type: c, major: 5, minor: 9}]}}\n";
    let (_dir, dirs) = cdi(spec);
    let mut asked = Asked::default();
    asked.paths.extend(["/dev/zero".to_owned(), "/dev/berth-none".to_owned(), "/etc".to_owned()]);
    asked.kinds.insert("a/b".to_owned());
    let looked = look(&dirs, &asked);
    let there: Vec<(&str, &str)> = looked.seen.there.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(there, [("/dev/zero", "c1:5"), ("a/b=named", "c5:9"), ("a/b=nil", "c1:3")]);
    let why = |name: &str| looked.seen.lacking[name].as_str();
    assert_eq!(why("/dev/berth-none"), "/dev/berth-none is not there");
    assert_eq!(why("/etc"), "/etc is no device");
    assert_eq!(why("a/b=gone"), "a/b=gone: /dev/berth-none is not there");
    assert!(
        looked.paths.contains(Path::new("/dev/berth-none")) && looked.paths.contains(Path::new("/dev/null"))
    );
}

#[test]
fn who_is_not_root_owns_its_nodes() {
    let shown = |uid: u32, grant: Grant| {
        let given = give(&[], &[grant], &user(uid)).unwrap();
        let node = &given.nodes[0];
        (node.path.display().to_string(), node.mode & 0o600, node.uid, node.gid, given.rules[0].access)
    };
    let at = Grant { path: "/dev/mine".into(), read_only: true, ..grant("/dev/null") };
    assert_eq!(shown(7, grant("/dev/null")), ("/dev/null".into(), 0o600, 7, 8, Access::ALL));
    assert_eq!(shown(7, at.clone()), ("/dev/mine".into(), 0o600, 7, 8, Access::of(true, false)));
    assert_eq!(shown(0, at).2, 0);
}

#[test]
fn a_specification_says_what_else_comes_with_a_device() {
    let spec = "cdiVersion: 0.6.0\nkind: a/b\ncontainerEdits: {hooks: [{hookName: createContainer, path: /bin/true}]}\ndevices:\n- name: one\n  containerEdits:\n    env: [A=b=c]\n    additionalGids: [0, 44]\n    deviceNodes: [{path: /dev/x, hostPath: /dev/null, uid: 5, fileMode: 432, permissions: r}]\n    mounts: [{hostPath: /etc, containerPath: /e, options: [ro, nosuid]}]\n- {name: two}\n";
    let (_dir, dirs) = cdi(spec);
    let given = give(&dirs, &[grant("a/b=one"), grant("a/b=two")], &user(7)).unwrap();
    assert_eq!(given.env, [("A".to_owned(), "b=c".to_owned())]);
    assert_eq!(given.groups, [44]);
    let node = &given.nodes[0];
    assert_eq!((node.uid, node.mode, given.rules[0].access), (5, 0o660, Access::of(true, false)));
    let bind = &given.binds[0];
    assert!(bind.read_only && bind.restrictions == ["nosuid"]);
    let hooks = given.hooks.unwrap();
    assert_eq!(hooks.create_container().as_ref().map(Vec::len), Some(1));
    let error = give(&dirs, &[grant("a/b=three")], &user(7)).unwrap_err();
    assert_eq!(error.to_string(), "no CDI specification has a/b=three");
}
