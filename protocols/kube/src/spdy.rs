//! A SPDY/3.1 connection of an exec or attach, read as it passes: which streams the client opens, and what goes in them.
//!
//! Whatever a client's bytes are, the API server must not read them in another way than this does: what is not exactly
//! as the protocol says can't be read. What the server sends in a stream that is not known is taken for output.

use std::collections::HashMap;

use crate::inflate::Headers;
use crate::limits::{CONTROL_BYTES_MAX, STREAMS_OF_ONE_MAX};
use crate::websocket::Unreadable;

/// What a stream is for, as the header `streamtype` of its first frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What is put out.
    Output,
    /// What is put out as errors.
    Errors,
    /// How it ends.
    Status,
    /// The terminal's sizes.
    Sizes,
    /// What is typed.
    Input,
}

/// Both directions.
#[derive(Default)]
pub(crate) struct Conversation {
    client: Frames,
    server: Frames,
    headers: Headers,
    streams: HashMap<u32, Kind>,
}

impl Conversation {
    /// Reads what the client sends; its terminal's sizes are told.
    pub(crate) fn client(&mut self, bytes: &[u8], mut sizes: impl FnMut(&[u8])) -> Result<(), Unreadable> {
        let Self { client, headers, streams, .. } = self;
        client.read(bytes, true, |frame| match frame {
            Frame::Data(stream, data) => {
                if streams.get(&stream) == Some(&Kind::Sizes) {
                    sizes(data);
                }
                Ok(())
            }
            Frame::Control(kind, body) => asked(headers, streams, kind, body),
        })
    }

    /// Reads what the server sends.
    pub(crate) fn server(
        &mut self,
        bytes: &[u8],
        mut told: impl FnMut(Kind, &[u8]) -> Result<(), Unreadable>,
    ) -> Result<(), Unreadable> {
        let Self { server, streams, .. } = self;
        server.read(bytes, false, |frame| match frame {
            Frame::Data(stream, data) => told(streams.get(&stream).copied().unwrap_or(Kind::Output), data),
            Frame::Control(..) => Ok(()),
        })
    }
}

/// A control frame of the client's (SPDY/3.1 section 2.6).
fn asked(headers: &mut Headers, streams: &mut HashMap<u32, Kind>, kind: u16, body: &[u8]) -> Result<(), Unreadable> {
    let fits = match kind {
        // SYN_STREAM: the stream, the one it belongs to, its priority, its slot.
        1 => {
            let (head, block) = body.split_first_chunk::<10>().ok_or(Unreadable)?;
            let [a, b, c, d, ..] = *head;
            let stream = u32::from_be_bytes([a, b, c, d]);
            let block = headers.block(block).ok_or(Unreadable)?;
            let kind = kind_in(&block).ok_or(Unreadable)?;
            let odd = stream % 2 == 1 && stream >> 31 == 0;
            odd && streams.len() < STREAMS_OF_ONE_MAX && streams.insert(stream, kind).is_none()
        }
        // SYN_REPLY and HEADERS: what they say is of no matter, but they share the compression.
        2 | 8 => {
            let (_, block) = body.split_first_chunk::<4>().ok_or(Unreadable)?;
            let block = headers.block(block).ok_or(Unreadable)?;
            pairs(&block).is_some()
        }
        // RST_STREAM, GOAWAY, WINDOW_UPDATE.
        3 | 7 | 9 => body.len() == 8,
        // SETTINGS: how many, and each.
        4 => body.split_first_chunk().is_some_and(|(count, each)| {
            usize::try_from(u32::from_be_bytes(*count)).is_ok_and(|count| count.checked_mul(8) == Some(each.len()))
        }),
        // PING.
        6 => body.len() == 4,
        _ => false,
    };
    if fits { Ok(()) } else { Err(Unreadable) }
}

/// What the headers say a stream is for.
fn kind_in(block: &[u8]) -> Option<Kind> {
    let mut types = pairs(block)?.into_iter().filter(|(name, _)| *name == b"streamtype").map(|(_, value)| value);
    let kind = types.next().unwrap_or_default();
    if types.next().is_some() {
        return None;
    }
    // Of several values the first one counts.
    Some(match kind.split(|byte| *byte == 0).next().unwrap_or_default() {
        b"stderr" => Kind::Errors,
        b"error" => Kind::Status,
        b"resize" => Kind::Sizes,
        b"stdin" => Kind::Input,
        _ => Kind::Output,
    })
}

/// The names and values of a block of headers; `None` where it is none, or where a name could be read in two ways.
fn pairs(block: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let (count, mut rest) = block.split_first_chunk()?;
    let mut text = || {
        let (length, after) = rest.split_first_chunk()?;
        let (text, after) = after.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        rest = after;
        Some(text)
    };
    let mut pairs = Vec::new();
    for _ in 0..u32::from_be_bytes(*count) {
        let (name, value) = (text()?, text()?);
        if name.iter().any(u8::is_ascii_uppercase) || !name.is_ascii() {
            return None;
        }
        pairs.push((name, value));
    }
    rest.is_empty().then_some(pairs)
}

/// A frame, or a piece of one with data.
enum Frame<'a> {
    Data(u32, &'a [u8]),
    Control(u16, &'a [u8]),
}

/// The frames of one direction.
#[derive(Default)]
struct Frames {
    /// The head of the frame that begins, as far as it has come.
    head: Vec<u8>,
    /// How much of the present frame is still to come, and what it is.
    left: usize,
    now: Now,
    /// The present control frame, as far as it has come.
    body: Vec<u8>,
}

#[derive(Clone, Copy)]
enum Now {
    Data(u32),
    Control(u16),
}

impl Default for Now {
    fn default() -> Self {
        Self::Data(0)
    }
}

impl Frames {
    /// Reads what has come. Control frames are told whole where they are kept, and not at all otherwise.
    fn read(
        &mut self,
        mut bytes: &[u8],
        keep: bool,
        mut told: impl FnMut(Frame<'_>) -> Result<(), Unreadable>,
    ) -> Result<(), Unreadable> {
        while let Some((first, rest)) = bytes.split_first() {
            if self.left == 0 {
                self.head.push(*first);
                bytes = rest;
                if let Some(head) = self.head.first_chunk::<8>().copied() {
                    self.head.clear();
                    self.begin(head, keep)?;
                    self.whole(keep, &mut told)?;
                }
                continue;
            }
            let (piece, rest) = bytes.split_at(self.left.min(bytes.len()));
            bytes = rest;
            self.left -= piece.len();
            match self.now {
                Now::Data(stream) => told(Frame::Data(stream, piece))?,
                Now::Control(_) if keep => self.body.extend_from_slice(piece),
                Now::Control(_) => {}
            }
            self.whole(keep, &mut told)?;
        }
        Ok(())
    }

    fn begin(&mut self, head: [u8; 8], keep: bool) -> Result<(), Unreadable> {
        let (first, second) = (u64::from_be_bytes(head) >> 32, u64::from_be_bytes(head) & 0x00ff_ffff);
        self.left = usize::try_from(second).map_err(|_| Unreadable)?;
        self.now = if first >> 31 == 0 {
            Now::Data(u32::try_from(first).map_err(|_| Unreadable)?)
        } else {
            // Version 3, and no more than is kept.
            if first >> 16 != 0x8003 || (keep && self.left > CONTROL_BYTES_MAX) {
                return Err(Unreadable);
            }
            Now::Control(u16::try_from(first & 0xffff).map_err(|_| Unreadable)?)
        };
        Ok(())
    }

    /// Tells a control frame that has come whole.
    fn whole(
        &mut self,
        keep: bool,
        told: &mut impl FnMut(Frame<'_>) -> Result<(), Unreadable>,
    ) -> Result<(), Unreadable> {
        match self.now {
            Now::Control(kind) if keep && self.left == 0 => {
                let body = std::mem::take(&mut self.body);
                told(Frame::Control(kind, &body))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The headers of an exec's streams, in order, as zlib packs them for all of a connection together.
    const BLOCKS: [(u8, &[u8]); 5] = [
        (1, b"\x78\xf9\xe3\xc6\xa7\xc2\x02\xa6\x23\x46\x70\x3a\x2b\x29\x4a\x4d\xcc\x85\x16\x25\xac\xa9\xa0\x80\x06\x00\x00\x00\xff\xff"),
        (3, b"\xc2\x2e\x55\x5c\x02\xcc\x2e\x00\x00\x00\x00\xff\xff"),
        (5, b"\xc2\x2a\x05\x4c\xe7\x29\xf9\xa5\x25\x00\x00\x00\x00\xff\xff"),
        (7, b"\xc2\x29\x07\x34\x14\x00\x00\x00\xff\xff"),
        (9, b"\xc2\x2e\x07\x2c\x9a\x80\x69\x01\x00\x00\x00\xff\xff"),
    ];

    fn control(kind: u8, body: &[u8]) -> Vec<u8> {
        let [_, length @ ..] = u32::try_from(body.len()).unwrap().to_be_bytes();
        [&[0x80, 3, 0, kind, 0][..], &length, body].concat()
    }

    fn data(stream: u8, bytes: &[u8]) -> Vec<u8> {
        let [_, length @ ..] = u32::try_from(bytes.len()).unwrap().to_be_bytes();
        [&[0, 0, 0, stream, 1][..], &length, bytes].concat()
    }

    fn opened() -> Vec<u8> {
        let open =
            |(stream, block): &(u8, &[u8])| control(1, &[&[0, 0, 0, *stream, 0, 0, 0, 0, 0, 0][..], block].concat());
        BLOCKS.iter().flat_map(open).collect()
    }

    #[test]
    fn streams_are_told_by_what_they_are_for() {
        for step in [1, 13, 10_000] {
            let mut conversation = Conversation::default();
            let client = [opened(), control(6, &[0, 0, 0, 1]), data(3, b"typed"), data(9, b"size"), data(5, b"?")];
            let mut sizes = Vec::new();
            for piece in client.concat().chunks(step) {
                conversation.client(piece, |bytes| sizes.extend_from_slice(bytes)).unwrap();
            }
            assert_eq!(sizes, b"size");
            let server =
                [control(2, b"what it says"), data(5, b"out"), data(7, b"err"), data(1, b"end"), data(8, b"own")];
            let mut told: Vec<(Kind, Vec<u8>)> = Vec::new();
            for piece in server.concat().chunks(step) {
                let tell = |kind, bytes: &[u8]| {
                    match told.last_mut() {
                        Some((last, text)) if *last == kind => text.extend_from_slice(bytes),
                        _ => told.push((kind, bytes.to_vec())),
                    }
                    Ok(())
                };
                conversation.server(piece, tell).unwrap();
            }
            let want = [(Kind::Output, "out"), (Kind::Errors, "err"), (Kind::Status, "end"), (Kind::Output, "own")];
            assert_eq!(told, want.map(|(kind, text)| (kind, text.as_bytes().to_vec())));
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_not_read() {
        let twice = [opened(), control(1, &[&[0, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], BLOCKS[0].1].concat())].concat();
        let even = control(1, &[&[0, 0, 0, 2, 0, 0, 0, 0, 0, 0][..], BLOCKS[0].1].concat());
        let high = control(1, &[&[0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], BLOCKS[0].1].concat());
        let cases = [
            twice,
            even,
            high,
            control(3, &[0; 9]),
            control(4, &[0, 0, 0, 1]),
            control(6, &[]),
            control(5, &[]),
            control(1, &[0; 10]),
            vec![0x80, 2, 0, 6, 0, 0, 0, 4, 0, 0, 0, 1],
            vec![0x80, 3, 0, 1, 0, 0xff, 0xff, 0xff],
        ];
        for case in cases {
            assert_eq!(Conversation::default().client(&case, |_| {}), Err(Unreadable), "{case:x?}");
        }
    }

    #[test]
    fn a_stream_has_one_purpose() {
        let block = |pairs: &[(&str, &str)]| {
            let mut block = u32::try_from(pairs.len()).unwrap().to_be_bytes().to_vec();
            for text in pairs.iter().flat_map(|(name, value)| [name, value]) {
                block.extend_from_slice(&u32::try_from(text.len()).unwrap().to_be_bytes());
                block.extend_from_slice(text.as_bytes());
            }
            block
        };
        assert_eq!(kind_in(&block(&[("port", "80"), ("streamtype", "stderr\0stdout")])), Some(Kind::Errors));
        assert_eq!(kind_in(&block(&[("streamtype", "other")])), Some(Kind::Output));
        assert_eq!(kind_in(&block(&[("streamtype", "error"), ("streamtype", "stdout")])), None);
        assert_eq!(kind_in(&block(&[("streamType", "error")])), None);
        assert_eq!(kind_in(&[block(&[("streamtype", "error")]), vec![0]].concat()), None);
    }
}
