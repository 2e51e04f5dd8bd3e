//! Forms of output that all verbs share.

mod yaml;

use super::failure::Failure;
use clap::ValueEnum;
use serde::Serialize;
use serde_json::Value;
use std::io::Write;

/// `-o` of `get`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// A table with more columns
    Wide,
    /// The Kubernetes objects as JSON
    Json,
    /// The Kubernetes objects as YAML
    Yaml,
    /// Names only, as pod/NAME
    Name,
}

/// `-o` of verbs that print something for people unless told otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Machine {
    /// JSON
    Json,
}

/// Prints a value as indented JSON.
pub(crate) fn json(out: &mut dyn Write, value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(Failure::error)?;
    Ok(writeln!(out, "{text}")?)
}

/// Prints a value as YAML.
pub(crate) fn yaml(out: &mut dyn Write, value: &Value) -> Result<(), Failure> {
    Ok(out.write_all(yaml::document(value).as_bytes())?)
}

/// A list as kubectl prints one.
pub(crate) fn list(items: Vec<Value>) -> Value {
    serde_json::json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": items})
}
