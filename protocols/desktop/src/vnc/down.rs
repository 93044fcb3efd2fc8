//! What a desktop says where the clipboard is forbidden (RFC 6143 section 7.6): pictures pass, texts do not.

use tapgate_relay::carry::{Eye, Passed};

use super::up::Pixels;

const RAW: i32 = 0;
const COPY: i32 = 1;
const ZRLE: i32 = 16;
const CURSOR: i32 = -239;
const SIZE: i32 = -223;
const LAST: i32 = -224;

/// The encodings whose sizes can be told without decoding them.
pub(super) const ENCODINGS: [i32; 6] = [RAW, COPY, ZRLE, CURSOR, SIZE, LAST];

/// Reads what a desktop says.
pub(crate) struct DesktopSays {
    pixels: Pixels,
    /// How many rectangles of the present picture are still to come.
    rectangles: usize,
    held: Vec<u8>,
    rest: (usize, bool),
    out: Vec<u8>,
}

impl DesktopSays {
    /// Reads for one session.
    pub(crate) const fn new(pixels: Pixels) -> Self {
        Self { pixels, rectangles: 0, held: Vec::new(), rest: (0, true), out: Vec::new() }
    }

    fn number(&self, at: usize, bytes: usize) -> Option<usize> {
        let field = self.held.get(at..at + bytes)?;
        Some(field.iter().fold(0_usize, |sum, byte| (sum << 8) | usize::from(*byte)))
    }

    /// The size of what begins so, once that is known: a message, or a rectangle within one.
    fn size(&self) -> Result<Option<(usize, bool)>, &'static str> {
        if self.rectangles > 0 {
            return self.rectangle();
        }
        let passes = |size| Ok(Some((size, true)));
        match self.held.first() {
            None => Ok(None),
            Some(0) => passes(4),
            Some(1) => Ok(self.number(4, 2).map(|count| (6 + 6 * count, true))),
            Some(2) => passes(1),
            Some(3) => {
                let length = self.number(4, 4).and_then(|length| u32::try_from(length).ok());
                let length = length.and_then(|length| usize::try_from(length.cast_signed().unsigned_abs()).ok());
                Ok(length.map(|length| (8 + length, false)))
            }
            Some(_) => Err("the desktop sent a message that may not pass where the clipboard is forbidden"),
        }
    }

    fn rectangle(&self) -> Result<Option<(usize, bool)>, &'static str> {
        let (Some(width), Some(height)) = (self.number(4, 2), self.number(6, 2)) else { return Ok(None) };
        let encoding: Option<[u8; 4]> = self.held.get(8..12).and_then(|four| four.try_into().ok());
        let raw = width * height * self.pixels.bytes();
        let body = match encoding.map(i32::from_be_bytes) {
            None => return Ok(None),
            Some(RAW) => raw,
            Some(COPY) => 4,
            Some(ZRLE) => match self.number(12, 4) {
                None => return Ok(None),
                Some(length) => 4 + length,
            },
            Some(CURSOR) => raw + width.div_ceil(8) * height,
            Some(SIZE | LAST) => 0,
            Some(_) => return Err("the desktop sent a picture in an encoding that nobody asked for"),
        };
        Ok(Some((12 + body, true)))
    }

    fn begin(&mut self, size: usize, passes: bool) {
        if self.rectangles > 0 {
            let last = self.held.get(8..12) == Some(&LAST.to_be_bytes()[..]);
            self.rectangles = if last { 0 } else { self.rectangles - 1 };
        } else if self.held.first() == Some(&0) {
            self.rectangles = self.number(2, 2).unwrap_or_default();
        }
        self.rest = (size.saturating_sub(self.held.len()), passes);
        if passes {
            self.out.append(&mut self.held);
        }
        self.held.clear();
    }

    /// How many bytes tell the size of what begins so.
    fn ready(&self, size: usize) -> bool {
        // A picture's head is read whole: it says how many rectangles come.
        self.held.len() >= size.min(4) || self.rectangles > 0 || self.held.first() != Some(&0)
    }
}

impl Eye for DesktopSays {
    fn pass<'a>(&'a mut self, said: &'a [u8]) -> Result<Passed<'a>, &'static str> {
        self.out.clear();
        let mut said = said;
        loop {
            let (now, later) = said.split_at(self.rest.0.min(said.len()));
            if self.rest.1 {
                self.out.extend_from_slice(now);
            }
            self.rest.0 -= now.len();
            said = later;
            if said.is_empty() && (self.rest.0 > 0 || self.held.is_empty()) {
                break;
            }
            match self.size()? {
                Some((size, passes)) if self.ready(size) => self.begin(size, passes),
                _ => match said.split_first() {
                    Some((byte, later)) => {
                        self.held.push(*byte);
                        said = later;
                    }
                    None => break,
                },
            }
        }
        Ok(Passed { bytes: &self.out, stirs: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vnc::up::pixels;

    fn rectangle(width: u8, height: u8, encoding: i32, body: &[u8]) -> Vec<u8> {
        [&[0, 0, 0, 0, 0, width, 0, height][..], &encoding.to_be_bytes(), body].concat()
    }

    #[test]
    fn pictures_pass_and_texts_do_not() {
        let picture = [
            vec![0, 0, 0, 4],
            rectangle(2, 1, RAW, &[7; 8]),
            rectangle(9, 9, COPY, &[7; 4]),
            rectangle(9, 9, ZRLE, &[&[0, 0, 0, 3][..], b"xyz"].concat()),
            rectangle(9, 2, CURSOR, &[7; 9 * 2 * 4 + 4]),
        ]
        .concat();
        let until_last = [vec![0, 0, 0xff, 0xff], rectangle(1, 1, RAW, &[7; 4]), rectangle(0, 0, LAST, &[])].concat();
        let text = [&[3, 0, 0, 0, 0, 0, 0, 5][..], b"hello"].concat();
        let palette = [&[1, 0, 0, 0, 0, 2][..], &[7; 12]].concat();
        let said = [&picture[..], &text, &until_last, &text, &[2], &palette, &[0, 0, 0, 0]].concat();
        let expect = [&picture[..], &until_last, &[2], &palette, &[0, 0, 0, 0]].concat();
        for part in [1, 5, 1000] {
            let mut eye = DesktopSays::new(pixels(4));
            let mut out = Vec::new();
            said.chunks(part).for_each(|part| out.extend_from_slice(eye.pass(part).unwrap().bytes));
            assert_eq!(out, expect, "{part}");
        }
    }

    #[test]
    fn what_nobody_asked_for_ends_the_session() {
        for said in [vec![7, 0], [vec![0, 0, 0, 1], rectangle(1, 1, 7, &[])].concat()] {
            assert!(DesktopSays::new(pixels(4)).pass(&said).is_err(), "{said:?}");
        }
    }
}
