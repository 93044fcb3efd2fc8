//! Limits before anybody is known: time and number of handshakes.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::bare::{Bare, HANDSHAKE, HANDSHAKES_MAX, SLACK, say};
use crate::world::until;

/// The begin of a TLS record that announces more than it brings.
const HALF_HELLO: &[u8] = &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03];

/// Holds a connection, saying a byte of `drip` now and then, and answers how long the gate bore it.
fn borne(mut stream: TcpStream, first: &[u8], drip: Option<u8>) -> Result<Duration> {
    let start = Instant::now();
    stream.write_all(first)?;
    stream.set_read_timeout(Some(Duration::from_millis(300)))?;
    loop {
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(0) => return Ok(start.elapsed()),
            Ok(_) => {}
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            Err(_) => return Ok(start.elapsed()),
        }
        if let Some(byte) = drip
            && stream.write_all(&[byte]).is_err()
        {
            return Ok(start.elapsed());
        }
        anyhow::ensure!(start.elapsed() < HANDSHAKE * 3, "the gate bears it for {:?}", start.elapsed());
    }
}

#[test]
fn silence_and_slow_drips_end_with_the_handshakes_time_and_disturb_nobody() -> Result<()> {
    let bare = Bare::new()?;
    let cases: [(&str, &[u8], Option<u8>); 5] = [
        ("silence", b"", None),
        ("a byte of TLS", b"\x16", None),
        ("half a hello", HALF_HELLO, None),
        ("a hello in drips", HALF_HELLO, Some(7)),
        ("half a method", b"G", None),
    ];
    let started: Vec<_> = cases
        .into_iter()
        .map(|(what, first, drip)| Ok((what, bare.dial()?, first, drip)))
        .collect::<Result<Vec<_>>>()?
        .into_iter()
        .map(|(what, stream, first, drip)| (what, thread::spawn(move || borne(stream, first, drip))))
        .collect();
    while !started.iter().all(|(_, thread)| thread.is_finished()) {
        bare.is_well()?;
        thread::sleep(Duration::from_millis(300));
    }
    for (what, thread) in started {
        let borne = thread.join().expect("the thread does not panic")?;
        assert!(borne < HANDSHAKE + SLACK, "{what}: {borne:?}");
    }
    Ok(())
}

/// Whether the gate has closed a connection on which it says nothing.
fn is_closed(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap_or_default();
    let mut byte = [0];
    match stream.peek(&mut byte) {
        Ok(read) => read == 0,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    }
}

#[test]
fn one_address_has_a_limit_of_handshakes_that_is_released_again() -> Result<()> {
    let bare = Bare::new()?;
    let too_many = HANDSHAKES_MAX + 8;
    let mut held = (0..too_many).map(|_| bare.dial()).collect::<Result<Vec<_>>>()?;
    for stream in &mut held {
        // A refusal may be quicker than this byte.
        stream.write_all(b"\x16").unwrap_or_default();
    }
    // Which of them are refused is not said: connections of one moment are served in any order.
    let refused = |held: &[TcpStream]| held.iter().filter(|stream| is_closed(stream)).count();
    until("eight refusals", SLACK, || Ok(refused(&held) == too_many - HANDSHAKES_MAX))?;
    let said = || Ok(bare.gate.process().stderr().contains("too many handshakes from its address"));
    until("the warning in the log", SLACK, said)?;
    assert!(bare.is_well().is_err(), "a further one is refused as well");

    held.retain(|stream| !is_closed(stream));
    drop(held.pop());
    drop(held.pop());
    until("room after two have gone", SLACK, || Ok(bare.is_well().is_ok()))?;
    drop(held);
    for _ in 0..HANDSHAKES_MAX * 2 {
        let mut stream = bare.dial()?;
        assert!(say(&mut stream, b"GET / HTTP/1.1\r\n\r\n")?.starts_with("HTTP/1.1 308"));
    }
    bare.is_well()
}
