//! HTTP/2 that would be something else in HTTP/1, and floods of it.

use std::io::{Read as _, Write as _};

use anyhow::Result;

use super::scene::{Proxy, Scene};
use crate::world::resident;

const HEADERS: u8 = 1;
const RESET: u8 = 3;
const GO_AWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap_or_default().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), body].concat()
}

/// A header block of literals, none of them kept (RFC 7541 section 6.2.2).
fn block(pairs: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| {
        let length = u8::try_from(text.len()).unwrap_or(126).min(126);
        [&[length], text.as_bytes().get(..usize::from(length)).unwrap_or_default()].concat()
    };
    pairs.iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect()
}

/// The beginning of a connection.
fn hello() -> Vec<u8> {
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(4, 0, 0, b"")].concat()
}

const GOOD: [(&str, &str); 3] = [(":method", "GET"), (":scheme", "http"), (":authority", "open")];

fn request(path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    block(&[&GOOD[..], &[(":path", path)], more].concat())
}

/// Sends this and reads until the request is answered, refused, or the connection has ended.
fn answered(proxy: &Proxy, bytes: &[u8]) -> Result<u8> {
    let mut stream = proxy.connect()?;
    // The gate may hang up in the middle of a flood.
    stream.write_all(&[&hello(), bytes].concat()).unwrap_or_default();
    loop {
        let mut head = [0; 9];
        if stream.read_exact(&mut head).is_err() {
            return Ok(GO_AWAY);
        }
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap_or_default();
        if [HEADERS, RESET, GO_AWAY].contains(&head[3]) {
            return Ok(head[3]);
        }
    }
}

#[test]
fn a_request_that_would_be_two_in_http_1_is_none() -> Result<()> {
    let scene = Scene::new()?;
    let proxy = scene.proxy("open", &[])?;
    let both = END_STREAM | END_HEADERS;
    assert_eq!(answered(&proxy, &frame(HEADERS, both, 1, &request("/good", &[("te", "trailers")])))?, HEADERS);
    let hidden = "GET /hidden HTTP/1.1\r\nHost: open\r\n\r\n";
    for (path, more) in [
        ("/evil", ("x-a", "a\r\nX-Evil: 1")),
        ("/evil", ("x-a", "a\n\nGET /hidden")),
        ("/evil", ("x-a", "a\0b")),
        ("/evil", ("X-A", "a")),
        ("/evil", ("x a", "a")),
        ("/evil", ("x-a:", "a")),
        ("/evil", ("x-a: a\r\ny", "a")),
        ("/evil", ("", "a")),
        ("/evil HTTP/1.1\r\nX-Evil: 1", ("x-a", "a")),
        ("/evil /hidden", ("x-a", "a")),
        ("/evil", ("transfer-encoding", "chunked")),
        ("/evil", ("connection", "x-a")),
        ("/evil", ("upgrade", "foo")),
        ("/evil", ("te", "gzip")),
        ("/evil", (":path", "/hidden")),
        ("/evil", (":status", "200")),
        ("/evil", (":other", "x")),
        ("/evil", ("content-length", "5")),
        ("", ("x-a", "a")),
        ("evil", ("x-a", "a")),
    ] {
        let headers = request(path, &[more]);
        answered(&proxy, &frame(HEADERS, both, 1, &headers))?;
        assert!(!scene.app.process().stdout().contains("/hidden"), "{path:?} {more:?}");
    }
    // A body that is longer than it says, or that brings a request of HTTP/1 along.
    for (name, value) in [("content-length", "0"), ("content-length", "2"), ("transfer-encoding", "chunked")] {
        let pairs =
            [(":method", "POST"), (":scheme", "http"), (":authority", "open"), (":path", "/body"), (name, value)];
        let headers = frame(HEADERS, END_HEADERS, 1, &block(&pairs));
        answered(&proxy, &[headers, frame(0, END_STREAM, 1, hidden.as_bytes())].concat())?;
    }
    // Without a method, a path or a scheme; and a tunnel through the tunnel.
    for pairs in [
        &[(":method", "GET"), (":scheme", "http"), (":authority", "open")][..],
        &[(":scheme", "http"), (":authority", "open"), (":path", "/hidden")],
        &[("x-a", "a"), (":method", "GET"), (":scheme", "http"), (":authority", "open"), (":path", "/hidden")],
        &[(":method", "CONNECT"), (":authority", "hidden:80")],
        &[(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", "/hidden")],
    ] {
        answered(&proxy, &frame(HEADERS, both, 1, &block(pairs)))?;
    }
    let asked = scene.app.process().stdout();
    assert!(!asked.contains("/hidden") && !asked.contains("CONNECT"), "{asked}");
    let evil = asked.lines().filter(|line| line.contains("/evil")).collect::<Vec<_>>();
    assert!(evil.is_empty(), "{evil:?}");
    assert_eq!(scene.through(&proxy, &["http://open/fine"])?.status, 200);
    Ok(())
}

#[test]
fn floods_of_frames_are_ended() -> Result<()> {
    let scene = Scene::new()?;
    let proxy = scene.proxy("open", &[])?;
    scene.through(&proxy, &["http://open/fine"])?;
    let before = resident(&scene.world)?;
    // A head that never ends (CVE-2024-27316), and one that is far too large.
    let value = "v".repeat(120);
    let part: Vec<u8> = (0..100).flat_map(|_| block(&[("x-a", &value)])).collect();
    let begun = frame(HEADERS, END_STREAM, 1, &request("/flood", &[]));
    let more: Vec<u8> = (0..400).flat_map(|_| frame(CONTINUATION, 0, 1, &part)).collect();
    assert_ne!(answered(&proxy, &[begun, more].concat())?, HEADERS);
    // Requests that are taken back at once (CVE-2023-44487).
    let reset = |n: u32| {
        let headers = frame(HEADERS, END_STREAM | END_HEADERS, 2 * n + 1, &request("/silent", &[]));
        [headers, frame(RESET, 0, 2 * n + 1, &8_u32.to_be_bytes())].concat()
    };
    let flood: Vec<u8> = (0..3_000).flat_map(reset).collect();
    let ended = answered(&proxy, &flood)?;
    assert!([RESET, GO_AWAY].contains(&ended), "{ended}");
    // Settings and pings without end.
    let pings: Vec<u8> = (0..20_000).flat_map(|_| frame(6, 0, 0, &[0; 8])).collect();
    let last = frame(HEADERS, END_STREAM | END_HEADERS, 1, &request("/after", &[]));
    answered(&proxy, &[pings, last].concat())?;
    assert!(!scene.app.process().stdout().contains("/flood"));
    assert_eq!(scene.through(&proxy, &["http://open/fine"])?.status, 200);
    let grown = resident(&scene.world)?.saturating_sub(before);
    assert!(grown < 64 * 1024, "the gate grew by {grown} KiB");
    Ok(())
}
