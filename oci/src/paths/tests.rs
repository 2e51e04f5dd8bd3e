//! Names and lengths of paths.

use super::*;
use berth_core::{ids::PodKey, manifest::types::Pod};
use std::sync::Arc;

fn pod(name: &str) -> DesiredPod {
    DesiredPod {
        key: PodKey { namespace: "default".into(), name: name.into() },
        uid: PodUid("0123".into()),
        base: None,
        values: None,
        pod: Arc::new(Pod::default()),
        origin: "x.yaml".into(),
    }
}

#[test]
fn logs_lie_where_collectors_look() {
    let (roots, pod, id) = (Roots::default(), pod("web-box"), ContainerId("ab".into()));
    assert_eq!(roots.log_file(&pod, "app", 3), Path::new("/var/log/pods/default_web-box_0123/app/3.log"));
    assert_eq!(roots.log_link(&pod, "app", &id), Path::new("/var/log/containers/web-box_default_app-ab.log"));
}

#[test]
fn a_long_link_name_is_cut_to_what_a_file_system_takes() {
    let link = Roots::default().log_link(&pod(&"n".repeat(253)), "app", &ContainerId("ab".into()));
    let name = link.file_name().unwrap().to_str().unwrap();
    assert_eq!(name.len(), NAME_LEN_MAX);
    assert!(name.ends_with("n.log"));
}

#[test]
fn roots_are_held_to_the_keepers_limits() {
    assert!(Roots::default().check().is_ok());
    let below = |len: usize| PathBuf::from(format!("/{}", "r".repeat(len - 1)));
    let longest = PATH_LEN_MAX - "/containers/".len() - ID_LEN_MAX;
    for (len, fits) in [(longest, true), (longest + 1, false)] {
        let roots = Roots { run: below(len), ..Roots::default() };
        assert_eq!(roots.check().is_ok(), fits, "{len}");
        assert_eq!(roots.bundle(&ContainerId("i".repeat(ID_LEN_MAX).into())).as_os_str().len(), len + 76);
    }
    let long_cgroup = Roots { cgroup_root: "c".repeat(100), ..Roots::default() };
    assert!(long_cgroup.check().unwrap_err().to_string().contains("cgroup directory"));
    assert!(Roots { log: "var/log".into(), ..Roots::default() }.check().is_err());
}

#[test]
fn a_cgroup_root_stands_above_kubepods() {
    let roots = Roots { cgroup_root: "/edge/".into(), ..Roots::default() };
    assert_eq!(roots.kubepods(), Path::new("/sys/fs/cgroup/edge/kubepods"));
}
