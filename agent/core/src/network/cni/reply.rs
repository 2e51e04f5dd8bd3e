//! What a plugin answers (section 5 of the specification): believed only as far as it makes sense.

use super::{List, TEXT_LEN_MAX_BYTES};
use serde_json::Value;
use std::net::IpAddr;

/// Characters of a plugin's own words that are passed on.
const WORDS_MAX: usize = 400;
/// Addresses of one pod.
const ADDRESSES_MAX: usize = 16;

/// The result of ADD.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// As it came: for the next plugin, CHECK and DEL.
    pub value: Value,
    /// The pod's addresses, IPv4 first.
    pub addresses: Vec<IpAddr>,
    /// Where the pod's way out begins, as far as it is said.
    pub gateways: Vec<IpAddr>,
    /// Interfaces of the node that were made for it.
    pub outside: Vec<String>,
}

impl Reply {
    /// Reads the answer of a plugin in the middle of a chain, or of the last one.
    ///
    /// # Errors
    /// It is none, in words that fit behind "it answers".
    pub fn parse(list: &List, bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > TEXT_LEN_MAX_BYTES {
            return Err(format!("more than {TEXT_LEN_MAX_BYTES} bytes"));
        }
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err("nothing".into());
        }
        let mut value: Value =
            serde_json::from_slice(bytes).map_err(|_| format!("no JSON: {}", words(bytes)))?;
        let Some(map) = value.as_object_mut() else {
            return Err(format!("no JSON object: {}", words(bytes)));
        };
        let version = map.entry("cniVersion").or_insert_with(|| list.version.into());
        if version != list.version {
            return Err(format!("in version {version} of CNI, it was asked in {}", list.version));
        }
        let addresses = addresses(&value)?;
        let (gateways, outside) = (gateways(&value), outside(&value));
        Ok(Self { value, addresses, gateways, outside })
    }
}

fn addresses(value: &Value) -> Result<Vec<IpAddr>, String> {
    let ips = match value.get("ips") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(ips)) => ips,
        Some(_) => return Err("ips that are no list".into()),
    };
    if ips.len() > ADDRESSES_MAX {
        return Err(format!("{} addresses; {ADDRESSES_MAX} are the most", ips.len()));
    }
    let mut addresses = Vec::new();
    for ip in ips {
        let text = ip.get("address").and_then(Value::as_str).unwrap_or_default();
        let address = text.split_once('/').filter(|(_, prefix)| prefix.parse::<u8>().is_ok());
        let address = address.and_then(|(address, _)| address.parse::<IpAddr>().ok());
        addresses.push(address.ok_or_else(|| format!("the address {text:?}, which is none with a prefix"))?);
    }
    addresses.sort_by_key(IpAddr::is_ipv6);
    Ok(addresses)
}

fn gateways(value: &Value) -> Vec<IpAddr> {
    let ips = value.get("ips").and_then(Value::as_array).into_iter().flatten();
    ips.filter_map(|ip| ip.get("gateway")?.as_str()?.parse().ok()).collect()
}

/// Interfaces without a sandbox.
fn outside(value: &Value) -> Vec<String> {
    let interfaces = value.get("interfaces").and_then(Value::as_array).into_iter().flatten();
    interfaces
        .filter(|interface| {
            interface.get("sandbox").is_none_or(|sandbox| sandbox.as_str().is_none_or(str::is_empty))
        })
        .filter_map(|interface| interface.get("name")?.as_str().map(str::to_owned))
        .collect()
}

/// Why a plugin that ended badly did: by its answer if it has one, else by its last words. `ended`: how.
pub fn failure(ended: &str, stdout: &[u8], stderr: &[u8]) -> String {
    let error: Option<Value> = serde_json::from_slice(stdout).ok();
    let part = |key: &str| {
        let text = error.as_ref().and_then(|error| error.get(key)?.as_str()).unwrap_or_default();
        words(text.as_bytes())
    };
    let (message, details) = (part("msg"), part("details"));
    if !message.is_empty() {
        let code = error.as_ref().and_then(|error| error.get("code")?.as_u64());
        let code = code.map_or_else(String::new, |code| format!(" (code {code})"));
        let details = if details.is_empty() { details } else { format!(": {details}") };
        return format!("{message}{details}{code}");
    }
    let said = if stderr.iter().all(u8::is_ascii_whitespace) { stdout } else { stderr };
    match words(said) {
        said if said.is_empty() => format!("it {ended}, without a word"),
        said => format!("it {ended}: {said}"),
    }
}

/// On one line, and not too long: of a long text the beginning, where a crash says why, and the end, where others do.
fn words(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let text = text.trim();
    let count = text.chars().count();
    if count <= WORDS_MAX {
        return text.to_owned();
    }
    let begin: String = text.chars().take(WORDS_MAX / 2).collect();
    let end: String = text.chars().skip(count - WORDS_MAX / 2).collect();
    format!("{begin} … {end}")
}
