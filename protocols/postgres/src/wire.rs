//! The frames of the protocol: their heads, their fields, and the few that the gate makes itself.
//!
//! A frame is a byte that says what it is, four bytes of length which count themselves, and the rest (PostgreSQL's
//! documentation, "Message Formats").

use crate::limits::{FRAME_MAX, MESSAGE_MAX};

/// A peer that does not speak the protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Broken {
    /// A length that no frame has.
    #[error("a frame of an impossible length ({0})")]
    Length(u32),
    /// More unanswered messages than anybody sends.
    #[error("too many messages without reading an answer")]
    Flood,
}

/// The head of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) kind: u8,
    /// The whole frame's size, in bytes.
    pub(crate) size: usize,
}

/// How long a head is.
pub(crate) const HEAD: usize = 5;

impl Head {
    /// Reads a head; `None` where it is not whole yet.
    pub(crate) fn read(bytes: &[u8]) -> Result<Option<Self>, Broken> {
        let Some((&[kind, a, b, c, d], _)) = bytes.split_first_chunk::<HEAD>() else { return Ok(None) };
        let length = u32::from_be_bytes([a, b, c, d]);
        let body = usize::try_from(length).ok().filter(|length| (4..FRAME_MAX).contains(length));
        body.map(|body| Some(Self { kind, size: body + 1 })).ok_or(Broken::Length(length))
    }
}

/// A frame, whole or its beginning.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: u8,
    /// What follows the head, as far as it is there.
    pub(crate) body: &'a [u8],
    /// Whether that is all of it.
    pub(crate) whole: bool,
}

/// Splits a text that ends with a zero byte from what follows. Where a frame is cut before the zero, all of it is
/// the text.
pub(crate) fn text(bytes: &[u8]) -> (&[u8], &[u8]) {
    match bytes.iter().position(|byte| *byte == 0) {
        Some(end) => (bytes.get(..end).unwrap_or_default(), bytes.get(end + 1..).unwrap_or_default()),
        None => (bytes, &[]),
    }
}

/// A frame of this kind.
pub(crate) fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    [&[kind], &length.to_be_bytes()[..], body].concat()
}

/// A field of an `ErrorResponse` or `NoticeResponse`.
pub(crate) fn field(body: &[u8], code: u8) -> Option<&[u8]> {
    let mut rest = body;
    while let Some((&found, after)) = rest.split_first() {
        if found == 0 {
            return None;
        }
        let (value, next) = text(after);
        if found == code {
            return Some(value);
        }
        rest = next;
    }
    None
}

/// How grave an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    /// The statement is over.
    Error,
    /// The connection is over.
    Fatal,
    /// Nothing is over.
    Notice,
}

/// What an error or a notice says.
pub(crate) struct Told<'a> {
    pub(crate) message: &'a str,
    pub(crate) detail: Option<&'a str>,
    /// What to do about it.
    pub(crate) hint: Option<&'a str>,
}

/// An `ErrorResponse`, with an SQLSTATE.
pub(crate) fn error(severity: Severity, code: &str, message: &str) -> Vec<u8> {
    said(severity, code, &Told { message, detail: None, hint: None })
}

/// The same with a detail and a hint, or a `NoticeResponse`.
pub(crate) fn said(severity: Severity, code: &str, told: &Told<'_>) -> Vec<u8> {
    let (kind, word) = match severity {
        Severity::Error => (b'E', "ERROR"),
        Severity::Fatal => (b'E', "FATAL"),
        Severity::Notice => (b'N', "NOTICE"),
    };
    let fields = [
        (b'S', Some(word)),
        (b'V', Some(word)),
        (b'C', Some(code)),
        (b'M', Some(told.message)),
        (b'D', told.detail),
        (b'H', told.hint),
    ];
    let mut body = Vec::with_capacity(told.message.len() + 32);
    for (letter, value) in fields {
        let Some(value) = value else { continue };
        let value = value.get(..value.floor_char_boundary(MESSAGE_MAX)).unwrap_or_default();
        body.push(letter);
        body.extend(value.bytes().filter(|byte| *byte != 0));
        body.push(0);
    }
    body.push(0);
    frame(kind, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads() {
        assert_eq!(Head::read(b"Q\0\0\0"), Ok(None));
        assert_eq!(Head::read(b"Q\0\0\0\x04"), Ok(Some(Head { kind: b'Q', size: 5 })));
        assert_eq!(Head::read(b"S\0\0\x01\0rest"), Ok(Some(Head { kind: b'S', size: 257 })));
        for impossible in [0, 3, 0x4000_0000, 0x7fff_ffff, u32::MAX] {
            let head = [&b"Q"[..], &u32::to_be_bytes(impossible)].concat();
            assert_eq!(Head::read(&head), Err(Broken::Length(impossible)));
        }
    }

    #[test]
    fn an_error_reads_back() {
        let made = error(Severity::Fatal, "28000", "no\0 way");
        assert_eq!(Head::read(&made), Ok(Some(Head { kind: b'E', size: made.len() })));
        let body = &made[HEAD..];
        assert_eq!(field(body, b'C'), Some(&b"28000"[..]));
        assert_eq!(field(body, b'M'), Some(&b"no way"[..]));
        assert_eq!(field(body, b'V'), Some(&b"FATAL"[..]));
        assert_eq!(field(body, b'D'), None);
        assert_eq!(field(b"", b'M'), None);
        assert_eq!(field(b"Mcut", b'M'), Some(&b"cut"[..]));
    }

    #[test]
    fn long_messages_are_cut_at_a_character() {
        let made = error(Severity::Error, "42501", &"é".repeat(4000));
        assert!(made.len() < MESSAGE_MAX + 64);
        assert!(str::from_utf8(field(&made[HEAD..], b'M').unwrap()).is_ok());
    }
}
