//! The one form of an ECDSA signature.
//!
//! To every valid ECDSA signature (r, s) anybody can write a second one, (r, n - s). A proof is spent by its
//! id, so it must not have a twin: encodings hold the smaller of the two, and nothing else is read.

use std::borrow::Cow;

use der::asn1::UintRef;
use der::{Decode, Encode, Sequence};

/// The order n of the P-256 group.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

#[derive(Sequence)]
struct Ecdsa<'a> {
    r: UintRef<'a>,
    s: UintRef<'a>,
}

/// The signature with the smaller s; anything that is no ECDSA signature over P-256 stays as it is.
pub(crate) fn one_form(signature: &[u8]) -> Cow<'_, [u8]> {
    smaller(signature).map_or(Cow::Borrowed(signature), Cow::Owned)
}

/// The other form, where it is the smaller one.
fn smaller(signature: &[u8]) -> Option<Vec<u8>> {
    let Ecdsa { r, s } = Ecdsa::from_der(signature).ok()?;
    let high = padded(s.as_bytes())?;
    let low = order_minus(&high)?;
    let twin = Ecdsa { r, s: UintRef::new(&low).ok()? };
    if low < high { twin.to_der().ok() } else { None }
}

/// The signature of which a token writes both numbers in 32 bytes each (RFC 7518, section 3.4).
pub(crate) fn from_fixed(signature: &[u8]) -> Option<Vec<u8>> {
    let (r, s) = signature.split_at_checked(32).filter(|(_, s)| s.len() == 32)?;
    from_numbers(without_zeros(r), without_zeros(s))
}

/// The signature of these two numbers, big-endian.
pub(crate) fn from_numbers(r: &[u8], s: &[u8]) -> Option<Vec<u8>> {
    let number = |bytes| UintRef::new(bytes).ok();
    let der = Ecdsa { r: number(r)?, s: number(s)? }.to_der().ok()?;
    Some(one_form(&der).into_owned())
}

fn without_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.get(zeros..).unwrap_or_default()
}

fn padded(bytes: &[u8]) -> Option<[u8; 32]> {
    let mut padded = [0; 32];
    let start = padded.len().checked_sub(bytes.len())?;
    padded[start..].copy_from_slice(bytes);
    Some(padded)
}

/// n - s, where s is no larger than n.
fn order_minus(s: &[u8; 32]) -> Option<[u8; 32]> {
    let mut difference = ORDER;
    let mut borrow = false;
    for (digit, subtrahend) in difference.iter_mut().zip(s).rev() {
        let (once, under) = digit.overflowing_sub(*subtrahend);
        let (twice, under_again) = once.overflowing_sub(u8::from(borrow));
        (*digit, borrow) = (twice, under || under_again);
    }
    (!borrow).then_some(difference)
}
