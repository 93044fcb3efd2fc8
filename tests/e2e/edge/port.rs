//! One port: what a client's first bytes make of it.

use std::io::{Read as _, Write as _};

use anyhow::Result;
use tapgate_api::path;

use super::bare::{Bare, curl, say};

#[test]
fn one_port_tells_ssh_tls_and_plain_http_apart() -> Result<()> {
    let bare = Bare::new()?;

    // Until the first bytes come nothing is said: an SSH greeting to a TLS client would be noise.
    let mut ssh = bare.dial()?;
    ssh.write_all(b"SSH-2.0-test\r\n")?;
    let mut banner = [0; 8];
    ssh.read_exact(&mut banner)?;
    assert_eq!(&banner, b"SSH-2.0-");

    let tls = bare.curl(path::FIND, &[])?;
    assert_eq!(tls.status, 200, "{tls:?}");

    let plain = curl(&format!("http://localhost:{}{}", bare.port, path::FIND), &[])?;
    assert_eq!(plain.status, 308, "{plain:?}");
    assert!(plain.head.contains(&format!("location: {}", bare.url("/"))), "{plain:?}");
    assert!(plain.body.contains("TLS"), "{plain:?}");
    Ok(())
}

#[test]
fn a_plain_request_of_any_length_reads_its_answer() -> Result<()> {
    let bare = Bare::new()?;
    // What is not read of a request when the connection closes would reset it, and the answer with it.
    for length in [0, 1_000, 60_000] {
        let long = "x".repeat(length);
        let mut stream = bare.dial()?;
        let answer = say(&mut stream, format!("GET /{long} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes())?;
        assert!(answer.starts_with("HTTP/1.1 308 ") && answer.ends_with('\n'), "{length}: {answer:?}");
        assert!(!answer.contains("xxxx"), "{answer:?}");
    }
    Ok(())
}

#[test]
fn a_head_may_come_byte_by_byte() -> Result<()> {
    let bare = Bare::new()?;
    let mut stream = bare.dial()?;
    stream.set_nodelay(true)?;
    for byte in b"SSH-2.0-slow\r\n" {
        stream.write_all(&[*byte])?;
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let mut banner = [0; 8];
    stream.read_exact(&mut banner)?;
    assert_eq!(&banner, b"SSH-2.0-");
    Ok(())
}

#[test]
fn what_is_no_protocol_is_closed_at_once_and_answers_nothing() -> Result<()> {
    let bare = Bare::new()?;
    let heads: [&[u8]; 5] =
        [b"\x03\0\0\x13\x0e\xd0", b"HELO gate\r\n", b"GEX / HTTP/1.1\r\n\r\n", b"\x16\x02\0", &[0xff; 4096]];
    for head in heads {
        let mut stream = bare.dial()?;
        let start = std::time::Instant::now();
        let answer = say(&mut stream, head).unwrap_or_default();
        assert_eq!(answer, "", "{head:?}");
        assert!(start.elapsed() < super::bare::SLACK, "{head:?} took {:?}", start.elapsed());
    }
    bare.is_well()
}
