//! The Pod API as data: every field of `v1.Pod` in Kubernetes 1.36, what it holds, and what Berth does
//! with it. `check` walks manifests along it and `support` prints it; neither may know a field by name.

mod container;
mod handlers;
mod meta;
mod objects;
mod pod;
mod policy;
mod scheduling;
mod security;
mod volume;

use super::support::Support;

pub(super) use meta::LIST;
pub(super) use objects::{CLAIM, CONFIG_MAP, SECRET};
pub(super) use pod::POD;
pub(super) use policy::NETWORK_POLICY;

/// One field of an object.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) support: Support,
    /// What the API takes for it when it is absent. Saying it is the same as not saying it: it does not count
    /// for the uid, and for a field that is otherwise refused it is let through.
    pub(super) default: Literal,
    /// It must be there and not empty; the text is a hint of what to write.
    pub(super) required: Option<&'static str>,
}

/// What a field holds.
#[derive(Debug)]
pub(super) enum Kind {
    Text,
    /// One of these strings.
    Choice(&'static [&'static str]),
    Bool,
    /// A whole number within these bounds, both included.
    Int(i64, i64),
    Quantity,
    /// Permissions of a file, 0 to 0777; octal as YAML 1.1 has it, too.
    Mode,
    /// A number or a name: ports of probes.
    IntOrText,
    /// Free keys to strings.
    TextMap,
    /// Free keys to quantities.
    QuantityMap,
    List(&'static Kind),
    Object(&'static [Field]),
    /// Not looked into.
    Any,
}

/// A value that is known beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Literal {
    /// No such value.
    None,
    Bool(bool),
    Int(i64),
    Text(&'static str),
}

const TEXTS: Kind = Kind::List(&Kind::Text);
/// User and group ids, as the Kubernetes API bounds them.
const ID: Kind = Kind::Int(0, i32::MAX as i64);
const PORT: Kind = Kind::Int(1, 65_535);
/// A port that may be left out by writing 0.
const PORT_OR_ZERO: Kind = Kind::Int(0, 65_535);
const INT32: Kind = Kind::Int(i32::MIN as i64, i32::MAX as i64);
const INT64: Kind = Kind::Int(i64::MIN, i64::MAX);
const COUNT: Kind = Kind::Int(0, i64::MAX);

impl Field {
    const fn new(name: &'static str, kind: Kind, support: Support) -> Self {
        Self { name, kind, support, default: Literal::None, required: None }
    }

    /// Gives the API's default.
    const fn default(self, default: Literal) -> Self {
        Self { default, ..self }
    }

    /// Makes it required.
    const fn required(self, hint: &'static str) -> Self {
        Self { required: Some(hint), ..self }
    }

    /// For a refused field of plain `false`s: writing it changes nothing.
    const fn or_false(self) -> Self {
        self.default(Literal::Bool(false))
    }

    /// The field `name` of `fields`.
    pub(super) fn find<'a>(fields: &'a [Self], name: &str) -> Option<&'a Self> {
        fields.iter().find(|field| field.name == name)
    }
}

/// A field that works.
const fn yes(name: &'static str, kind: Kind) -> Field {
    Field::new(name, kind, Support::Supported)
}

/// A field that is read and rightly without effect.
const fn accepted(name: &'static str, kind: Kind, why: &'static str) -> Field {
    Field::new(name, kind, Support::Accepted(why))
}

/// A field that waits to be built, with what to do meanwhile.
const fn later(name: &'static str, kind: Kind, why: &'static str) -> Field {
    Field::new(name, kind, Support::NotYet(why))
}

/// A field that needs what a single node has not.
const fn never(name: &'static str, kind: Kind, why: &'static str) -> Field {
    Field::new(name, kind, Support::NotApplicable(why))
}

const NEEDS_API: &str = "it needs an API server, and there is none";
const NO_SCHEDULER: &str = "a scheduler's; there is none, and kubelet does not look at it either";
const NEEDS_CLOUD: &str = "it needs a cloud provider or a storage plugin, and there is none; use hostPath";
const WINDOWS: &str = "it is for Windows nodes";
