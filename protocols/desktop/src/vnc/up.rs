//! What a viewer says (RFC 6143 section 7.5): only messages that are known pass, and the clipboard where it may.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::down::ENCODINGS;
use crate::relay::{Eye, Passed};

/// How large a message may be that is held back until it is whole: a list of encodings.
const HELD_MAX: usize = 8 * 1024;

const SET_PIXEL_FORMAT: u8 = 0;
const SET_ENCODINGS: u8 = 2;
const UPDATE_REQUEST: u8 = 3;
const KEY: u8 = 4;
const POINTER: u8 = 5;
const CUT_TEXT: u8 = 6;

/// The size of pixels, as the viewer has chosen it, for the one who reads the pictures.
#[derive(Debug, Clone)]
pub(crate) struct Pixels(Arc<(AtomicUsize, AtomicBool)>);

/// Pixels of this many bytes at first.
pub(crate) fn pixels(bytes: usize) -> Pixels {
    Pixels(Arc::new((AtomicUsize::new(bytes), AtomicBool::new(false))))
}

impl Pixels {
    /// How many bytes one has.
    pub(super) fn bytes(&self) -> usize {
        self.0.0.load(Ordering::SeqCst)
    }

    /// A picture was asked for: from here on some may be under way.
    fn asked(&self) {
        self.0.1.store(true, Ordering::SeqCst);
    }

    /// The viewer wants another size. Pictures of the old one may be under way already, which nobody could tell from
    /// the new.
    fn choose(&self, bits: u8) -> Result<(), &'static str> {
        let bytes = usize::from(bits / 8);
        if !matches!(bits, 8 | 16 | 32) || (self.0.1.load(Ordering::SeqCst) && bytes != self.bytes()) {
            return Err("the viewer changed the size of pixels, which can't be done where the clipboard is forbidden");
        }
        self.0.0.store(bytes, Ordering::SeqCst);
        Ok(())
    }
}

/// Reads what a viewer says.
pub(crate) struct ViewerSays {
    /// Where the clipboard is forbidden: what the reader of the pictures must know.
    guarded: Option<Pixels>,
    /// A message that is not whole yet.
    held: Vec<u8>,
    /// How much is left of one whose size is known, and whether it passes.
    rest: (usize, bool),
    /// What goes on.
    out: Vec<u8>,
}

/// What is known of a message from its first bytes.
enum Known {
    /// More bytes would tell.
    NeedMore,
    /// Its whole size, and whether it must be looked at whole.
    Size(usize, bool),
}

impl ViewerSays {
    /// Reads for a session; `guarded` where the clipboard is forbidden.
    pub(crate) const fn new(guarded: Option<Pixels>) -> Self {
        Self { guarded, held: Vec::new(), rest: (0, true), out: Vec::new() }
    }

    /// The size of the message that begins so.
    fn size(&self) -> Result<Known, &'static str> {
        let held = &self.held;
        let Some(kind) = held.first() else { return Ok(Known::NeedMore) };
        let u16_at = |at: usize| held.get(at..at + 2).map(|two| usize::from(two[0]) << 8 | usize::from(two[1]));
        let fixed = |size: usize| Ok(Known::Size(size, false));
        let sized = |size: Option<usize>| Ok(size.map_or(Known::NeedMore, |size| Known::Size(size, false)));
        match *kind {
            SET_PIXEL_FORMAT => Ok(Known::Size(20, true)),
            SET_ENCODINGS => Ok(u16_at(2).map_or(Known::NeedMore, |count| Known::Size(4 + 4 * count, true))),
            UPDATE_REQUEST | 150 => fixed(10),
            KEY => fixed(8),
            POINTER => fixed(6),
            CUT_TEXT => sized(cut_text_size(held)),
            // A fence's data is at most 64 bytes.
            248 => match held.get(8) {
                Some(length) if *length > 64 => Err("the viewer sent a fence that is too long"),
                length => sized(length.map(|length| 9 + usize::from(*length))),
            },
            250 => fixed(4),
            251 => sized(held.get(6).map(|count| 8 + 16 * usize::from(*count))),
            255 => match held.get(1) {
                Some(0) => fixed(12),
                None => Ok(Known::NeedMore),
                Some(_) => Err("the viewer sent a message of QEMU's that may not pass"),
            },
            _ => Err("the viewer sent a message that is none of VNC's, or that may not pass"),
        }
    }

    /// Takes the beginning of a message whose size is known.
    fn begin(&mut self, size: usize, whole: bool) -> Result<bool, &'static str> {
        let kind = self.held.first().copied().unwrap_or_default();
        let mut passes = true;
        if whole {
            self.look(kind)?;
        }
        if let Some(pixels) = &self.guarded {
            passes = kind != CUT_TEXT;
            if kind == UPDATE_REQUEST {
                pixels.asked();
            }
        }
        self.rest = (size.saturating_sub(self.held.len()), passes);
        if passes {
            self.out.append(&mut self.held);
        }
        self.held.clear();
        if whole {
            self.rest.0 = 0;
        }
        Ok(matches!(kind, KEY | POINTER | CUT_TEXT | 255))
    }

    /// Looks at a message that is here whole. Where the clipboard is forbidden, only those encodings pass whose sizes
    /// are known: the clipboard is taken from between them.
    fn look(&mut self, kind: u8) -> Result<(), &'static str> {
        let Some(pixels) = &self.guarded else { return Ok(()) };
        if kind == SET_PIXEL_FORMAT {
            return pixels.choose(self.held.get(4).copied().unwrap_or_default());
        }
        let listed = self.held.get(4..).unwrap_or_default().chunks_exact(4);
        let kept: Vec<&[u8]> =
            listed.filter(|four| ENCODINGS.iter().any(|known| known.to_be_bytes() == **four)).collect();
        let count = u16::try_from(kept.len()).unwrap_or_default().to_be_bytes();
        self.held = [&[SET_ENCODINGS, 0][..], &count, &kept.concat()].concat();
        Ok(())
    }
}

/// A negative length is the extended clipboard's.
fn cut_text_size(held: &[u8]) -> Option<usize> {
    let length = held.get(4..8)?.iter().fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte));
    usize::try_from(length.cast_signed().unsigned_abs()).ok()?.checked_add(8)
}

impl Eye for ViewerSays {
    fn pass<'a>(&'a mut self, said: &'a [u8]) -> Result<Passed<'a>, &'static str> {
        self.out.clear();
        let (mut said, mut stirs) = (said, false);
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
                Known::Size(size, whole) if !whole || self.held.len() >= size => stirs |= self.begin(size, whole)?,
                _ if self.held.len() >= HELD_MAX => return Err("the viewer sent a list that is too long"),
                _ => match said.split_first() {
                    Some((byte, later)) => {
                        self.held.push(*byte);
                        said = later;
                    }
                    None => break,
                },
            }
        }
        Ok(Passed { bytes: &self.out, stirs })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What passes of these bytes, said in parts of this size.
    fn passed(eye: &mut ViewerSays, said: &[u8], part: usize) -> Result<(Vec<u8>, bool), &'static str> {
        let (mut all, mut stirred) = (Vec::new(), false);
        for part in said.chunks(part) {
            let passed = eye.pass(part)?;
            all.extend_from_slice(passed.bytes);
            stirred |= passed.stirs;
        }
        Ok((all, stirred))
    }

    fn encodings(list: &[i32]) -> Vec<u8> {
        let count = u16::try_from(list.len()).unwrap().to_be_bytes();
        let list: Vec<u8> = list.iter().flat_map(|encoding| encoding.to_be_bytes()).collect();
        [&[SET_ENCODINGS, 0][..], &count, &list].concat()
    }

    #[test]
    fn known_messages_pass_whole_and_in_parts() {
        let format = [&[0_u8; 4][..], &[32], &[0; 15]].concat();
        let text = [&[6, 0, 0, 0, 0, 0, 0, 5][..], b"hello"].concat();
        let all = [format, encodings(&[7, 16, -239]), vec![3; 10], vec![4; 8], vec![5; 6], text].concat();
        for part in [1, 2, 7, 1000] {
            let (out, stirred) = passed(&mut ViewerSays::new(None), &all, part).unwrap();
            assert_eq!((out, stirred), (all.clone(), true), "{part}");
        }
        assert!(!passed(&mut ViewerSays::new(None), &[3; 10], 10).unwrap().1, "asking for a picture is nobody's doing");
    }

    #[test]
    fn a_forbidden_clipboard_does_not_pass_and_encodings_are_few() {
        let text = [&[6, 0, 0, 0, 0, 0, 0, 5][..], b"hello"].concat();
        // The extended clipboard says its length below zero.
        let extended = [&[6, 0, 0, 0][..], &(-5_i32).to_be_bytes(), b"hello"].concat();
        let said = [text, vec![4; 8], extended, encodings(&[7, 16, 0, -1_063_131_698])].concat();
        for part in [1, 3, 1000] {
            let (out, _) = passed(&mut ViewerSays::new(Some(pixels(4))), &said, part).unwrap();
            assert_eq!(out, [vec![4; 8], encodings(&[16, 0])].concat(), "{part}");
        }
    }

    #[test]
    fn what_is_unknown_ends_the_session() {
        // 7 is UltraVNC's file transfer; 253 are gii's devices.
        for said in [&[7, 0][..], &[253, 0], &[255, 1], &[248, 0, 0, 0, 0, 0, 0, 0, 65]] {
            assert!(passed(&mut ViewerSays::new(None), said, 1).is_err(), "{said:?}");
        }
    }

    #[test]
    fn pixels_change_before_the_first_picture_alone() {
        let format = |bits: u8| [&[0_u8; 4][..], &[bits], &[0; 15]].concat();
        let mut eye = ViewerSays::new(Some(pixels(4)));
        assert!(passed(&mut eye, &[format(16), vec![3; 10], format(16)].concat(), 5).is_ok());
        assert!(passed(&mut eye, &format(32), 5).is_err());
        assert!(passed(&mut ViewerSays::new(Some(pixels(4))), &format(24), 5).is_err());
    }
}
