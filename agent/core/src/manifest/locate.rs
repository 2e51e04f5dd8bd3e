//! Finds the line and column of a path. The YAML crate's values carry no places, but its errors do: so
//! the document is read once more by a seed that walks down the path and fails on purpose when it
//! arrives. Never runs while nothing is wrong.

use super::{
    finding::At,
    path::{Path, Segment},
};
use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::{cell::Cell, fmt};

/// A place in a document: line and column from 1, and the byte offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) offset: usize,
}

/// The place of exactly this path in the document `text`; none if it is not there (an absent field, a merged
/// one).
pub(super) fn exact(text: &str, path: &Path, at: At) -> Option<Place> {
    let arrived = Cell::new(false);
    let seed = Walk { path: &path.0, at, arrived: &arrived };
    let error = seed.deserialize(serde_yaml::Deserializer::from_str(text)).err()?;
    let location = error.location().filter(|_| arrived.get())?;
    Some(Place { line: location.line(), column: location.column(), offset: location.index() })
}

/// One step of the way: reads the value here, or goes on into it.
#[derive(Clone, Copy)]
struct Walk<'a> {
    path: &'a [Segment],
    at: At,
    arrived: &'a Cell<bool>,
}

impl Walk<'_> {
    /// The error that carries the place.
    fn stop<E: de::Error>(self) -> E {
        self.arrived.set(true);
        E::custom("")
    }

    fn scalar<E: de::Error>(self) -> Result<(), E> {
        if self.path.is_empty() { Err(self.stop()) } else { Ok(()) }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();
    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.scalar()
    }
    fn visit_none<E: de::Error>(self) -> Result<(), E> {
        self.scalar()
    }
    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        self.scalar()
    }
    fn visit_i64<E: de::Error>(self, _: i64) -> Result<(), E> {
        self.scalar()
    }
    fn visit_u64<E: de::Error>(self, _: u64) -> Result<(), E> {
        self.scalar()
    }
    fn visit_i128<E: de::Error>(self, _: i128) -> Result<(), E> {
        self.scalar()
    }
    fn visit_u128<E: de::Error>(self, _: u128) -> Result<(), E> {
        self.scalar()
    }
    fn visit_f64<E: de::Error>(self, _: f64) -> Result<(), E> {
        self.scalar()
    }
    fn visit_str<E: de::Error>(self, _: &str) -> Result<(), E> {
        self.scalar()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let (first, rest) = match self.path.split_first() {
            None => return Err(self.stop()),
            Some((Segment::Index(index), rest)) => (*index, rest),
            Some(_) => (usize::MAX, self.path),
        };
        for _ in 0..first {
            if list.next_element::<IgnoredAny>()?.is_none() {
                return Ok(());
            }
        }
        list.next_element_seed(Walk { path: rest, ..self })?;
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (name, rest) = match self.path.split_first() {
            None => return Err(self.stop()),
            Some((Segment::Field(name) | Segment::Entry(name), rest)) => (name.as_str(), rest),
            Some(_) => return Ok(()),
        };
        let mut skip = match self.at {
            At::Repeated(n) if rest.is_empty() => n,
            _ => 0,
        };
        loop {
            let stop = rest.is_empty() && self.at != At::Value && skip == 0;
            match map.next_key_seed(Key { name, stop, walk: self })? {
                None => return Ok(()),
                Some(true) if skip == 0 => return map.next_value_seed(Walk { path: rest, ..self }),
                Some(found) => skip -= usize::from(found),
            }
            map.next_value::<IgnoredAny>()?;
        }
    }
}

/// Reads a key and tells whether it is `name`; fails on it when the key itself is wanted.
struct Key<'a> {
    name: &'a str,
    stop: bool,
    walk: Walk<'a>,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = bool;
    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = bool;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }
    fn visit_str<E: de::Error>(self, key: &str) -> Result<bool, E> {
        if key != self.name {
            Ok(false)
        } else if self.stop {
            Err(self.walk.stop())
        } else {
            Ok(true)
        }
    }
}
