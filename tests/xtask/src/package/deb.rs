//! The Debian package. The program is static, so it depends on nothing.

use super::dir;
use crate::{
    apt,
    arch::Arch,
    sh::{self, Result, cmd},
};
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

/// Files that belong to the owner once they are there.
const CONFIGURATION: [&str; 3] =
    ["/etc/apparmor.d/berth-default", "/etc/berth/config.yaml", "/etc/init.d/berth"];
/// What runs around the installation, in `yocto-layer/debian`.
const SCRIPTS: [&str; 3] = ["postinst", "prerm", "postrm"];

/// Makes the package of `tree`; its file.
pub(crate) fn build(arch: Arch, tree: &Path, version: &str) -> Result<PathBuf> {
    apt::ensure(&["dpkg"])?;
    let staged = dir(arch).join("deb");
    let _ = fs::remove_dir_all(&staged);
    sh::run(cmd("cp", ["-a"]).arg(tree).arg(&staged))?;
    let control = staged.join("DEBIAN");
    fs::create_dir(&control)?;
    fs::set_permissions(&control, fs::Permissions::from_mode(0o755))?;
    let size = sh::output(cmd("du", ["-sk"]).arg(tree))?;
    let size_kib = size.split_whitespace().next().unwrap_or("0");
    fs::write(control.join("control"), fields(arch, version, size_kib))?;
    fs::write(control.join("conffiles"), CONFIGURATION.map(|file| format!("{file}\n")).concat())?;
    for script in SCRIPTS {
        let to = control.join(script);
        fs::copy(sh::root().join("yocto-layer/debian").join(script), &to)?;
        fs::set_permissions(&to, fs::Permissions::from_mode(0o755))?;
    }
    let file = dir(arch).join(format!("berth_{version}_{}.deb", arch.debian()));
    // gzip: a busybox on the box can unpack that.
    sh::run(cmd("dpkg-deb", ["--root-owner-group", "-Zgzip", "--build"]).arg(&staged).arg(&file))?;
    fs::remove_dir_all(&staged)?;
    Ok(file)
}

fn fields(arch: Arch, version: &str, size_kib: &str) -> String {
    format!(
        "Package: berth\n\
         Version: {version}\n\
         Architecture: {}\n\
         Maintainer: The maintainers of Berth <maintainers@berth.example>\n\
         Installed-Size: {size_kib}\n\
         Section: admin\n\
         Priority: optional\n\
         Description: Kubernetes static pods on an edge box\n \
         Runs the pods whose manifests lie in /etc/berth/manifests, with no cluster\n \
         above and almost nothing below. An upgrade leaves the pods running; removal\n \
         stops them, each with its grace.\n",
        arch.debian()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_control_file_has_the_form_that_dpkg_wants() {
        let text = fields(Arch::Aarch64, "1.2.3", "9000");
        assert!(text.ends_with('\n') && !text.contains("\n\n"), "{text}");
        assert!(
            text.contains("\nArchitecture: arm64\n") && text.contains("\nInstalled-Size: 9000\n"),
            "{text}"
        );
        let description = text.split_once("Description: ").unwrap().1;
        assert!(description.lines().skip(1).all(|line| line.starts_with(' ') && line.len() > 2), "{text}");
    }
}
