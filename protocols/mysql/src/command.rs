//! A client's commands: what each is, and what form its answer has. Pure.

use crate::answer::Form;
use crate::wire::read::Reader;

/// The number that stands for the statement prepared last (MariaDB's drivers send both at once).
pub(crate) const LAST_PREPARED: u32 = u32::MAX;

/// What a client wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command<'a> {
    /// `COM_QUIT`.
    Quit,
    /// `COM_INIT_DB`.
    Database(&'a [u8]),
    /// `COM_QUERY`.
    Query(&'a [u8]),
    /// `COM_STMT_PREPARE`.
    Prepare(&'a [u8]),
    /// `COM_STMT_EXECUTE` and MariaDB's `COM_STMT_BULK_EXECUTE`.
    Execute(u32),
    /// `COM_STMT_CLOSE`, which has no answer.
    Close(u32),
    /// `COM_STMT_SEND_LONG_DATA`, which has no answer.
    LongData,
    /// `COM_PROCESS_KILL`.
    Kill(u32),
    /// `COM_RESET_CONNECTION`.
    Reset,
    /// What changes nothing of the data: ping, statistics, fetching, closing cursors.
    Plain(Form),
    /// What concerns the whole server, by the name of the statement that does the same.
    Admin(Form, &'static str),
    /// What serves replicas.
    Replication(Form),
    /// `COM_CHANGE_USER`.
    ChangeUser,
    /// Anything else, and what is cut too short to be read.
    Unknown,
}

impl<'a> Command<'a> {
    /// Whether what follows the first byte is a text of any length.
    pub(crate) const fn is_text(first: u8) -> bool {
        matches!(first, 0x03 | 0x16)
    }

    /// Reads a payload, or its beginning.
    pub(crate) fn parse(payload: &'a [u8]) -> Self {
        Self::read(payload).unwrap_or(Self::Unknown)
    }

    fn read(payload: &'a [u8]) -> Option<Self> {
        let (first, rest) = payload.split_first()?;
        Some(match first {
            0x01 => Self::Quit,
            0x02 => Self::Database(rest),
            0x03 => Self::Query(rest),
            0x04 => Self::Plain(Form::Columns),
            0x07 => Self::Admin(Form::Status, "FLUSH"),
            0x08 => Self::Admin(Form::Status, "SHUTDOWN"),
            0x09 => Self::Plain(Form::Text),
            0x0a => Self::Plain(Form::Results),
            0x0c => Self::Kill(Reader(rest).u32()?),
            0x0d => Self::Admin(Form::Status, "DEBUG"),
            0x0e | 0x1a | 0x1b => Self::Plain(Form::Status),
            0x11 => Self::ChangeUser,
            0x12 | 0x1e => Self::Replication(Form::Stream),
            0x15 => Self::Replication(Form::Status),
            0x16 => Self::Prepare(rest),
            0x17 | 0xfa => Self::Execute(Reader(rest).u32()?),
            0x18 => Self::LongData,
            0x19 => Self::Close(Reader(rest).u32()?),
            0x1c => Self::Plain(Form::Rows),
            0x1f => Self::Reset,
            _ => Self::Unknown,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_by_their_first_byte() {
        assert_eq!(Command::parse(b"\x03select 1"), Command::Query(b"select 1"));
        assert_eq!(Command::parse(b"\x17\x02\0\0\0\0"), Command::Execute(2));
        assert_eq!(Command::parse(b"\x17\xff\xff\xff\xff"), Command::Execute(LAST_PREPARED));
        assert_eq!(Command::parse(b"\x0c\x01\x02\0\0"), Command::Kill(0x0201));
        for unknown in [&b""[..], b"\x00", b"\x05x", b"\x17\x01", b"\x0c", b"\x20", b"\xff"] {
            assert_eq!(Command::parse(unknown), Command::Unknown, "{unknown:?}");
        }
    }
}
