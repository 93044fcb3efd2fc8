//! The line of a value: walks the text again to where a problem is, which only problems pay for.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// One step down into a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// To the field of this name.
    Field(String),
    /// To the field of this number: for a name that stands twice.
    Entry(usize),
    /// To the item of this number.
    Item(usize),
}

/// The line of the document, counted from 1, at which the value's own field name or item stands.
pub(crate) fn line(text: &str, path: &[Step]) -> usize {
    let walk = Walk(path).deserialize(serde_norway::Deserializer::from_str(text));
    walk.err().and_then(|stop| stop.location()).map_or(1, |location| location.line())
}

/// Deserializes along the path and fails on arrival: an error is the one thing that has a line.
#[derive(Clone, Copy)]
struct Walk<'p>(&'p [Step]);

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the place of a problem")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Some((Step::Item(wanted), rest)) = self.0.split_first() else { return Err(arrived()) };
        for _ in 0..*wanted {
            items.next_element::<IgnoredAny>()?;
        }
        items.next_element_seed(Walk(rest))?;
        Err(arrived())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let Some((step, rest)) = self.0.split_first() else { return Err(arrived()) };
        let mut number = 0;
        while let Some(found) = entries.next_key_seed(At { step, number, last: rest.is_empty() })? {
            if found {
                entries.next_value_seed(Walk(rest))?;
                return Err(arrived());
            }
            entries.next_value::<IgnoredAny>()?;
            number += 1;
        }
        Err(arrived())
    }
}

fn arrived<E: Error>() -> E {
    E::custom("here")
}

/// A field's name: fails on arrival at the last one, and says whether it is one on the way.
struct At<'p> {
    step: &'p Step,
    number: usize,
    last: bool,
}

impl<'de> DeserializeSeed<'de> for At<'_> {
    type Value = bool;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for At<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<bool, E> {
        let found = match self.step {
            Step::Field(wanted) => wanted == name,
            Step::Entry(wanted) => *wanted == self.number,
            Step::Item(_) => false,
        };
        if found && self.last { Err(arrived()) } else { Ok(found) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_has_its_line() {
        let text = "# first\na: 1\nb:\n  - x\n  - c: 2\n    d:\n      e: 3\na: 4\n";
        let field = |name: &str| Step::Field(name.to_owned());
        assert_eq!(line(text, &[]), 2);
        assert_eq!(line(text, &[field("b")]), 3);
        assert_eq!(line(text, &[field("b"), Step::Item(0)]), 4);
        assert_eq!(line(text, &[field("b"), Step::Item(1), field("d")]), 6);
        assert_eq!(line(text, &[field("b"), Step::Item(1), field("d"), field("e")]), 7);
        assert_eq!(line(text, &[Step::Entry(2)]), 8);
    }
}
