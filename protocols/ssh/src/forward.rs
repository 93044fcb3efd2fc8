//! Forwarded connections: where they go, how much they carried, and what the log is told of them.

use tapgate_audit::{Deed, Text, Way};

use crate::side::{Both, Side};
use crate::wire::Fields;

/// A connection through a channel, and what it has carried.
#[derive(Debug)]
pub(crate) struct Forward {
    way: Way,
    destination: Text,
    origin: Text,
    carried: Both<u64>,
}

impl Forward {
    /// Reads what belongs to a channel's type; `None` where that is no forwarding or can't be read.
    pub(crate) fn parse(kind: &str, body: &[u8]) -> Option<Self> {
        let way = match kind {
            "direct-tcpip" | "direct-streamlocal@openssh.com" => Way::Local,
            "forwarded-tcpip" | "forwarded-streamlocal@openssh.com" => Way::Remote,
            _ => return None,
        };
        let mut fields = Fields::new(body);
        let (destination, origin) = if kind.ends_with("-tcpip") {
            (address(&mut fields)?, address(&mut fields)?)
        } else {
            (fields.lossy()?.into(), Text::default())
        };
        Some(Self { way, destination, origin, carried: Both::default() })
    }

    /// Counts data from one side.
    pub(crate) fn carry(&mut self, from: Side, bytes: u32) {
        *self.carried.of_mut(from) += u64::from(bytes);
    }

    /// What the log is told once it is over.
    pub(crate) fn deed(self) -> Deed {
        Deed::Forward {
            way: self.way,
            destination: self.destination,
            origin: self.origin,
            bytes_up: self.carried.client,
            bytes_down: self.carried.target,
        }
    }
}

/// What the log is told of a request to listen; `None` where it can't be read.
pub(crate) fn listener(name: &str, body: &[u8]) -> Option<Deed> {
    let mut fields = Fields::new(body);
    let destination = if name == "tcpip-forward" { address(&mut fields)? } else { fields.lossy()?.into() };
    let (way, origin) = (Way::Listen, "".into());
    Some(Deed::Forward { way, destination, origin, bytes_up: 0, bytes_down: 0 })
}

/// `host:port`, as the packets have it: a text and a number.
fn address(fields: &mut Fields<'_>) -> Option<Text> {
    let (host, port) = (fields.lossy()?, fields.u32().ok()?);
    let port = u16::try_from(port).ok()?;
    Some(if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(parts: &[(&str, Option<u32>)]) -> Vec<u8> {
        let mut body = Vec::new();
        for (text, port) in parts {
            body.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
            body.extend(text.as_bytes());
            body.extend(port.iter().flat_map(|port| port.to_be_bytes()));
        }
        body
    }

    #[test]
    fn channels() {
        let tcp = body(&[("db1", Some(5432)), ("::1", Some(9))]);
        let socket = body(&[("/run/db.sock", None), ("", Some(0))]);
        for (kind, body, expect) in [
            ("direct-tcpip", &tcp, Some((Way::Local, "db1:5432", "[::1]:9"))),
            ("forwarded-tcpip", &tcp, Some((Way::Remote, "db1:5432", "[::1]:9"))),
            ("direct-streamlocal@openssh.com", &socket, Some((Way::Local, "/run/db.sock", ""))),
            ("forwarded-streamlocal@openssh.com", &socket, Some((Way::Remote, "/run/db.sock", ""))),
            ("session", &tcp, None),
            ("direct-tcpip", &socket, None),
            ("direct-tcpip", &body(&[("db1", Some(65536)), ("::1", Some(9))]), None),
            ("direct-tcpip", &Vec::new(), None),
            ("direct-streamlocal@openssh.com", &vec![0, 0, 0, 9, 1], None),
        ] {
            let parsed = Forward::parse(kind, body);
            let seen = parsed.as_ref().map(|f| (f.way, f.destination.as_str(), f.origin.as_str()));
            assert_eq!(seen, expect, "{kind}");
        }
    }

    #[test]
    fn what_was_carried_is_told() {
        let mut forward = Forward::parse("direct-tcpip", &body(&[("db1", Some(5432)), ("a", Some(9))])).unwrap();
        forward.carry(Side::Client, 3);
        forward.carry(Side::Target, u32::MAX);
        forward.carry(Side::Target, u32::MAX);
        let Deed::Forward { bytes_up, bytes_down, .. } = forward.deed() else { panic!("a forward") };
        assert_eq!((bytes_up, bytes_down), (3, 2 * u64::from(u32::MAX)));
    }

    #[test]
    fn listeners() {
        assert!(listener("tcpip-forward", &body(&[("", Some(0))])).is_some());
        assert!(listener("streamlocal-forward@openssh.com", &body(&[("/run/x", None)])).is_some());
        assert_eq!(listener("tcpip-forward", &body(&[("x", None)])), None);
    }
}
