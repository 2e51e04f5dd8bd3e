//! What only a real machine can tell: commands, and what they are to print. The simulated machine leaves them out, and says so.

use serde::Deserialize;

/// A shell's commands, run again and again until they print what they are to.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Ask {
    /// In a container, by the agent's own `exec`.
    Inside(Inside),
    /// On the node.
    Node(OnNode),
}

/// Commands in a container.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inside {
    /// Its pod.
    pub pod: String,
    /// The container.
    pub container: String,
    /// For `sh -c`.
    pub run: String,
    /// Standard output; without it they are to succeed.
    pub prints: Option<String>,
    /// Seconds.
    #[serde(default = "super::within")]
    pub within: u64,
}

/// Commands on the node.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnNode {
    /// The pod that they are about: they have its uid as `$POD_UID` and its cgroup's directory as `$CGROUP`.
    pub pod: Option<String>,
    /// For `sh -c`.
    pub run: String,
    /// Standard output; without it they are to succeed.
    pub prints: Option<String>,
    /// Seconds.
    #[serde(default = "super::within")]
    pub within: u64,
}

/// What commands have said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Printed {
    /// Standard output.
    pub out: String,
    /// Standard error: for people only.
    pub err: String,
    /// Exit status 0.
    pub well: bool,
}

impl Ask {
    /// Seconds until which it must have been printed.
    pub(super) fn within_s(&self) -> u64 {
        match self {
            Self::Inside(ask) => ask.within,
            Self::Node(ask) => ask.within,
        }
    }

    /// Whether that is what was to be printed, but for blanks at the ends of lines; or, if nothing is said of that, whether they
    /// have succeeded.
    pub(super) fn is_printed(&self, printed: &Printed) -> bool {
        let wanted = match self {
            Self::Inside(ask) => &ask.prints,
            Self::Node(ask) => &ask.prints,
        };
        let Some(wanted) = wanted else { return printed.well };
        let lines = |text: &str| -> Vec<String> {
            text.trim_end().lines().map(|line| line.trim_end().to_owned()).collect()
        };
        lines(wanted) == lines(&printed.out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(text: &str) -> Result<Ask, String> {
        serde_json::from_value(serde_yaml::from_str(text).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn lines_are_compared_and_nothing_else() {
        let asked = ask("inside: {pod: web, container: main, run: id -u, prints: \"1000\\n\"}").unwrap();
        let printed = |out: &str| {
            asked.is_printed(&Printed { out: out.to_owned(), err: "words".to_owned(), well: false })
        };
        assert!(printed("1000") && printed("1000 \n\n"));
        assert!(!printed("1000\n0") && !printed("") && !printed(" 1000"));
        let printed = |out: &str, well| Printed { out: out.to_owned(), err: String::new(), well };
        let nothing = ask("node: {run: \"true\", prints: \"\", within: 5}").unwrap();
        assert!(nothing.is_printed(&printed("", false)) && !nothing.is_printed(&printed("x", true)));
        let any = ask("node: {run: \"true\", within: 5}").unwrap();
        assert!(any.is_printed(&printed("x", true)) && !any.is_printed(&printed("", false)));
        assert_eq!(any.within_s(), 5);
    }

    #[test]
    fn what_is_wrong_is_said_of_the_field() {
        for (text, why) in [
            ("inside: {pod: web, run: id}", "missing field `container`"),
            ("inside: {pod: web, container: main}", "missing field `run`"),
            ("node: {run: id, print: x}", "unknown field `print`"),
        ] {
            let said = ask(text).map(|ask| format!("{ask:?}"));
            assert!(said.as_ref().is_err_and(|error| error.contains(why)), "{text}: {said:?}");
        }
    }
}
