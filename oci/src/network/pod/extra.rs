//! Interfaces of the node that pods ask for beside their own (`berth_core::network::attachments`): given to a pod, made for
//! it, and given back, up if they were. What a pod gets is written down before; whatever of it is there already stays.

use crate::network::{
    INTERFACE, inside, link,
    netlink::{Netlink, Refused},
    refused,
};
use crate::{
    error::{Error, Result},
    fsys,
    paths::Roots,
    records,
};
use berth_core::{
    ids::PodUid,
    manifest::DesiredPod,
    network::attachments::{ATTACHMENTS, Attachment, Kind, attachments},
};
use serde::{Deserialize, Serialize};
use std::{fs::File, os::fd::AsRawFd};

/// One of them, as it is written down.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Given {
    #[serde(flatten)]
    attachment: Attachment,
    /// The node's interface was up before: it is again when the pod has gone.
    #[serde(default)]
    was_up: bool,
}

/// Gives the pod what it asks for, if anything. Idempotent, as long as nobody is in there.
///
/// # Errors
/// [`Error::Network`]: an interface is not there, or another pod has it.
pub(in crate::network) fn attach(roots: &Roots, pod: &DesiredPod) -> Result<()> {
    let spec = &pod.pod.spec;
    let Some(text) = pod.pod.metadata.annotations.get(ATTACHMENTS).filter(|_| !spec.host_network) else {
        return Ok(());
    };
    let wanted = attachments(text, &[INTERFACE]).map_err(Error::Config)?;
    let mut outside = Netlink::route().map_err(refused("open a netlink socket"))?;
    let before = read(roots, &pod.uid)?.unwrap_or_default();
    let found = wanted.into_iter().map(|attachment| found(attachment, &before, &mut outside));
    let wanted = found.collect::<std::result::Result<Vec<_>, _>>();
    let wanted = wanted.map_err(refused("look at the node's interfaces"))?;
    records::write(&roots.pod_attachments(&pod.uid), &wanted)?;
    let ns = open(roots, &pod.uid)?;
    let mut inside = inside::socket(&ns, true).map_err(refused("enter the pod's network namespace"))?;
    wanted.iter().map(|one| &one.attachment).try_for_each(|one| {
        let given = give(one, &ns, &mut outside, &mut inside);
        given.map_err(|error| match error {
            Lacking::Interface => Error::Network(format!(
                "the node has no interface {} for {} (or another pod has it)",
                one.interface, one.name
            )),
            Lacking::Kernel(error) => no_such(one, &error),
        })
    })
}

/// With the node's interface as it is; of one that the pod has already, as it was.
fn found(
    attachment: Attachment,
    before: &[Given],
    outside: &mut Netlink,
) -> std::result::Result<Given, Refused> {
    let was_up = match link::is_up(outside, &attachment.interface)? {
        Some(is_up) => is_up,
        None => before.iter().any(|one| one.was_up && one.attachment.interface == attachment.interface),
    };
    Ok(Given { attachment, was_up })
}

enum Lacking {
    Interface,
    Kernel(Refused),
}

impl From<Refused> for Lacking {
    fn from(refused: Refused) -> Self {
        Self::Kernel(refused)
    }
}

fn give(
    one: &Attachment,
    ns: &File,
    outside: &mut Netlink,
    inside: &mut Netlink,
) -> std::result::Result<(), Lacking> {
    if link::index(inside, &one.name)?.is_none() {
        let node = link::index(outside, &one.interface)?.ok_or(Lacking::Interface)?;
        match one.kind {
            Kind::Host => link::hand_over(outside, node, &one.name, ns.as_raw_fd(), false)?,
            _ => link::add_on_top(outside, node, one, ns.as_raw_fd())?,
        }
    }
    let index = link::index(inside, &one.name)?.ok_or(Lacking::Interface)?;
    for (address, prefix) in one.addresses() {
        link::add_address(inside, index, address, prefix)?;
    }
    Ok(link::bring_up(inside, index)?)
}

fn no_such(one: &Attachment, error: &Refused) -> Error {
    let (module, option) = match one.kind {
        Kind::Macvlan => ("macvlan", "CONFIG_MACVLAN"),
        Kind::Ipvlan => ("ipvlan", "CONFIG_IPVLAN"),
        Kind::Vlan => ("8021q", "CONFIG_VLAN_8021Q"),
        Kind::Host => ("", ""),
    };
    let remedy = match error.is(libc::EOPNOTSUPP) && !module.is_empty() {
        true => format!("; the kernel needs the module {module}, or {option}"),
        false => String::new(),
    };
    Error::Network(format!(
        "cannot give the pod {} of the node's {}: {error}{remedy}",
        one.name, one.interface
    ))
}

/// Gives the node back what is its own. What was made for the pod goes with its namespace.
///
/// # Errors
/// [`Error::Network`]: something stays; try again.
pub(in crate::network) fn detach(roots: &Roots, uid: &PodUid) -> Result<()> {
    let Some(given) = read(roots, uid)? else { return Ok(()) };
    if fsys::is_namespace(&roots.pod_ns(uid, "net")) {
        let ns = open(roots, uid)?;
        let path = "/proc/thread-self/ns/net";
        let node = File::open(path).map_err(Error::io("open", path))?;
        let mut inside = inside::socket(&ns, true).map_err(refused("enter the pod's network namespace"))?;
        for Given { attachment: one, was_up } in given.iter().filter(|one| one.attachment.kind == Kind::Host)
        {
            let back = link::index(&mut inside, &one.name).and_then(|index| {
                index.map_or(Ok(()), |index| {
                    link::hand_over(&mut inside, index, &one.interface, node.as_raw_fd(), *was_up)
                })
            });
            back.map_err(refused("give the node its interface back"))?;
        }
    }
    fsys::remove_file(&roots.pod_attachments(uid))
}

fn open(roots: &Roots, uid: &PodUid) -> Result<File> {
    let path = roots.pod_ns(uid, "net");
    File::open(&path).map_err(Error::io("open", &path))
}

fn read(roots: &Roots, uid: &PodUid) -> Result<Option<Vec<Given>>> {
    records::read(&roots.pod_attachments(uid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_down_is_read_again() {
        let [attachment] = attachments("[{interface: can0, name: bus}]", &[]).unwrap().try_into().unwrap();
        // As before it was known whether they were up.
        let old = serde_json::to_string(&attachment).unwrap();
        let read: Given = serde_json::from_str(&old).unwrap();
        assert_eq!(read, Given { attachment, was_up: false });
        let given = Given { was_up: true, ..read };
        let text = serde_json::to_string(&given).unwrap();
        assert_eq!(serde_json::from_str::<Given>(&text).unwrap(), given);
    }
}
