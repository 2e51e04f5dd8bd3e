//! Reads the kernel's text files. Pure.

/// The value of one line of /proc/meminfo, in bytes.
pub(crate) fn meminfo_bytes(text: &str, key: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    let mut words = value.split_whitespace();
    let number: u64 = words.next()?.parse().ok()?;
    match words.next() {
        Some("kB") => number.checked_mul(1024),
        None => Some(number),
        Some(_) => None,
    }
}

/// Major and minor out of `6.1.0-44-arm64`; (0, 0) if there are none, which is older than anything.
pub(super) fn kernel_version(release: &str) -> (u32, u32) {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// How many processors a list like `0-3,6` names.
pub(super) fn cpu_list_len(list: &str) -> Option<u32> {
    let len = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        last.checked_sub(first)?.checked_add(1)
    };
    list.split(',').map(len).try_fold(0_u32, |sum, n| sum.checked_add(n?))
}

/// The profile of a line of AppArmor's list, `NAME (MODE)`; a name may have blanks.
pub(super) fn profile_name(line: &str) -> Option<&str> {
    line.rsplit_once(" (").map(|(name, _)| name)
}

/// Rust's name of the architecture as Kubernetes and OCI write it.
pub(super) fn architecture(rust: &str) -> &str {
    match rust {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    }
}

/// A value of os-release, without its quotes.
pub(super) fn os_release(text: &str, key: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?.trim();
    let bare = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    Some(bare('"').or_else(|| bare('\'')).unwrap_or(value).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_have_names_and_modes() {
        for (line, name) in [
            ("berth-default (enforce)", Some("berth-default")),
            ("/usr/bin/man (of all) (complain)", Some("/usr/bin/man (of all)")),
            ("", None),
        ] {
            assert_eq!(profile_name(line), name);
        }
    }

    #[test]
    fn memory_lines() {
        let text =
            "MemTotal:        1017328 kB\nMemFree:          1 kB\nHugePages_Total:       3\nOdd: 1 MB\n";
        for (key, bytes) in [
            ("MemTotal", Some(1_017_328 * 1024)),
            ("HugePages_Total", Some(3)),
            ("Mem", None),
            ("SwapTotal", None),
            ("Odd", None),
        ] {
            assert_eq!(meminfo_bytes(text, key), bytes, "{key}");
        }
    }

    #[test]
    fn kernel_releases() {
        for (release, version) in [
            ("6.1.0-44-arm64", (6, 1)),
            ("5.15.166-yocto-standard", (5, 15)),
            ("6.12-rc1", (6, 12)),
            ("7", (7, 0)),
            ("", (0, 0)),
        ] {
            assert_eq!(kernel_version(release), version, "{release}");
        }
    }

    #[test]
    fn processor_lists() {
        for (list, len) in
            [("0", Some(1)), ("0-3", Some(4)), ("0-1,4,6-7", Some(5)), ("", None), ("3-1", None), ("a", None)]
        {
            assert_eq!(cpu_list_len(list), len, "{list}");
        }
    }

    #[test]
    fn names_of_systems() {
        let text = "ID=poky\nPRETTY_NAME=\"Poky (Yocto) 5.0\"\nX='y'\n";
        assert_eq!(os_release(text, "PRETTY_NAME").as_deref(), Some("Poky (Yocto) 5.0"));
        assert_eq!(os_release(text, "X").as_deref(), Some("y"));
        assert_eq!(os_release(text, "ID").as_deref(), Some("poky"));
        assert_eq!(os_release(text, "NAME"), None);
        assert_eq!(
            [architecture("x86_64"), architecture("aarch64"), architecture("arm")],
            ["amd64", "arm64", "arm"]
        );
    }
}
