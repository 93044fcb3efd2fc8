//! Follows the messages of a running session (MS-RDPBCGR 2.2.8.1 and 2.2.9.1) without keeping them: whether somebody
//! did something, and whether the desktop tries to send its client elsewhere.

use std::cell::Cell;

use tapgate_relay::carry::{Eye, Passed};

/// How much of a message's beginning is looked at: both heads, who sends it where, and the first head within.
const HEAD: usize = 32;

/// The number of T.125's messages with a client's data, and with a desktop's.
const FROM_CLIENT: u8 = 25 << 2;
const FROM_DESKTOP: u8 = 26 << 2;

/// Kinds of messages within.
const DEMAND_ACTIVE: u16 = 0x11;
const REDIRECTION: u16 = 0x1a;
const DATA: u16 = 0x17;
/// Within data: input in the form of old clients.
const INPUT: u8 = 28;

/// What is broken, in words.
const NO_RDP: &str = "what was said is no RDP";

/// How much memory is kept for the next message that is looked at whole: most are far shorter.
const KEPT: usize = 2 * 1024;

/// Cuts a stream into messages, and shows the beginning of each.
#[derive(Debug, Default)]
struct Frames {
    head: Vec<u8>,
    left: usize,
}

impl Frames {
    /// Follows these bytes; `each` is shown every message's first bytes before the message has come whole, unless that
    /// is shorter. A message of which `whole` says so is shown when its last byte is there.
    fn follow(
        &mut self,
        mut said: &[u8],
        whole: impl Fn(&[u8]) -> bool,
        mut each: impl FnMut(&[u8]) -> Result<(), &'static str>,
    ) -> Result<(), &'static str> {
        while !said.is_empty() {
            let skip = self.left.min(said.len());
            self.left -= skip;
            said = said.get(skip..).unwrap_or_default();
            let due = self.due(&whole)?;
            let step = due.saturating_sub(self.head.len()).min(said.len());
            self.head.extend_from_slice(said.get(..step).unwrap_or_default());
            said = said.get(step..).unwrap_or_default();
            if let Some(length) = length(&self.head)?
                && self.head.len() >= self.due(&whole)?
            {
                each(&self.head)?;
                self.left = length.saturating_sub(self.head.len());
                self.head.clear();
                self.head.shrink_to(KEPT);
            }
        }
        Ok(())
    }

    /// How much of the present message is to be collected.
    fn due(&self, whole: impl Fn(&[u8]) -> bool) -> Result<usize, &'static str> {
        Ok(match length(&self.head)? {
            None => self.head.len() + 1,
            Some(length) if self.head.len() >= HEAD && whole(&self.head) => length,
            Some(length) => length.min(HEAD),
        })
    }
}

/// A message's whole length, once its first bytes tell it.
fn length(head: &[u8]) -> Result<Option<usize>, &'static str> {
    let two = |high: u8, low: u8| usize::from(high) << 8 | usize::from(low);
    let (length, least) = match head {
        [3, _, high, low, ..] => (two(*high, *low), 7),
        [] | [3, ..] | [_] => return Ok(None),
        [first, ..] if first & 3 != 0 => return Err(NO_RDP),
        [_, high, low, ..] if high & 0x80 != 0 => (two(high & 0x7f, *low), 3),
        [_, high] if high & 0x80 != 0 => return Ok(None),
        [_, length, ..] => (usize::from(*length), 2),
    };
    if length < least { Err(NO_RDP) } else { Ok(Some(length)) }
}

/// The head within a message of the channel that is none of the virtual ones.
fn within(head: &[u8], kind: u8, main: u16) -> Option<&[u8]> {
    let body = head.strip_prefix(&[3]).and_then(|rest| rest.get(3..))?.strip_prefix(&[2, 0xf0, 0x80])?;
    let [first, _, _, high, low, _, rest @ ..] = body else { return None };
    if first & 0xfc != kind || u16::from_be_bytes([*high, *low]) != main {
        return None;
    }
    let skip = if rest.first()? & 0x80 == 0 { 1 } else { 2 };
    rest.get(skip..)
}

fn kind(head: &[u8]) -> Option<u16> {
    head.get(2..).and_then(|rest| rest.first_chunk::<2>()).map(|two| u16::from_le_bytes(*two))
}

/// What the client says.
#[derive(Debug)]
pub(crate) struct ClientSays {
    frames: Frames,
    main: u16,
}

impl ClientSays {
    pub(crate) fn new(main: u16) -> Self {
        Self { frames: Frames::default(), main }
    }
}

impl Eye for ClientSays {
    fn pass<'a>(&'a mut self, said: &'a [u8]) -> Result<Passed<'a>, &'static str> {
        let (mut stirs, main) = (false, self.main);
        self.frames.follow(
            said,
            |_| false,
            |head| {
                let is_fast = head.first().is_some_and(|first| *first != 3);
                let slow = within(head, FROM_CLIENT, main).filter(|head| kind(head) == Some(DATA));
                stirs |= is_fast || slow.is_some_and(|head| head.get(14) == Some(&INPUT));
                Ok(())
            },
        )?;
        Ok(Passed { bytes: said, stirs })
    }
}

/// What the desktop says.
#[derive(Debug)]
pub(crate) struct DesktopSays {
    frames: Frames,
    main: u16,
    /// Whether its picture has begun: before that, some messages have another head.
    active: Cell<bool>,
}

impl DesktopSays {
    pub(crate) fn new(main: u16) -> Self {
        Self { frames: Frames::default(), main, active: Cell::new(false) }
    }
}

impl Eye for DesktopSays {
    /// The client was told to take no redirection. A desktop that sends one all the same would lead it past the gate.
    fn pass<'a>(&'a mut self, said: &'a [u8]) -> Result<Passed<'a>, &'static str> {
        let (main, active) = (self.main, &self.active);
        let is_main = |head: &[u8]| active.get() && within(head, FROM_DESKTOP, main).is_some();
        self.frames.follow(said, is_main, |message| {
            let Some(inner) = within(message, FROM_DESKTOP, main) else { return Ok(()) };
            active.set(active.get() || kind(inner) == Some(DEMAND_ACTIVE));
            let redirects = if active.get() { redirects(inner) } else { kind(inner) == Some(REDIRECTION) };
            if redirects { Err("the desktop tried to send its client to another server") } else { Ok(()) }
        })?;
        Ok(Passed { bytes: said, stirs: false })
    }
}

/// Whether a redirection is among the messages that came in one, each behind its length.
fn redirects(mut inner: &[u8]) -> bool {
    while let [low, high, ..] = inner {
        if kind(inner).is_some_and(|kind| kind & 0xf == REDIRECTION & 0xf) {
            return true;
        }
        let length = match usize::from(u16::from_le_bytes([*low, *high])) {
            // A message of flow control says its length so.
            0x8000 => 8,
            length => length.max(4),
        };
        inner = inner.get(length..).unwrap_or_default();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slow(first: u8, channel: u16, inner: &[u8]) -> Vec<u8> {
        let length = u16::try_from(inner.len() + 15).unwrap().to_be_bytes();
        let data = u16::try_from(inner.len() | 0x8000).unwrap().to_be_bytes();
        let channel = channel.to_be_bytes();
        [&[3, 0][..], &length, &[2, 0xf0, 0x80, first, 0, 6], &channel, &[0x70], &data, inner].concat()
    }

    fn share(kind: u16, rest: &[u8]) -> Vec<u8> {
        [&[60, 0][..], &kind.to_le_bytes(), &[0, 0], rest].concat()
    }

    fn fast(length: usize) -> Vec<u8> {
        let head = u16::try_from(length | 0x8000).unwrap().to_be_bytes();
        [&[0][..], &head, &vec![7; length - 3]].concat()
    }

    #[test]
    fn redirection_ends_the_session_wherever_it_is_cut() {
        let fine = [
            fast(9000),
            slow(FROM_DESKTOP, 1003, &share(DEMAND_ACTIVE, &[0; 90])),
            vec![0, 4, 1, 2],
            // The same bytes within a virtual channel are nobody's order.
            slow(FROM_DESKTOP, 1004, &share(REDIRECTION, &[0; 90])),
        ]
        .concat();
        let redirection = slow(FROM_DESKTOP, 1003, &share(REDIRECTION, &[0; 90]));
        for part in [1, 2, 5, 17, 4096] {
            let mut eye = DesktopSays::new(1003);
            for bytes in fine.chunks(part) {
                assert_eq!(eye.pass(bytes).unwrap().bytes, bytes);
            }
            let said: Vec<_> = redirection.chunks(part).map(|bytes| eye.pass(bytes).is_ok()).collect();
            assert!(said.contains(&false), "{part}");
        }
    }

    #[test]
    fn a_redirection_behind_another_message_ends_the_session_too() {
        let one = |kind: u16| [&[60, 0][..], &kind.to_le_bytes(), &[0; 56]].concat();
        let begin = slow(FROM_DESKTOP, 1003, &one(DEMAND_ACTIVE));
        let several = |last: u16| slow(FROM_DESKTOP, 1003, &[one(DATA), one(DATA), one(last)].concat());
        for part in [1, 31, 33, 4096] {
            let mut eye = DesktopSays::new(1003);
            for bytes in [begin.clone(), several(DATA)].concat().chunks(part) {
                assert!(eye.pass(bytes).is_ok(), "{part}");
            }
            let said: Vec<_> = several(REDIRECTION).chunks(part).map(|bytes| eye.pass(bytes).is_ok()).collect();
            assert!(said.contains(&false), "{part}");
        }
    }

    #[test]
    fn input_is_somebodys_doing_and_the_rest_is_not() {
        let stirs = |bytes: &[u8]| ClientSays::new(1003).pass(bytes).unwrap().stirs;
        assert!(stirs(&[0, 4, 1, 2]));
        assert!(stirs(&slow(FROM_CLIENT, 1003, &share(DATA, &[0, 0, 0, 0, 0, 1, 9, 0, INPUT, 0, 0, 0]))));
        assert!(!stirs(&slow(FROM_CLIENT, 1003, &share(DATA, &[0, 0, 0, 0, 0, 1, 9, 0, 31, 0, 0, 0]))));
        assert!(!stirs(&slow(FROM_CLIENT, 1004, &[0; 40])));
    }

    #[test]
    fn other_bytes_are_no_rdp() {
        for bytes in [&b"GET / HTTP/1.1"[..], &[3, 0, 0, 3], &[0, 1], &[0, 0x80, 1]] {
            assert!(ClientSays::new(1003).pass(bytes).is_err(), "{bytes:?}");
        }
    }
}
