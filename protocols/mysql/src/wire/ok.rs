//! What an OK or EOF packet says of a command's end.

use super::read::Reader;

/// Further results follow (`SERVER_MORE_RESULTS_EXISTS`).
const MORE_RESULTS: u16 = 0x0008;

/// The rows stay with the server until they are fetched (`SERVER_STATUS_CURSOR_EXISTS`).
const CURSOR: u16 = 0x0040;

/// A backslash is a letter like any other in texts (`SERVER_STATUS_NO_BACKSLASH_ESCAPES`).
const NO_ESCAPES: u16 = 0x0200;

/// The end of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    /// How many rows were changed; zero where rows were read.
    pub(crate) changed: u64,
    status: u16,
}

impl End {
    /// Whether another result follows.
    pub(crate) const fn more(self) -> bool {
        self.status & MORE_RESULTS != 0
    }

    /// Whether the rows are to be fetched.
    pub(crate) const fn cursor(self) -> bool {
        self.status & CURSOR != 0
    }

    /// Whether a backslash is a letter like any other from here on.
    pub(crate) const fn no_escapes(self) -> bool {
        self.status & NO_ESCAPES != 0
    }

    /// Reads an OK packet, whatever its first byte is.
    pub(crate) fn ok(head: &[u8]) -> Option<Self> {
        let mut reader = Reader(head.get(1..)?);
        let changed = reader.number()?;
        reader.number()?;
        Some(Self { changed, status: reader.u16()? })
    }

    /// Reads an EOF packet.
    pub(crate) fn eof(head: &[u8]) -> Option<Self> {
        let mut reader = Reader(head.get(1..)?);
        reader.u16()?;
        Some(Self { changed: 0, status: reader.u16()? })
    }
}
