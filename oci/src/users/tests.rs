//! Who runs, by what pod and image say.

use super::*;
use berth_core::{
    ids::{PodKey, PodUid},
    manifest::types::{Pod, PodSecurityContext, PodSpec, SecurityContext},
};
use std::sync::Arc;

const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/sh\nnginx:x:101:102::/var/lib/nginx:/sbin/nologin\n\
    9000:x:500:500::/odd:\n";
const GROUP: &[u8] =
    b"root:x:0:root\ndisk:x:6:root,adm\nnginx:x:102:\nwww:x:33:nginx\nlogs:x:44:nginx,root\n";

#[derive(Default, Clone)]
struct Case {
    image: &'static str,
    pod: PodSecurityContext,
    own: SecurityContext,
}

fn run(case: Case) -> std::result::Result<(u32, u32, Vec<u32>), String> {
    let container =
        Container { name: "app".into(), security_context: Some(case.own), ..Container::default() };
    let spec = PodSpec { security_context: case.pod, ..PodSpec::default() };
    let pod = DesiredPod {
        key: PodKey { namespace: "default".into(), name: "web-box".into() },
        uid: PodUid("u1".into()),
        base: None,
        values: None,
        pod: Arc::new(Pod { spec, ..Pod::default() }),
        origin: "web.yaml".into(),
    };
    let image = ImageFacts { user: case.image.into(), reference: "nginx:1".into(), ..ImageFacts::default() };
    let (users, groups) = (database::users(PASSWD), database::groups(GROUP));
    Wanted::of(&pod, &container, &image)
        .and_then(|wanted| wanted.look_up(&users, &groups, &image.reference))
        .map(|user| (user.uid, user.gid, user.groups))
        .map_err(|error| error.to_string())
}

#[test]
fn the_images_user_is_resolved_as_it_is_written() {
    for (image, uid, gid, groups) in [
        ("", 0, 0, &[0, 6, 44][..]),
        ("root", 0, 0, &[0, 6, 44]),
        ("0", 0, 0, &[0, 6, 44]),
        ("nginx", 101, 102, &[102, 33, 44]),
        ("101", 101, 102, &[102, 33, 44]),
        ("nginx:www", 101, 33, &[33, 44]),
        ("nginx:7", 101, 7, &[7, 33, 44]),
        ("1234", 1234, 0, &[0]),
        ("1234:5678", 1234, 5678, &[5678]),
        // A number is a number, even if somebody has it for a name.
        ("9000", 9000, 0, &[0]),
    ] {
        let case = Case { image, ..Case::default() };
        assert_eq!(run(case), Ok((uid, gid, groups.to_vec())), "{image}");
    }
}

#[test]
fn security_contexts_override_the_image_and_the_container_overrides_the_pod() {
    let of_pod =
        |user, group| PodSecurityContext { run_as_user: user, run_as_group: group, ..Default::default() };
    let own = |user, group| SecurityContext { run_as_user: user, run_as_group: group, ..Default::default() };
    for (image, pod, own, uid, gid) in [
        ("nginx", of_pod(Some(1000), None), own(None, None), 1000, 0),
        ("nginx:www", of_pod(Some(101), None), own(None, None), 101, 102),
        ("nginx", of_pod(Some(1000), Some(1001)), own(None, None), 1000, 1001),
        ("nginx", of_pod(Some(1000), Some(1001)), own(Some(7), None), 7, 1001),
        ("nginx", of_pod(None, Some(1001)), own(None, Some(8)), 101, 8),
        ("", of_pod(None, Some(1001)), own(None, None), 0, 1001),
    ] {
        let found = run(Case { image, pod: pod.clone(), own: own.clone() }).unwrap();
        assert_eq!((found.0, found.1), (uid, gid), "{image} {pod:?} {own:?}");
    }
}

#[test]
fn supplemental_groups_and_fs_group_come_after_the_images_and_once() {
    let pod = PodSecurityContext {
        supplemental_groups: vec![44, 2000, 102],
        fs_group: Some(3000),
        ..Default::default()
    };
    let case = Case { image: "nginx", pod, ..Case::default() };
    assert_eq!(run(case).unwrap().2, [102, 33, 44, 2000, 3000]);
}

#[test]
fn names_that_the_image_does_not_know_are_errors_that_say_what_to_do() {
    let message = |image| run(Case { image, ..Case::default() }).unwrap_err();
    assert!(
        message("ghost").contains("runs as user \"ghost\"") && message("ghost").contains("set runAsUser")
    );
    assert!(message("nginx:ghosts").contains("runs as group \"ghosts\""));
    // Too large for a number: a name that nobody has.
    assert!(message("4294967296").contains("4294967296"));
}

#[test]
fn run_as_non_root_is_held() {
    let place = "(pod: \"web-box_default(u1)\", container: app)";
    let root = "container has runAsNonRoot and image will run as root";
    let by_pod = "container's runAsUser breaks non-root policy";
    let named =
        "container has runAsNonRoot and image has non-numeric user (nginx), cannot verify user is non-root";
    for (image, user, wrong) in [
        ("", None, Some(root)),
        ("0", None, Some(root)),
        ("0:7", None, Some(root)),
        ("nginx", None, Some(named)),
        ("101", None, None),
        ("101", Some(0), Some(by_pod)),
        ("nginx", Some(101), None),
        ("", Some(5), None),
    ] {
        let own =
            SecurityContext { run_as_user: user, run_as_non_root: Some(true), ..SecurityContext::default() };
        let result = run(Case { image, own, ..Case::default() });
        let expected = wrong.map(|wrong| format!("{wrong} {place}"));
        assert_eq!(result.err(), expected, "{image} {user:?}");
    }
    let pod = PodSecurityContext { run_as_non_root: Some(true), ..PodSecurityContext::default() };
    let own = SecurityContext { run_as_non_root: Some(false), ..SecurityContext::default() };
    assert!(run(Case { image: "", pod, own }).is_ok());
}

#[test]
fn an_image_without_a_user_database_runs_by_number() {
    let container = Container::default();
    let pod = DesiredPod {
        key: PodKey { namespace: "default".into(), name: "web-box".into() },
        uid: PodUid("u1".into()),
        base: None,
        values: None,
        pod: Arc::new(Pod::default()),
        origin: "web.yaml".into(),
    };
    let dir = tempfile::tempdir().unwrap();
    let image = ImageFacts {
        layers: vec![dir.path().to_str().unwrap().to_owned()],
        user: "65532".into(),
        ..ImageFacts::default()
    };
    let user = resolve(&pod, &container, &image).unwrap();
    assert_eq!(user, ProcessUser { uid: 65532, gid: 0, groups: vec![0], home: String::new() });
}
