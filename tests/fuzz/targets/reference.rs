//! Names of images: what is accepted has one meaning, whichever way it is written out.
#![no_main]

use berth_images::Reference;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(reference) = Reference::parse(text) {
        for written in [reference.to_string(), reference.familiar()] {
            assert_eq!(Reference::parse(&written).ok().as_ref(), Some(&reference), "{text:?} {written:?}");
        }
        assert!(!reference.path().split('/').any(|part| part.is_empty() || part == ".."), "{text:?}");
    }
});
