//! Finds the line of a key, so that a message can point at it.

/// The line, counted from 1, at which the key with this path stands; the nearest parent's where
/// it does not stand at all, and 1 at worst.
pub(crate) fn line_of(text: &str, path: &[&str]) -> usize {
    let mut line = 1;
    let mut from = 0;
    let mut parent_indent = None;
    for key in path {
        let found = text.lines().enumerate().skip(from).find(|(_, l)| {
            let indent = indent_of(l);
            parent_indent.is_none_or(|parent| indent > parent)
                && names(l, key)
                && (parent_indent.is_some() || indent == 0)
        });
        let Some((n, l)) = found else { return line };
        line = n + 1;
        from = n + 1;
        parent_indent = Some(indent_of(l));
    }
    line
}

fn indent_of(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn names(line: &str, key: &str) -> bool {
    line.trim_start()
        .trim_start_matches("- ")
        .trim_matches(['"', '\''])
        .strip_prefix(key)
        .is_some_and(|rest| rest.trim_start_matches(['"', '\'']).trim_start().starts_with(':'))
}

#[cfg(test)]
mod tests {
    use super::line_of;

    #[test]
    fn keys_are_found_under_their_parents() {
        let text = "# a: no\nlisten: x\ntls:\n  key: k\nwebauthn:\n  origins: []\n  key: z\n";
        assert_eq!(line_of(text, &["listen"]), 2);
        assert_eq!(line_of(text, &["tls", "key"]), 4);
        assert_eq!(line_of(text, &["webauthn", "key"]), 7);
        assert_eq!(line_of(text, &["webauthn", "none"]), 5);
        assert_eq!(line_of(text, &["none"]), 1);
    }
}
