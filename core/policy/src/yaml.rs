//! A YAML document as a tree that keeps the order of its fields and sees each repeated one.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Visitor};

use crate::limits::{DEPTH_MAX, VALUES_MAX};

/// One value. Numbers are kept as text: no field of a resource is computed with as it stands.
#[derive(Debug)]
pub(crate) enum Yaml {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

/// Why a text is no tree, and at which of its lines, counted from 1.
pub(crate) struct Malformed {
    pub(crate) line: usize,
    pub(crate) what: String,
}

/// Reads one document's text.
pub(crate) fn read(text: &str) -> Result<Yaml, Malformed> {
    let values = Cell::new(0);
    Tree { depth: 0, values: &values }
        .deserialize(serde_norway::Deserializer::from_str(text))
        .map_err(|error| malformed(&error))
}

fn malformed(error: &serde_norway::Error) -> Malformed {
    let line = error.location().map_or(1, |location| location.line());
    let whole = error.to_string();
    // The library's own positions count from the start of the document, not of the file.
    let said = whole.split(" at line ").next().unwrap_or_default();
    // This crate's own messages say what to do, behind the library's path to the value.
    let own = said.contains('(');
    let said = if own { said.rsplit(": ").next().unwrap_or(said) } else { said };
    let hint = if own {
        ""
    } else if whole.contains("alias") || said.contains("anchor") {
        " (put a value that starts with `*` or `&` in quotes)"
    } else if said.contains("cannot start any token") {
        " (indent with spaces, and put a value that starts with `@`, `%` or a backtick in quotes)"
    } else if said.contains("recursion limit") || said.contains("repetition limit") {
        " (write it with fewer levels and aliases)"
    } else {
        " (check the indentation and the quotes)"
    };
    Malformed { line, what: format!("this is not valid YAML: {said}{hint}") }
}

#[derive(Clone, Copy)]
struct Tree<'c> {
    depth: usize,
    values: &'c Cell<usize>,
}

impl Tree<'_> {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth < DEPTH_MAX {
            Ok(Self { depth: self.depth + 1, ..self })
        } else {
            Err(E::custom("lists and maps nest too deeply (no resource needs so many levels)"))
        }
    }
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Yaml;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Yaml, D::Error> {
        self.values.set(self.values.get() + 1);
        if self.values.get() > VALUES_MAX {
            return Err(Error::custom("the document holds too many values (split it)"));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Yaml;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Yaml, E> {
        Ok(Yaml::Null)
    }

    fn visit_none<E>(self) -> Result<Yaml, E> {
        Ok(Yaml::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Yaml, E> {
        Ok(Yaml::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Yaml, E> {
        Ok(Yaml::Number(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Yaml, E> {
        Ok(Yaml::Number(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Yaml, E> {
        Ok(Yaml::Number(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Yaml, E> {
        Ok(Yaml::Number(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Yaml, E> {
        Ok(Yaml::Number(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Yaml, E> {
        Ok(Yaml::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Yaml, A::Error> {
        let deeper = self.deeper()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(deeper)? {
            list.push(item);
        }
        Ok(Yaml::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Yaml, A::Error> {
        let deeper = self.deeper()?;
        let mut map = Vec::new();
        while let Some(key) = entries.next_key_seed(Key)? {
            map.push((key, entries.next_value_seed(deeper)?));
        }
        Ok(Yaml::Map(map))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _data: A) -> Result<Yaml, A::Error> {
        Err(Error::custom("YAML tags are not supported (remove the word that starts with `!`)"))
    }
}

struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = String;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Key {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name as text (put it in quotes)")
    }

    fn visit_str<E>(self, value: &str) -> Result<String, E> {
        Ok(value.to_owned())
    }
}
