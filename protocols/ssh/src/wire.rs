//! The packets of the SSH connection protocol (RFC 4254, numbers 80 to 100): read, never trusted.

use crate::limits::{CONTROL_MAX, DATA_MAX, NAME_MAX};

/// A connection-layer packet, as far as a relay must understand it. Everything borrows from the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packet<'a> {
    /// A request about the connection.
    GlobalRequest {
        /// What is asked for.
        name: &'a str,
        /// Whether an answer is due.
        want_reply: bool,
        /// What belongs to the request.
        body: &'a [u8],
    },
    /// Yes to the oldest open global request.
    RequestSuccess,
    /// No to the oldest open global request.
    RequestFailure,
    /// A channel is asked for.
    Open {
        /// The channel type.
        kind: &'a str,
        /// The number that the sender gives it.
        sender: u32,
        /// How many bytes the sender will take at first.
        window: u32,
        /// How many bytes of data the sender takes in one packet.
        packet_max: u32,
        /// What belongs to the channel type.
        body: &'a [u8],
    },
    /// The channel is there.
    OpenConfirmation {
        /// The asker's number.
        recipient: u32,
        /// The number that the sender gives it.
        sender: u32,
        /// How many bytes the sender will take at first.
        window: u32,
        /// How many bytes of data the sender takes in one packet.
        packet_max: u32,
    },
    /// The channel is refused.
    OpenFailure {
        /// The asker's number.
        recipient: u32,
        /// Why, in the protocol's numbers.
        reason: u32,
    },
    /// The sender will take more bytes.
    WindowAdjust {
        /// The receiver's number.
        recipient: u32,
        /// How many more.
        bytes: u32,
    },
    /// Data, of the main stream or of an extended one such as stderr.
    Data {
        /// The receiver's number.
        recipient: u32,
        /// How many bytes of the window it uses.
        length: u32,
        /// The data of the main stream; nothing where it is an extended one's.
        main: &'a [u8],
    },
    /// No more data will come.
    Eof {
        /// The receiver's number.
        recipient: u32,
    },
    /// Nothing more will come.
    Close {
        /// The receiver's number.
        recipient: u32,
    },
    /// A request about a channel.
    Request {
        /// The receiver's number.
        recipient: u32,
        /// What is asked for.
        name: &'a str,
        /// Whether an answer is due.
        want_reply: bool,
        /// What belongs to the request.
        body: &'a [u8],
    },
    /// Yes to the oldest open request of a channel.
    Success {
        /// The receiver's number.
        recipient: u32,
    },
    /// No to the oldest open request of a channel.
    Failure {
        /// The receiver's number.
        recipient: u32,
    },
}

/// Why bytes are not a packet of the connection protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WireError {
    /// The packet ends too early.
    #[error("a packet of type {0} is cut short")]
    Short(u8),
    /// Bytes follow where the packet should end.
    #[error("a packet of type {0} has bytes after its end")]
    Trailing(u8),
    /// A boolean or a name that is none.
    #[error("a packet of type {0} holds a field that can't be read")]
    Field(u8),
    /// More data, or a longer request, than a packet may hold.
    #[error("a packet of type {0} is too long")]
    Long(u8),
    /// No such packet in this protocol.
    #[error("there is no packet of type {0} in the connection protocol")]
    Unknown(u8),
    /// No bytes at all.
    #[error("a packet is empty")]
    Empty,
}

/// SSH message numbers of the connection protocol.
pub(crate) mod number {
    /// `SSH_MSG_GLOBAL_REQUEST`.
    pub(crate) const GLOBAL_REQUEST: u8 = 80;
    /// `SSH_MSG_REQUEST_SUCCESS`.
    pub(crate) const REQUEST_SUCCESS: u8 = 81;
    /// `SSH_MSG_REQUEST_FAILURE`.
    pub(crate) const REQUEST_FAILURE: u8 = 82;
    /// `SSH_MSG_CHANNEL_OPEN`.
    pub(crate) const OPEN: u8 = 90;
    /// `SSH_MSG_CHANNEL_OPEN_CONFIRMATION`.
    pub(crate) const OPEN_CONFIRMATION: u8 = 91;
    /// `SSH_MSG_CHANNEL_OPEN_FAILURE`.
    pub(crate) const OPEN_FAILURE: u8 = 92;
    /// `SSH_MSG_CHANNEL_WINDOW_ADJUST`.
    pub(crate) const WINDOW_ADJUST: u8 = 93;
    /// `SSH_MSG_CHANNEL_DATA`.
    pub(crate) const DATA: u8 = 94;
    /// `SSH_MSG_CHANNEL_EXTENDED_DATA`.
    pub(crate) const EXTENDED_DATA: u8 = 95;
    /// `SSH_MSG_CHANNEL_EOF`.
    pub(crate) const EOF: u8 = 96;
    /// `SSH_MSG_CHANNEL_CLOSE`.
    pub(crate) const CLOSE: u8 = 97;
    /// `SSH_MSG_CHANNEL_REQUEST`.
    pub(crate) const REQUEST: u8 = 98;
    /// `SSH_MSG_CHANNEL_SUCCESS`.
    pub(crate) const SUCCESS: u8 = 99;
    /// `SSH_MSG_CHANNEL_FAILURE`.
    pub(crate) const FAILURE: u8 = 100;
}

impl<'a> Packet<'a> {
    /// Reads one packet, without its encryption, padding and length.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let (&kind, rest) = bytes.split_first().ok_or(WireError::Empty)?;
        if bytes.len() > CONTROL_MAX {
            return Err(WireError::Long(kind));
        }
        let mut fields = Fields { kind, rest };
        let packet = fields.packet()?;
        // What belongs to a type of request or channel was taken as a whole; nothing else may follow.
        if fields.rest.is_empty() { Ok(packet) } else { Err(WireError::Trailing(kind)) }
    }
}

/// What is left of a packet.
pub(crate) struct Fields<'a> {
    kind: u8,
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// The body of a request.
    pub(crate) const fn new(body: &'a [u8]) -> Self {
        Self { kind: number::REQUEST, rest: body }
    }

    /// A string that may be text, for somebody to read.
    pub(crate) fn lossy(&mut self) -> Option<String> {
        self.string().ok().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// A string that is text.
    #[cfg(feature = "demo")]
    pub(crate) fn text(&mut self) -> Option<String> {
        String::from_utf8(self.string().ok()?.to_vec()).ok()
    }
}

impl<'a> Fields<'a> {
    fn packet(&mut self) -> Result<Packet<'a>, WireError> {
        match self.kind {
            number::GLOBAL_REQUEST => self.global_request(),
            number::REQUEST_SUCCESS => {
                self.all();
                Ok(Packet::RequestSuccess)
            }
            number::REQUEST_FAILURE => Ok(Packet::RequestFailure),
            number::OPEN => self.open(),
            number::OPEN_CONFIRMATION => self.open_confirmation(),
            number::OPEN_FAILURE => self.open_failure(),
            number::WINDOW_ADJUST => Ok(Packet::WindowAdjust { recipient: self.u32()?, bytes: self.u32()? }),
            number::DATA => {
                let (recipient, main) = (self.u32()?, self.data()?);
                Ok(Packet::Data { recipient, length: length(main), main })
            }
            number::EXTENDED_DATA => self.extended_data(),
            number::EOF => Ok(Packet::Eof { recipient: self.u32()? }),
            number::CLOSE => Ok(Packet::Close { recipient: self.u32()? }),
            number::REQUEST => self.request(),
            number::SUCCESS => Ok(Packet::Success { recipient: self.u32()? }),
            number::FAILURE => Ok(Packet::Failure { recipient: self.u32()? }),
            kind => Err(WireError::Unknown(kind)),
        }
    }

    fn global_request(&mut self) -> Result<Packet<'a>, WireError> {
        let (name, want_reply) = (self.name()?, self.boolean()?);
        Ok(Packet::GlobalRequest { name, want_reply, body: self.all() })
    }

    fn open(&mut self) -> Result<Packet<'a>, WireError> {
        let kind = self.name()?;
        let (sender, window, packet_max) = (self.u32()?, self.u32()?, self.u32()?);
        Ok(Packet::Open { kind, sender, window, packet_max, body: self.all() })
    }

    fn open_confirmation(&mut self) -> Result<Packet<'a>, WireError> {
        let (recipient, sender, window, packet_max) = (self.u32()?, self.u32()?, self.u32()?, self.u32()?);
        self.all();
        Ok(Packet::OpenConfirmation { recipient, sender, window, packet_max })
    }

    fn open_failure(&mut self) -> Result<Packet<'a>, WireError> {
        let recipient = self.u32()?;
        let reason = self.u32()?;
        let _description = self.string()?;
        let _language = self.string()?;
        Ok(Packet::OpenFailure { recipient, reason })
    }

    fn extended_data(&mut self) -> Result<Packet<'a>, WireError> {
        let recipient = self.u32()?;
        let _stream = self.u32()?;
        Ok(Packet::Data { recipient, length: length(self.data()?), main: &[] })
    }

    fn request(&mut self) -> Result<Packet<'a>, WireError> {
        let recipient = self.u32()?;
        let (name, want_reply) = (self.name()?, self.boolean()?);
        Ok(Packet::Request { recipient, name, want_reply, body: self.all() })
    }

    pub(crate) fn u32(&mut self) -> Result<u32, WireError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(WireError::Short(self.kind))?;
        self.rest = rest;
        Ok(u32::from_be_bytes(*bytes))
    }

    /// `sshd` and OpenSSH take any byte but 0 as true, and so does RFC 4251; a relay must not read
    /// it otherwise than the two ends do.
    fn boolean(&mut self) -> Result<bool, WireError> {
        let (byte, rest) = self.rest.split_first().ok_or(WireError::Short(self.kind))?;
        self.rest = rest;
        Ok(*byte != 0)
    }

    fn string(&mut self) -> Result<&'a [u8], WireError> {
        let length = usize::try_from(self.u32()?).map_err(|_| WireError::Short(self.kind))?;
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(WireError::Short(self.kind))?;
        self.rest = rest;
        Ok(bytes)
    }

    /// RFC 4250: printable ASCII without a space, at most 64 characters.
    fn name(&mut self) -> Result<&'a str, WireError> {
        let bytes = self.string()?;
        let name = str::from_utf8(bytes).map_err(|_| WireError::Field(self.kind))?;
        let is_name = !name.is_empty() && name.len() <= NAME_MAX && name.bytes().all(|b| b.is_ascii_graphic());
        if is_name { Ok(name) } else { Err(WireError::Field(self.kind)) }
    }

    fn data(&mut self) -> Result<&'a [u8], WireError> {
        let data = self.string()?;
        if length(data) <= DATA_MAX { Ok(data) } else { Err(WireError::Long(self.kind)) }
    }

    fn all(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }
}

/// How long a packet's data is; a packet is far shorter than 4 GiB.
fn length(data: &[u8]) -> u32 {
    u32::try_from(data.len()).unwrap_or(u32::MAX)
}

/// The one string that a request's body is, as in `exec` and `subsystem`; `None` where it is another thing.
pub(crate) fn only_string(body: &[u8]) -> Option<&[u8]> {
    let mut fields = Fields { kind: number::REQUEST, rest: body };
    let text = fields.string().ok()?;
    fields.rest.is_empty().then_some(text)
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
