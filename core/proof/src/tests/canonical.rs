//! Decoding checks what writing anew would: both refuse the same bytes, and read the same from the others.

use der::Decode as _;
use proptest::prelude::*;

use super::everything;
use crate::wire::WireStatement;
use crate::{Statement, StatementParts};

/// The definition: read, put in order, written anew, and the same as before.
fn by_writing_anew(der: &[u8]) -> Option<StatementParts> {
    let parts = WireStatement::from_der(der).ok()?.into_parts().ok()?;
    let statement = Statement::new(parts).ok()?;
    (statement.der() == der).then(|| statement.into_parts())
}

fn check(der: &[u8]) {
    let read = Statement::from_der(der).ok();
    assert!(read.as_ref().is_none_or(|statement| statement.der() == der));
    assert_eq!(read.map(Statement::into_parts), by_writing_anew(der), "{der:02x?}");
}

fn encodings() -> Vec<Vec<u8>> {
    everything().into_iter().map(|parts| Statement::new(parts).unwrap().to_der()).collect()
}

#[test]
fn no_change_of_one_byte_is_judged_otherwise() {
    for der in encodings() {
        assert!(Statement::from_der(&der).is_ok());
        for place in 0..der.len() {
            for value in
                [0x00, 0x01, 0x02, 0x04, 0x0a, 0x0c, 0x1f, 0x20, 0x30, 0x7f, 0x80, 0x81, 0x82, 0xa0, 0xa1, 0xff]
            {
                let mut bent = der.clone();
                for value in [value, bent[place] ^ value, bent[place].wrapping_add(value)] {
                    bent[place] = value;
                    check(&bent);
                }
            }
            check(&[&der[..place], &der[place + 1..]].concat());
            check(&[&der[..place], &[0], &der[place..]].concat());
            check(&der[..place]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_cut_and_joined_encoding_is_judged_otherwise(
        one in 0..8_usize, other in 0..8_usize, from in 0.0..1.0, to in 0.0..1.0, into in 0.0..1.0
    ) {
        let all = encodings();
        let place = |der: &[u8], share: f64| (0..=der.len()).nth(share_of(der.len(), share)).unwrap_or(0);
        let (one, other) = (&all[one], &all[other]);
        let (from, to) = (place(other, from), place(other, to));
        let (from, to) = (from.min(to), from.max(to));
        let into = place(one, into);
        check(&[&one[..into], &other[from..to], &one[into..]].concat());
        check(&[&one[..into], &other[from..]].concat());
    }
}

/// A share of a length, without a cast.
fn share_of(length: usize, share: f64) -> usize {
    (0..=length)
        .take_while(|n| f64::from(u32::try_from(*n).unwrap()) <= share * f64::from(u32::try_from(length).unwrap()))
        .count()
        .saturating_sub(1)
}

#[test]
fn orders_and_addresses_have_one_form() {
    let mut refused = 0;
    for der in encodings() {
        // An IPv4 address that is written as IPv6, and lists in another order, are built by hand: no writer makes them.
        let parts = Statement::from_der(&der).unwrap().into_parts();
        let mut swapped = parts.clone();
        swapped.targets.reverse();
        swapped.source_ip = parts.source_ip.map(|address| match address {
            std::net::IpAddr::V4(four) => four.to_ipv6_mapped().into(),
            six @ std::net::IpAddr::V6(_) => six,
        });
        let bent = der::Encode::to_der(&WireStatement::new(&swapped).unwrap()).unwrap();
        check(&bent);
        refused += usize::from(bent != der && Statement::from_der(&bent).is_err());
    }
    assert!(refused >= 2, "{refused}");
}
