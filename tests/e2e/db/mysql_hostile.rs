//! Bytes that no client sends: whoever sends them gets an error or a close, and the gate goes on.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::Result;

use super::my_scene::Scene;

/// The wish for TLS, as packet 1.
const TLS_REQUEST: [u8; 36] = {
    let mut bytes = [0; 36];
    bytes[0] = 32;
    bytes[3] = 1;
    // CLIENT_PROTOCOL_41, CLIENT_SSL; CLIENT_PLUGIN_AUTH.
    bytes[5] = 0x8a;
    bytes[6] = 0x08;
    bytes
};

#[expect(clippy::disallowed_methods, reason = "the test is a client")]
fn greeted(scene: &Scene) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", scene.port))?;
    stream.set_read_timeout(Some(Duration::from_mins(1)))?;
    let mut head = [0; 4];
    stream.read_exact(&mut head)?;
    let mut greeting = vec![0; usize::from(head[0])];
    stream.read_exact(&mut greeting)?;
    assert_eq!(greeting[0], 10, "{greeting:?}");
    Ok(stream)
}

/// What comes until the gate closes.
fn said(mut stream: TcpStream, bytes: &[u8]) -> String {
    stream.write_all(bytes).unwrap_or_default();
    stream.shutdown(std::net::Shutdown::Write).unwrap_or_default();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).map(drop).unwrap_or_default();
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn nonsense_before_the_login_is_answered_or_closed() -> Result<()> {
    let scene = Scene::new("")?;
    let plain = [&[35, 0, 0, 1, 0x00, 0x82, 0x08, 0][..], &[0; 28], b"x\0\0"].concat();
    let out_of_order = {
        let mut bytes = TLS_REQUEST;
        bytes[3] = 7;
        bytes
    };
    let huge = [0xff, 0xff, 0xff, 1, 0x00, 0x8a];
    let old = [5, 0, 0, 1, 0, 0, 0, 0, 0];
    for (bytes, words) in [
        (&plain[..], "within TLS alone"),
        (&out_of_order, "out of order"),
        (&huge, "where a short one was due"),
        (&old, "before MySQL 4.1"),
        (&[0, 0, 0, 1], "can't be read"),
        (&[3, 0], ""),
        // What comes in the clear after the wish for TLS is never taken for what comes within it.
        (&[&TLS_REQUEST[..], &plain].concat(), ""),
        (&[&TLS_REQUEST[..], b"\x16\x03\x01\xff\xff"].concat(), ""),
    ] {
        let answer = said(greeted(&scene)?, bytes);
        assert!(answer.contains(words), "{bytes:?}: {answer:?}");
        assert!(!words.is_empty() || !answer.contains("within TLS"), "{bytes:?}: {answer:?}");
    }
    scene.run(&scene.login_pass(), "select 1")?.success()?;
    Ok(())
}

#[test]
fn a_client_without_a_certificate_is_told_so() -> Result<()> {
    let scene = Scene::new("")?;
    let words = scene.words(None, "app@shopdb").into_iter().chain(["shop", "-e", "select 1"].map(str::to_owned));
    let client = scene.world.jerry.start(&tapgate_lab::program("mariadb", "mariadb-client")?, words)?;
    let ran = client.finish(super::my_scene::SOON)?.failure(1)?;
    assert!(ran.stderr.contains("no certificate was shown"), "{ran}");
    Ok(())
}

#[test]
fn nonsense_within_a_session_ends_that_session_alone() -> Result<()> {
    let scene = Scene::new("")?;
    let script = "
def end(raw):
    c = connect()
    c._sock.sendall(raw)
    try:
        c._next_seq_id = 1
        c._read_packet(); c.cursor().execute('select 1'); return 'alive'
    except pymysql.Error as e: return e.args
print(end(b'\\x09\\0\\0\\x05\\x03select 1')[0])
print(end(b'\\0\\0\\0\\0')[0])
print(end(b'\\x01\\0\\0\\0\\x1d')[0])
print(end(b'\\x02\\0\\0\\0\\x17\\x01')[0])
c = connect(); c._sock.sendall(b'\\xff\\xff\\xff\\0\\x03sel'); c._sock.close()
db.cursor().execute('select 1')
";
    let ran = scene.python(&scene.login_pass(), "", script)?.success()?;
    let codes: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(codes.len(), 4, "{ran}");
    assert!(codes.iter().skip(1).all(|code| *code == "1047"), "{ran}");
    assert!(["1156", "2013", "2006"].contains(&codes[0]), "{ran}");
    Ok(())
}
