//! What a client asks of an SFTP server (version 3), read beside the stream: nothing is changed or held up.

use tapgate_audit::Deed;

use crate::limits::{SFTP_KEPT_MAX, SFTP_PACKET_MAX};
use crate::wire::Fields;

/// The version whose packets are read here; every OpenSSH server speaks it.
const VERSION: u32 = 3;

/// Packet types of the protocol, as far as they are read.
mod kind {
    pub(super) const VERSION: u8 = 2;
    pub(super) const OPEN: u8 = 3;
    pub(super) const SETSTAT: u8 = 9;
    pub(super) const OPENDIR: u8 = 11;
    pub(super) const REMOVE: u8 = 13;
    pub(super) const MKDIR: u8 = 14;
    pub(super) const RMDIR: u8 = 15;
    pub(super) const RENAME: u8 = 18;
    pub(super) const SYMLINK: u8 = 20;
    pub(super) const EXTENDED: u8 = 200;
}

/// How many bytes stand before a packet's fields: its length and its type.
const HEAD: usize = 5;

/// Follows one channel's SFTP. What it can't read ends the reading, which it says once.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// The beginning of the client's present packet.
    kept: Vec<u8>,
    /// Bytes of the client's present packet that are not looked at.
    skip: usize,
    /// The beginning of what the server says.
    hello: Vec<u8>,
    /// Nothing more is read.
    is_lost: bool,
}

impl Reader {
    /// Takes what the client sends.
    pub(crate) fn client(&mut self, mut bytes: &[u8], tell: &mut dyn FnMut(Deed)) {
        while !bytes.is_empty() && !self.is_lost {
            if self.skip > 0 {
                let (skipped, rest) = bytes.split_at(self.skip.min(bytes.len()));
                self.skip -= skipped.len();
                bytes = rest;
                continue;
            }
            let missing = self.due().saturating_sub(self.kept.len());
            let (taken, rest) = bytes.split_at(missing.min(bytes.len()));
            self.kept.extend_from_slice(taken);
            bytes = rest;
            self.turn(tell);
        }
    }

    /// Takes what the server sends: only its version matters.
    pub(crate) fn target(&mut self, bytes: &[u8], tell: &mut dyn FnMut(Deed)) {
        const SIZE: usize = HEAD + 4;
        let missing = SIZE - self.hello.len();
        if missing == 0 || self.is_lost {
            return;
        }
        self.hello.extend_from_slice(bytes.get(..missing).unwrap_or(bytes));
        if let [_, _, _, _, kind::VERSION, version @ ..] = self.hello.as_slice()
            && let Ok(version) = <[u8; 4]>::try_from(version)
            && u32::from_be_bytes(version) != VERSION
        {
            self.lose("its version is not 3", tell);
        }
    }

    /// How long the client's packet is, once its head is there.
    fn length(&self) -> Option<usize> {
        let head = self.kept.first_chunk::<HEAD>()?;
        let [a, b, c, d, _] = *head;
        usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()
    }

    /// How many bytes of it are kept.
    fn due(&self) -> usize {
        // The type, which the length counts, is in the head.
        self.length().map_or(HEAD, |length| HEAD - 1 + length.min(SFTP_KEPT_MAX))
    }

    /// Looks at what is there by now.
    fn turn(&mut self, tell: &mut dyn FnMut(Deed)) {
        let (Some(length), Some(&kind)) = (self.length(), self.kept.get(HEAD - 1)) else { return };
        if length == 0 || length > SFTP_PACKET_MAX {
            return self.lose("a packet has no possible length", tell);
        }
        if !is_told(kind) {
            self.skip = length - (self.kept.len() - (HEAD - 1));
            self.kept.clear();
        } else if self.kept.len() == self.due() {
            self.skip = length - (self.kept.len() - (HEAD - 1));
            let read = operation(kind, self.kept.get(HEAD..).unwrap_or_default());
            self.kept.clear();
            match read {
                Ok(Some(deed)) => tell(deed),
                Ok(None) => {}
                Err(Unreadable) => self.lose("a packet can't be read", tell),
            }
        }
    }

    fn lose(&mut self, why: &str, tell: &mut dyn FnMut(Deed)) {
        (self.is_lost, self.kept) = (true, Vec::new());
        tell(Deed::Untold(format!("the rest of an SFTP channel is not followed: {why}").into()));
    }
}

const fn is_told(kind: u8) -> bool {
    matches!(
        kind,
        kind::OPEN
            | kind::SETSTAT
            | kind::OPENDIR
            | kind::REMOVE
            | kind::MKDIR
            | kind::RMDIR
            | kind::RENAME
            | kind::SYMLINK
            | kind::EXTENDED
    )
}

/// A packet whose fields are not as they should be.
struct Unreadable;

/// Reads a packet's fields; nothing where it does nothing to a file.
fn operation(kind: u8, body: &[u8]) -> Result<Option<Deed>, Unreadable> {
    let mut fields = Fields::new(body);
    let _id = number(&mut fields)?;
    let (operation, two_paths) = match kind {
        kind::OPEN => return open(&mut fields).map(Some),
        kind::EXTENDED => match text(&mut fields)?.as_str() {
            "posix-rename@openssh.com" => ("rename", true),
            "hardlink@openssh.com" => ("link", true),
            "lsetstat@openssh.com" => ("set attributes", false),
            _ => return Ok(None),
        },
        kind::RENAME => ("rename", true),
        kind::SYMLINK => ("link", true),
        kind::SETSTAT => ("set attributes", false),
        kind::OPENDIR => ("list", false),
        kind::REMOVE => ("remove", false),
        kind::MKDIR => ("make directory", false),
        _ => ("remove directory", false),
    };
    let path = text(&mut fields)?.into();
    let to = if two_paths { Some(text(&mut fields)?.into()) } else { None };
    Ok(Some(Deed::Sftp { operation, path, to }))
}

fn text(fields: &mut Fields<'_>) -> Result<String, Unreadable> {
    fields.lossy().ok_or(Unreadable)
}

fn number(fields: &mut Fields<'_>) -> Result<u32, Unreadable> {
    fields.u32().map_err(|_| Unreadable)
}

fn open(fields: &mut Fields<'_>) -> Result<Deed, Unreadable> {
    const READ: u32 = 1;
    // To write, to append, to create or to truncate.
    const WRITE: u32 = 0x1e;
    let (path, flags) = (text(fields)?.into(), number(fields)?);
    let operation = match (flags & READ != 0, flags & WRITE != 0) {
        (true, true) => "read and write",
        (false, true) => "write",
        _ => "read",
    };
    Ok(Deed::Sftp { operation, path, to: None })
}

#[cfg(test)]
#[path = "sftp_tests.rs"]
mod tests;
