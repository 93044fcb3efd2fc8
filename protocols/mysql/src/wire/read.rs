//! Reading a payload piece by piece; nothing here can run past its end.

/// What is left of a payload.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    /// The next bytes.
    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// A byte.
    pub(crate) fn u8(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// Two bytes, the lower one first.
    pub(crate) fn u16(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes(self.take(2)?.try_into().ok()?))
    }

    /// Four bytes, the lowest first.
    pub(crate) fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    /// A number that tells its own length (`int<lenenc>`).
    pub(crate) fn number(&mut self) -> Option<u64> {
        let width = match self.u8()? {
            small @ 0..=0xfa => return Some(u64::from(small)),
            0xfc => 2,
            0xfd => 3,
            0xfe => 8,
            _ => return None,
        };
        let bytes = self.take(width)?;
        Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// A text with its length before it (`string<lenenc>`).
    pub(crate) fn counted(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        self.take(length)
    }

    /// A text up to a zero, or to the end where there is none.
    pub(crate) fn until_zero(&mut self) -> &'a [u8] {
        let end = self.0.iter().position(|byte| *byte == 0);
        let text = self.0.get(..end.unwrap_or(self.0.len())).unwrap_or_default();
        self.0 = self.0.get(text.len() + 1..).unwrap_or_default();
        text
    }
}

/// Writes a number that tells its own length, as far as lengths go here.
pub(crate) fn put_number(to: &mut Vec<u8>, number: usize) {
    if let Ok(small @ 0..=0xfa) = u8::try_from(number) {
        return to.push(small);
    }
    let bytes = u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes();
    to.push(0xfd);
    to.extend_from_slice(bytes.get(..3).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_length() {
        let read = |bytes: &[u8]| Reader(bytes).number();
        assert_eq!(read(&[250]), Some(250));
        assert_eq!(read(&[0xfc, 1, 2]), Some(0x0201));
        assert_eq!(read(&[0xfd, 1, 2, 3]), Some(0x03_0201));
        assert_eq!(read(&[0xfe, 1, 0, 0, 0, 0, 0, 0, 0x80]), Some(0x8000_0000_0000_0001));
        for bad in [&[][..], &[0xfb], &[0xff], &[0xfc, 1], &[0xfe, 1, 2, 3]] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
        for number in [0, 250, 251, 70_000] {
            let mut bytes = Vec::new();
            put_number(&mut bytes, number);
            assert_eq!(read(&bytes), u64::try_from(number).ok());
        }
    }

    #[test]
    fn texts_end_where_they_should() {
        let mut reader = Reader(b"ab\0\x02cd");
        assert_eq!((reader.until_zero(), reader.counted()), (&b"ab"[..], Some(&b"cd"[..])));
        assert_eq!(Reader(b"\x05abc").counted(), None);
        let mut open = Reader(b"abc");
        assert_eq!((open.until_zero(), open.0), (&b"abc"[..], &b""[..]));
    }
}
