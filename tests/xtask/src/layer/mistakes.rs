//! That the harness bites: each mistake in a copy of the layer must be found, and for its reason.

use super::{
    harness,
    tools::{SERIES, Tools},
};
use crate::sh::{self, Result, cmd};
use std::{fs, path::Path};

/// A mistake in a file of the layer.
struct Mistake {
    name: &'static str,
    /// The recipe whose tasks show it, if parsing does not.
    recipe: &'static str,
    file: &'static str,
    change: fn(&str) -> String,
    /// What must be said of it.
    says: &'static str,
}

const CRATES: &str = "recipes-containers/berth/berth-crates.inc";
const CONF: &str = "recipes-containers/berth-conf/berth-conf_1.0.bb";
const EXAMPLE: &str = "recipes-containers/berth-example/berth-example_1.0.bb";
const NO_DIGEST: &str = "BERTH_DIGESTS = \"berth.example/hello:1@sha256:0000000000000000000000000000000000000000000000000000000000000000\"\n";

const MISTAKES: [Mistake; 10] = [
    Mistake {
        name: "a wrong checksum",
        recipe: "berth",
        file: CRATES,
        change: |text| text.replacen(".sha256sum] = \"", ".sha256sum] = \"0", 1),
        says: "do_fetch failed",
    },
    Mistake {
        name: "a crate that is missing",
        recipe: "berth",
        file: CRATES,
        change: |text| {
            text.lines().filter(|line| !line.contains("serde_json")).collect::<Vec<_>>().join("\n") + "\n"
        },
        says: "cargo does not find all crates",
    },
    Mistake {
        name: "a variable that no series has",
        recipe: "berth",
        file: "recipes-containers/berth/berth.inc",
        change: |text| text.replace("S = \"${UNPACKDIR}/berth\"", "S = \"${UNPACKDIRECTORY}/berth\""),
        says: "do_populate_lic failed",
    },
    Mistake {
        name: "a function that does not end",
        recipe: "berth-conf",
        file: CONF,
        change: |text| text.replace("config.yaml\n}", "config.yaml\n"),
        says: "berth-conf",
    },
    Mistake {
        name: "a file that no package has",
        recipe: "berth-conf",
        file: CONF,
        change: |text| {
            text.replace("FILES:${PN} = \"${sysconfdir}/berth\"", "FILES:${PN} = \"${sysconfdir}/bert\"")
        },
        says: "in no package",
    },
    Mistake {
        name: "a manifest whose image is not baked",
        recipe: "berth-example",
        file: "recipes-containers/berth-example/files/hello.yaml",
        change: |text| text.replace("berth.example/hello:1", "berth.example/other:1"),
        says: "berth.example/other:1",
    },
    Mistake {
        name: "an image that is not the one whose digest is pinned",
        recipe: "berth-example",
        file: EXAMPLE,
        change: |text| text.to_owned() + NO_DIGEST,
        says: "sha256:00000000",
    },
    Mistake {
        name: "words for a board's kernel that do not arrive",
        recipe: "rpi-cmdline",
        file: "dynamic-layers/raspberrypi/recipes-bsp/bootfiles/rpi-cmdline_berth.inc",
        change: |text| text.replace("CMDLINE:append", "CMDLINES:append"),
        says: "lacks cgroup_enable=memory",
    },
    Mistake {
        name: "an append that changes others whatever the distro features",
        recipe: "rpi-cmdline",
        file: "dynamic-layers/raspberrypi/recipes-bsp/bootfiles/rpi-cmdline.bbappend",
        change: |_| "require rpi-cmdline_berth.inc\n".to_owned(),
        says: "is changed without the distro feature",
    },
    Mistake {
        name: "a series that the layer is not for",
        recipe: "berth-conf",
        file: "conf/layer.conf",
        change: |text| text.replace("scarthgap wrynose", "kirkstone"),
        says: "not compatible with the core layer",
    },
];

/// Shows that each mistake is found.
pub(super) fn bite(tools: &Tools) -> Result {
    harness::prepare()?;
    let scratch = sh::target().join("layer/mistaken");
    for mistake in MISTAKES {
        let layer = scratch.join("meta-berth");
        let _ = fs::remove_dir_all(&scratch);
        fs::create_dir_all(&scratch)?;
        sh::output(cmd("cp", ["-R"]).arg(sh::root().join("yocto-layer/meta-berth")).arg(&layer))?;
        found(tools, &layer, &mistake)?;
        println!("   {}: found", mistake.name);
    }
    Ok(fs::remove_dir_all(scratch)?)
}

/// Makes the mistake in this copy of the layer; the harness must fail because of it.
fn found(tools: &Tools, layer: &Path, mistake: &Mistake) -> Result {
    let Mistake { name, recipe, file, change, says } = mistake;
    let path = layer.join(file);
    let before = fs::read_to_string(&path)?;
    let after = change(&before);
    if before == after {
        return Err(format!("{name}: {file} is no longer as this mistake expects it").into());
    }
    fs::write(path, after)?;
    let out = harness::command(tools, SERIES[SERIES.len() - 1], layer)?.args(["--only", recipe]).output()?;
    let said = [out.stdout, out.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    if out.status.success() || !said.contains(says) {
        println!("{said}");
        return Err(format!("{name}: not found, or not for its reason ({says:?})").into());
    }
    Ok(())
}
