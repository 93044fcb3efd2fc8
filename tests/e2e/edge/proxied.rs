//! Behind a load balancer: the PROXY protocol names the client, and from listed networks alone.

use std::io::Write as _;

use anyhow::Result;

use super::bare::{Bare, HANDSHAKES_MAX, dial, say};
use super::reload::gate_with;
use tapgate_lab::Lab;

/// A request in clear, which the gate answers with where it is.
const REQUEST: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn header(client: &str) -> String {
    format!("PROXY TCP4 {client} 127.0.0.1 4444 3080\r\n")
}

#[test]
fn the_client_that_a_load_balancer_names_has_the_limits_of_its_own_address() -> Result<()> {
    let bare = gate_with(Lab::new()?, "proxy_protocol_from: [\"127.0.0.1/32\"]\n")?;
    let answer = |first: &str| say(&mut dial(bare.gate.address())?, first.as_bytes());

    // Without a header, or with one that is none, nothing is answered.
    assert_eq!(answer(REQUEST)?, "");
    assert_eq!(answer(&format!("PROXY TCP4 nobody 127.0.0.1 1 2\r\n{REQUEST}"))?, "");
    assert!(answer(&format!("{}{REQUEST}", header("203.0.113.9")))?.starts_with("HTTP/1.1 308 "));

    // One client that stalls has used up its own handshakes, and no other's.
    let mut stalled = Vec::new();
    let mut stall = || -> Result<()> {
        let mut stream = bare.dial()?;
        stream.write_all(header("203.0.113.9").as_bytes())?;
        stalled.push(stream);
        Ok(())
    };
    for _ in 0..HANDSHAKES_MAX {
        stall()?;
    }
    // A connection that is closed with its request unread is reset: no answer either way. While a request is answered
    // it has a place itself, which one that stalls may have been refused for; so each look brings one more.
    crate::world::until("the client's limit", super::bare::SLACK, || {
        stall()?;
        Ok(answer(&format!("{}{REQUEST}", header("203.0.113.9"))).unwrap_or_default().is_empty())
    })?;
    assert!(answer(&format!("{}{REQUEST}", header("203.0.113.10")))?.starts_with("HTTP/1.1 308 "));
    Ok(())
}

#[test]
fn from_anybody_else_a_header_is_no_protocol() -> Result<()> {
    let bare = Bare::new()?;
    assert_eq!(say(&mut bare.dial()?, format!("{}{REQUEST}", header("203.0.113.9")).as_bytes())?, "");
    bare.is_well()
}
