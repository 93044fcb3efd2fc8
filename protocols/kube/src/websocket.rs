//! One direction of a WebSocket (RFC 6455), read as it passes: whole messages are never held, only told piece by piece.
//!
//! In Kubernetes' protocols the first byte of a message is the channel that the rest belongs to.

use crate::limits::UNMASK_BYTES;

/// What passes can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unreadable;

/// Reads the frames of one direction.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    /// The head of the frame that begins, as far as it has come.
    head: Vec<u8>,
    /// How much of the present frame is still to come.
    left: u64,
    mask: Option<[u8; 4]>,
    /// How many bytes of the frame have come.
    at: usize,
    /// Whether the frame is a ping, a pong or a close: these stand between the frames of a message.
    control: bool,
    /// Whether the frame is its message's last.
    last: bool,
    message: Message,
}

/// The message that is under way.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Message {
    /// There is none.
    #[default]
    None,
    /// Its first byte is still to come.
    Begun,
    /// It belongs to this channel.
    In(u8),
}

/// The head of a frame.
struct Head {
    last: bool,
    opcode: u8,
    length: u64,
    mask: Option<[u8; 4]>,
}

impl Head {
    /// `None` where more of it is to come.
    fn parse(bytes: &[u8]) -> Result<Option<Self>, Unreadable> {
        let [first, second, rest @ ..] = bytes else { return Ok(None) };
        // Extensions are not offered to the server, so nothing may use these bits.
        if first & 0x70 != 0 {
            return Err(Unreadable);
        }
        let (length, rest) = match second & 0x7f {
            126 => match rest.split_first_chunk() {
                Some((length, rest)) => (u64::from(u16::from_be_bytes(*length)), rest),
                None => return Ok(None),
            },
            127 => match rest.split_first_chunk() {
                Some((length, rest)) => (u64::from_be_bytes(*length), rest),
                None => return Ok(None),
            },
            short => (u64::from(short), rest),
        };
        let mask = match (second & 0x80, rest.first_chunk()) {
            (0, _) => None,
            (_, None) => return Ok(None),
            (_, Some(mask)) => Some(*mask),
        };
        Ok(Some(Self { last: first & 0x80 != 0, opcode: first & 0x0f, length, mask }))
    }
}

impl Frames {
    /// Reads what has come. Data of the channels that are wanted is told.
    pub(crate) fn read(
        &mut self,
        mut bytes: &[u8],
        wanted: impl Fn(u8) -> bool,
        mut told: impl FnMut(u8, &[u8]) -> Result<(), Unreadable>,
    ) -> Result<(), Unreadable> {
        while let Some((first, rest)) = bytes.split_first() {
            if self.left == 0 {
                self.head.push(*first);
                bytes = rest;
                if let Some(head) = Head::parse(&self.head)? {
                    self.head.clear();
                    self.begin(&head)?;
                }
                continue;
            }
            let here = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
            let (piece, rest) = bytes.split_at(here);
            bytes = rest;
            self.piece(piece, &wanted, &mut told)?;
            self.left -= u64::try_from(here).unwrap_or(self.left);
            self.end();
        }
        Ok(())
    }

    fn begin(&mut self, head: &Head) -> Result<(), Unreadable> {
        self.control = match (head.opcode, self.message) {
            (0, Message::Begun | Message::In(_)) => false,
            (1 | 2, Message::None) => {
                self.message = Message::Begun;
                false
            }
            (8..=10, _) if head.last && head.length <= 125 => true,
            _ => return Err(Unreadable),
        };
        (self.left, self.mask, self.at, self.last) = (head.length, head.mask, 0, head.last);
        self.end();
        Ok(())
    }

    /// Ends the message with its last frame.
    const fn end(&mut self) {
        if self.left == 0 && self.last && !self.control {
            self.message = Message::None;
        }
    }

    fn piece(
        &mut self,
        bytes: &[u8],
        wanted: &impl Fn(u8) -> bool,
        told: &mut impl FnMut(u8, &[u8]) -> Result<(), Unreadable>,
    ) -> Result<(), Unreadable> {
        if self.control || self.message == Message::None {
            return Ok(());
        }
        if let Message::In(channel) = self.message
            && !wanted(channel)
        {
            self.at += bytes.len();
            return Ok(());
        }
        let Some(mask) = self.mask else { return self.plain(bytes, wanted, told) };
        let mut buffer = [0; UNMASK_BYTES];
        for chunk in bytes.chunks(UNMASK_BYTES) {
            for (to, (from, key)) in buffer.iter_mut().zip(chunk.iter().zip(mask.iter().cycle().skip(self.at % 4))) {
                *to = from ^ key;
            }
            self.at += chunk.len();
            self.plain(buffer.get(..chunk.len()).unwrap_or_default(), wanted, told)?;
        }
        Ok(())
    }

    fn plain(
        &mut self,
        bytes: &[u8],
        wanted: &impl Fn(u8) -> bool,
        told: &mut impl FnMut(u8, &[u8]) -> Result<(), Unreadable>,
    ) -> Result<(), Unreadable> {
        let (channel, data) = match (self.message, bytes) {
            (Message::In(channel), data) => (channel, data),
            (_, [channel, data @ ..]) => {
                self.message = Message::In(*channel);
                (*channel, data)
            }
            (_, []) => return Ok(()),
        };
        if data.is_empty() || !wanted(channel) { Ok(()) } else { told(channel, data) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn frame(first: u8, mask: Option<[u8; 4]>, data: &[u8]) -> Vec<u8> {
        let masked = if mask.is_some() { 0x80 } else { 0 };
        let mut bytes = match u8::try_from(data.len()) {
            Ok(length @ 0..126) => vec![first, masked | length],
            _ => [vec![first, masked | 0x7e], u16::try_from(data.len()).unwrap().to_be_bytes().to_vec()].concat(),
        };
        let key = mask.unwrap_or_default();
        bytes.extend(mask.into_iter().flatten());
        bytes.extend(data.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
        bytes
    }

    /// What is told of these bytes, where they come `step` at a time.
    fn told(bytes: &[u8], step: usize) -> Result<Vec<(u8, Vec<u8>)>, Unreadable> {
        let mut all: Vec<(u8, Vec<u8>)> = Vec::new();
        let mut frames = Frames::default();
        for piece in bytes.chunks(step) {
            frames.read(
                piece,
                |channel| channel != 9,
                |channel, data| {
                    match all.last_mut() {
                        Some((last, text)) if *last == channel => text.extend_from_slice(data),
                        _ => all.push((channel, data.to_vec())),
                    }
                    Ok(())
                },
            )?;
        }
        Ok(all)
    }

    #[rstest]
    #[case(1)]
    #[case(7)]
    #[case(100_000)]
    fn messages_in_any_pieces(#[case] step: usize) {
        let mask = Some([1, 2, 3, 4]);
        let long = [&[2][..], &[b'x'; 3000]].concat();
        let bytes = [
            frame(0x82, None, b"\x01out"),
            frame(0x02, mask, b"\x03be"),
            frame(0x89, None, b"ping"),
            frame(0x00, None, b""),
            frame(0x80, mask, b"gun"),
            frame(0x82, None, b""),
            frame(0x82, mask, b"\x09skipped"),
            frame(0x82, mask, &long),
            frame(0x88, None, b""),
        ];
        let want = vec![(1, b"out".to_vec()), (3, b"begun".to_vec()), (2, vec![b'x'; 3000])];
        assert_eq!(told(&bytes.concat(), step), Ok(want));
    }

    #[rstest]
    #[case(&frame(0xc2, None, b"\x01packed"))]
    #[case(&frame(0x80, None, b"of no message"))]
    #[case(&frame(0x83, None, b"unknown"))]
    #[case(&[frame(0x02, None, b"\x01a"), frame(0x82, None, b"\x01b")].concat())]
    #[case(&frame(0x89, None, &[0; 126]))]
    fn what_is_no_websocket(#[case] bytes: &[u8]) {
        assert_eq!(told(bytes, 1), Err(Unreadable));
    }
}
