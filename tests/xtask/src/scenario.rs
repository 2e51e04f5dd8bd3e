//! A scenario in a guest: what its folder below `tests/guest` asks for, and one run of it.

use crate::{
    arch::Arch,
    compile,
    guest::{self, Flavour, debian},
    images, package, power,
    sh::{self, Result},
    vm,
};
use clap::ValueEnum;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// One boot of a scenario may last so long, seconds: several times what the longest takes on a slow machine.
pub(crate) const BOOT_MAX_S: u64 = 15 * 60;

/// What a board's test suite runs; a guest has it too.
const PTEST: &str = "yocto-layer/meta-berth/recipes-containers/berth/files/run-ptest";

/// A folder below tests/guest: `script.sh`, and what it wants beside it.
pub(crate) struct Scenario {
    pub(crate) name: String,
    folder: PathBuf,
}

/// What a caller gives a scenario.
pub(crate) struct Given<'a> {
    /// Cargo profile of the binary in the guest.
    pub(crate) profile: &'a str,
    /// Variables for the script, `NAME=VALUE` each.
    pub(crate) set: &'a [String],
    /// Seconds that one boot may last.
    pub(crate) boot_max_s: u64,
}

/// Those whose name contains `only`.
pub(crate) fn find(only: Option<&str>) -> Result<Vec<Scenario>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(sh::root().join("tests/guest"))? {
        let folder = entry?.path();
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if folder.join("script.sh").exists() && only.is_none_or(|part| name.contains(part)) {
            found.push(Scenario { name, folder });
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

impl Scenario {
    /// Roughly how long it takes, to begin with the longest: how often it boots, and how much its script does.
    pub(crate) fn weight(&self) -> u64 {
        let script = fs::metadata(self.folder.join("script.sh")).map_or(0, |meta| meta.len());
        let put = self.words("put");
        let put = put.iter().filter_map(|from_to| from_to.split_once(':')).map(|(from, _)| from);
        let size = script + put.map(|from| bytes_in(&sh::root().join(from))).sum::<u64>();
        let number = |file: &str| self.words(file).first().and_then(|word| word.parse::<u64>().ok());
        let boots = number("boots").or(number("cuts").map(|cuts| cuts + 1)).unwrap_or(1);
        let systemd = self.folder.join("root/etc/systemd").exists();
        size * boots * if systemd { 4 } else { 1 }
    }

    /// Nothing in it depends on the processor beyond what others show: once is enough where all scenarios are run.
    pub(crate) fn is_once(&self) -> bool {
        self.folder.join("once").exists()
    }

    /// The words of the scenario's file of this name; none without it.
    fn words(&self, file: &str) -> Vec<String> {
        let text = fs::read_to_string(self.folder.join(file)).unwrap_or_default();
        text.split_whitespace().map(str::to_owned).collect()
    }

    /// The kernel that its file `kernel` names.
    fn flavour(&self) -> Result<Flavour> {
        let words = self.words("kernel");
        words.first().map_or(Ok(Flavour::default()), |word| {
            Flavour::from_str(word, false).map_err(|error| format!("{}: kernel: {error}", self.name).into())
        })
    }

    /// Boots the scenario's guest. A scenario with a file `cuts` loses its power that often in the middle of its work;
    /// a scenario with a file `boots` is booted that often on one disk; a file `append` has more words for the kernel's
    /// command line, with a file `no-start` the script starts Berth itself, and with a file `bare` it installs it, from
    /// packages in /put/package by Debian's own dpkg. A file `packages` names packages of Debian, a file `modules`
    /// modules of the kernel, that the guest has beside the usual ones, and a file `without` such of those as are not
    /// loaded. A file `programs` names programs of `berth-tests` that are put at /put, a file `images` test images, a
    /// file `put` things of the tree as `SRC:DST`. With a file `once` it is left out on the other architecture when all
    /// are run. A file `kernel` names another kernel than the usual one (`full`). A folder `root` lies over the guest's root; with something for systemd in it, that is the first process.
    pub(crate) fn run(&self, arch: Arch, given: &Given<'_>, tell: &(dyn Fn(&str) + Sync)) -> Result {
        if let Ok(cuts) = fs::read_to_string(self.folder.join("cuts")) {
            let (scenario, profile) = (self.name.clone(), given.profile.to_owned());
            let args = power::Args { cuts: cuts.trim().parse()?, arch, seed: None, scenario, profile };
            return power::run(&args, tell);
        }
        let boots =
            fs::read_to_string(self.folder.join("boots")).map_or(Ok(1), |text| text.trim().parse::<u32>())?;
        let disk = (boots > 1).then(|| guest::dir(arch).join(format!("{}.disk", self.name)));
        if let Some(old) = disk.as_ref().filter(|disk| disk.exists()) {
            fs::remove_file(old)?;
        }
        let boot_file = guest::dir(arch).join(format!("{}.boot", self.name));
        let settings_file = guest::dir(arch).join(format!("{}.settings", self.name));
        let prepared = vm::preparing();
        let bare = self.folder.join("bare").exists();
        let mut put = vec![
            format!("{}:/put/scenario", self.folder.display()),
            format!("{}:/put/lib.sh", sh::root().join("tests/guest/lib.sh").display()),
            format!("{}:/put/pod-network.sh", sh::root().join("tests/guest/pod-network.sh").display()),
            format!("{}:/put/boot", boot_file.display()),
            format!("{}:/put/settings", settings_file.display()),
            format!("{}:/put/run-ptest", sh::root().join(PTEST).display()),
        ];
        if bare {
            put.extend(package::for_guest(arch, given.profile)?);
        }
        let root = self.folder.join("root");
        if root.join("etc/systemd").exists() {
            put.extend(debian::puts(arch, debian::SYSTEMD)?);
        }
        let packages = self.words("packages");
        put.extend(debian::puts(arch, &packages.iter().map(String::as_str).collect::<Vec<_>>())?);
        if root.exists() {
            put.push(format!("{}:/", root.display()));
        }
        for name in self.words("programs") {
            compile::build(arch, given.profile, &["--package", "berth-tests", "--bin", &name])?;
            put.push(format!("{}:/put/{name}", compile::out_dir(arch, given.profile).join(&name).display()));
        }
        put.extend(self.words("put").iter().map(|from_to| format!("{}/{from_to}", sh::root().display())));
        let image = |name: &String| images::ensure_one(arch, name);
        let args = vm::Args {
            put,
            image: self.words("images").iter().map(image).collect::<Result<_>>()?,
            keep_disk: disk.clone(),
            no_start: self.folder.join("no-start").exists(),
            bare,
            kernel: self.flavour()?,
            module: self.words("modules"),
            without: self.words("without"),
            append: fs::read_to_string(self.folder.join("append")).unwrap_or_default().trim().to_owned(),
            timeout: Some(given.boot_max_s),
            profile: given.profile.to_owned(),
            ..vm::Args::script(arch, self.folder.join("script.sh"))
        };
        fs::create_dir_all(guest::dir(arch))?;
        fs::write(&settings_file, given.set.join("\n") + "\n")?;
        drop(prepared);
        for boot in 1..=boots {
            fs::write(&boot_file, boot.to_string())?;
            let status = vm::run(&args, tell)?;
            if status != 0 {
                return Err(format!("boot {boot} of {boots}: the script ended with {status}").into());
            }
        }
        disk.map_or(Ok(()), |file| fs::remove_file(file).or(Ok(())))
    }
}

/// Bytes of the files in the folder.
fn bytes_in(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|meta| meta.len()).sum()
}
