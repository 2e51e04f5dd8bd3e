//! The cases.

use crate::fixture::*;

pub(crate) const ALL: &[(&str, fn())] = &[("a container runs", runs)];

fn runs() {
    let mut machine = Machine::new();
    let ready = machine.shell("hello", "echo out; echo err >&2; exit 7");
    let ended = machine.run(&ready).unwrap();
    assert_eq!(ended, Ended { code: 7, stdout: "out\n".into(), stderr: "err\n".into() });
}
