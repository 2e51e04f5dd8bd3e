//! Our tables of packet rules: `inet berth`, with what must be in it (`rules` and `apart`, pure) and how that is written for the kernel
//! (`encode`, pure), and `bridge berth`, by which pods send as nobody else (`origin`, pure). Each is replaced at one
//! stroke. Other tables are never looked at.

mod apart;
mod encode;
mod origin;
mod rules;
mod writer;

use super::netlink::{Head, Netlink, Refused, attributes, messages, refused};
use netlink_packet_core::NLMSG_ERROR;
use std::{io, thread, time::Duration};

pub(super) use origin::Origin;
pub(super) use rules::{Interface, Pod, Side, ruleset};
use rules::{Ruleset, TABLE};

/// Notices of all that changes in nf_tables (`NFNLGRP_NFTABLES`).
const GROUP: u32 = 7;
/// Our kind of table (`NFPROTO_INET`).
const FAMILY: u8 = 1;
/// Bytes of `struct nfgenmsg`.
const NFGEN_LEN: usize = 4;
/// The table's name in a table, chain, rule or set.
const ATTR_TABLE: u16 = 1;
/// Who changes rules mostly goes on changing them for a moment.
const SETTLE: Duration = Duration::from_millis(200);

/// The way to the kernel's tables.
#[derive(Debug)]
pub(super) struct Nft {
    netlink: Netlink,
    /// What is there, as far as we know.
    applied: Option<Ruleset>,
    /// As [`Self::applied`]: who may send as whom.
    held: Option<Vec<Origin>>,
}

impl Nft {
    pub(super) fn open() -> Result<Self, Refused> {
        Ok(Self { netlink: Netlink::netfilter()?, applied: None, held: None })
    }

    /// By which notices tell that we were it.
    pub(super) fn port(&self) -> u32 {
        self.netlink.port
    }

    /// Somebody has changed what we had made.
    pub(super) fn doubt(&mut self) {
        self.applied = None;
        self.held = None;
    }

    /// `nft flush ruleset`: all tables of all families go.
    #[cfg(test)]
    pub(super) fn flush_ruleset(&mut self) -> Result<(), Refused> {
        self.commit(&writer::Writer::flush())
    }

    /// Names of all tables, each with its family.
    #[cfg(test)]
    pub(super) fn tables(&mut self) -> Result<Vec<(u8, String)>, Refused> {
        let mut found = Vec::new();
        self.netlink.dump(writer::SUBSYSTEM << 8 | 1, &[0; NFGEN_LEN], |body| found.push(body.to_vec()))?;
        let named = found.iter().filter_map(|body| {
            let all = attributes(body.get(NFGEN_LEN..)?);
            let (_, name) = all.into_iter().find(|(kind, _)| *kind == ATTR_TABLE)?;
            Some((*body.first()?, String::from_utf8_lossy(name).trim_end_matches('\0').to_owned()))
        });
        Ok(named.collect())
    }

    /// What was last wanted is there.
    #[cfg(test)]
    pub(super) const fn is_applied(&self) -> bool {
        self.applied.is_some()
    }

    /// Makes the table this, all of it or nothing; asks nothing of the kernel if it is so already.
    pub(super) fn apply(&mut self, rules: Ruleset) -> Result<(), Refused> {
        if self.applied.as_ref() == Some(&rules) {
            return Ok(());
        }
        self.applied = None;
        self.replace(|anew| encode::batch(&rules, anew))?;
        self.applied = Some(rules);
        Ok(())
    }

    /// From these ends on the bridge only what bears their pods' addresses goes on.
    pub(super) fn hold(&mut self, origins: Vec<Origin>) -> Result<(), Refused> {
        if self.held.as_ref() == Some(&origins) {
            return Ok(());
        }
        self.held = None;
        self.replace(|anew| origin::batch(&origins, anew))?;
        self.held = Some(origins);
        Ok(())
    }

    /// The chains stay, so that no packet goes without; if somebody has made others of them, all goes.
    fn replace(&mut self, batch: impl Fn(bool) -> writer::Batch) -> Result<(), Refused> {
        match self.commit(&batch(false)) {
            Err(error) if error.is(libc::EEXIST) || error.is(libc::EINVAL) => self.commit(&batch(true)),
            other => other,
        }
    }

    /// Sends a batch. The kernel answers for what it refuses, and for the last message in any case; for the
    /// whole, under the first one's number.
    fn commit(&mut self, batch: &writer::Batch) -> Result<(), Refused> {
        self.netlink.send(&batch.bytes)?;
        let mut first = None;
        loop {
            for (head, body) in messages(&self.netlink.hear()?) {
                if head.kind != NLMSG_ERROR {
                    continue;
                }
                let refused = refused(body);
                let is_last =
                    head.sequence == batch.last || head.sequence == writer::FIRST && refused.is_some();
                first = first.or(refused);
                if is_last {
                    return first.map_or(Ok(()), Err);
                }
            }
        }
    }
}

/// Waits until somebody else than `ours` has changed our table, and has come to rest.
///
/// # Errors
/// Nothing can be heard any more.
pub(super) fn disturbed(ear: &mut Ear, ours: impl Fn(u32) -> bool) -> io::Result<()> {
    loop {
        let told = match ear.0.hear() {
            Ok(bytes) => messages(&bytes).iter().any(|(head, body)| is_foreign(*head, body, &ours)),
            // More than there was room for: it may have been about us.
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => true,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => false,
            Err(error) => return Err(error),
        };
        if told {
            thread::sleep(SETTLE);
            return ear.0.drain();
        }
    }
}

/// Hears of changes.
#[derive(Debug)]
pub(super) struct Ear(Netlink);

impl Ear {
    pub(super) fn open() -> Result<Self, Refused> {
        let mut netlink = Netlink::netfilter()?;
        netlink.listen(GROUP)?;
        Ok(Self(netlink))
    }
}

fn is_foreign(head: Head, body: &[u8], ours: impl Fn(u32) -> bool) -> bool {
    let is_table = |(kind, value): &(u16, &[u8])| {
        *kind == ATTR_TABLE && value.strip_suffix(b"\0") == Some(TABLE.as_bytes())
    };
    head.kind >> 8 == writer::SUBSYSTEM
        && !ours(head.port)
        && body.first().is_some_and(|family| [FAMILY, origin::FAMILY].contains(family))
        && attributes(body.get(NFGEN_LEN..).unwrap_or_default()).iter().any(is_table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_others_do_to_our_table_is_heard() {
        let about = |family: u8, table: &str| {
            let mut body = vec![family, 0, 0, 1];
            body.extend((table.len() as u16 + 5).to_ne_bytes());
            body.extend(ATTR_TABLE.to_ne_bytes());
            body.extend(table.as_bytes());
            body.extend([0; 4]);
            body
        };
        let head = |kind, port| Head { kind, sequence: 0, port };
        let nftables = writer::SUBSYSTEM << 8 | 2;
        for (head, body, foreign) in [
            (head(nftables, 7), about(FAMILY, TABLE), true),
            (head(nftables, 7), about(origin::FAMILY, TABLE), true),
            (head(nftables, 1), about(FAMILY, TABLE), false),
            (head(nftables, 7), about(2, TABLE), false),
            (head(nftables, 7), about(FAMILY, "filter"), false),
            (head(nftables, 7), about(FAMILY, "berth2"), false),
            (head(1 << 8, 7), about(FAMILY, TABLE), false),
            (head(nftables, 7), Vec::new(), false),
        ] {
            assert_eq!(is_foreign(head, &body, |port| port == 1), foreign, "{head:?} {body:?}");
        }
    }
}
