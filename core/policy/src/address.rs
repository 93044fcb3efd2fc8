//! Addresses of targets: `host:port`, where the host is a name or an IP address.

use std::net::{IpAddr, Ipv6Addr};

use crate::at::At;

/// Reads `host:port`.
pub(crate) fn read(at: &At<'_>) -> Option<String> {
    let text = at.text()?;
    if is_address(text) {
        return Some(text.to_owned());
    }
    at.problem(format!("`{}`: `{text}` is not an address (use host:port, such as 10.0.0.5:22 or [::1]:22)", at.name()));
    None
}

/// Reads a host without a port.
pub(crate) fn host(at: &At<'_>) -> Option<String> {
    let text = at.text()?;
    if is_host(text) || text.parse::<IpAddr>().is_ok() {
        return Some(text.to_owned());
    }
    at.problem(format!("`{}`: `{text}` is not a host name (use letters, digits, . and -)", at.name()));
    None
}

/// The `host:port` of a URL with one of these schemes, and the scheme's own port where it names none. A TCP address
/// without a port gets the port 0, which only an application that lists its ports may have.
pub(crate) fn of_url(text: &str, schemes: &[&str]) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let own = match *schemes.iter().find(|known| **known == scheme)? {
        "http" => 80,
        "https" => 443,
        _ => 0,
    };
    if rest.contains(['@', ' ', '?', '#']) {
        return None;
    }
    let authority = rest.split('/').next().unwrap_or(rest);
    if is_address(authority) {
        return Some(authority.to_owned());
    }
    let v6 = authority.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host = v6.map_or_else(|| is_host(authority), |host| host.parse::<Ipv6Addr>().is_ok());
    host.then(|| format!("{authority}:{own}"))
}

fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    let host = bracketed.map_or_else(|| is_host(host), |host| host.parse::<Ipv6Addr>().is_ok());
    host && digits && port.parse::<u16>().is_ok_and(|port| port > 0)
}

fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    text.len() <= 253 && text.strip_suffix('.').unwrap_or(text).split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for good in ["localhost:22", "10.0.0.5:2222", "[::1]:22", "db_1.example.com.:5432"] {
            assert!(is_address(good), "{good}");
        }
        for bad in [
            "",
            "localhost",
            ":22",
            "localhost:",
            "localhost:0",
            "a:65536",
            "a:+22",
            "::1:22",
            "a b:22",
            "-a:22",
            "a..b:1",
        ] {
            assert!(!is_address(bad), "{bad}");
        }
    }

    #[test]
    fn urls() {
        let of = |text| of_url(text, &["http", "https", "tcp"]);
        assert_eq!(of("https://grafana.example.com").as_deref(), Some("grafana.example.com:443"));
        assert_eq!(of("http://127.0.0.1:8080/base/").as_deref(), Some("127.0.0.1:8080"));
        assert_eq!(of("https://[::1]").as_deref(), Some("[::1]:443"));
        assert_eq!(of("tcp://broker").as_deref(), Some("broker:0"));
        for bad in ["", "ftp://a", "http://", "http://u@a", "http://a b", "http://a?x", "http://a:0", "http://a:b"] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}
