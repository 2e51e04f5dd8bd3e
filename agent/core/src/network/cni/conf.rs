//! A network as its file describes it (section 1 of the specification), and which file it is.

use super::{CHECK_SINCE, Capabilities, GC_SINCE, PLUGINS_MAX, VERSIONS, rank};
use serde_json::{Map, Value, json};
use std::path::Path;

/// A network: a chain of plugins.
#[derive(Debug, Clone, PartialEq)]
pub struct List {
    /// Its name.
    pub name: String,
    /// Of the specification: what its plugins are spoken to in.
    pub version: &'static str,
    /// In the order of ADD.
    pub plugins: Vec<Plugin>,
    disable_check: bool,
    disable_gc: bool,
}

/// One plugin's part of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Plugin {
    /// The name of its program.
    pub kind: String,
    /// All that its part says.
    conf: Map<String, Value>,
}

/// The file is one that may describe a network.
pub fn is_conf_file(name: &str) -> bool {
    let extension = Path::new(name).extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| ["conf", "conflist", "json"].contains(&extension))
}

/// Of these files, as name and text, the network `wanted`, or the first one by its file's name.
///
/// # Errors
/// There is none of that name, or the file is wrong: the sentence names it.
pub fn choose(wanted: &str, dir: &str, files: &mut [(String, String)]) -> Result<List, String> {
    files.sort_unstable();
    let mut broken = Vec::new();
    let mut names = Vec::new();
    for (file, text) in files.iter() {
        match List::parse(text) {
            Ok(list) if wanted.is_empty() || list.name == wanted => return Ok(list),
            Ok(list) => names.push(list.name),
            Err(why) if wanted.is_empty() => return Err(format!("{dir}/{file}: {why}")),
            Err(why) => broken.push(format!("{dir}/{file}: {why}")),
        }
    }
    if wanted.is_empty() {
        return Err(format!("no CNI network in {dir}: put a .conflist there"));
    }
    let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let broken = if broken.is_empty() { String::new() } else { format!("; {}", broken.join("; ")) };
    Err(format!("no CNI network {wanted:?} in {dir} (there is: {there}){broken}"))
}

impl List {
    /// Reads a list of plugins, or a single one as files before version 0.3 had it.
    ///
    /// # Errors
    /// What is wrong and where.
    pub fn parse(text: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text).map_err(|error| format!("no JSON: {error}"))?;
        Self::from_value(value)
    }

    /// As [`Self::parse`].
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn from_value(value: Value) -> Result<Self, String> {
        let Value::Object(map) = value else { return Err("must be a JSON object".into()) };
        let name = text(&map, "name")?;
        if !is_name(&name) {
            return Err(format!(
                "name {name:?}: must be letters, digits, '_', '.' and '-', the first a letter or digit"
            ));
        }
        let version = version(&map)?;
        let flag = |key: &str| match map.get(key) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(false),
            Some(other) => Err(format!("{key}: {other} is neither true nor false")),
        };
        let (disable_check, disable_gc) = (flag("disableCheck")?, flag("disableGC")?);
        let plugins = match map.get("plugins") {
            Some(Value::Array(plugins)) => plugins.clone(),
            Some(_) => return Err("plugins: must be a list".into()),
            None if map.contains_key("type") => vec![Value::Object(map.clone())],
            None => return Err("plugins: missing".into()),
        };
        if plugins.is_empty() || plugins.len() > PLUGINS_MAX {
            return Err(format!("plugins: must be 1 to {PLUGINS_MAX}"));
        }
        let plugins = plugins
            .into_iter()
            .enumerate()
            .map(|(i, plugin)| Plugin::from_value(plugin).map_err(|why| format!("plugins[{i}]: {why}")));
        Ok(Self { name, version, plugins: plugins.collect::<Result<_, _>>()?, disable_check, disable_gc })
    }

    /// As a file could have it: what was made by it is taken away by it, whatever the file says then.
    pub fn to_value(&self) -> Value {
        let plugins: Vec<_> = self.plugins.iter().map(|plugin| Value::Object(plugin.conf.clone())).collect();
        json!({
            "cniVersion": self.version,
            "name": self.name,
            "disableCheck": self.disable_check,
            "disableGC": self.disable_gc,
            "plugins": plugins,
        })
    }

    /// CHECK may be asked.
    pub fn checks(&self) -> bool {
        !self.disable_check && rank(self.version) >= rank(CHECK_SINCE)
    }

    /// GC may be asked.
    pub fn collects(&self) -> bool {
        !self.disable_gc && rank(self.version) >= rank(GC_SINCE)
    }

    /// Of what is asked for, the names of what no plugin of the chain takes.
    pub fn unserved<'a>(&self, wanted: &'a Capabilities) -> Vec<&'a str> {
        let names = wanted.0.keys().map(String::as_str);
        names.filter(|name| !self.plugins.iter().any(|plugin| plugin.takes(name))).collect()
    }
}

impl Plugin {
    fn from_value(value: Value) -> Result<Self, String> {
        let Value::Object(conf) = value else { return Err("must be a JSON object".into()) };
        let kind = text(&conf, "type")?;
        // It becomes a file's name.
        if kind.is_empty() || kind.contains('/') || kind == "." || kind == ".." {
            return Err(format!("type {kind:?}: must be the name of a program"));
        }
        if !matches!(conf.get("capabilities"), None | Some(Value::Object(_))) {
            return Err("capabilities: must be an object".into());
        }
        Ok(Self { kind, conf })
    }

    /// It takes this capability.
    pub fn takes(&self, capability: &str) -> bool {
        self.conf.get("capabilities").and_then(|map| map.get(capability)) == Some(&Value::Bool(true))
    }

    /// What it is told on its standard input (section 3, "Deriving execution configuration from plugin
    /// configuration"); `more`: what the command wants beside that.
    pub fn input(&self, list: &List, wanted: &Capabilities, more: Map<String, Value>) -> Value {
        let mut conf = self.conf.clone();
        conf.remove("capabilities");
        conf.insert("name".into(), list.name.clone().into());
        conf.insert("cniVersion".into(), list.version.into());
        let own = wanted.0.iter().filter(|(name, _)| self.takes(name));
        let own: Map<String, Value> = own.map(|(name, value)| (name.clone(), value.clone())).collect();
        if !own.is_empty() {
            conf.insert("runtimeConfig".into(), Value::Object(own));
        }
        conf.extend(more);
        Value::Object(conf)
    }
}

/// The newest version that both sides speak: `cniVersions` if the file has that, else `cniVersion`.
fn version(map: &Map<String, Value>) -> Result<&'static str, String> {
    let mut offered = Vec::new();
    if let Some(Value::Array(versions)) = map.get("cniVersions") {
        offered.extend(versions.iter().filter_map(Value::as_str));
    }
    if let Some(version) = map.get("cniVersion") {
        offered.push(version.as_str().ok_or("cniVersion: must be a text")?);
    }
    let known = offered.iter().filter_map(|version| rank(version)).max();
    known.map(|place| VERSIONS[place]).ok_or_else(|| match offered.is_empty() {
        true => "cniVersion: missing".to_owned(),
        false => {
            format!("cniVersion {}: these are spoken: {}", offered.join(", "), VERSIONS.join(", "))
        }
    })
}

fn text(map: &Map<String, Value>, key: &str) -> Result<String, String> {
    match map.get(key) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(format!("{key}: must be a text")),
        None => Err(format!("{key}: missing")),
    }
}

/// As the specification wants names of networks and containers.
pub(super) fn is_name(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || ['_', '.', '-'].contains(&c);
    name.chars().next().is_some_and(|first| first.is_ascii_alphanumeric()) && name.chars().all(inner)
}
