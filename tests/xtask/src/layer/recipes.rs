//! What can be seen in the layer's files without bitbake: versions, licences, files that are named and not there, layouts
//! of disks, what one of the two series refuses, and what yocto-check-layer asks of a layer's README.

use super::wks;
use crate::sh::{self, Result};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// What no file of the layer may say, and why.
const BANS: [(&str, &str); 5] = [
    ("debug-tweaks", "gone since series 5.2: name the features that it stood for"),
    ("S = \"${WORKDIR}", "fatal in wrynose: sources are below ${UNPACKDIR}"),
    ("${WORKDIR}/", "sources and files of SRC_URI are below ${UNPACKDIR}"),
    ("_append", "written :append since series 3.4"),
    ("AUTOREV", "asks the network while recipes are parsed"),
];

/// Folders whose files recipes elsewhere in the layer name.
const SHARED: [&str; 2] = ["recipes-kernel/linux/linux-yocto", "recipes-containers/berth/files/hooks"];

/// The recipe of the image, whose disks are laid out by the files beside it.
const IMAGE: &str = "recipes-core/images/berth-image.bb";

/// The layer as it lies in the tree.
pub(super) struct Layer {
    /// Path from the layer's top, and text.
    files: BTreeMap<PathBuf, String>,
    root: PathBuf,
}

impl Layer {
    /// Reads the layer at `root`.
    pub(super) fn read(root: &Path) -> Result<Self> {
        let mut files = BTreeMap::new();
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder)? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if let Ok(text) = fs::read_to_string(&path) {
                    files.insert(path.strip_prefix(root)?.to_owned(), text);
                }
            }
        }
        Ok(Self { files, root: root.to_owned() })
    }

    /// Recipes, their includes and appends.
    fn recipes(&self) -> impl Iterator<Item = (&Path, &str)> {
        let of = |(path, _): &(&PathBuf, &String)| {
            path.extension().is_some_and(|e| e == "bb" || e == "inc" || e == "bbappend")
        };
        self.files.iter().filter(of).map(|(path, text)| (path.as_path(), text.as_str()))
    }

    /// The problems of all files; `version` and `licence` (md5) are those of the workspace.
    pub(super) fn problems(&self, version: &str, licence: &str) -> Vec<String> {
        let mut problems = Vec::new();
        if self.root.join("wic").exists() {
            problems.push(
                "wic/: wrynose refuses a layer with this folder; put .wks files beside the image".into(),
            );
        }
        for (path, text) in self.recipes() {
            let mut say = |what: String| problems.push(format!("{}: {what}", path.display()));
            for (line, text) in code(text) {
                for (word, why) in BANS {
                    if text.contains(word) {
                        say(format!("line {line}: {word:?}: {why}"));
                    }
                }
            }
            for missing in self.missing_files(path, text) {
                say(format!("file://{missing} is named and not there"));
            }
            if path.extension().is_some_and(|e| e == "bbappend") && text.contains("SRC_URI:append") {
                say(
                    "changes other recipes whatever the distro features: `require` an include on a condition"
                        .into(),
                );
            }
        }
        problems.extend(self.versions(version));
        problems.extend(self.disks());
        problems.extend(self.readme().map(|what| format!("README.md: {what}")));
        problems.extend(self.licence(licence));
        problems
    }

    /// The `file://` entries of a recipe that are neither in its files nor in the repository.
    fn missing_files(&self, recipe: &Path, text: &str) -> Vec<String> {
        let folder = self.root.join(recipe).parent().map(Path::to_owned).unwrap_or_default();
        let repository = self.root.join("../..");
        let stem = recipe.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
        let name = stem.split('_').next().unwrap_or(stem);
        // What recipes in `dynamic-layers` find by FILESEXTRAPATHS.
        let shared = SHARED.map(|folder| self.root.join(folder));
        let own = [folder.join("files"), folder.join(name), folder.clone(), repository];
        let places: Vec<_> = own.into_iter().chain(shared).collect();
        let entries = code(text).into_iter().filter(|(_, line)| !line.contains("LIC_FILES_CHKSUM"));
        let entries = entries.flat_map(|(_, line)| line.split("file://").skip(1).collect::<Vec<_>>());
        let end = |c: char| c.is_whitespace() || c == '"' || c == ';' || c == '\\';
        let names = entries.map(|rest| rest.split(end).next().unwrap_or_default());
        let missing = |name: &&str| !name.contains("${") && !places.iter().any(|at| at.join(name).exists());
        names.filter(missing).map(str::to_owned).collect()
    }

    /// The recipes of Berth carry the workspace's version.
    fn versions(&self, version: &str) -> Vec<String> {
        let mut problems = Vec::new();
        for name in ["berth", "berth-native"] {
            let wanted = format!("{name}_{version}.bb");
            let folder = Path::new("recipes-containers/berth");
            if !self.files.contains_key(&folder.join(&wanted)) {
                problems.push(format!("{}: there is no {wanted}", folder.display()));
            }
        }
        problems
    }

    /// The layouts of disks.
    fn disks(&self) -> Vec<String> {
        let recipe = self.files.get(Path::new(IMAGE)).map_or("", String::as_str);
        let of = |(path, _): &(&PathBuf, &String)| path.to_string_lossy().ends_with(".wks.in");
        let named = |(path, text): (&PathBuf, &String)| {
            let problems = wks::problems(text, recipe);
            problems.into_iter().map(|what| format!("{}: {what}", path.display())).collect::<Vec<_>>()
        };
        self.files.iter().filter(of).flat_map(named).collect()
    }

    /// What yocto-check-layer's `test_readme` and `test_security` find missing, and what keeps it from looking.
    fn readme(&self) -> Option<String> {
        let text = self.files.get(Path::new("README.md")).map_or("", String::as_str);
        let lower = text.to_lowercase();
        if lower.contains("readme") {
            return Some("names another README, so that yocto-check-layer does not look at this one".into());
        }
        let lacks = ["maintainer", "patch"].into_iter().find(|word| !lower.contains(word));
        let address =
            |word: &str| word.split_once('@').is_some_and(|(who, at)| who.len() > 1 && at.contains('.'));
        if let Some(word) = lacks {
            return Some(format!("has no word of {word:?}"));
        }
        if !text.split_whitespace().any(address) {
            return Some("has no address of the maintainers".into());
        }
        let security = self.files.get(Path::new("SECURITY.md")).is_none_or(String::is_empty);
        security.then(|| "there is no SECURITY.md beside it".into())
    }

    fn licence(&self, md5: &str) -> Option<String> {
        let text = self.files.get(Path::new("recipes-containers/berth/berth.inc"))?;
        let wanted = format!("LIC_FILES_CHKSUM = \"file://LICENSE;md5={md5}\"");
        (!text.contains(&wanted)).then(|| format!("berth.inc: LICENSE has changed; it should say {wanted}"))
    }
}

/// Lines that are not comments, with their numbers from 1.
fn code(text: &str) -> Vec<(usize, &str)> {
    let lines = text.lines().enumerate().map(|(i, line)| (i + 1, line));
    lines.filter(|(_, line)| !line.trim_start().starts_with('#')).collect()
}

/// The md5 of a file, as recipes name licences.
pub(super) fn md5(file: &Path) -> Result<String> {
    let out = sh::output(sh::cmd("md5sum", [file]).current_dir(sh::root()))?;
    Ok(out.split_whitespace().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer() -> Layer {
        Layer::read(&sh::root().join("yocto-layer/meta-berth")).unwrap()
    }

    const VERSION: &str = env!("CARGO_PKG_VERSION");

    /// What is said of the layer when `text` stands in place of a file of it.
    fn with(file: &str, change: impl Fn(&str) -> String) -> Vec<String> {
        let mut layer = layer();
        let licence = md5(&sh::root().join("LICENSE")).unwrap();
        let text = layer.files.get_mut(Path::new(file)).unwrap();
        *text = change(text);
        layer.problems(VERSION, &licence)
    }

    #[test]
    fn each_mistake_is_found() {
        let recipe = format!("recipes-containers/berth/berth_{VERSION}.bb");
        let inc = "recipes-containers/berth/berth.inc";
        let append = "recipes-kernel/linux/linux-yocto_%.bbappend";
        assert_eq!(with(&recipe, str::to_owned), [""; 0]);
        for (file, from, to, says) in [
            (
                recipe.as_str(),
                "file://berth.init",
                "file://berth.initd",
                "file://berth.initd is named and not there",
            ),
            (inc, "md5=18", "md5=19", "LICENSE has changed"),
            (inc, "S = \"${UNPACKDIR}/berth\"", "S = \"${WORKDIR}/berth\"", "fatal in wrynose"),
            ("README.md", "@", " at ", "no address of the maintainers"),
            ("README.md", "atches", "ieces", "no word of \"patch\""),
            ("README.md", "# meta-berth", "See also the README", "names another README"),
            (
                "recipes-core/images/berth-image.wks.in",
                "--fstype",
                "--filesystem",
                "\"--filesystem\" is not known",
            ),
            (append, "require ", "SRC_URI:append = \" file://x\"\nrequire ", "whatever the distro features"),
        ] {
            let problems = with(file, |text| text.replace(from, to));
            assert!(problems.iter().any(|problem| problem.contains(says)), "{says}: {problems:?}");
        }
        let problems = layer().problems("9.9.9", &md5(&sh::root().join("LICENSE")).unwrap());
        assert!(
            problems.iter().any(|problem| problem.contains("there is no berth_9.9.9.bb")),
            "{problems:?}"
        );
    }
}
