//! A thousand connections that never log in, and somebody who does.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd as _, OwnedFd};

use anyhow::{Context as _, Result};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, SockaddrIn};

use crate::world::World;

/// How many connections.
const CROWD: u16 = 1000;

/// How many from each address: fewer than the gate lets one address have.
const EACH: u16 = 50;

/// A connection from this address of loopback.
fn dial_from(last: u8, to: SocketAddr) -> Result<TcpStream> {
    let stream: OwnedFd = socket::socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    socket::bind(stream.as_raw_fd(), &SockaddrIn::new(127, 0, 1, last, 0))?;
    socket::connect(stream.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, to.port()))?;
    Ok(TcpStream::from(stream))
}

#[test]
fn a_thousand_half_open_connections_keep_nobody_out() -> Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, soft.max(4096.min(hard)), hard)?;
    let world = World::new()?;
    let gate = world.gate().address();
    let mut crowd = Vec::new();
    for n in 0..CROWD {
        let mut stream = dial_from(u8::try_from(n / EACH)? + 1, gate)?;
        // Some are silent, some have begun their banner, some are in the middle of the key exchange.
        match n % 3 {
            0 => {}
            1 => stream.write_all(b"SSH-2.0-slow")?,
            _ => {
                stream.write_all(b"SSH-2.0-x\r\n")?;
                stream.read_exact(&mut [0; 8])?;
                stream.write_all(&[0, 0, 4, 0])?;
            }
        }
        crowd.push(stream);
    }
    let ran = world.ssh("dev1", &["echo in"])?.success()?;
    assert_eq!(ran.stdout, "in\n");
    let status = std::fs::read_to_string(format!("/proc/{}/status", world.gate().process().id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no memory is told")?;
    let resident: u64 = line.trim().trim_end_matches(" kB").parse()?;
    assert!(resident < 400 * 1024, "the gate holds {resident} KiB for a crowd that says nothing");
    drop(crowd);
    world.ssh("dev1", &["true"])?.success()?;
    Ok(())
}
