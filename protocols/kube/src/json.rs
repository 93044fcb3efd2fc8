//! Where values begin and end in JSON, so that what passes is passed on byte for byte.

use std::ops::Range;

/// Follows an object or an array to its end.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Scanner {
    /// Takes the next byte; answers whether the value ends with it.
    pub(crate) const fn ends_with(&mut self, byte: u8) -> bool {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                return self.depth == 0;
            }
            _ => {}
        }
        false
    }
}

/// The array of one of these names at the top of an object, and its elements.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Elements {
    /// Which of the names it is.
    pub(crate) name: String,
    /// Between the brackets.
    pub(crate) inside: Range<usize>,
    pub(crate) each: Vec<Range<usize>>,
}

/// Finds the array. `None` where there is none, or several, or the text is no JSON as far as it was looked at.
pub(crate) fn elements(text: &[u8], names: &[&str]) -> Option<Elements> {
    let mut at = Place { text, at: 0 };
    let mut found = None;
    at.demand(b'{')?;
    while at.next()? != b'}' {
        let key = at.value()?;
        at.demand(b':')?;
        let begins = at.next()?;
        let value = at.value()?;
        let key = std::str::from_utf8(text.get(key)?).ok()?.trim_matches('"');
        if names.contains(&key) {
            // An empty list may be written as nothing at all.
            let each = if begins == b'[' { inner(text, &value)? } else { Vec::new() };
            let inside = if begins == b'[' { value.start + 1..value.end - 1 } else { value.end..value.end };
            if found.replace(Elements { name: key.to_owned(), inside, each }).is_some() {
                return None;
            }
        }
        if at.next()? == b',' {
            at.at += 1;
        }
    }
    found
}

fn inner(text: &[u8], array: &Range<usize>) -> Option<Vec<Range<usize>>> {
    // Brackets that do not match end it elsewhere for whoever counts them than for whoever reads it.
    let mut at = Place { text: text.get(..array.end)?, at: array.start + 1 };
    let mut each = Vec::new();
    while at.next()? != b']' {
        each.push(at.value()?);
        if at.next()? == b',' {
            at.at += 1;
        }
    }
    (at.at + 1 == array.end).then_some(each)
}

/// A place in a text.
struct Place<'a> {
    text: &'a [u8],
    at: usize,
}

impl Place<'_> {
    /// The next byte that is no space; it is not taken.
    fn next(&mut self) -> Option<u8> {
        let rest = self.text.get(self.at..)?;
        let skipped = rest.iter().position(|byte| !byte.is_ascii_whitespace())?;
        self.at += skipped;
        rest.get(skipped).copied()
    }

    fn demand(&mut self, byte: u8) -> Option<()> {
        let found = self.next()? == byte;
        self.at += 1;
        found.then_some(())
    }

    /// Takes one value.
    fn value(&mut self) -> Option<Range<usize>> {
        let first = self.next()?;
        let start = self.at;
        let rest = self.text.get(start..)?;
        let length = match first {
            b'{' | b'[' => {
                let mut scanner = Scanner::default();
                rest.iter().position(|byte| scanner.ends_with(*byte))? + 1
            }
            b'"' => {
                let mut scanner = Scanner::default();
                rest.iter().position(|byte| {
                    scanner.ends_with(*byte);
                    !scanner.in_string
                })? + 1
            }
            b',' | b':' | b'}' | b']' => return None,
            _ => rest.iter().position(|byte| byte.is_ascii_whitespace() || b",:]}".contains(byte))?,
        };
        self.at = start + length;
        Some(start..self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Option<Vec<&str>> {
        let found = elements(text.as_bytes(), &["items"])?;
        Some(found.each.into_iter().map(|range| &text[range]).collect())
    }

    #[test]
    fn the_elements_of_an_array() {
        assert_eq!(found("{\"items\":[]}"), Some(vec![]));
        assert_eq!(found("{\"items\":null}"), Some(vec![]));
        assert_eq!(
            found(" {\"a\": \"items\", \"items\" : [ 1 ,{\"b\":[\"]\\\"\"]}, \"x\" ] , \"c\":{}}\n"),
            Some(vec!["1", "{\"b\":[\"]\\\"\"]}", "\"x\""])
        );
    }

    #[test]
    fn what_is_no_such_object() {
        for bad in [
            "",
            "[]",
            "{}",
            "{\"items\"",
            "{\"items\":[1",
            "{\"items\":[{\"a\":1]],2]}",
            "{\"items\":[[1}],2]}",
            "{\"items\":[1],\"items\":[2]}",
            "{\"a\":{\"items\":[]}}",
        ] {
            assert_eq!(found(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_end_of_a_value() {
        let mut scanner = Scanner::default();
        let text = b"{\"a\":\"}\\\"\",\"b\":[{}]} ";
        assert_eq!(text.iter().position(|byte| scanner.ends_with(*byte)), Some(text.len() - 2));
    }
}
