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
}
