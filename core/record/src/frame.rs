//! A frame: something that happened, when and in which channel.

use crate::limits::FRAME_MAX;

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Whose recording it is, as JSON; the first frame.
    Facts,
    /// A terminal: `COLSxROWS NAME`.
    Terminal,
    /// A terminal's new size: `COLSxROWS`.
    Resize,
    /// The command that runs; nothing for a shell.
    Runs,
    /// Output.
    Output,
    /// Output as errors, without a terminal.
    Errors,
    /// How many bytes of output are not recorded.
    Skipped,
    /// The exit status.
    Exit,
    /// An event of the audit log, as JSON.
    Deed,
    /// Why the session ended; the last frame.
    End,
}

impl Kind {
    const ALL: [(Self, u8, &'static str); 10] = [
        (Self::Facts, b'f', "facts"),
        (Self::Terminal, b't', "terminal"),
        (Self::Resize, b'r', "resize"),
        (Self::Runs, b'c', "runs"),
        (Self::Output, b'o', "output"),
        (Self::Errors, b'e', "errors"),
        (Self::Skipped, b's', "skipped"),
        (Self::Exit, b'x', "exit"),
        (Self::Deed, b'd', "deed"),
        (Self::End, b'z', "end"),
    ];

    /// Its word, for programs.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(kind, ..)| *kind == self).map_or("", |(.., word)| word)
    }

    fn byte(self) -> u8 {
        Self::ALL.iter().find(|(kind, ..)| *kind == self).map_or(0, |(_, byte, _)| *byte)
    }

    fn of_byte(byte: u8) -> Option<Self> {
        Self::ALL.iter().find(|(_, known, _)| *known == byte).map(|(kind, ..)| *kind)
    }
}

/// Something that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Milliseconds since the session began.
    pub at: u64,
    /// The channel; 0 is the session itself.
    pub channel: u32,
    /// What it is.
    pub kind: Kind,
    /// The data that belongs to the kind.
    pub data: &'a [u8],
}

/// What stands before a frame's data.
const HEAD: usize = 1 + 4 + 8 + 4;

impl Frame<'_> {
    /// Appends the frame: kind (1 byte), channel (4), time (8), length (4), data; numbers are big-endian.
    pub(crate) fn write(&self, to: &mut Vec<u8>) {
        for data in self.data.chunks(FRAME_MAX).chain(self.data.is_empty().then_some(&[][..])) {
            to.push(self.kind.byte());
            to.extend_from_slice(&self.channel.to_be_bytes());
            to.extend_from_slice(&self.at.to_be_bytes());
            to.extend_from_slice(&u32::try_from(data.len()).unwrap_or(u32::MAX).to_be_bytes());
            to.extend_from_slice(data);
        }
    }
}

/// The first frames of at most so many bytes, or the first one, and the rest.
pub(crate) fn split(bytes: &[u8], at_most: usize) -> (&[u8], &[u8]) {
    let mut end = 0;
    while let Some(length) = bytes.get(end..).and_then(|rest| rest.get(HEAD - 4..HEAD)) {
        let length = length.iter().fold(0, |number, byte| number << 8 | usize::from(*byte));
        if end > 0 && end + HEAD + length > at_most {
            break;
        }
        end += HEAD + length;
    }
    bytes.split_at(end.min(bytes.len()))
}

/// The frames in these bytes; nothing where they are no whole frames.
pub fn frames(mut bytes: &[u8]) -> Option<Vec<Frame<'_>>> {
    let mut all = Vec::new();
    while let Some((kind, rest)) = bytes.split_first() {
        let kind = Kind::of_byte(*kind)?;
        let (channel, rest) = rest.split_first_chunk()?;
        let (at, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (data, rest) = rest.split_at_checked(length)?;
        all.push(Frame { at: u64::from_be_bytes(*at), channel: u32::from_be_bytes(*channel), kind, data });
        bytes = rest;
    }
    Some(all)
}
