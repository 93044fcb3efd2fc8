//! Names that flip: an application's name that turns to this machine, or to a cloud's metadata, leads nowhere.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result, ensure};

use super::scene::Scene;

/// A server that says its name to every request, on a connection of its own; and how many connections it has had.
fn answerer(at: SocketAddr, name: &'static str) -> Result<Arc<AtomicUsize>> {
    let listener = TcpListener::bind(at).with_context(|| format!("can't listen on {at}"))?;
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            counted.fetch_add(1, Ordering::SeqCst);
            let mut head = [0; 4096];
            if stream.read(&mut head).unwrap_or_default() > 0 {
                let length = name.len();
                let said = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{name}");
                stream.write_all(said.as_bytes()).unwrap_or_default();
            }
        }
    });
    Ok(count)
}

/// An address of this machine that is not loopback: the one from which it would reach others. Nothing is sent.
fn own_address() -> Result<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect((Ipv4Addr::new(198, 51, 100, 1), 9)).context("this machine has no route (give it an address)")?;
    let ip = socket.local_addr()?.ip();
    ensure!(!ip.is_loopback() && !ip.is_unspecified(), "this machine has no address but loopback (give it one)");
    Ok(ip)
}

fn lead(hosts: &Path, to: &[&str]) -> Result<()> {
    let lines: Vec<String> = to.iter().map(|ip| format!("{ip} flip.example.com\n")).collect();
    // In its place: another file under this name would not be the one that the gate sees.
    Ok(std::fs::write(hosts, format!("127.0.0.1 localhost\n{}", lines.concat()))?)
}

#[test]
fn a_name_that_flips_is_not_followed() -> Result<()> {
    let mut scene = Scene::new()?;
    let ip = own_address()?;
    let own = ip.to_string();
    let port = scene.world.lab.port()?;
    answerer(SocketAddr::new(ip, port), "the application")?;
    let inner = answerer(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port), "the secret")?;
    let hosts = scene.world.lab.write("hosts", "")?;
    lead(&hosts, &[&own])?;
    scene.world.stop()?;
    scene.world.start_with_hosts(&hosts)?;
    scene.put_app("flip", "dev", &format!("http://flip.example.com:{port}"), "")?;
    let proxy = scene.proxy("flip", &[])?;
    let get = || scene.through(&proxy, &["http://flip/"]);
    assert_eq!(get()?.body, "the application");
    for turned in ["127.0.0.1", "127.1.2.3", "::1", "0.0.0.0", "::ffff:127.0.0.1", "169.254.169.254", "fd00:ec2::254"] {
        lead(&hosts, &[turned])?;
        let refused = get()?;
        assert_eq!(refused.status, 502, "{turned}: {refused:?}");
        assert!(refused.body.contains("its name leads to an address that names may not lead to"), "{refused:?}");
        assert!(!refused.body.contains(turned), "the address is not the client's to know: {refused:?}");
    }
    // Of two addresses the good one is gone to, in either order.
    for both in [[own.as_str(), "127.0.0.1"], ["127.0.0.1", own.as_str()]] {
        lead(&hosts, &both)?;
        assert_eq!(get()?.body, "the application");
    }
    // A session that is opened now is refused as well, and the look whether it is there led nowhere either.
    lead(&hosts, &["127.0.0.1"])?;
    let fresh = scene.proxy("flip", &[])?;
    assert_eq!(scene.through(&fresh, &["http://flip/"])?.status, 502);
    assert_eq!(inner.load(Ordering::SeqCst), 0, "somebody came to what listens inside");
    // Who means it says so.
    let meant = "  allow_local_addresses: true\n";
    scene.put_app("meant", "dev", &format!("http://flip.example.com:{port}"), meant)?;
    let meant = scene.proxy("meant", &[])?;
    assert_eq!(scene.through(&meant, &["http://meant/"])?.body, "the secret");
    Ok(())
}
