//! More policies than anybody writes by hand: all of them stand in one transaction, and hold.

use super::*;
use serde_json::{Value, json};

/// A policy that lets everybody of these 20 blocks call the pod; the blocks follow from its number.
fn policy(number: u32) -> Value {
    let block = |n: u32| {
        let [_, _, high, low] = (number * 20 + n).to_be_bytes();
        json!({"ipBlock": {"cidr": format!("172.{}.{high}.{low}/32", 16 + n % 8)}})
    };
    let from: Vec<Value> = (0..20).map(block).collect();
    json!({"podSelector": {"matchLabels": {"app": "web"}}, "ingress": [{"from": from}]})
}

#[test]
fn two_hundred_policies_of_twenty_blocks_are_in_force() {
    on_a_node(|roots| {
        let network = network(roots, SETUP);
        let [web, spy] = ["web", "spy"].map(|name| {
            let mut pod = named(name, name);
            Arc::make_mut(&mut pod.pod).metadata.labels = [("app".to_owned(), name.to_owned())].into();
            pod
        });
        let [at, at_spy] = [&web, &spy].map(|pod| create(roots, &network, pod).unwrap().remove(0));
        let server = within(roots, &web, || answering(&at));
        let reaches = || within(roots, &spy, || is_reached(&at));
        assert!(reaches());
        let mut many: Vec<Value> = (0..200).map(policy).collect();
        network.note_policies(&policies(&many));
        network.enforce();
        assert!(network.lock().nft.as_ref().is_some_and(nft::Nft::is_applied));
        assert!(!reaches(), "of no block");
        // The last of all openings counts as the first does.
        many.push(json!({"podSelector": {"matchLabels": {"app": "web"}},
            "ingress": [{"from": [{"ipBlock": {"cidr": format!("{at_spy}/32")}}]}]}));
        network.note_policies(&policies(&many));
        network.enforce();
        assert!(reaches(), "of one block");
        network.note_policies(&Objects::default());
        network.enforce();
        assert!(reaches(), "free");
        drop(server);
        for pod in [&web, &spy] {
            sandbox::remove_with(roots, &network, pod).unwrap();
        }
    });
}
