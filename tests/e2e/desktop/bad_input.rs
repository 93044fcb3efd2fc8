//! Clients and desktops that do not keep to their protocol: each gets an end, and the gate stays.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;

use anyhow::{Context as _, Result};

use super::rdp::Desk;
use super::scene::{Proxy, SEEN, Scene, auth};
use crate::world::text;

/// A connection through a proxy's socket.
fn connect(proxy: &Proxy) -> Result<UnixStream> {
    let stream = UnixStream::connect(proxy.text("socket")?)?;
    stream.set_read_timeout(Some(SEEN))?;
    Ok(stream)
}

/// Says these bytes and reads to the end.
fn answer(proxy: &Proxy, said: &[u8]) -> Result<Vec<u8>> {
    let mut stream = connect(proxy)?;
    stream.write_all(said)?;
    let mut heard = Vec::new();
    // A connection that is cut has said all that it will.
    stream.read_to_end(&mut heard).map(drop).unwrap_or_default();
    Ok(heard)
}

/// A first message of RDP with this behind its fixed part.
fn x224(rest: &[u8]) -> Result<Vec<u8>> {
    let length = u16::try_from(11 + rest.len())?.to_be_bytes();
    let indicator = u8::try_from(6 + rest.len()).unwrap_or(0xff);
    Ok([&[3, 0][..], &length, &[indicator, 0xe0, 0, 0, 0, 0, 0], rest].concat())
}

#[test]
fn clients_of_rdp() -> Result<()> {
    let scene = Scene::new()?;
    let _desk = Desk::new(&scene, "win1")?;
    let proxy = scene.proxy("win1", "ann", &[])?;
    let cookie = [&b"Cookie: mstshash="[..], &vec![b'x'; 60_000], b"\r\n"].concat();
    for (said, reason) in [
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "is no RDP"),
        (x224(&cookie)?, "too long"),
        (x224(b"Cookie: without an end")?, "first message is no RDP"),
        (vec![3, 0, 0, 1], "is no RDP"),
    ] {
        let mark = scene.world.mark();
        assert_eq!(answer(&proxy, &said)?, b"");
        let end = scene.world.await_record(mark, "session.end", |_| true)?;
        assert!(text(&end, "reason").contains(reason), "{end}");
    }
    // A client that can do RDP's own security alone is told to do TLS.
    let refusal = answer(&proxy, &x224(&[1, 0, 8, 0, 0, 0, 0, 0])?)?;
    assert_eq!(refusal.get(11..), Some(&[3, 0, 8, 0, 1, 0, 0, 0][..]));
    Ok(())
}

#[test]
fn viewers_of_vnc() -> Result<()> {
    let scene = Scene::new()?;
    let _mac1 = scene.vnc("mac1")?;
    let proxy = scene.proxy("mac1", "ann", &[])?;
    let begin: &[u8] = b"RFB 003.008\n\x01\x01";
    for (said, reason) in [
        (b"GET / HTTP/1.1\r\n".to_vec(), "does not speak VNC"),
        (b"RFB 003.008\n\x02".to_vec(), "was not offered"),
        // UltraVNC's transfer of files is no message of a desktop's.
        ([begin, &[7, 0, 0, 0]].concat(), "may not pass"),
        ([begin, &[255, 1, 0, 0]].concat(), "may not pass"),
    ] {
        let mark = scene.world.mark();
        answer(&proxy, &said)?;
        let end = scene.world.await_record(mark, "session.end", |_| true)?;
        assert!(text(&end, "reason").contains(reason), "{end}");
    }
    Ok(())
}

/// A desktop that says this to whoever connects, and then nothing.
fn says(bytes: &'static [u8]) -> Result<(u16, JoinHandle<Option<TcpStream>>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let serve = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().ok()?;
        let mut heard = [0; 64];
        if bytes.starts_with(&[3]) {
            let _ = stream.read(&mut heard).ok()?;
        }
        stream.write_all(bytes).ok()?;
        Some(stream)
    });
    Ok((port, serve))
}

#[test]
fn desktops() -> Result<()> {
    let scene = Scene::new()?;
    let file = scene.world.lab.write("password", "secret")?;
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    let auth = auth("ann", &file);
    let vnc = format!("  protocol: vnc\n{auth}");
    let rdp = format!("{auth}  tls: {{ insecure: true }}\n");
    for (spec, bytes, why) in [
        (&vnc, &b"SSH-2.0-none\r\n"[..], "does not speak VNC"),
        (&vnc, b"RFB 003.008\n\0\0\0\0\x05no:no", "it says: no:no"),
        (&vnc, b"RFB 003.008\n\x01\x10", "no kind of security"),
        (&vnc, b"RFB 003.008\n\xff", "does not speak VNC"),
        (&vnc, b"RFB 003.008\n\x01\x020123456789abcdef\0\0\0\x01\0\0\0\0", "did not take the gate's password"),
        (&rdp, b"\x03\0\0\x13\x0e\xd0\0\0\0\0\0\x03\0\x08\0\x02\0\0\0", "offers no TLS"),
        (&rdp, b"\x03\0\0\x13\x0e\xd0\0\0\0\0\0\x03\0\x08\0\x06\0\0\0", "refuses with the code 6"),
        (&rdp, b"\x03\0\0\x13\x0e\xd0\0\0\0\0\0\x02\0\x08\0\x08\0\0\0", "was not offered"),
        (&rdp, b"\x03\0\0\x0b\x06\xd0\0\0\0\0\0", "offers no TLS"),
        (&rdp, b"\x03\0\xff\xff\x0e\xd0", "too long"),
    ] {
        let (port, serve) = says(bytes)?;
        scene.put("odd", port, spec)?;
        let proxy = scene.proxy("odd", "ann", &[])?;
        answer(&proxy, b"")?;
        proxy.process.wait_for_error(why).with_context(|| format!("{bytes:?}"))?;
        drop((proxy, serve.join()));
    }
    Ok(())
}

#[test]
fn desktops_that_stall() -> Result<()> {
    let scene = Scene::new()?;
    let file = scene.world.lab.write("password", "secret")?;
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    let auth = auth("ann", &file);
    let vnc = format!("  protocol: vnc\n{auth}");
    let rdp = format!("{auth}  tls: {{ insecure: true }}\n");
    // Each stalls at another step: before a word, before the kinds of security, before the challenge; and in RDP
    // before the answer to TLS.
    let steps: [(&str, &str, &'static [u8]); 4] = [
        ("one", &vnc, b""),
        ("two", &vnc, b"RFB 003.008\n"),
        ("three", &vnc, b"RFB 003.008\n\x01\x02"),
        ("four", &rdp, b"\x03\0\0\x13\x0e\xd0\0\0\0\0\0\x02\0\x08\0\x01\0\0\0"),
    ];
    let mut waiting = Vec::new();
    for (name, spec, bytes) in steps {
        let (port, serve) = says(bytes)?;
        scene.put(name, port, spec)?;
        let proxy = scene.proxy(name, "ann", &[])?;
        waiting.push((connect(&proxy)?, proxy, serve));
    }
    for (_, proxy, _) in &waiting {
        proxy.process.wait_for_error("did not let the gate in within")?;
    }
    Ok(())
}
