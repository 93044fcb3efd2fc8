//! The record inside a certificate has one encoding.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use tapgate_model::{Digest, UnixTime};

use crate::fuzz;
use crate::payload::Payload;

fn address() -> impl Strategy<Value = Option<IpAddr>> {
    let v4 = any::<u32>().prop_map(|bits| IpAddr::from(Ipv4Addr::from_bits(bits)));
    let v6 = any::<u128>().prop_map(|bits| IpAddr::from(Ipv6Addr::from_bits(bits)).to_canonical());
    prop::option::of(prop_oneof![v4, v6])
}

proptest! {
    #[test]
    fn round_trip(
        gate: [u8; 32],
        user in "[A-Za-z0-9_@+][A-Za-z0-9._@+-]{0,63}",
        login_expires: u64,
        source_ip in address(),
        with_proof: bool,
    ) {
        let proof = with_proof.then(|| super::proof(Digest::from_bytes(gate), source_ip));
        let user = user.parse().unwrap();
        let login_expires = UnixTime::from_secs(login_expires);
        let payload = Payload { gate: Digest::from_bytes(gate), user, login_expires, source_ip, proof };
        let der = payload.to_der().unwrap();
        let again = Payload::from_der(&der).unwrap();
        prop_assert_eq!(&again.gate, &payload.gate);
        prop_assert_eq!(&again.user, &payload.user);
        prop_assert_eq!(again.login_expires, payload.login_expires);
        prop_assert_eq!(again.source_ip, payload.source_ip);
        prop_assert_eq!(again.proof.map(|proof| proof.to_der().unwrap()), payload.proof.map(|proof| proof.to_der().unwrap()));
    }

    #[test]
    fn any_change_is_another_record_or_none(at: prop::sample::Index, bit in 0..8) {
        let mut der = payload_der();
        let at = at.index(der.len());
        der[at] ^= 1_u8 << bit;
        fuzz::payload(&der);
    }

    #[test]
    fn no_bytes_panic(data: Vec<u8>) {
        fuzz::payload(&data);
        fuzz::x509(&data);
        fuzz::ssh(&data);
    }
}

fn payload_der() -> Vec<u8> {
    let gate = Digest::from_bytes([1; 32]);
    let proof = super::proof(gate, Some([192, 0, 2, 7].into()));
    Payload::session(gate, &super::ann(), super::NOW, &proof).unwrap().to_der().unwrap()
}

#[test]
fn truncated_and_padded() {
    let der = payload_der();
    assert!(Payload::from_der(&der).is_some());
    for end in 0..der.len() {
        assert!(Payload::from_der(&der[..end]).is_none(), "{end}");
    }
    assert!(Payload::from_der(&[der.as_slice(), &[0]].concat()).is_none());
}

#[test]
fn an_address_has_one_form() {
    let mapped: IpAddr = "::ffff:192.0.2.7".parse().unwrap();
    let payload = Payload::login(Digest::from_bytes([1; 32]), &super::ann(), super::NOW, Some(mapped));
    assert_eq!(payload.source_ip, Some([192, 0, 2, 7].into()));
    // The mapped form in sixteen bytes is a second encoding of the same address.
    let der = payload.to_der().unwrap();
    let mut long = der[..der.len() - 6].to_vec();
    long.extend([&[0x80, 16][..], &[0; 10], &[0xff, 0xff, 192, 0, 2, 7]].concat());
    long[1] += 12;
    assert_eq!(usize::from(long[1]), long.len() - 2);
    assert!(Payload::from_der(&long).is_none());
}

#[test]
fn another_version_is_not_read() {
    let mut der = Payload::login(Digest::from_bytes([1; 32]), &super::ann(), super::NOW, None).to_der().unwrap();
    assert_eq!(der[2..5], [2, 1, 1]);
    der[4] = 2;
    assert!(Payload::from_der(&der).is_none());
}
