//! The addresses of a `source-address` option: a list of addresses and networks.

use std::net::IpAddr;

/// Whether the peer is in the list; `false` also when any entry cannot be read, as a list half understood
/// might have meant less.
pub(super) fn admits(list: &str, peer: IpAddr) -> bool {
    let peer = peer.to_canonical();
    let inside = list.split(',').map(|entry| network(entry).map(|(net, bits)| contains(net, bits, peer)));
    inside.collect::<Option<Vec<_>>>().is_some_and(|inside| inside.contains(&true))
}

/// The list that admits one address.
pub(super) fn only(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => format!("{ip}/32"),
        IpAddr::V6(ip) => format!("{ip}/128"),
    }
}

fn network(entry: &str) -> Option<(IpAddr, u32)> {
    let (address, bits) = match entry.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (entry, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let width = if address.is_ipv4() { 32 } else { 128 };
    let bits = match bits {
        Some(text) if text.bytes().all(|c| c.is_ascii_digit()) => text.parse().ok()?,
        Some(_) => return None,
        None => width,
    };
    (bits <= width).then_some((address, bits))
}

fn contains(network: IpAddr, bits: u32, peer: IpAddr) -> bool {
    match (network, peer) {
        (IpAddr::V4(network), IpAddr::V4(peer)) => {
            (network.to_bits() ^ peer.to_bits()).checked_shr(32 - bits).unwrap_or(0) == 0
        }
        (IpAddr::V6(network), IpAddr::V6(peer)) => {
            (network.to_bits() ^ peer.to_bits()).checked_shr(128 - bits).unwrap_or(0) == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        let check = |list: &str, peer: &str, expect: bool| {
            assert_eq!(admits(list, peer.parse().unwrap()), expect, "{list} {peer}");
        };
        check("192.0.2.7/32", "192.0.2.7", true);
        check("192.0.2.7", "192.0.2.7", true);
        check("192.0.2.7/32", "192.0.2.8", false);
        check("192.0.2.0/24", "192.0.2.8", true);
        check("192.0.2.0/24", "::ffff:192.0.2.8", true);
        check("0.0.0.0/0", "203.0.113.9", true);
        check("0.0.0.0/0", "2001:db8::1", false);
        check("::/0", "2001:db8::1", true);
        check("2001:db8::/32,192.0.2.7", "2001:db8:1::1", true);
        check("2001:db8::1/128", "2001:db8::2", false);
        for unreadable in ["", ",", "192.0.2.7,", "192.0.2.7/33", "192.0.2.7/+8", "192.0.2.7/", "*", "192.0.2.7 "] {
            check(unreadable, "192.0.2.7", false);
        }
    }

    #[test]
    fn one_address() {
        for ip in ["192.0.2.7", "2001:db8::1", "::ffff:192.0.2.7"] {
            let ip = ip.parse().unwrap();
            assert!(admits(&only(ip), ip), "{ip}");
        }
    }
}
