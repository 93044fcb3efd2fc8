//! Every packet, every way to cut it short, and nothing but packets.

use proptest::prelude::*;

use super::*;

fn string(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

fn packet(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    [&[kind], parts.concat().as_slice()].concat()
}

const ONE: &[u8] = &[0, 0, 0, 1];
const TWO: &[u8] = &[0, 0, 0, 2];
const BIG: &[u8] = &[0, 0x20, 0, 0];

#[test]
fn each_packet() {
    let name = string(b"session");
    let data = string(b"hello");
    let empty = string(b"");
    for (bytes, expect) in [
        (
            packet(80, &[&name, &[1], b"rest"]),
            Packet::GlobalRequest { name: "session", want_reply: true, body: b"rest" },
        ),
        (packet(81, &[b"port"]), Packet::RequestSuccess),
        (packet(82, &[]), Packet::RequestFailure),
        (
            packet(90, &[&name, ONE, BIG, TWO, b"rest"]),
            Packet::Open { kind: "session", sender: 1, window: 0x20_0000, packet_max: 2, body: b"rest" },
        ),
        (
            packet(91, &[ONE, TWO, BIG, ONE]),
            Packet::OpenConfirmation { recipient: 1, sender: 2, window: 0x20_0000, packet_max: 1 },
        ),
        (packet(92, &[ONE, TWO, &data, &empty]), Packet::OpenFailure { recipient: 1, reason: 2 }),
        (packet(93, &[ONE, BIG]), Packet::WindowAdjust { recipient: 1, bytes: 0x20_0000 }),
        (packet(94, &[TWO, &data]), Packet::Data { recipient: 2, length: 5, main: b"hello" }),
        (packet(95, &[TWO, ONE, &data]), Packet::Data { recipient: 2, length: 5, main: b"" }),
        (packet(96, &[ONE]), Packet::Eof { recipient: 1 }),
        (packet(97, &[ONE]), Packet::Close { recipient: 1 }),
        (
            packet(98, &[ONE, &string(b"exec"), &[0], &data]),
            Packet::Request { recipient: 1, name: "exec", want_reply: false, body: &data },
        ),
        (packet(99, &[ONE]), Packet::Success { recipient: 1 }),
        (packet(100, &[ONE]), Packet::Failure { recipient: 1 }),
    ] {
        assert_eq!(Packet::parse(&bytes), Ok(expect));
        let open_end = matches!(bytes.first(), Some(80 | 81 | 90 | 91 | 98));
        let longer = [bytes.as_slice(), b"x"].concat();
        assert_eq!(Packet::parse(&longer).is_ok(), open_end, "{expect:?} with a byte more");
        let fixed = if open_end { bytes.len().min(14) } else { bytes.len() };
        for end in 1..fixed.min(bytes.len()) {
            let cut = bytes.get(..end).unwrap();
            assert!(Packet::parse(cut) != Ok(expect) || open_end, "{expect:?} cut at {end}");
        }
    }
}

#[test]
fn what_is_no_packet() {
    let long_name = string(&[b'a'; NAME_MAX + 1]);
    let long_data = string(&vec![0; usize::try_from(DATA_MAX).unwrap() + 1]);
    for (bytes, expect) in [
        (vec![], WireError::Empty),
        (vec![79], WireError::Unknown(79)),
        (vec![83], WireError::Unknown(83)),
        (vec![101], WireError::Unknown(101)),
        (vec![255], WireError::Unknown(255)),
        (packet(94, &[ONE, &[255, 255, 255, 255], b"x"]), WireError::Short(94)),
        (packet(80, &[&string(b""), &[1]]), WireError::Field(80)),
        (packet(80, &[&string(b"a b"), &[1]]), WireError::Field(80)),
        (packet(80, &[&string(b"a\n"), &[1]]), WireError::Field(80)),
        (packet(80, &[&string(&[0xff]), &[1]]), WireError::Field(80)),
        (packet(80, &[&long_name, &[1]]), WireError::Field(80)),
        (packet(80, &[&string(b"keepalive")]), WireError::Short(80)),
        (packet(94, &[ONE, &long_data]), WireError::Long(94)),
        (vec![98; CONTROL_MAX + 1], WireError::Long(98)),
    ] {
        assert_eq!(Packet::parse(&bytes), Err(expect));
    }
}

#[test]
fn the_string_of_a_request() {
    assert_eq!(only_string(&string(b"ls -l")), Some(b"ls -l".as_slice()));
    assert_eq!(only_string(&[string(b"ls"), vec![0]].concat()), None);
    assert_eq!(only_string(&[0, 0, 0, 9, 1]), None);
    assert_eq!(only_string(b""), None);
}

proptest! {
    /// No bytes make the parser fail otherwise than by saying so, and data is never longer than it is.
    #[test]
    fn any_bytes(kind in 75u8..105, rest in prop::collection::vec(any::<u8>(), 0..80)) {
        let bytes = packet(kind, &[&rest]);
        if let Ok(Packet::Data { length, .. }) = Packet::parse(&bytes) {
            prop_assert!(usize::try_from(length).unwrap() < bytes.len());
        }
    }
}
