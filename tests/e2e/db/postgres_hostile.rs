//! Clients and targets that do not keep to the protocol.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use anyhow::Result;

use super::scene::Scene;
use crate::world::World;

const TLS_REQUEST: &[u8] = b"\0\0\0\x08\x04\xd2\x16\x2f";

/// Says something to the gate, and reads all it answers.
fn say(world: &World, bytes: &[u8]) -> Result<Vec<u8>> {
    #[expect(clippy::disallowed_methods, reason = "the test is a client of the gate")]
    let mut stream = TcpStream::connect(world.gate().address())?;
    stream.set_read_timeout(Some(Duration::from_mins(1)))?;
    stream.write_all(bytes)?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = Vec::new();
    // A reset is an answer too.
    stream.read_to_end(&mut answer).unwrap_or_default();
    Ok(answer)
}

fn holds(answer: &[u8], words: &str) -> bool {
    String::from_utf8_lossy(answer).contains(words)
}

#[test]
fn clients_that_do_not_keep_to_the_protocol() -> Result<()> {
    let world = World::new()?;
    let startup = [&b"\0\0\0\x20\0\x03\0\0user\0app@orders\0\0"[..], &[0; 20]].concat();
    assert!(holds(&say(&world, &startup[..32])?, "invalid startup packet"));
    let good = b"\0\0\0\x19\0\x03\0\0user\0app@orders\0\0";
    assert!(holds(&say(&world, good)?, "this gate speaks TLS only"));
    assert_eq!(say(&world, b"\0\0\0\x08\x04\xd2\x16\x30")?, b"N");
    assert!(holds(&say(&world, b"\0\0\x27\x11\0\x03\0\0")?, "invalid length of startup packet"));
    assert_eq!(say(&world, b"\x7f\xff\xff\xff\0\x03\0\0")?, b"", "no length of PostgreSQL's");
    // What was said in clear beyond the request is never taken for something said within TLS.
    let early = say(&world, &[TLS_REQUEST, good].concat())?;
    assert!(holds(&early, "received unencrypted data after the request for TLS"), "{early:?}");
    assert_eq!(say(&world, TLS_REQUEST)?, b"S");
    // A cancel request without a key that fits does nothing and says nothing.
    for _ in 0..30 {
        assert_eq!(say(&world, b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x01\0\0\0\x02")?, b"");
    }
    Ok(())
}

/// A target that answers a request for TLS in its own way, and says nothing else; and what it hears after that.
fn impostor(answer: &'static [u8]) -> Result<(u16, Receiver<Vec<u8>>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let (heard, receiver) = channel();
    std::thread::spawn(move || {
        let Ok((mut stream, _)) = listener.accept() else { return };
        let (mut request, mut rest) = ([0; 8], Vec::new());
        let said = stream.read_exact(&mut request).and_then(|()| stream.write_all(answer));
        said.and_then(|()| stream.shutdown(Shutdown::Write)).unwrap_or_default();
        stream.read_to_end(&mut rest).map(drop).unwrap_or_default();
        heard.send(rest).unwrap_or_default();
    });
    Ok((port, receiver))
}

#[test]
fn targets_that_do_not_keep_to_the_protocol() -> Result<()> {
    let scene = Scene::new("")?;
    let yaml = scene.orders.db_yaml("prod", "");
    let (own, pass) = (format!("localhost:{}", scene.orders.port()), scene.tap("app/shop")?);
    for (answer, words) in [
        (&b"N"[..], "it offers no TLS, and the gate sends nothing to it without"),
        (b"E\0\0\0\x20SFATAL\0", "does not answer a request for TLS as PostgreSQL does"),
        (b"S\x15\x03\x01\0\x02\x02\x28", "TLS with it failed"),
        (b"SR\0\0\0\x08\0\0\0\0Z\0\0\0\x05I", "TLS with it failed"),
        (b"", "can't be entered"),
    ] {
        let (port, heard) = impostor(answer)?;
        scene.world.put(&yaml.replace(&own, &format!("localhost:{port}")))?;
        let ran = scene.psql(Some(&pass), "", "select 1")?.failure(2)?;
        assert!(ran.stderr.contains(words), "{answer:?}: {ran}");
        let heard = heard.recv_timeout(Duration::from_mins(1))?;
        assert!(!holds(&heard, "app") && !holds(&heard, "shop"), "something was said in clear: {heard:?}");
    }
    Ok(())
}
