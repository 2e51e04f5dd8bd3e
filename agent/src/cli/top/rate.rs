//! What two readings come to. Pure.

use super::super::json;
use berth_core::{time::Mono, usage::nano_cores};
use serde_json::{Value, json};

/// Puts rates (`cpu.usageNanoCores`, and `cpu.windowNanoSeconds` over which) into the second reading, in place of the
/// moments. What was not there at the first has none.
pub(super) fn add(first: &Value, second: &mut Value) {
    of_one(Some(&first["node"]), &mut second["node"]);
    of_all(
        first,
        second,
        "pods",
        |pod| json::text(pod, "/podRef/uid"),
        |before, pod| {
            // A container that was started again meanwhile has another id, and another cgroup.
            of_all(before, pod, "containers", |part| json::text(part, "/containerID"), |_, _| {});
        },
    );
}

/// Of all entries of a list; `then` what is to be done with those that were there before.
fn of_all(
    first: &Value,
    second: &mut Value,
    list: &str,
    id: fn(&Value) -> &str,
    then: impl Fn(&Value, &mut Value),
) {
    for entry in second[list].as_array_mut().into_iter().flatten() {
        let before = first[list].as_array().into_iter().flatten().find(|before| id(before) == id(entry));
        of_one(before, entry);
        then(before.unwrap_or(&Value::Null), entry);
    }
}

fn of_one(before: Option<&Value>, entry: &mut Value) {
    let reading = |value: &Value| {
        let number = |name| value["cpu"][name].as_u64();
        Some((Mono(number("bootNanoSeconds")?), number("usageCoreNanoSeconds")?))
    };
    let both = before.and_then(reading).zip(reading(entry));
    let Some(cpu) = entry.get_mut("cpu").and_then(Value::as_object_mut) else { return };
    cpu.remove("bootNanoSeconds");
    if let Some((first, second)) = both
        && let Some(cores) = nano_cores(first, second)
    {
        cpu.insert("usageNanoCores".into(), json!(cores));
        cpu.insert("windowNanoSeconds".into(), json!(second.0.since(first.0)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_gets_its_own_rate_and_who_is_new_gets_none() {
        let cpu = |at: u64, used: u64| json!({"bootNanoSeconds": at, "usageCoreNanoSeconds": used});
        let pod = |uid: &str, cpu: Value, parts: &[(&str, Value)]| {
            let parts: Vec<_> =
                parts.iter().map(|(id, cpu)| json!({"containerID": id, "cpu": cpu})).collect();
            json!({"podRef": {"uid": uid}, "cpu": cpu, "containers": parts})
        };
        let first = json!({"node": {"cpu": cpu(0, 0)}, "pods": [
            pod("a", cpu(10, 100), &[("x", cpu(10, 50)), ("old", cpu(10, 50))]), pod("gone", cpu(10, 1), &[]),
        ]});
        let mut second = json!({"node": {"cpu": cpu(1000, 500)}, "pods": [
            pod("a", cpu(1010, 350), &[("x", cpu(1010, 150)), ("new", cpu(1010, 5))]),
            pod("b", cpu(1010, 9), &[("y", cpu(1010, 9))]), json!({"podRef": {"uid": "none"}}),
        ]});
        add(&first, &mut second);
        let rate = |pointer: &str| second.pointer(pointer).map(|cpu| cpu["usageNanoCores"].as_u64());
        for (pointer, cores) in [
            ("/node/cpu", Some(Some(500_000_000))),
            ("/pods/0/cpu", Some(Some(250_000_000))),
            ("/pods/0/containers/0/cpu", Some(Some(100_000_000))),
            ("/pods/0/containers/1/cpu", Some(None)),
            ("/pods/1/cpu", Some(None)),
            ("/pods/1/containers/0/cpu", Some(None)),
            ("/pods/2/cpu", None),
        ] {
            assert_eq!(rate(pointer), cores, "{pointer}");
        }
        assert_eq!(second["pods"][0]["cpu"]["windowNanoSeconds"], 1000);
        assert_eq!(second["pods"][1]["cpu"], json!({"usageCoreNanoSeconds": 9}));
    }
}
