//! A word, literal or sign of a text.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A keyword or a name without quotes.
    Word,
    /// A name in quotes, with them.
    Quoted,
    /// A text literal, with quotes and prefix. `verbatim` where what stands between the quotes is its value.
    Text {
        /// Whether there is neither prefix nor escape.
        verbatim: bool,
    },
    /// A number.
    Number,
    /// A place for a value: `$1`.
    Param,
    /// One character of punctuation.
    Sign,
    /// The beginning or the end of an executable comment.
    Marker,
}

/// A token in its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    /// What it is.
    pub(crate) kind: Kind,
    /// How it is written.
    pub(crate) text: &'a str,
    /// Whether nothing stands between it and the one before.
    pub(crate) glued: bool,
}

impl<'a> Token<'a> {
    /// Whether it is this keyword, in any case.
    pub(crate) fn is(&self, keyword: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(keyword)
    }

    /// Whether it is one of these keywords.
    pub(crate) fn is_any(&self, keywords: &[&str]) -> bool {
        keywords.iter().any(|keyword| self.is(keyword))
    }

    /// Whether it is this sign.
    pub(crate) fn is_sign(&self, sign: &str) -> bool {
        self.kind == Kind::Sign && self.text == sign
    }

    /// The name that it stands for in lower case, where it is one.
    pub(crate) fn name(&self) -> Option<String> {
        match self.kind {
            Kind::Word => Some(self.text.to_ascii_lowercase()),
            Kind::Quoted => Some(self.inside().to_ascii_lowercase()),
            _ => None,
        }
    }

    /// What stands between the quotes.
    pub(crate) fn inside(&self) -> &'a str {
        self.text.get(1..self.text.len().saturating_sub(1)).unwrap_or_default()
    }

    /// The value of a text literal that needs no decoding.
    pub(crate) fn verbatim(&self) -> Option<&'a str> {
        (self.kind == Kind::Text { verbatim: true }).then(|| self.inside())
    }
}

/// How the open brackets change after a token: one more, one less, or none.
pub(crate) fn deeper(depth: usize, token: &Token<'_>) -> usize {
    match (token.kind, token.text) {
        (Kind::Sign, "(" | "[") => depth + 1,
        (Kind::Sign, ")" | "]") => depth.saturating_sub(1),
        _ => depth,
    }
}

/// The tokens that stand in no bracket, each with its place.
pub(crate) fn outside<'t, 'a>(tokens: &'t [Token<'a>]) -> impl Iterator<Item = (usize, &'t Token<'a>)> {
    let mut depth = 0;
    tokens.iter().enumerate().filter(move |(_, token)| {
        let before = depth;
        depth = deeper(depth, token);
        before == 0 && depth == 0
    })
}
