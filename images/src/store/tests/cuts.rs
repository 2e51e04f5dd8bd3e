//! The power goes at every single step of an import, a replacement and a removal; then the store is opened
//! again. The steps are those of `fault`; what the process had done is there, what it had not is not.

use super::*;
use crate::store::fault::cut_after;

/// Runs `work` with a cut at step 0, 1, 2… of it until it gets through, each time on a new place made by
/// `before`; after each cut opens the store again and hands it to `after`. Returns the number of cuts.
fn cut_everywhere(
    before: impl Fn(&Place),
    work: impl Fn(&Store) -> Result<(), Error>,
    after: impl Fn(&Store),
) -> u32 {
    for step in 0.. {
        let place = Place::new();
        before(&place);
        let (store, _) = place.open();
        cut_after(Some(step));
        let done = work(&store);
        cut_after(None);
        drop(store);
        let (store, report) = place.open();
        assert_eq!(names(&place.store("staging")), [""; 0], "step {step}");
        assert_eq!(report.quarantined, [""; 0], "step {step}: a cut leaves nothing that is half");
        after(&store);
        drop(store);
        let (_, report) = place.open();
        assert!(report.is_clean(), "step {step}: {report:?}");
        if done.is_ok() {
            return step;
        }
    }
    unreachable!("the work never got through")
}

fn imports(store: &Store, content: &str) {
    let image = store.ensure_newest("web", &arm64()).unwrap();
    assert_eq!(file(&image, "app"), content);
    assert_eq!(file(&image, "bin/sh"), "shell");
}

#[test]
fn during_an_import() {
    let cuts = cut_everywhere(
        |place| sample("web", "1").write_oci_archive(&place.source("web.tar")).unwrap(),
        |store| store.ensure("web", &arm64()).map(drop),
        |store| imports(store, "1"),
    );
    assert!(cuts > 15, "only {cuts} steps: are the fault points still there?");
}

#[test]
fn while_one_image_takes_another_s_name() {
    let cuts = cut_everywhere(
        |place| {
            sample("web", "old").write_oci_archive(&place.source("web.tar")).unwrap();
            place.open().0.ensure("web", &arm64()).unwrap();
            sample("web", "new").write_oci_archive(&place.source("web.tar")).unwrap();
        },
        |store| store.import(&Reference::parse("web").unwrap(), &arm64()).map(drop),
        |store| {
            // Before the import is done, the old one is there; never none.
            let image = store.get("web", &arm64()).unwrap().unwrap();
            assert!(["old", "new"].contains(&file(&image, "app").as_str()));
            imports(store, "new");
            assert_eq!(file(&store.ensure("web", &arm64()).unwrap(), "app"), "new");
        },
    );
    assert!(cuts > 15, "only {cuts} steps");
}

#[test]
fn during_a_removal() {
    let cuts = cut_everywhere(
        |place| {
            sample("web", "1").write_oci_archive(&place.source("web.tar")).unwrap();
            sample("other", "2").write_oci_archive(&place.source("other.tar")).unwrap();
            let (store, _) = place.open();
            store.ensure("web", &arm64()).unwrap();
            store.ensure("other", &arm64()).unwrap();
        },
        |store| store.remove("web", &arm64()),
        |store| {
            assert_eq!(file(&store.get("other", &arm64()).unwrap().unwrap(), "bin/sh"), "shell");
            imports(store, "1");
        },
    );
    assert!(cuts > 8, "only {cuts} steps");
}
