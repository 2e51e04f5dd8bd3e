//! The way of a manifest up to the pods that it means: no input may panic, read differently twice, complain about
//! a place that the file does not have, or leave a Secret in what may be copied.
#![no_main]

use berth_core::manifest::{Format, LoadInput, load, objects::ObjectKind, without_secrets};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for format in [Format::Yaml, Format::Json] {
        let input = LoadInput { file: "f", bytes, format, node: "node", source: "file" };
        let output = load(&input);
        assert_eq!(output, load(&input));
        assert_eq!(output.pods.len(), output.lines.len());
        assert_eq!(output.objects.len(), output.object_lines.len());
        let lines = 1 + bytes.iter().filter(|b| matches!(b, b'\n' | b'\r')).count();
        for problem in output.problems.iter().chain(&output.warnings) {
            assert!(problem.line as usize <= lines, "{problem}, of {lines} lines");
            assert!(!problem.message.is_empty());
        }
        let copied = without_secrets(bytes, format);
        let copy = load(&LoadInput { bytes: &copied, ..input });
        assert!(copy.objects.iter().all(|object| object.key.kind != ObjectKind::Secret));
    }
});
