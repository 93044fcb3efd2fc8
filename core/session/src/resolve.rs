//! Names of applications: to which addresses a name may lead.
//!
//! Who may change a name in the DNS may lead it anywhere, also to this very machine, where services listen that trust
//! whoever reaches them, and to a cloud's metadata. So an application that is known by a name is not followed there,
//! unless its resource says so. An address that stands in the resource was written by somebody who means it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::dial::in_words;
use crate::limits::ADDRESSES_MAX;

/// Where clouds answer questions about the machine that asks, beside the link-local addresses.
const METADATA: [IpAddr; 3] = [
    // Amazon, over IPv6.
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254)),
    // Alibaba.
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    // Oracle.
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
];

/// The addresses of this `host:port` that may be connected to, or why there is none.
pub(crate) async fn allowed(address: &str) -> Result<Vec<SocketAddr>, String> {
    let found = tokio::net::lookup_host(address).await.map_err(|error| in_words(&error))?;
    choose(address, found)
}

fn choose(address: &str, found: impl Iterator<Item = SocketAddr>) -> Result<Vec<SocketAddr>, String> {
    let all: Vec<SocketAddr> = found.take(ADDRESSES_MAX).collect();
    if all.is_empty() {
        return Err("its name has no address".to_owned());
    }
    if is_meant(address) {
        return Ok(all);
    }
    let good: Vec<SocketAddr> = all.into_iter().filter(|address| !is_local(address.ip())).collect();
    if good.is_empty() {
        return Err("its name leads to an address that names may not lead to".to_owned());
    }
    Ok(good)
}

/// Whether the resource names an address, or the one name that always means this machine (RFC 6761 section 6.3).
fn is_meant(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() || host.eq_ignore_ascii_case("localhost")
}

/// Whether an address is this machine's own, its link's, or nobody's.
fn is_local(ip: IpAddr) -> bool {
    let ip = match ip {
        // Also as `::ffff:127.0.0.1` and, by a translator, as `64:ff9b::7f00:1`.
        IpAddr::V6(v6) => match (v6.to_ipv4_mapped(), v6.segments()) {
            (Some(v4), _) => IpAddr::V4(v4),
            (None, [0x64, 0xff9b, 0, 0, 0, 0, high, low]) => {
                let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
                IpAddr::V4(Ipv4Addr::new(a, b, c, d))
            }
            (None, _) => IpAddr::V6(v6),
        },
        IpAddr::V4(_) => ip,
    };
    let of_its_kind = match ip {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast() || v4.octets()[0] == 0,
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    of_its_kind || ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() || METADATA.contains(&ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(address: &str, found: &[&str]) -> Result<Vec<String>, String> {
        let found = found.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 80));
        choose(address, found).map(|all| all.iter().map(|address| address.ip().to_string()).collect())
    }

    #[test]
    fn a_name_that_turns_to_this_machine_or_to_metadata_is_not_followed() {
        for turned in [
            "127.0.0.1",
            "127.8.8.8",
            "::1",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "169.254.169.254",
            "fe80::1",
            "fd00:ec2::254",
            "100.100.100.200",
            "192.0.0.192",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "224.0.0.1",
            "255.255.255.255",
        ] {
            assert!(chosen("app.example.com:80", &[turned]).is_err(), "{turned}");
            let both = chosen("app.example.com:80", &[turned, "192.0.2.7"]);
            assert_eq!(both, Ok(vec!["192.0.2.7".to_owned()]), "{turned}");
        }
    }

    #[test]
    fn what_is_written_is_meant() {
        for (address, ip) in [("127.0.0.1:80", "127.0.0.1"), ("[::1]:80", "::1"), ("localhost:80", "127.0.0.1")] {
            assert_eq!(chosen(address, &[ip]), Ok(vec![ip.to_owned()]));
        }
        for private in ["10.0.0.5", "192.168.1.1", "172.16.0.1", "fd12::1", "192.0.2.7"] {
            assert!(chosen("app.example.com:80", &[private]).is_ok(), "{private}");
        }
        assert!(chosen("localhost.example.com:80", &["127.0.0.1"]).is_err());
        assert!(chosen("app.example.com:80", &[]).is_err());
    }
}
