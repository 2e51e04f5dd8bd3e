//! The layouts of disks (`.wks.in`) in the words of wic's kickstart language, as far as both series know them
//! (<https://docs.yoctoproject.org/ref-manual/kickstart.html>). Pure.

/// What follows an option.
#[derive(Clone, Copy)]
enum Takes {
    Nothing,
    Word,
    Number,
    /// Digits, then nothing (MiB) or one of `kKMG`.
    Size,
    OneOf(&'static [&'static str]),
}

use Takes::{Nothing, Number, OneOf, Size, Word};

const PART: [(&str, Takes); 23] = [
    ("--active", Nothing),
    ("--align", Number),
    ("--exclude-path", Word),
    ("--extra-space", Size),
    ("--fixed-size", Size),
    ("--fsoptions", Word),
    ("--fspassno", Word),
    ("--fstype", OneOf(&["btrfs", "erofs", "ext2", "ext3", "ext4", "msdos", "squashfs", "swap", "vfat"])),
    ("--fsuuid", Word),
    ("--label", Word),
    ("--mkfs-extraopts", Word),
    ("--no-fstab-update", Nothing),
    ("--no-table", Nothing),
    ("--offset", Size),
    ("--ondisk", Word),
    ("--part-name", Word),
    ("--part-type", Word),
    ("--size", Size),
    ("--source", Word),
    ("--sourceparams", Word),
    ("--use-label", Nothing),
    ("--use-uuid", Nothing),
    ("--uuid", Word),
];
const BOOTLOADER: [(&str, Takes); 5] = [
    ("--append", Word),
    ("--configfile", Word),
    ("--ptable", OneOf(&["gpt", "msdos"])),
    ("--source", Word),
    ("--timeout", Number),
];
/// Where the layer's images want a partition.
const MOUNTED: [&str; 2] = ["/", "/var/lib/berth"];

/// What is wrong with the layout `text`; `recipe` is that of its image, which gives its variables their values.
pub(super) fn problems(text: &str, recipe: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let (mut mounted, mut bootloaders) = (Vec::new(), 0);
    for (number, line) in text.lines().enumerate().map(|(i, line)| (i + 1, line.trim())) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut say = |what: String| problems.push(format!("line {number}: {what}"));
        for name in line.split("${").skip(1).filter_map(|rest| rest.split('}').next()) {
            if !recipe.contains(&format!("{name} ?= ")) {
                say(format!("{name} has no value in the image's recipe"));
            }
        }
        let words = words(line);
        let Some((first, mut rest)) = words.as_ref().and_then(|words| words.split_first()) else {
            say("a quotation mark that is not closed".into());
            continue;
        };
        let options: &[_] = match first.as_str() {
            "bootloader" => {
                bootloaders += 1;
                &BOOTLOADER
            }
            "part" | "partition" => {
                if let Some((at, after)) = rest.split_first().filter(|(at, _)| !at.starts_with("--")) {
                    mounted.push(at.clone());
                    rest = after;
                }
                &PART
            }
            other => {
                say(format!("{other:?} is neither part nor bootloader"));
                continue;
            }
        };
        if let Err(what) = options_of(rest, options) {
            say(what);
        }
    }
    if bootloaders != 1 {
        problems.push(format!("bootloader stands there {bootloaders} times"));
    }
    let missing = MOUNTED.iter().filter(|at| mounted.iter().filter(|found| found == at).count() != 1);
    problems.extend(missing.map(|at| format!("not one partition for {at}")));
    problems
}

/// The options of a line are known, each once and with what it takes.
fn options_of(words: &[String], options: &[(&str, Takes)]) -> Result<(), String> {
    let mut words = words.iter();
    let mut seen = Vec::new();
    while let Some(word) = words.next() {
        let (name, joined) =
            word.split_once('=').map_or((word.as_str(), None), |(n, v)| (n, Some(v.to_owned())));
        let Some((_, takes)) = options.iter().find(|(known, _)| *known == name) else {
            return Err(format!("{name:?} is not known to wic of both series"));
        };
        if seen.contains(&name) {
            return Err(format!("{name} stands there twice"));
        }
        seen.push(name);
        let value = if matches!(takes, Nothing) { None } else { joined.or_else(|| words.next().cloned()) };
        let fits = match (takes, &value) {
            (Nothing, _) => true,
            (_, None) => false,
            (Word, Some(value)) => !value.is_empty(),
            (Number, Some(value)) => value.parse::<u32>().is_ok(),
            (Size, Some(value)) => value.trim_end_matches(['k', 'K', 'M', 'G']).parse::<u32>().is_ok(),
            (OneOf(these), Some(value)) => these.contains(&value.as_str()),
        };
        if !fits {
            return Err(format!("{name} does not take {:?}", value.unwrap_or_default()));
        }
    }
    if seen.contains(&"--size") && seen.contains(&"--fixed-size") {
        return Err("--size and --fixed-size at once".into());
    }
    Ok(())
}

/// The words of a line, quoted ones as one; variables stand for a number. None with an open quotation mark.
fn words(line: &str) -> Option<Vec<String>> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => quoted = !quoted,
            ' ' | '\t' if !quoted => words.push(String::new()),
            '$' => {
                chars.by_ref().find(|c| *c == '}');
                words.last_mut()?.push('1');
            }
            c => words.last_mut()?.push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    (!quoted).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECIPE: &str = "SIZE ?= \"512\"\n";
    const GOOD: &str = "# a disk\nbootloader --ptable gpt --timeout=0 --append=\"rootwait psi=1\"\n\
        part / --source rootfs --fstype=ext4\npart /var/lib/berth --fstype ext4 --size ${SIZE} --mkfs-extraopts \"-N 9\"\n";

    #[test]
    fn each_mistake_is_named_with_its_line() {
        assert_eq!(problems(GOOD, RECIPE), [""; 0]);
        for (from, to, says) in [
            ("--fstype=ext4", "--fstyp=ext4", "line 3: \"--fstyp\" is not known"),
            ("--fstype=ext4", "--fstype=ext5", "line 3: --fstype does not take \"ext5\""),
            ("--timeout=0", "--timeout=soon", "line 2: --timeout does not take"),
            ("psi=1\"", "psi=1", "line 2: a quotation mark"),
            ("--size ${SIZE}", "--size 1M --fixed-size 1M", "line 4: --size and --fixed-size"),
            ("${SIZE}", "${SIZES}", "line 4: SIZES has no value"),
            ("${SIZE}", "some", "line 4: --size does not take \"some\""),
            ("part /var", "partitions /var", "line 4: \"partitions\" is neither"),
            ("part / ", "part /root ", "not one partition for /"),
            ("bootloader", "# bootloader", "bootloader stands there 0 times"),
        ] {
            let found = problems(&GOOD.replace(from, to), RECIPE);
            assert!(found.iter().any(|problem| problem.starts_with(says)), "{says}: {found:?}");
        }
    }
}
