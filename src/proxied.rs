//! Whose connection a load balancer passes on: the PROXY protocol, versions 1 and 2, from listed networks alone.

use std::io;
use std::net::SocketAddr;

use ipnet::IpNet;
use ppp::{HeaderResult, v1, v2};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::limits::PROXY_HEADER_MAX;

/// How many bytes tell the versions apart; the shortest header of either is longer.
const HEAD: usize = 12;

/// What version 2 has before its length, and the length.
const FIXED: usize = 16;

/// Whether connections from this address must say whose they are.
pub(crate) fn is_proxy(proxies: &[IpNet], peer: SocketAddr) -> bool {
    let address = peer.ip().to_canonical();
    proxies.iter().any(|network| network.contains(&address))
}

/// Reads the header, to its last byte and no further; answers the client's address, or the load balancer's own where it
/// speaks for itself. The caller sets the deadline.
pub(crate) async fn client<T: AsyncRead + Unpin>(stream: &mut T, proxy: SocketAddr) -> io::Result<SocketAddr> {
    let mut header = vec![0; HEAD];
    stream.read_exact(&mut header).await?;
    if header == v2::PROTOCOL_PREFIX {
        second(stream, &mut header).await?;
    } else if header.starts_with(v1::PROTOCOL_PREFIX.as_bytes()) {
        first(stream, &mut header).await?;
    } else {
        return Err(io::Error::other("it does not begin with a PROXY header"));
    }
    address(&header, proxy)
}

/// Version 1 is a line.
async fn first<T: AsyncRead + Unpin>(stream: &mut T, header: &mut Vec<u8>) -> io::Result<()> {
    while !header.ends_with(b"\n") {
        if header.len() >= PROXY_HEADER_MAX {
            return Err(io::Error::other("its PROXY header does not end"));
        }
        header.push(stream.read_u8().await?);
    }
    Ok(())
}

/// Version 2 says how long it is.
async fn second<T: AsyncRead + Unpin>(stream: &mut T, header: &mut Vec<u8>) -> io::Result<()> {
    header.resize(FIXED, 0);
    stream.read_exact(header.get_mut(HEAD..).unwrap_or_default()).await?;
    let length = header.last_chunk::<2>().map_or(0, |length| usize::from(u16::from_be_bytes(*length)));
    if FIXED + length > PROXY_HEADER_MAX {
        return Err(io::Error::other("its PROXY header is too long"));
    }
    header.resize(FIXED + length, 0);
    stream.read_exact(header.get_mut(FIXED..).unwrap_or_default()).await.map(drop)
}

/// What a whole header says. An address of a kind that no client of the gate has is none.
fn address(header: &[u8], proxy: SocketAddr) -> io::Result<SocketAddr> {
    let odd = || io::Error::other("its PROXY header names no TCP client");
    match HeaderResult::parse(header) {
        HeaderResult::V1(header) => match header.map_err(io::Error::other)?.addresses {
            v1::Addresses::Tcp4(of) => Ok(SocketAddr::from((of.source_address, of.source_port))),
            v1::Addresses::Tcp6(of) => Ok(SocketAddr::from((of.source_address, of.source_port))),
            v1::Addresses::Unknown => Ok(proxy),
        },
        HeaderResult::V2(header) => {
            let header = header.map_err(io::Error::other)?;
            match (header.command, header.addresses) {
                (v2::Command::Local, _) => Ok(proxy),
                (v2::Command::Proxy, v2::Addresses::IPv4(of)) => Ok((of.source_address, of.source_port).into()),
                (v2::Command::Proxy, v2::Addresses::IPv6(of)) => Ok((of.source_address, of.source_port).into()),
                (v2::Command::Proxy, v2::Addresses::Unspecified | v2::Addresses::Unix(_)) => Err(odd()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXY: &str = "10.1.0.7:999";

    /// What is read of these bytes, and what is left behind the header.
    fn read(bytes: &[u8]) -> (Option<String>, Vec<u8>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut stream = bytes;
        let read = runtime.block_on(client(&mut stream, PROXY.parse().unwrap()));
        (read.ok().map(|address| address.to_string()), stream.to_vec())
    }

    fn version_2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [v2::PROTOCOL_PREFIX, &[0x20 | command, family], &length, body].concat()
    }

    #[test]
    fn both_versions_name_the_client_and_nothing_behind_is_read() {
        let four = [203, 0, 113, 9, 127, 0, 0, 1, 0x11, 0x5c, 0, 80];
        let cases: [(Vec<u8>, &str); 6] = [
            (b"PROXY TCP4 203.0.113.9 127.0.0.1 4444 80\r\n".to_vec(), "203.0.113.9:4444"),
            (b"PROXY TCP6 2001:db8::9 ::1 4444 80\r\n".to_vec(), "[2001:db8::9]:4444"),
            (b"PROXY UNKNOWN\r\n".to_vec(), PROXY),
            (version_2(1, 0x11, &four), "203.0.113.9:4444"),
            (version_2(0, 0, &[]), PROXY),
            // What a load balancer adds of its own is read away.
            (version_2(1, 0x11, &[&four[..], &[0x04, 0, 1, 0]].concat()), "203.0.113.9:4444"),
        ];
        for (header, client) in cases {
            let (found, rest) = read(&[&header[..], b"SSH-2.0-x"].concat());
            assert_eq!((found.as_deref(), &rest[..]), (Some(client), &b"SSH-2.0-x"[..]), "{header:?}");
        }
    }

    #[test]
    fn what_is_no_header_names_nobody() {
        let endless = [b"PROXY TCP4 ", &[b'1'; 4096][..]].concat();
        let cases = [
            b"SSH-2.0-OpenSSH_9.2p1\r\n".to_vec(),
            b"PROXY TCP4 203.0.113.9\r\n".to_vec(),
            b"PROXY TCP4 203.0.113.999 127.0.0.1 4444 80\r\n".to_vec(),
            b"PROXY TCP4 203.0.113.9 127.0.0.1 99999 80\r\n".to_vec(),
            endless,
            version_2(1, 0x11, &[1, 2, 3]),
            version_2(1, 0x31, &[0; 216]),
            version_2(1, 0x11, &vec![0; 65535]),
            b"PRO".to_vec(),
        ];
        for header in cases {
            assert_eq!(read(&header).0, None, "{:?}", header.get(..40.min(header.len())));
        }
    }

    #[test]
    fn only_the_listed_networks_are_believed() {
        let proxies: Vec<IpNet> = ["10.1.0.0/24".parse().unwrap(), "192.0.2.7/32".parse().unwrap()].to_vec();
        for (peer, believed) in [
            ("10.1.0.7:1", true),
            ("[::ffff:10.1.0.7]:1", true),
            ("192.0.2.7:1", true),
            ("192.0.2.8:1", false),
            ("[::1]:1", false),
        ] {
            assert_eq!(is_proxy(&proxies, peer.parse().unwrap()), believed, "{peer}");
        }
    }
}
