//! What an address of `staticPodURL` answers: it counts whole or not at all, and nothing but a list means "no pods".
#![no_main]

use berth_core::manifest::answer::{Answer, answer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match answer("http://a.test/", bytes, "node") {
        Answer::Taken(output) => {
            assert!(output.problems.is_empty());
            let list = bytes.windows(5).any(|word| word == b"items" || word.contains(&b'\\'));
            assert!(!output.pods.is_empty() || output.is_empty() && list, "no pods, and no list");
        }
        Answer::Refused(problems) => assert!(!problems.is_empty(), "refused without a reason"),
    }
});
