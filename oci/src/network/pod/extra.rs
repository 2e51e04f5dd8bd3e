//! Interfaces of the node that pods ask for beside their own (`berth_core::network::attachments`): given to a pod, made for
//! it, and given back. What a pod gets is written down before; whatever of it is there already stays.

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
use std::{fs::File, os::fd::AsRawFd};

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
    write(roots, &pod.uid, &wanted)?;
    let ns = open(roots, &pod.uid)?;
    let mut inside = inside::socket(&ns, true).map_err(refused("enter the pod's network namespace"))?;
    let mut outside = Netlink::route().map_err(refused("open a netlink socket"))?;
    wanted.iter().try_for_each(|one| {
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
            Kind::Host => link::hand_over(outside, node, &one.name, ns.as_raw_fd())?,
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
        for one in given.iter().filter(|one| one.kind == Kind::Host) {
            let back = link::index(&mut inside, &one.name).and_then(|index| {
                index.map_or(Ok(()), |index| {
                    link::hand_over(&mut inside, index, &one.interface, node.as_raw_fd())
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

fn write(roots: &Roots, uid: &PodUid, given: &[Attachment]) -> Result<()> {
    records::write(&roots.pod_attachments(uid), &given)
}

fn read(roots: &Roots, uid: &PodUid) -> Result<Option<Vec<Attachment>>> {
    records::read(&roots.pod_attachments(uid))
}
