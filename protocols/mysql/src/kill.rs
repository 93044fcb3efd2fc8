//! `KILL`: the one statement whose number the gate must translate.

/// A `KILL` that is nothing but that.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Kill<'a> {
    /// The text up to the number.
    before: &'a str,
    /// The number.
    pub(crate) thread: u64,
}

impl<'a> Kill<'a> {
    /// Reads `KILL [HARD|SOFT] [CONNECTION|QUERY] number`.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim().trim_end_matches(';').trim_end();
        let before = text.trim_end_matches(|c: char| c.is_ascii_digit());
        let thread = text.get(before.len()..)?.parse().ok()?;
        let mut words = before.split_ascii_whitespace();
        let is_kill = words.next()?.eq_ignore_ascii_case("kill") && before.ends_with(|c: char| c.is_ascii_whitespace());
        let known = ["hard", "soft", "connection", "query"];
        let rest = words.all(|word| known.iter().any(|known| word.eq_ignore_ascii_case(known)));
        (is_kill && rest).then_some(Self { before, thread })
    }

    /// The same for another thread.
    pub(crate) fn text_for(&self, thread: u32) -> String {
        format!("{}{thread}", self.before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kills_are_read_and_nothing_else_is() {
        for (text, mapped) in [
            ("KILL 7", "KILL 9"),
            (" kill  query 7 ; ", "kill  query 9"),
            ("KILL HARD CONNECTION 7", "KILL HARD CONNECTION 9"),
            ("KILL QUERY\n7", "KILL QUERY\n9"),
        ] {
            let kill = Kill::parse(text).unwrap();
            assert_eq!((kill.thread, kill.text_for(9).as_str()), (7, mapped));
        }
        for other in
            ["KILL", "KILL7", "KILL x7", "SELECT 7", "KILL USER 'a'; KILL 7", "KILL QUERY ID 7", "KILL (7)", "7", ""]
        {
            assert_eq!(Kill::parse(other), None, "{other}");
        }
    }
}
