//! The options that the kernel was built with, where it or the distribution tells.

use flate2::read::GzDecoder;
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    path::Path,
};

/// Bytes of the text; real ones have about 300 KiB.
const TEXT_LEN_MAX_BYTES: u64 = 4 << 20;

/// All options that are set, without `CONFIG_`; None when nobody tells.
pub(super) fn read(kernel: &str) -> Option<BTreeMap<String, String>> {
    let text = inflated("/proc/config.gz").or_else(|_| -> io::Result<String> {
        let plain = [format!("/boot/config-{kernel}"), format!("/lib/modules/{kernel}/config")];
        let mut found = plain.iter().filter_map(|path| limited(File::open(path).ok()?).ok());
        found.next().ok_or(io::ErrorKind::NotFound.into())
    });
    let options = parse(&text.ok()?);
    (!options.is_empty()).then_some(options)
}

/// The options of a `.config`.
pub(in super::super) fn read_file(file: &Path) -> io::Result<BTreeMap<String, String>> {
    let options = parse(&limited(File::open(file)?)?);
    if options.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "no line CONFIG_…=… is in it"));
    }
    Ok(options)
}

fn inflated(path: &str) -> io::Result<String> {
    limited(GzDecoder::new(File::open(path)?))
}

fn limited(from: impl Read) -> io::Result<String> {
    let mut text = String::new();
    from.take(TEXT_LEN_MAX_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

fn parse(text: &str) -> BTreeMap<String, String> {
    let option = |line: &str| {
        let (name, value) = line.strip_prefix("CONFIG_")?.split_once('=')?;
        Some((name.to_owned(), value.trim_matches('"').to_owned()))
    };
    text.lines().filter_map(option).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_are_set_are_read() {
        let options = parse("# Linux\nCONFIG_A=y\nCONFIG_B=m\n# CONFIG_C is not set\nCONFIG_D=\"x\"\n");
        let pairs: Vec<_> = options.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(pairs, ["A=y", "B=m", "D=x"]);
    }
}
