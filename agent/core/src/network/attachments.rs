//! Interfaces of the node that a pod asks for beside its own: a second network card, a fieldbus, or something of its
//! own on top of one. Pure.

use super::policy::Cidr;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, net::IpAddr};

/// The annotation that asks for them: a list.
pub const ATTACHMENTS: &str = "berth/attachments";
/// Of one pod.
pub const ATTACHMENTS_MAX: usize = 16;
/// Bytes of an interface's name (`IFNAMSIZ`, without its end).
const NAME_LEN_MAX: usize = 15;
/// Addresses of one interface.
const ADDRESSES_MAX: usize = 8;
/// Numbers of virtual networks (IEEE 802.1Q).
const VLANS: std::ops::RangeInclusive<u16> = 1..=4094;

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Attachment {
    /// The node's interface.
    pub interface: String,
    /// What of it the pod gets.
    #[serde(default, rename = "type")]
    pub kind: Kind,
    /// What it is called in the pod; empty: as on the node, or `net1` for the first that is made, and so on.
    #[serde(default)]
    pub name: String,
    /// How those on one interface get at each other; by default they do.
    #[serde(default)]
    pub mode: Option<Mode>,
    /// The number of a virtual network.
    #[serde(default)]
    pub id: Option<u16>,
    /// Addresses in the pod, with their prefix.
    #[serde(default)]
    pub addresses: Vec<String>,
}

/// What a pod gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The interface itself; the node is without it meanwhile.
    #[default]
    Host,
    /// An interface with a hardware address of its own on the same wire.
    Macvlan,
    /// An interface with addresses of its own and the same hardware address.
    Ipvlan,
    /// One virtual network on the wire.
    Vlan,
}

/// The kernel's modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Mode {
    Bridge,
    Private,
    Vepa,
    Passthru,
    L2,
    L3,
    L3s,
}

impl Attachment {
    /// Its addresses, each with the length of its prefix.
    pub fn addresses(&self) -> impl Iterator<Item = (IpAddr, u8)> {
        self.addresses.iter().filter_map(|text| address(text))
    }
}

fn address(text: &str) -> Option<(IpAddr, u8)> {
    let (address, _) = text.split_once('/')?;
    let cidr: Cidr = text.parse().ok()?;
    Some((address.parse().ok()?, cidr.prefix()))
}

/// What the annotation asks for, each with a name. `own`: names that the pod has already.
///
/// # Errors
/// What is wrong, all of it in one sentence.
pub fn attachments(text: &str, own: &[&str]) -> Result<Vec<Attachment>, String> {
    let mut list: Vec<Attachment> = serde_yaml::from_str(text)
        .map_err(|error| format!("must be a list like [{{interface: eth1, type: macvlan}}]: {error}"))?;
    if list.len() > ATTACHMENTS_MAX {
        return Err(format!("asks for {} interfaces; {ATTACHMENTS_MAX} are the most", list.len()));
    }
    let mut names: BTreeSet<String> = own.iter().map(|name| (*name).to_owned()).collect();
    names.insert("lo".into());
    let mut made = 0;
    for attachment in &mut list {
        made += usize::from(attachment.kind != Kind::Host);
        if attachment.name.is_empty() {
            attachment.name = match attachment.kind {
                Kind::Host => attachment.interface.clone(),
                _ => format!("net{made}"),
            };
        }
        check(attachment)?;
        if !names.insert(attachment.name.clone()) {
            return Err(format!(
                "the pod has an interface {} already: give it another name",
                attachment.name
            ));
        }
    }
    Ok(list)
}

fn check(attachment: &Attachment) -> Result<(), String> {
    let Attachment { interface, kind, name, mode, id, addresses } = attachment;
    for name in [interface, name] {
        let odd = |c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control();
        if name.is_empty()
            || name.len() > NAME_LEN_MAX
            || name.contains(odd)
            || [".", ".."].contains(&&**name)
        {
            return Err(format!(
                "{name:?} is no name of an interface: 1 to {NAME_LEN_MAX} letters without a space or slash"
            ));
        }
    }
    let modes: &[Mode] = match kind {
        Kind::Host | Kind::Vlan => &[],
        Kind::Macvlan => &[Mode::Bridge, Mode::Private, Mode::Vepa, Mode::Passthru],
        Kind::Ipvlan => &[Mode::L2, Mode::L3, Mode::L3s],
    };
    if mode.is_some_and(|mode| !modes.contains(&mode)) {
        return Err(format!("{name}: this mode is none of its type: {}", shown(modes)));
    }
    match (kind, id) {
        (Kind::Vlan, Some(id)) if VLANS.contains(id) => {}
        (Kind::Vlan, _) => return Err(format!("{name}: a vlan needs an id, 1 to 4094")),
        (_, Some(_)) => return Err(format!("{name}: only a vlan has an id")),
        _ => {}
    }
    if addresses.len() > ADDRESSES_MAX {
        return Err(format!("{name}: {} addresses; {ADDRESSES_MAX} are the most", addresses.len()));
    }
    match addresses.iter().find(|text| address(text).is_none()) {
        Some(text) => Err(format!("{name}: {text:?} is no address with a prefix, like 192.0.2.7/24")),
        None => Ok(()),
    }
}

fn shown(modes: &[Mode]) -> String {
    let names: Vec<String> = modes.iter().map(|mode| format!("{mode:?}").to_lowercase()).collect();
    if names.is_empty() { "it has none".into() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_are_asked_for_by_a_list() {
        let text =
            "[{interface: eth1}, {interface: eth2, type: macvlan, addresses: [192.0.2.7/24, 'fd00::7/64']},
            {interface: eth2, type: vlan, id: 5, name: plc}, {interface: eth2, type: ipvlan, mode: l3}]";
        let found = attachments(text, &["eth0"]).unwrap();
        let names: Vec<_> = found.iter().map(|one| (&*one.name, one.kind)).collect();
        assert_eq!(
            names,
            [("eth1", Kind::Host), ("net1", Kind::Macvlan), ("plc", Kind::Vlan), ("net3", Kind::Ipvlan)]
        );
        let addresses: Vec<_> =
            found[1].addresses().map(|(address, prefix)| format!("{address}/{prefix}")).collect();
        assert_eq!(addresses, ["192.0.2.7/24", "fd00::7/64"]);
        assert_eq!(attachments("[]", &[]), Ok(Vec::new()));
    }

    #[test]
    fn what_cannot_be_is_refused_in_words() {
        for (text, says) in [
            ("eth1", "must be a list like"),
            ("[{name: x}]", "must be a list like"),
            ("[{interface: eth1, kind: host}]", "must be a list like"),
            ("[{interface: eth1, type: bridge}]", "must be a list like"),
            ("[{interface: ''}]", "\"\" is no name of an interface"),
            ("[{interface: a/b}]", "is no name of an interface"),
            ("[{interface: sixteen-letters-}]", "is no name of an interface"),
            ("[{interface: eth0}]", "the pod has an interface eth0 already"),
            ("[{interface: eth1}, {interface: eth2, name: eth1}]", "the pod has an interface eth1 already"),
            ("[{interface: lo}]", "the pod has an interface lo already"),
            (
                "[{interface: e, type: macvlan, mode: l2}]",
                "none of its type: bridge, private, vepa, passthru",
            ),
            ("[{interface: e, mode: l2}]", "none of its type: it has none"),
            ("[{interface: e, type: vlan}]", "a vlan needs an id"),
            ("[{interface: e, type: vlan, id: 4095}]", "a vlan needs an id"),
            ("[{interface: e, id: 5}]", "only a vlan has an id"),
            ("[{interface: e, addresses: [192.0.2.7]}]", "is no address with a prefix"),
            ("[{interface: e, addresses: [192.0.2.7/33]}]", "is no address with a prefix"),
        ] {
            let error = attachments(text, &["eth0"]).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
        let many = format!("[{}]", vec!["{interface: e}"; 17].join(","));
        assert!(attachments(&many, &[]).unwrap_err().contains("17 interfaces; 16 are the most"));
    }
}
