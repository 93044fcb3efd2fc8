//! SFTP conversations, whole, in pieces, and broken.

use proptest::prelude::*;

use super::*;

fn packet(kind: u8, fields: &[&[u8]]) -> Vec<u8> {
    let body: Vec<u8> = [&[kind], [0, 0, 0, 7].as_slice(), &fields.concat()].concat();
    [u32::try_from(body.len()).unwrap().to_be_bytes().as_slice(), &body].concat()
}

fn string(text: &str) -> Vec<u8> {
    [&u32::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat()
}

fn flags(flags: u32) -> Vec<u8> {
    [flags.to_be_bytes(), [0; 4]].concat()
}

fn told(packets: &[u8], piece: usize) -> Vec<Deed> {
    let (mut reader, mut deeds) = (Reader::default(), Vec::new());
    for bytes in packets.chunks(piece.max(1)) {
        reader.client(bytes, &mut |deed| deeds.push(deed));
    }
    deeds
}

fn sftp(operation: &'static str, path: &str, to: Option<&str>) -> Deed {
    Deed::Sftp { operation, path: path.into(), to: to.map(Into::into) }
}

/// A conversation and what it tells.
fn conversation() -> (Vec<u8>, Vec<Deed>) {
    let init = [0, 0, 0, 5, 1, 0, 0, 0, 3].to_vec();
    let write = packet(6, &[&string("handle"), &[0; 8], &string(&"x".repeat(32768))]);
    let (long, cut) = ("p".repeat(3000), format!("{}…", "p".repeat(1021)));
    let packets = [
        init,
        packet(3, &[&string("/etc/hosts"), &flags(1)]),
        packet(3, &[&string("/tmp/new"), &flags(0x1a)]),
        write.clone(),
        packet(3, &[&string("both"), &flags(3)]),
        write,
        packet(4, &[&string("handle")]),
        packet(17, &[&string("/stat/is/not/told")]),
        packet(9, &[&string("/mode"), &[0; 8]]),
        packet(11, &[&string(".")]),
        packet(13, &[&string("/gone")]),
        packet(14, &[&string("/dir"), &[0; 4]]),
        packet(15, &[&string("/dir")]),
        packet(18, &[&string("/a"), &string("/b")]),
        packet(20, &[&string("/c"), &string("/d")]),
        packet(200, &[&string("posix-rename@openssh.com"), &string("/e"), &string("/f")]),
        packet(200, &[&string("hardlink@openssh.com"), &string("/g"), &string("/h")]),
        packet(200, &[&string("lsetstat@openssh.com"), &string("/i"), &[0; 4]]),
        packet(200, &[&string("statvfs@openssh.com"), &string("/")]),
        packet(13, &[&string(&long)]),
    ];
    let deeds = vec![
        sftp("read", "/etc/hosts", None),
        sftp("write", "/tmp/new", None),
        sftp("read and write", "both", None),
        sftp("set attributes", "/mode", None),
        sftp("list", ".", None),
        sftp("remove", "/gone", None),
        sftp("make directory", "/dir", None),
        sftp("remove directory", "/dir", None),
        sftp("rename", "/a", Some("/b")),
        sftp("link", "/c", Some("/d")),
        sftp("rename", "/e", Some("/f")),
        sftp("link", "/g", Some("/h")),
        sftp("set attributes", "/i", None),
        sftp("remove", &cut, None),
    ];
    (packets.concat(), deeds)
}

#[test]
fn every_operation_on_a_path_is_told() {
    let (packets, deeds) = conversation();
    assert_eq!(told(&packets, packets.len()), deeds);
    assert_eq!(told(&packets, 1), deeds);
}

#[test]
fn what_cannot_be_read_ends_the_reading_and_is_said_once() {
    let good = packet(13, &[&string("/gone")]);
    for broken in [
        vec![0, 0, 0, 0, 3],
        vec![0xff; 9],
        packet(13, &[b"\0\0\0\x09/"]),
        packet(18, &[&string("/only one")]),
        packet(3, &[&string("/no flags")]),
        vec![0, 0, 0, 1, 13],
        packet(13, &[&string(&"p".repeat(SFTP_KEPT_MAX))]),
    ] {
        let deeds = told(&[good.clone(), broken.clone(), good.clone()].concat(), 5);
        assert!(matches!(deeds.as_slice(), [Deed::Sftp { .. }, Deed::Untold(_)]), "{broken:?}: {deeds:?}");
    }
}

#[test]
fn another_version_is_not_read() {
    for (hello, is_read) in [([0, 0, 0, 5, 2, 0, 0, 0, 3], true), ([0, 0, 0, 5, 2, 0, 0, 0, 6], false)] {
        let (mut reader, mut deeds) = (Reader::default(), Vec::new());
        for byte in hello.iter().chain(&[1, 2, 3]) {
            reader.target(&[*byte], &mut |deed| deeds.push(deed));
        }
        reader.client(&packet(13, &[&string("/gone")]), &mut |deed| deeds.push(deed));
        let expect = if is_read { sftp("remove", "/gone", None) } else { Deed::Untold("".into()) };
        assert_eq!(deeds.len(), 1);
        assert_eq!(matches!(deeds.first(), Some(Deed::Sftp { .. })), matches!(expect, Deed::Sftp { .. }));
    }
}

proptest! {
    /// However the bytes are cut, the same is told.
    #[test]
    fn pieces_make_no_difference(cuts in prop::collection::vec(1usize..5000, 1..60)) {
        let (packets, deeds) = conversation();
        let (mut reader, mut told, mut rest) = (Reader::default(), Vec::new(), packets.as_slice());
        for cut in cuts.iter().cycle() {
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            reader.client(piece, &mut |deed| told.push(deed));
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(told, deeds);
    }

    /// Any bytes: no panic, bounded memory, and at most one complaint.
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400), piece in 1usize..50, small: bool) {
        let bytes: Vec<u8> = if small { bytes.iter().map(|b| b % 21).collect() } else { bytes };
        crate::fuzz::sftp(&bytes);
        let complaints = told(&bytes, piece).iter().filter(|deed| matches!(deed, Deed::Untold(_))).count();
        prop_assert!(complaints <= 1);
    }
}
