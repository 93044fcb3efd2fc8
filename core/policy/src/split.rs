//! A text cut into its documents, each with the line at which it starts.

/// One document's own text.
pub(crate) struct Piece<'t> {
    /// The line of the whole text at which this piece starts, counted from 1.
    pub(crate) line: usize,
    /// The text between two markers.
    pub(crate) text: &'t str,
}

/// Cuts at each line that is a document marker. YAML allows no such line inside a document, not even
/// in a quoted or block text, so that looking at line starts is exact.
pub(crate) fn split(text: &str) -> Result<Vec<Piece<'_>>, usize> {
    let (mut pieces, mut start, mut first_line, mut at) = (Vec::new(), 0, 1, 0);
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let end = at + line.len();
        if let Some(rest) = marker(line) {
            if !rest.trim().is_empty() && !rest.trim_start().starts_with('#') {
                return Err(number + 1);
            }
            push(&mut pieces, first_line, text.get(start..at));
            (start, first_line) = (end, number + 2);
        }
        at = end;
    }
    push(&mut pieces, first_line, text.get(start..));
    Ok(pieces)
}

/// What follows a marker on its line.
fn marker(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("---").or_else(|| line.strip_prefix("..."))?;
    (rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n'])).then_some(rest)
}

fn push<'t>(pieces: &mut Vec<Piece<'t>>, line: usize, text: Option<&'t str>) {
    let blank = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
    if let Some(text) = text.filter(|text| !text.lines().all(blank)) {
        pieces.push(Piece { line, text });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_and_their_lines() {
        let cut = |text: &str| split(text).map(|p| p.iter().map(|p| (p.line, p.text.to_owned())).collect::<Vec<_>>());
        let pair = |line, text: &str| (line, text.to_owned());
        assert_eq!(cut(""), Ok(vec![]));
        assert_eq!(cut("# only\n---\n\n"), Ok(vec![]));
        assert_eq!(cut("a: 1\n---\nb: 2\n...\n"), Ok(vec![pair(1, "a: 1\n"), pair(3, "b: 2\n")]));
        assert_eq!(cut("--- # x\r\na: '---'\n----: 3\n"), Ok(vec![pair(2, "a: '---'\n----: 3\n")]));
        assert_eq!(cut("a: 1\n--- b: 2\n"), Err(2));
    }
}
