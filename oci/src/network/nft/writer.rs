//! A batch of nfnetlink messages as the kernel reads them, taken whole or not at all; lengths are filled in behind. Says
//! nothing about what is in them. Pure.
//!
//! The form: Documentation/netlink/specs/nftables.yaml; numbers are those of `linux/netfilter/nfnetlink.h`. Numbers in
//! attributes are big-endian.

use netlink_packet_core::{NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_REQUEST};

/// `NFNL_SUBSYS_NFTABLES`.
pub(super) const SUBSYSTEM: u16 = 10;
/// The number of a batch's first message.
pub(super) const FIRST: u32 = 1;

pub(super) const BATCH_BEGIN: u16 = 0x10;
pub(super) const BATCH_END: u16 = 0x11;
pub(super) const NEW_TABLE: u16 = SUBSYSTEM << 8;
pub(super) const DEL_TABLE: u16 = SUBSYSTEM << 8 | 2;
pub(super) const NEW_CHAIN: u16 = SUBSYSTEM << 8 | 3;
pub(super) const NEW_RULE: u16 = SUBSYSTEM << 8 | 6;
pub(super) const DEL_RULE: u16 = SUBSYSTEM << 8 | 8;
pub(super) const NEW_SET: u16 = SUBSYSTEM << 8 | 9;
pub(super) const NEW_ELEMENTS: u16 = SUBSYSTEM << 8 | 12;
pub(super) const DEL_ELEMENTS: u16 = SUBSYSTEM << 8 | 14;

const NESTED: u16 = 0x8000;
/// The length of an attribute's head.
const ATTRIBUTE_LEN: usize = 4;

/// Messages to be sent at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) bytes: Vec<u8>,
    /// The number of the message that is answered in any case.
    pub(super) last: u32,
}

/// Appends messages and attributes.
pub(super) struct Writer {
    pub(super) bytes: Vec<u8>,
    sequence: u32,
    /// Of the tables that are spoken of.
    family: u8,
    /// Where the last message began.
    last_at: usize,
}

impl Writer {
    pub(super) const fn new(family: u8) -> Self {
        Self { bytes: Vec::new(), sequence: FIRST - 1, family, last_at: 0 }
    }

    /// A batch that begins with the table being there; `anew`: and being empty. What is in it is the caller's.
    pub(super) fn batch(family: u8, table: &str, anew: bool, content: impl FnOnce(&mut Self)) -> Batch {
        let mut writer = Self::new(family);
        writer.bound(BATCH_BEGIN);
        // There must be one for it to be removed.
        writer.create(NEW_TABLE, |writer| writer.text(1, table));
        if anew {
            writer.message(DEL_TABLE, 0, |writer| writer.text(1, table));
            writer.create(NEW_TABLE, |writer| writer.text(1, table));
        }
        content(&mut writer);
        // `nlmsg_flags` of `struct nlmsghdr`.
        if let Some(flags) = writer.bytes.get_mut(writer.last_at + 6..writer.last_at + 8) {
            let set = u16::from_ne_bytes([flags[0], flags[1]]) | NLM_F_ACK;
            flags.copy_from_slice(&set.to_ne_bytes());
        }
        let last = writer.sequence;
        writer.bound(BATCH_END);
        Batch { bytes: writer.bytes, last }
    }

    /// A batch by which all tables of all families go.
    #[cfg(test)]
    pub(super) fn flush() -> Batch {
        let mut writer = Self::new(0);
        writer.bound(BATCH_BEGIN);
        writer.message(DEL_TABLE, NLM_F_ACK, |_| {});
        let last = writer.sequence;
        writer.bound(BATCH_END);
        Batch { bytes: writer.bytes, last }
    }

    /// Something that may be there already.
    pub(super) fn create(&mut self, kind: u16, body: impl FnOnce(&mut Self)) {
        self.message(kind, NLM_F_CREATE, body);
    }

    /// Something behind what is there.
    pub(super) fn append(&mut self, kind: u16, body: impl FnOnce(&mut Self)) {
        self.message(kind, NLM_F_CREATE | NLM_F_APPEND, body);
    }

    /// Any other message.
    pub(super) fn message(&mut self, kind: u16, flags: u16, body: impl FnOnce(&mut Self)) {
        self.head(kind, flags, self.family, 0, body);
    }

    /// Begin or end of the batch.
    fn bound(&mut self, kind: u16) {
        self.head(kind, 0, 0, SUBSYSTEM, |_| {});
    }

    fn head(&mut self, kind: u16, flags: u16, family: u8, resource: u16, body: impl FnOnce(&mut Self)) {
        self.sequence += 1;
        let at = self.bytes.len();
        self.last_at = at;
        self.bytes.extend([0; 4]);
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend((NLM_F_REQUEST | flags).to_ne_bytes());
        self.bytes.extend(self.sequence.to_ne_bytes());
        self.bytes.extend([0; 4]);
        self.bytes.extend([family, 0]);
        self.bytes.extend(resource.to_be_bytes());
        body(self);
        let len = (self.bytes.len() - at) as u32;
        self.bytes[at..at + 4].copy_from_slice(&len.to_ne_bytes());
    }

    pub(super) fn attribute(&mut self, kind: u16, body: impl FnOnce(&mut Self)) {
        let at = self.bytes.len();
        self.bytes.extend([0; 2]);
        self.bytes.extend(kind.to_ne_bytes());
        body(self);
        // Bounded: the longest are a rule's, some hundred bytes, and a part of a set's elements.
        let len = (self.bytes.len() - at) as u16;
        self.bytes[at..at + 2].copy_from_slice(&len.to_ne_bytes());
        self.bytes.resize(self.bytes.len().next_multiple_of(ATTRIBUTE_LEN), 0);
    }

    pub(super) fn nest(&mut self, kind: u16, body: impl FnOnce(&mut Self)) {
        self.attribute(NESTED | kind, body);
    }

    pub(super) fn text(&mut self, kind: u16, text: &str) {
        self.attribute(kind, |writer| {
            writer.bytes.extend(text.as_bytes());
            writer.bytes.push(0);
        });
    }

    pub(super) fn number(&mut self, kind: u16, number: u32) {
        self.attribute(kind, |writer| writer.bytes.extend(number.to_be_bytes()));
    }

    /// Numbers in the attributes 1, 2, …
    pub(super) fn numbers(&mut self, numbers: &[u32]) {
        for (kind, number) in (1..).zip(numbers) {
            self.number(kind, *number);
        }
    }

    /// `NFTA_DATA_VALUE` in an attribute.
    pub(super) fn value(&mut self, kind: u16, value: &[u8]) {
        self.nest(kind, |writer| writer.attribute(1, |writer| writer.bytes.extend(value)));
    }

    /// One expression of a rule, by the kernel's name for it.
    pub(super) fn kernel(&mut self, name: &str, data: impl FnOnce(&mut Self)) {
        self.nest(1, |writer| {
            writer.text(1, name);
            writer.nest(2, data);
        });
    }
}
