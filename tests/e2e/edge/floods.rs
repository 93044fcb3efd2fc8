//! Floods: of connections that stall, of first lines without an end, of bytes that are nothing.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tapgate_lab::Lab;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};

use super::bare::{Bare, HANDSHAKE, HANDSHAKES_MAX, SLACK, curl, dial};
use super::reload::gate_with;
use crate::world::until;

/// How many connections stall at once, where this process may open so many files.
const FLOOD: u64 = 10_000;

/// How many the gate bears at once of all addresses.
const ALL_MAX: usize = 4_096;

/// The begin of a TLS record that announces more than it brings.
const HALF_HELLO: &[u8] = &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03];

/// Half a handshake from this address of the machine's own network.
#[expect(clippy::disallowed_methods, reason = "the tests are the gate's clients")]
async fn half(from: Ipv4Addr, to: SocketAddr) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddrV4::new(from, 0).into())?;
    let mut stream = socket.connect(to).await.context("the gate does not accept")?;
    // Who is pushed out already does not read it.
    stream.write_all(HALF_HELLO).await.unwrap_or_default();
    Ok(stream)
}

fn address(n: u64) -> Result<Ipv4Addr> {
    Ok(Ipv4Addr::from(0x7f01_0000 + u32::try_from(n)?))
}

#[test]
fn ten_thousand_half_open_handshakes_leave_room_for_whoever_comes() -> Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    let count = FLOOD.min(hard.saturating_sub(1_000));
    let bare = Bare::new()?;
    bare.is_well()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let start = Instant::now();
    let held = runtime.block_on(async {
        let mut held = Vec::new();
        for n in 0..count {
            // A few less than one address may have, so that every one of them is borne.
            held.push(half(address(n / (u64::try_from(HANDSHAKES_MAX)? - 4))?, bare.gate.address()).await?);
        }
        anyhow::Ok(held)
    })?;
    println!("{count} connections stall after {:?}", start.elapsed());
    assert_eq!(u64::try_from(held.len())?, count);
    for _ in 0..10 {
        bare.is_well()?;
    }
    let metric = |name: &str| -> Result<f64> {
        let page = curl(&format!("http://127.0.0.1:{}/metrics", bare.admin_port), &[])?.body;
        let line = page.lines().find(|line| line.starts_with(name)).with_context(|| format!("no {name}: {page}"))?;
        Ok(line.rsplit(' ').next().unwrap_or_default().parse()?)
    };
    if start.elapsed() < HANDSHAKE && usize::try_from(count)? > ALL_MAX {
        assert!(metric("tapgate_connections_refused_total{why=\"crowd\"}")? > 0.0);
    }
    // The log tells of it, and is not flooded itself.
    let log = bare.gate.process().stderr();
    assert!(log.lines().count() < 200, "{} lines", log.lines().count());
    until("the last of them to be given up", HANDSHAKE + SLACK * 4, || Ok(metric("tapgate_handshakes")? == 0.0))?;
    drop(held);
    bare.is_well()
}

/// What begins each protocol and never ends, and what no protocol begins with.
fn garbage() -> Vec<(&'static str, Vec<u8>)> {
    let long = |head: &[u8], fill: u8| [head, &vec![fill; 64 * 1024]].concat();
    vec![
        ("a version line of SSH without an end", long(b"SSH-2.0-", b'x')),
        ("a packet of SSH that is none", long(b"SSH-2.0-x\r\n", 0xff)),
        ("a path without an end", long(b"GET /", b'x')),
        ("a field without an end", long(b"GET / HTTP/1.1\r\nx: ", b'x')),
        ("a record of TLS that is none", long(&[0x16, 0x03, 0x01, 0xff, 0xff], 0)),
        ("a hello of TLS that is none", long(&[0x16, 0x03, 0x01, 0x40, 0x00, 0x01, 0, 0x3f, 0xfc], 0xff)),
        ("a startup of PostgreSQL that is too long", long(&[0, 1, 0, 0, 0, 3, 0, 0], b'x')),
        ("a startup of PostgreSQL of nothing", long(&[0, 0, 0, 8, 0, 3, 0, 0], 0)),
        ("an SSLRequest and then nothing of TLS", long(&[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f], b'x')),
        ("a request of RDP that is too long", long(&[0x03, 0, 0xff, 0xff, 0xfe, 0xe0], 0)),
        ("a banner of VNC", long(b"RFB 003.008\n", 0)),
        ("zeros", long(&[], 0)),
        ("letters", long(b"x", b'x')),
    ]
}

/// Whether the gate ends a connection on which this is said, and in time.
fn ends(address: SocketAddr, words: &[u8]) -> Result<Duration> {
    let mut stream = dial(address)?;
    let start = Instant::now();
    // The gate may have ended it before the last byte.
    stream.write_all(words).unwrap_or_default();
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => {}
        Err(error) if matches!(error.kind(), std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::BrokenPipe) => {}
        Err(error) => return Err(error.into()),
    }
    assert!(rest.len() < 4_096, "{} bytes came back", rest.len());
    Ok(start.elapsed())
}

#[test]
fn long_first_lines_and_garbage_end_on_every_port_and_disturb_nobody() -> Result<()> {
    let lab = Lab::new()?;
    let mysql = lab.port()?;
    let bare = gate_with(lab, &format!("mysql_listen: \"127.0.0.1:{mysql}\"\n"))?;
    for port in [bare.port, mysql] {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        for (what, words) in garbage() {
            let took = ends(address, &words).with_context(|| format!("{what}, at {port}"))?;
            assert!(took < HANDSHAKE + SLACK, "{what}, at {port}: {took:?}");
            bare.is_well().with_context(|| format!("after {what}"))?;
        }
    }
    Ok(())
}
