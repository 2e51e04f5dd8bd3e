//! The layer with the real core of a series, where somebody has it: all recipes are parsed, the image's dependencies are
//! resolved, and yocto-check-layer judges. Nothing is built, and nothing is fetched.

use super::tools::SERIES;
use crate::sh::{self, Result, cmd};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// What the image of the layer must come to depend on.
const NEEDED: [&str; 5] = ["berth", "berth-conf", "berth-example", "berth-native", "linux-yocto"];
/// A build directory's settings; the machine is that of the kas files.
const LOCAL_CONF: &str = "CONF_VERSION = \"2\"\nMACHINE = \"qemuarm64\"\nINIT_MANAGER = \"systemd\"\nBB_NO_NETWORK = \"1\"\n\
    CONNECTIVITY_CHECK_URIS = \"\"\n";
/// With the layer, what it asks of a distribution.
const FEATURES: &str = "DISTRO_FEATURES:append = \" berth seccomp\"\n";

/// Where the real layers are.
#[derive(clap::Args, Default)]
pub(super) struct Core {
    /// A checkout of openembedded-core: parse, resolve and judge the layer with it, too (an hour)
    #[arg(long, value_name = "DIR", requires = "bitbake")]
    oe_core: Option<PathBuf>,
    /// The checkout of bitbake that belongs to it
    #[arg(long, value_name = "DIR", requires = "oe_core")]
    bitbake: Option<PathBuf>,
    /// A layer to have beside it, as meta-openembedded/meta-oe or meta-raspberrypi (may be given several times)
    #[arg(long = "beside", visible_alias = "meta-oe", value_name = "DIR", requires = "oe_core")]
    beside: Vec<PathBuf>,
    /// Who runs bitbake when root calls, as bitbake refuses root; this user must be able to read all of them
    #[arg(long, value_name = "NAME", default_value = "nobody")]
    user: String,
}

impl Core {
    /// Whether there is anything to check with.
    pub(super) fn given(&self) -> bool {
        self.oe_core.is_some()
    }

    /// Checks the layer at `layer` in build directories below `scratch`, which are made anew: sanity is judged once for
    /// each.
    ///
    /// # Errors
    /// A directory is not what it should be, the series is not one of the layer's, or a check failed.
    pub(super) fn check(&self, layer: &Path, scratch: &Path) -> Result {
        let core = self.core()?;
        let series = series(&core)?;
        println!("   series {series}");
        let beside =
            self.beside.iter().map(|dir| there(dir, "conf/layer.conf")).collect::<Result<Vec<_>>>()?;
        let others = [vec![core.join("meta")], beside].concat();
        let scratch = scratch.join(&series);

        let with =
            Build::new(&scratch.join("with"), &[others.clone(), vec![layer.to_owned()]].concat(), FEATURES)?;
        sh::run(&mut self.command(&with, "bitbake", &["-p"])?)?;
        sh::run(&mut self.command(&with, "bitbake", &["-g", "berth-image"])?)?;
        resolved(&fs::read_to_string(with.0.join("pn-buildlist"))?)?;

        // It adds the layer itself, and compares with how it was before.
        let without = Build::new(&scratch.join("without"), &others, "")?;
        let layer = layer.display().to_string();
        sh::run(&mut self.command(&without, "yocto-check-layer", &["--no-auto", &layer])?)
    }

    fn core(&self) -> Result<PathBuf> {
        let core = self.oe_core.as_deref().ok_or("--oe-core is not given")?;
        there(core, "scripts/yocto-check-layer")
    }

    /// `program` of bitbake or of core, in this build directory, with what `oe-init-build-env` would have set.
    fn command(&self, build: &Build, program: &str, args: &[&str]) -> Result<Command> {
        let bitbake = there(self.bitbake.as_deref().ok_or("--bitbake is not given")?, "bin/bitbake")?;
        let path = std::env::var("PATH").unwrap_or_default();
        let path =
            format!("{}:{}:{path}", self.core()?.join("scripts").display(), bitbake.join("bin").display());
        let root = sh::output(&mut cmd("id", ["-u"]))?.trim() == "0";
        let mut command = if root {
            sh::run(cmd("chown", ["-R", &self.user]).arg(&build.0))?;
            cmd("runuser", ["-u", &self.user, "--", "env"])
        } else {
            Command::new("env")
        };
        for (name, value) in [
            ("PATH", path.as_str()),
            ("BUILDDIR", &build.0.display().to_string()),
            ("HOME", &build.0.display().to_string()),
            ("LANG", "en_US.UTF-8"),
            ("LC_ALL", "en_US.UTF-8"),
            ("BB_ENV_PASSTHROUGH_ADDITIONS", "MACHINE DISTRO TCMODE TCLIBC"),
            // The user is not the owner of what is looked at.
            ("GIT_CONFIG_COUNT", "1"),
            ("GIT_CONFIG_KEY_0", "safe.directory"),
            ("GIT_CONFIG_VALUE_0", "*"),
        ] {
            command.arg(format!("{name}={value}"));
        }
        command.arg(program).args(args).current_dir(&build.0);
        sh::clean_env(&mut command);
        Ok(command)
    }
}

/// A build directory.
struct Build(PathBuf);

impl Build {
    /// Makes it anew, with these layers.
    fn new(dir: &Path, layers: &[PathBuf], features: &str) -> Result<Self> {
        let _ = fs::remove_dir_all(dir);
        fs::create_dir_all(dir.join("conf"))?;
        fs::write(dir.join("conf/local.conf"), format!("{LOCAL_CONF}{features}"))?;
        fs::write(dir.join("conf/bblayers.conf"), bblayers(layers))?;
        Ok(Self(dir.to_owned()))
    }
}

fn bblayers(layers: &[PathBuf]) -> String {
    let layers: String = layers.iter().map(|layer| format!("  {} \\\n", layer.display())).collect();
    format!(
        "LCONF_VERSION = \"7\"\nBBPATH = \"${{TOPDIR}}\"\nBBFILES ?= \"\"\nBBLAYERS ?= \" \\\n{layers}\"\n"
    )
}

/// `dir`, absolute, when it has `file`.
fn there(dir: &Path, file: &str) -> Result<PathBuf> {
    let found = fs::canonicalize(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    if found.join(file).exists() {
        Ok(found)
    } else {
        Err(format!("{}: has no {file}", dir.display()).into())
    }
}

/// The series of a core, when it is one that the layer is for.
fn series(core: &Path) -> Result<String> {
    let file = core.join("meta/conf/layer.conf");
    let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let line = text.lines().find_map(|line| line.strip_prefix("LAYERSERIES_CORENAMES")).unwrap_or_default();
    let names = line.trim_matches([' ', '?', '=', '"']).to_owned();
    if names.split_whitespace().any(|name| SERIES.contains(&name)) {
        return Ok(names.replace(' ', "-"));
    }
    Err(format!("{}: is of series {names:?}, and the layer is for {}", file.display(), SERIES.join(" and "))
        .into())
}

/// `list` (bitbake's `pn-buildlist`) has all that the image is there for.
fn resolved(list: &str) -> Result {
    let missing = NEEDED.into_iter().find(|name| !list.lines().any(|line| line == *name));
    missing.map_or(Ok(()), |name| Err(format!("berth-image does not depend on {name}").into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use std::os::unix::fs::PermissionsExt as _;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        core: Core,
    }

    fn parsed(words: &[&str]) -> std::result::Result<Core, clap::Error> {
        Line::try_parse_from([&["x"], words].concat()).map(|line| line.core)
    }

    #[test]
    fn both_or_none_are_given() {
        assert!(!parsed(&[]).unwrap().given());
        assert!(parsed(&["--oe-core", "a"]).is_err());
        assert!(parsed(&["--bitbake", "b"]).is_err());
        assert!(parsed(&["--meta-oe", "c"]).is_err());
        let core = parsed(&["--oe-core", "a", "--bitbake", "b", "--meta-oe", "c", "--beside", "d"]).unwrap();
        assert!(core.given() && core.beside.len() == 2);
    }

    /// Stand-ins that say how they were called and with which configuration.
    fn stand_ins(at: &Path, series: &str, graph: &str) {
        let program = |path: &str, more: &str| {
            let path = at.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let tell = "echo \"${0##*/} $*\" >>called; cat conf/bblayers.conf conf/local.conf >>called";
            fs::write(&path, format!("#!/bin/sh\n[ \"$PWD\" = \"$BUILDDIR\" ] || exit 9\n{tell}\n{more}\n"))
                .unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        };
        program("bitbake/bin/bitbake", &format!("printf '{graph}' >pn-buildlist"));
        program("core/scripts/yocto-check-layer", "");
        fs::create_dir_all(at.join("core/meta/conf")).unwrap();
        let conf = format!("BBPATH .= \":${{LAYERDIR}}\"\nLAYERSERIES_CORENAMES = \"{series}\"\n");
        fs::write(at.join("core/meta/conf/layer.conf"), conf).unwrap();
        fs::set_permissions(at, fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn each_program_is_called_in_a_directory_of_its_own() {
        let at = std::env::temp_dir().join(format!("berth-core-{}", std::process::id()));
        let all = NEEDED.join("\\n") + "\\n";
        stand_ins(&at, "wrynose", &all);
        let path = |name: &str| at.join(name).display().to_string();
        let core = parsed(&["--oe-core", &path("core"), "--bitbake", &path("bitbake")]).unwrap();
        let layer = Path::new("/layers/meta-berth");
        core.check(layer, &at.join("builds")).unwrap();
        let called =
            |name: &str| fs::read_to_string(at.join("builds/wrynose").join(name).join("called")).unwrap();
        let with = called("with");
        assert!(with.contains("bitbake -p\n") && with.contains("bitbake -g berth-image\n"), "{with}");
        assert!(
            with.contains("/core/meta \\\n  /layers/meta-berth \\\n\"\n") && with.contains(" berth seccomp"),
            "{with}"
        );
        let without = called("without");
        assert!(without.starts_with("yocto-check-layer --no-auto /layers/meta-berth\n"), "{without}");
        assert!(!without.contains("  /layers/meta-berth") && !without.contains("berth seccomp"), "{without}");

        stand_ins(&at, "wrynose", &all.replace("berth-example\\n", ""));
        let error = core.check(layer, &at.join("builds")).unwrap_err().to_string();
        assert_eq!(error, "berth-image does not depend on berth-example");
        stand_ins(&at, "kirkstone", &all);
        let error = core.check(layer, &at.join("builds")).unwrap_err().to_string();
        assert!(
            error.ends_with("is of series \"kirkstone\", and the layer is for scarthgap and wrynose"),
            "{error}"
        );
        fs::remove_dir_all(at).unwrap();
    }

    #[test]
    fn what_is_no_checkout_is_named() {
        let core = parsed(&["--oe-core", "/usr", "--bitbake", "/usr"]).unwrap();
        let error = core.check(Path::new("/layer"), &std::env::temp_dir()).unwrap_err().to_string();
        assert_eq!(error, "/usr: has no scripts/yocto-check-layer");
    }
}
