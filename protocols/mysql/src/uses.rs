//! `USE`: which databases a text changes to. Pure.

/// The names of the databases that the statements of a text change to, unquoted.
pub(crate) fn databases(text: &str) -> Vec<String> {
    // Most texts have no such word at all.
    if !text.as_bytes().windows(3).any(|word| word.eq_ignore_ascii_case(b"use")) {
        return Vec::new();
    }
    statements(text).iter().filter_map(|words| used(words)).collect()
}

fn used(words: &str) -> Option<String> {
    let words = words.trim();
    let (first, rest) = words.split_at_checked(3)?;
    let rest = rest.trim_start_matches(|c: char| c.is_whitespace());
    if !first.eq_ignore_ascii_case("use") || (rest.len() == words.len() - 3 && !rest.starts_with('`')) {
        return None;
    }
    match rest.strip_prefix('`').and_then(|quoted| quoted.strip_suffix('`')) {
        Some(quoted) => Some(quoted.replace("``", "`")),
        None => Some(rest.to_owned()),
    }
}

/// The statements, without comments. What is in an executable comment (`/*! … */`) is code; its marks are not.
fn statements(text: &str) -> Vec<String> {
    let (mut all, mut one) = (Vec::new(), String::new());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let cut = match c {
            '\'' | '"' | '`' => {
                let end = end_of_quote(rest, c);
                one.push_str(rest.get(..end).unwrap_or(rest));
                end
            }
            ';' => {
                all.push(std::mem::take(&mut one));
                1
            }
            '#' => end_of_line(rest),
            '-' if rest.starts_with("--") && rest.chars().nth(2).is_none_or(char::is_whitespace) => end_of_line(rest),
            '/' if rest.starts_with("/*!") || rest.starts_with("/*M!") => {
                one.push(' ');
                let marks = rest.find('!').map_or(1, |at| at + 1);
                let digits = rest.get(marks..).map_or(0, |rest| rest.bytes().take_while(u8::is_ascii_digit).count());
                marks + digits
            }
            '/' if rest.starts_with("/*") => {
                one.push(' ');
                rest.find("*/").map_or(rest.len(), |at| at + 2)
            }
            '*' if rest.starts_with("*/") => {
                one.push(' ');
                2
            }
            other => {
                one.push(other);
                other.len_utf8()
            }
        };
        rest = rest.get(cut..).unwrap_or_default();
    }
    all.push(one);
    all
}

fn end_of_line(text: &str) -> usize {
    text.find('\n').unwrap_or(text.len())
}

fn end_of_quote(text: &str, quote: char) -> usize {
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' if quote != '`' => drop(chars.next()),
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_use_is_found() {
        for text in [
            "use other",
            " USE\n`other` ;",
            "use`other`",
            "select 1; use other; select 2",
            "/* hm */ use /* x */ other",
            "-- hm\nuse other",
            "# hm\nuse other",
            "/*!50000 use other */",
            "select ';'; use other",
            "select '\\'; use no'; use other",
        ] {
            assert_eq!(databases(text), ["other"], "{text}");
        }
        assert_eq!(databases("use `a``b`"), ["a`b"]);
    }

    #[test]
    fn what_is_no_use_is_none() {
        for text in ["select 1", "select 'use other'", "user", "select use_it from t", "-- use other", "used x", ""] {
            assert_eq!(databases(text), [""; 0], "{text}");
        }
    }
}
