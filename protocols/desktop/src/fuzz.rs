//! Fuzz bodies: plain functions that panic where something is wrong.

use futures::FutureExt as _;
use tapgate_relay::carry::Eye;

use crate::rdp::clean_path;
use crate::rdp::info::{self, Logon, Said};
use crate::rdp::mcs::{self, Allowed};
use crate::rdp::scan;
use crate::rdp::x224;
use crate::vnc;

/// RDP's first two messages, of a client or a desktop.
pub fn x224(bytes: &[u8]) {
    let mut io = tokio::io::join(bytes, tokio::io::sink());
    drop(x224::read(&mut io, 512).now_or_never());
    if let Some(request) = x224::request(bytes) {
        let again = x224::request(&x224::write_request(request));
        assert_eq!(again.map(|again| again.protocols), Some(request.protocols), "what is written reads as itself");
    }
    let _ = x224::confirm(bytes);
}

/// A page's first message of RDP.
pub fn clean_path(bytes: &[u8]) {
    if let Some(protocols) = clean_path::asked(bytes).filter(|_| bytes.len() < 4096) {
        let mut io = tokio::io::join(bytes, tokio::io::sink());
        let greeted = clean_path::greet(&mut io, 0, &[vec![7; 20]]).now_or_never();
        assert_eq!(greeted.is_some_and(|greeted| greeted.is_ok()), protocols & x224::TLS != 0);
    }
}

/// The conference: what is changed keeps its length, and changes no more when it is changed again.
pub fn mcs(bytes: &[u8]) {
    for allowed in [Allowed { clipboard: true, devices: false }, Allowed { clipboard: false, devices: true }] {
        let mut pdu = bytes.to_vec();
        if let Ok(found) = mcs::initial(&mut pdu, 1, allowed) {
            let once = pdu.clone();
            let again = mcs::initial(&mut pdu, 1, allowed);
            assert_eq!((pdu, again.map(|again| again.channels)), (once, Ok(found.channels)));
        }
    }
    let mut pdu = bytes.to_vec();
    if mcs::response(&mut pdu, 3).is_ok() {
        assert_eq!(pdu.len(), bytes.len());
    }
}

/// What a client says before its picture: nothing of its own name and password is left.
pub fn client_info(bytes: &[u8]) {
    let logon = Logon { user: "ann", domain: "corp", password: "secret" };
    if let Ok(Said::Info(info)) = info::read(bytes)
        && let Ok(written) = info.with(&logon)
    {
        match info::read(&written) {
            Ok(Said::Info(again)) => assert_eq!(again.password().as_str(), "secret"),
            other => unreachable!("what is written reads as itself, not as {other:?}"),
        }
    }
}

/// A running session of RDP: the first byte says in how large parts it comes. Where it is cut changes nothing.
pub fn rdp_session(bytes: &[u8]) {
    let (part, said) = bytes.split_first().map_or((1, bytes), |(first, rest)| (usize::from(*first).max(1), rest));
    let whole = scan::DesktopSays::new(1003).pass(said).is_ok();
    let mut eye = scan::DesktopSays::new(1003);
    let parts = said.chunks(part).all(|part| eye.pass(part).is_ok());
    assert_eq!(whole, parts);
    let mut eye = scan::ClientSays::new(1003);
    let _ = said.chunks(part).all(|part| eye.pass(part).is_ok());
}

/// A conversation of VNC: the first byte says in how large parts it comes. Where it is cut changes nothing.
pub fn rfb(bytes: &[u8]) {
    let (part, said) = bytes.split_first().map_or((1, bytes), |(first, rest)| (usize::from(*first).max(1), rest));
    for guarded in [None, Some(())] {
        let pixels = || vnc::up::pixels(4);
        let through = |part: usize| {
            let mut eye = vnc::up::ViewerSays::new(guarded.map(|()| pixels()));
            followed(&mut eye, said, part)
        };
        assert_eq!(through(part), through(said.len().max(1)));
    }
    let through = |part: usize| followed(&mut vnc::down::DesktopSays::new(vnc::up::pixels(4)), said, part);
    assert_eq!(through(part), through(said.len().max(1)));
    let mut io = tokio::io::join(said, tokio::io::sink());
    drop(vnc::negotiate(&mut io, part & 1 == 0, part & 2 == 0).now_or_never());
}

/// What passes of the bytes; none where they end the session.
fn followed(eye: &mut impl Eye, said: &[u8], part: usize) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    for part in said.chunks(part) {
        out.extend_from_slice(eye.pass(part).ok()?.bytes);
    }
    Some(out)
}
