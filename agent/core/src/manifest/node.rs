//! A YAML document as a bounded tree. It keeps repeated keys, so that they can be refused, and never
//! grows over its bounds, however aliases multiply it. Tags and exotic keys are refused; merge keys
//! (`<<`) are resolved afterwards.

use super::limits::{DEPTH_MAX, KEY_LEN_MAX_BYTES, NODES_PER_DOCUMENT_MAX, TEXT_PER_DOCUMENT_MAX_BYTES};
use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use std::{cell::RefCell, fmt};

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    /// In the order of the file; keys may repeat until `check` has looked.
    Map(Vec<(String, Node)>),
}

impl Node {
    /// The value of `key` in a mapping.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let Self::Map(entries) = self else { return None };
        entries.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        let Self::Text(text) = self else { return None };
        Some(text)
    }

    /// What it is, for messages.
    pub(super) const fn what(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Int(_) | Self::Float(_) => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

/// What a document has used of its bounds, and why it was refused.
#[derive(Debug, Default)]
pub(super) struct Budget {
    used: RefCell<Used>,
}

#[derive(Debug, Default)]
struct Used {
    nodes: usize,
    text_bytes: usize,
    refusal: Option<String>,
}

impl Budget {
    /// Our own reason, when the error that came back is ours.
    pub(super) fn take_refusal(&self) -> Option<String> {
        self.used.borrow_mut().refusal.take()
    }

    fn refuse<E: de::Error>(&self, why: String) -> E {
        self.used.borrow_mut().refusal = Some(why);
        E::custom("refused")
    }

    fn spend<E: de::Error>(&self, nodes: usize, text_bytes: usize) -> Result<(), E> {
        let mut used = self.used.borrow_mut();
        used.nodes += nodes;
        used.text_bytes += text_bytes;
        let (nodes, text_bytes) = (used.nodes, used.text_bytes);
        drop(used);
        if nodes > NODES_PER_DOCUMENT_MAX {
            return Err(self.refuse(format!(
                "the document has more than {NODES_PER_DOCUMENT_MAX} values (aliases expanded): split it, or use fewer aliases"
            )));
        }
        if text_bytes > TEXT_PER_DOCUMENT_MAX_BYTES {
            return Err(self.refuse(format!(
                "the document has more than {TEXT_PER_DOCUMENT_MAX_BYTES} bytes of text (aliases expanded): split it, or use fewer aliases"
            )));
        }
        Ok(())
    }
}

/// Reads one value at nesting depth `depth`.
#[derive(Clone, Copy)]
pub(super) struct NodeSeed<'a> {
    pub(super) budget: &'a Budget,
    pub(super) depth: usize,
}

impl NodeSeed<'_> {
    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        if self.depth >= DEPTH_MAX {
            return Err(self.budget.refuse(format!("nested deeper than {DEPTH_MAX} levels")));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }

    fn leaf<E: de::Error>(self, node: Node, text_bytes: usize) -> Result<Node, E> {
        self.budget.spend(1, text_bytes).map(|()| node)
    }
}

impl<'de> DeserializeSeed<'de> for NodeSeed<'_> {
    type Value = Node;
    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for NodeSeed<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_unit<E: de::Error>(self) -> Result<Node, E> {
        self.leaf(Node::Null, 0)
    }
    fn visit_none<E: de::Error>(self) -> Result<Node, E> {
        self.leaf(Node::Null, 0)
    }
    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Node, E> {
        self.leaf(Node::Bool(value), 0)
    }
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Node, E> {
        self.leaf(Node::Int(value.into()), 0)
    }
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Node, E> {
        self.leaf(Node::Int(value.into()), 0)
    }
    fn visit_i128<E: de::Error>(self, value: i128) -> Result<Node, E> {
        self.leaf(Node::Int(value), 0)
    }
    fn visit_u128<E: de::Error>(self, value: u128) -> Result<Node, E> {
        // No field takes such a number; that it is far too large is all that matters.
        self.leaf(Node::Int(i128::try_from(value).unwrap_or(i128::MAX)), 0)
    }
    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Node, E> {
        self.leaf(Node::Float(value), 0)
    }
    fn visit_str<E: de::Error>(self, value: &str) -> Result<Node, E> {
        self.leaf(Node::Text(value.to_owned()), value.len())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        self.budget.spend(1, 0)?;
        let seed = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(seed)? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        self.budget.spend(1, 0)?;
        let seed = self.deeper()?;
        let mut entries = Vec::new();
        while let Some(key) = map.next_key_seed(KeySeed(self.budget))? {
            entries.push((key, map.next_value_seed(seed)?));
        }
        Ok(Node::Map(entries))
    }

    fn visit_enum<A: de::EnumAccess<'de>>(self, _: A) -> Result<Node, A::Error> {
        Err(self.budget.refuse("YAML tags (`!name`) are not allowed in a manifest: remove it".to_owned()))
    }
}

/// Reads a key: a scalar, taken as its text whatever it looks like.
struct KeySeed<'a>(&'a Budget);

impl<'de> DeserializeSeed<'de> for KeySeed<'_> {
    type Value = String;
    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed<'_> {
    type Value = String;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string as key")
    }
    fn visit_str<E: de::Error>(self, key: &str) -> Result<String, E> {
        if key.len() > KEY_LEN_MAX_BYTES {
            return Err(self.0.refuse(format!("a key is longer than {KEY_LEN_MAX_BYTES} bytes")));
        }
        self.0.spend(0, key.len())?;
        Ok(key.to_owned())
    }
}

/// Resolves merge keys: entries of `<<` mappings stand in for those that the mapping lacks, as Kubernetes'
/// YAML reader has it.
pub(super) fn resolve_merges(node: &mut Node) {
    match node {
        Node::List(items) => items.iter_mut().for_each(resolve_merges),
        Node::Map(entries) => {
            entries.iter_mut().for_each(|(_, value)| resolve_merges(value));
            let Some(at) = entries.iter().position(|(key, value)| key == "<<" && mergeable(value)) else {
                return;
            };
            let (_, merged) = entries.remove(at);
            let mut known: std::collections::BTreeSet<String> =
                entries.iter().map(|(key, _)| key.clone()).collect();
            let maps = if let Node::List(maps) = merged { maps } else { vec![merged] };
            for map in maps {
                let Node::Map(inherited) = map else { continue };
                for (key, value) in inherited {
                    if known.insert(key.clone()) {
                        entries.push((key, value));
                    }
                }
            }
        }
        _ => {}
    }
}

/// A mapping, or a list of mappings.
fn mergeable(value: &Node) -> bool {
    match value {
        Node::Map(_) => true,
        Node::List(items) => items.iter().all(|item| matches!(item, Node::Map(_))),
        _ => false,
    }
}
