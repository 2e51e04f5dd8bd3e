//! Which platform an image is for, and which of several an image index offers fits a node best.

use crate::error::Error;
use std::fmt;

/// Operating system, architecture and variant, in Go's words as images use them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Platform {
    /// `linux`.
    pub os: String,
    /// `amd64`, `arm64`, `arm`, `386`, `riscv64`…
    pub architecture: String,
    /// `v8`, `v7`, `v6`; empty where the architecture has none or the image does not say.
    pub variant: String,
}

impl Platform {
    /// Linux on `arch`, which may carry a variant: `arm64`, `arm/v7`.
    pub fn new(arch: &str) -> Self {
        let (architecture, variant) = arch.split_once('/').unwrap_or((arch, ""));
        Self { os: "linux".into(), architecture: architecture.into(), variant: variant.into() }
    }

    /// The platform of this build of Berth; on 32-bit ARM, v7.
    pub fn host() -> Self {
        Self::new(match std::env::consts::ARCH {
            "x86_64" => x86_64_level(),
            "x86" => "386",
            "aarch64" => "arm64/v8",
            "arm" => "arm/v7",
            "powerpc64" => "ppc64le",
            other => other,
        })
    }

    /// Reads `os/arch`, `os/arch/variant` or just `arch`.
    ///
    /// # Errors
    /// `Unsupported` if it is none of these.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let parts: Vec<&str> = text.split('/').collect();
        let fine = |part: &&str| {
            !part.is_empty()
                && part.len() <= 32
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        if !parts.iter().all(fine) {
            return Err(bad_platform(text));
        }
        match parts[..] {
            [architecture] => Ok(Self::new(architecture)),
            [os, architecture] => Ok(Self { os: os.into(), ..Self::new(architecture) }),
            [os, architecture, variant] => {
                Ok(Self { os: os.into(), variant: variant.into(), ..Self::new(architecture) })
            }
            _ => Err(bad_platform(text)),
        }
    }

    /// How well an image for `offered` runs on a node of this platform: 0 is best, `None` is not at all.
    /// ARM prefers its own variant, then the older ones in order; a 64-bit ARM or x86 takes 32-bit images
    /// last. An image that does not say its platform is taken as it is, after all that do.
    pub fn rank(&self, offered: &Self) -> Option<usize> {
        if offered.os.is_empty() && offered.architecture.is_empty() {
            return Some(usize::MAX);
        }
        if !offered.os.is_empty() && offered.os != self.os {
            return None;
        }
        let offered = offered.normalised();
        self.runs()
            .iter()
            .position(|(arch, variant)| *arch == offered.architecture && *variant == offered.variant)
    }

    /// What a node of this platform can run, best first.
    fn runs(&self) -> Vec<(&str, &str)> {
        const ARM: [&str; 4] = ["v8", "v7", "v6", "v5"];
        const X86: [&str; 4] = ["v4", "v3", "v2", ""];
        let mine = self.normalised();
        let from = |list: &'static [&'static str], first: &str| -> &'static [&'static str] {
            list.iter().position(|v| *v == first).map_or(&[], |at| &list[at..])
        };
        match self.architecture.as_str() {
            "arm64" => {
                // arm64 images say v8 or nothing; later variants (v9) run v8 too.
                let own = (mine.variant != "v8").then_some(("arm64", self.variant.as_str()));
                let old = ARM.iter().map(|v| ("arm", *v));
                own.into_iter().chain([("arm64", "v8")]).chain(old).collect()
            }
            "arm" => from(&ARM, &mine.variant).iter().map(|v| ("arm", *v)).collect(),
            "amd64" => {
                let own = from(&X86, &mine.variant).iter().map(|v| ("amd64", *v));
                own.chain([("386", "")]).collect()
            }
            other => vec![(other, self.variant.as_str())],
        }
    }

    /// With the variant that an empty one stands for, and the one that is written as empty.
    fn normalised(&self) -> Self {
        let variant = match (self.architecture.as_str(), self.variant.as_str()) {
            ("arm64", "") | ("arm64", "8") => "v8",
            ("arm", "") => "v7",
            ("amd64", "v1") => "",
            (_, variant) => variant,
        };
        Self { variant: variant.into(), ..self.clone() }
    }
}

fn bad_platform(text: &str) -> Error {
    Error::unsupported(
        format!("platform {:.100}", text),
        "write it as os/arch or os/arch/variant, like linux/arm/v7",
    )
}

#[cfg(target_arch = "x86_64")]
fn x86_64_level() -> &'static str {
    if std::is_x86_feature_detected!("avx2")
        && std::is_x86_feature_detected!("bmi2")
        && std::is_x86_feature_detected!("fma")
        && std::is_x86_feature_detected!("movbe")
    {
        "amd64/v3"
    } else if std::is_x86_feature_detected!("sse4.2") && std::is_x86_feature_detected!("popcnt") {
        "amd64/v2"
    } else {
        "amd64"
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn x86_64_level() -> &'static str {
    "amd64"
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if self.variant.is_empty() { Ok(()) } else { write!(f, "/{}", self.variant) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `node` takes from `offers`, best first.
    fn order(node: &str, offers: &[&str]) -> Vec<String> {
        let node = Platform::parse(node).unwrap();
        let mut ranked: Vec<_> =
            offers.iter().filter_map(|o| Some((node.rank(&Platform::parse(o).unwrap())?, *o))).collect();
        ranked.sort();
        ranked.into_iter().map(|(_, o)| o.to_owned()).collect()
    }

    #[test]
    fn the_best_fit() {
        let all = [
            "linux/amd64",
            "linux/amd64/v3",
            "linux/386",
            "linux/arm/v5",
            "linux/arm/v6",
            "linux/arm/v7",
            "linux/arm64/v8",
            "linux/riscv64",
            "windows/amd64",
        ];
        let table: &[(&str, &[&str])] = &[
            ("linux/arm64", &["linux/arm64/v8", "linux/arm/v7", "linux/arm/v6", "linux/arm/v5"]),
            ("linux/arm64/v8", &["linux/arm64/v8", "linux/arm/v7", "linux/arm/v6", "linux/arm/v5"]),
            ("linux/arm/v7", &["linux/arm/v7", "linux/arm/v6", "linux/arm/v5"]),
            ("linux/arm", &["linux/arm/v7", "linux/arm/v6", "linux/arm/v5"]),
            ("linux/arm/v6", &["linux/arm/v6", "linux/arm/v5"]),
            ("linux/amd64", &["linux/amd64", "linux/386"]),
            ("linux/amd64/v3", &["linux/amd64/v3", "linux/amd64", "linux/386"]),
            ("linux/riscv64", &["linux/riscv64"]),
            ("linux/s390x", &[]),
        ];
        for (node, expected) in table {
            assert_eq!(order(node, &all), *expected, "{node}");
        }
    }

    #[test]
    fn arm64_with_and_without_variant_are_one() {
        assert_eq!(Platform::new("arm64/v8").rank(&Platform::new("arm64")), Some(0));
        assert_eq!(Platform::new("arm64/v9").rank(&Platform::new("arm64")), Some(1));
    }

    #[test]
    fn an_image_that_does_not_say_comes_last() {
        assert_eq!(Platform::new("arm64").rank(&Platform::default()), Some(usize::MAX));
    }

    #[test]
    fn parsed() {
        assert_eq!(Platform::parse("linux/arm/v7").unwrap().to_string(), "linux/arm/v7");
        assert_eq!(Platform::parse("arm64").unwrap().to_string(), "linux/arm64");
        for bad in ["", "/", "linux/", "a/b/c/d", "linux/a b"] {
            assert!(Platform::parse(bad).is_err(), "{bad}");
        }
    }
}
