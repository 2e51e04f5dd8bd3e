//! Scenes of what pods ask for, and what is refused.

use super::*;
use serde_json::json;

fn pod(annotations: serde_json::Value, containers: serde_json::Value) -> Pod {
    let spec =
        json!({"metadata": {"name": "p", "annotations": annotations}, "spec": {"containers": containers}});
    serde_json::from_value(spec).unwrap()
}

#[test]
fn devices_are_asked_for_by_path_by_name_and_by_number() {
    let list =
        "[{path: /dev/serial/by-id/usb-x, as: /dev/scanner, containers: [a]}, {path: /dev/rtc0, access: r}]";
    let annotations = json!({DEVICES: list, "cdi.k8s.io/x": "example.com/cam=left, example.com/cam=right"});
    let limits = json!({"limits": {"example.com/gpu": "2", "cpu": "1"}});
    let pod = pod(annotations, json!([{"name": "a", "resources": limits}, {"name": "b"}]));
    let shown = |i: usize| {
        let grants = named(&pod, &pod.spec.containers[i]).into_iter();
        grants.map(|g| format!("{} {} {}", g.device, g.path, g.read_only)).collect::<Vec<_>>()
    };
    let common = ["/dev/rtc0  true", "example.com/cam=left  false", "example.com/cam=right  false"];
    assert_eq!(shown(0), [&["/dev/serial/by-id/usb-x /dev/scanner false"][..], &common].concat());
    assert_eq!(shown(1), common);
    assert_eq!(counted(&pod.spec.containers[0]).collect::<Vec<_>>(), [("example.com/gpu", 2)]);
    let mut asked = Asked::default();
    asked.add(&pod);
    assert_eq!(
        asked.paths.iter().map(String::as_str).collect::<Vec<_>>(),
        ["/dev/rtc0", "/dev/serial/by-id/usb-x"]
    );
    assert_eq!(
        asked.kinds.iter().map(String::as_str).collect::<Vec<_>>(),
        ["example.com/cam", "example.com/gpu"]
    );
}

#[test]
fn what_cannot_be_is_refused_in_words() {
    let many = format!("[{}]", vec!["{path: /dev/a}"; 65].join(","));
    for (text, says) in [
        ("/dev/ttyUSB0", "must be a list like"),
        ("[{path: /dev/a, mode: rw}]", "must be a list like"),
        ("[{path: /dev/a, access: w}]", "must be a list like"),
        ("[{path: ttyUSB0}]", "is no path of a device"),
        ("[{path: /etc/passwd}]", "is no path of a device"),
        ("[{path: /dev/../etc/passwd}]", "is no path of a device"),
        ("[{path: /dev/a, as: /a}]", "is no path of a device"),
        ("[{path: /dev/a, containers: [x]}]", "the pod has no container \"x\": it has main"),
        ("[{path: /dev/a}, {path: /dev/b, as: /dev/a}]", "container main gets two devices as /dev/a"),
        (&many, "asks for 65 devices; 64 are the most"),
    ] {
        let error = check_paths(text, &["main"]).unwrap_err();
        assert!(error.contains(says), "{text}: {error}");
    }
    assert_eq!(check_paths("[{path: /dev/a}]", &["main"]), Ok(()));
    for (value, says) in [
        ("", "must name 1 to 64"),
        ("gpu0", "is no name of a CDI device"),
        ("example.com/gpu", "is no name of a CDI device"),
        ("example.com/gpu=a b", "is no name of a CDI device"),
    ] {
        assert!(check_cdi(value).unwrap_err().contains(says), "{value}");
    }
    assert_eq!(check_cdi("example.com/gpu=0, example.com/gpu=all:1"), Ok(()));
}

#[test]
fn limits_of_devices_are_whole_and_their_own_requests() {
    for (limits, requests, says) in [
        (json!({"example.com/gpu": "2"}), json!({"example.com/gpu": "2"}), None),
        (json!({"example.com/gpu": "2"}), json!({}), None),
        (
            json!({"example.com/gpu": "2"}),
            json!({"example.com/gpu": "1"}),
            Some("must be equal to the limit of 2"),
        ),
        (json!({}), json!({"example.com/gpu": "1"}), Some("a limit must be set")),
        (json!({"example.com/gpu": "500m"}), json!({}), Some("must be an integer")),
        (json!({"example.com/gpu": "65"}), json!({}), Some("64 devices at most")),
        (json!({"kubernetes.io/gpu": "1"}), json!({}), Some("Kubernetes' own")),
        (json!({"example.com/9": "1"}), json!({}), Some("no kind of a CDI device")),
    ] {
        let resources: Resources =
            serde_json::from_value(json!({"limits": limits, "requests": requests})).unwrap();
        let found = problems(&resources);
        assert_eq!(found.len(), usize::from(says.is_some()), "{limits}: {found:?}");
        assert!(found.iter().all(|(_, why)| why.contains(says.unwrap_or_default())), "{found:?}");
    }
}

#[test]
fn names_are_those_of_the_interface() {
    for (name, class, device) in [
        ("example.com/gpu", true, false),
        ("example.com/gpu=0", false, true),
        ("nvidia.com/gpu=GPU-0:1", false, true),
        ("example.com/gpu=", false, false),
        ("/gpu=0", false, false),
        ("9.com/gpu=0", false, false),
        ("example.com/gpu=-", false, false),
        ("example.com/a/b=0", false, false),
    ] {
        assert_eq!((is_class(name), is_device(name)), (class, device), "{name}");
    }
    assert_eq!((kind_of("/dev/a=b"), kind_of("a/b=c")), (None, Some("a/b")));
}
