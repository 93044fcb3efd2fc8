//! The ALPN names (RFC 7301) of the tunnels that a client opens to the gate, one for each protocol inside, and the
//! line by which those begin whose protocol can't name its target.

use std::fmt;

use crate::{DesktopProtocol, Digest, LoginName, TargetName};

/// What every name begins with by which this project's own client speaks to the gate. It knows the gate by its pin, so
/// that the gate shows its own certificate there, and an operator's where browsers come.
pub const PREFIX: &[u8] = b"tapgate-";

/// The gate's `/v1` interface, in HTTP/1.1.
pub const API: &[u8] = b"tapgate-api";

/// SSH, with the login certificate: the session's is shown inside.
pub const SSH: &[u8] = b"tapgate-ssh";

/// PostgreSQL, with the login's or the session's certificate.
pub const POSTGRES: &[u8] = b"tapgate-postgres";

/// PostgreSQL as stock clients name it when they begin with TLS (`sslnegotiation=direct`).
pub const POSTGRES_DIRECT: &[u8] = b"postgresql";

/// MySQL and MariaDB, with the login's or the session's certificate.
pub const MYSQL: &[u8] = b"tapgate-mysql";

/// A TCP application's bytes, with the login's or the session's certificate.
pub const TCP: &[u8] = b"tapgate-tcp";

/// An HTTP application's requests, with the login's or the session's certificate.
pub const APP: &[u8] = b"tapgate-app";

/// A desktop's bytes, with the login's or the session's certificate.
pub const DESKTOP: &[u8] = b"tapgate-desktop";

/// The header of an answer that says that the request would be taken after a tap made now.
pub const FRESH_TAP: &str = "tapgate-fresh-tap";

/// What the line begins with, its version included.
const HAIL: &str = "tapgate-to/1";

/// How long the line may be, in bytes without its end: the longest target name, a port, and the word before them.
pub const HAIL_BYTES_MAX: usize = 300;

/// The gate's answer where the tunnel leads to the target from now on.
pub const OPEN: &str = "open";

/// What the gate's answer begins with where it does not; the reason follows behind a space.
pub const REFUSED: &str = "refused";

/// A line that a tunnel begins with.
pub trait Line: Sized {
    /// How long it may be, in bytes without its end.
    const BYTES_MAX: usize;

    /// Reads it, without its end. `None`: it is none.
    fn of(line: &str) -> Option<Self>;
}

impl Line for Hail {
    const BYTES_MAX: usize = HAIL_BYTES_MAX;

    fn of(line: &str) -> Option<Self> {
        Self::parse(line)
    }
}

impl Line for DesktopHail {
    const BYTES_MAX: usize = DESKTOP_HAIL_BYTES_MAX;

    fn of(line: &str) -> Option<Self> {
        Self::parse(line)
    }
}

/// The first line within a tunnel of [`TCP`] or [`APP`]: the application, and the port of one that lists several.
///
/// Its text is `tapgate-to/1 NAME` or `tapgate-to/1 NAME PORT`, ended by a line feed. The gate answers with a line
/// too, [`OPEN`] or [`REFUSED`] and why, and all bytes after that are the application's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hail {
    /// The application.
    pub target: TargetName,
    /// Its port; none where it has one alone.
    pub port: Option<u16>,
}

impl Hail {
    /// Reads the line, without its end. `None`: it is none.
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        if words.next()? != HAIL {
            return None;
        }
        let target = words.next()?.parse().ok()?;
        // Digits alone, in their one form.
        let port = |word: &str| word.parse::<u16>().ok().filter(|port| *port > 0 && port.to_string() == word);
        let port = match words.next() {
            None => None,
            Some(word) => Some(port(word)?),
        };
        words.next().is_none().then_some(Self { target, port })
    }
}

impl fmt::Display for Hail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{HAIL} {}", self.target)?;
        self.port.map_or(Ok(()), |port| write!(f, " {port}"))
    }
}

/// What the first line within a tunnel of [`DESKTOP`] begins with, its version included.
const DESKTOP_HAIL: &str = "tapgate-desktop/1";

/// How long that line may be, in bytes without its end: a login, a target name, a digest, and the word before them.
pub const DESKTOP_HAIL_BYTES_MAX: usize = 512;

/// The first line within a tunnel of [`DESKTOP`]: what is spoken, the login, the desktop, and where the client listens at a port of
/// its machine the digest of the password that whoever comes there must show.
///
/// Its text is `tapgate-desktop/1 rdp LOGIN NAME` or `tapgate-desktop/1 rdp LOGIN NAME DIGEST`, or `vnc` there, ended by a line feed. The
/// gate answers as it does to a [`Hail`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesktopHail {
    /// What the client speaks.
    pub protocol: DesktopProtocol,
    /// Who to become there.
    pub login: LoginName,
    /// The desktop.
    pub target: TargetName,
    /// The SHA-256 of the password that RDP's client must show.
    pub password: Option<Digest>,
}

impl DesktopHail {
    /// Reads the line, without its end. `None`: it is none.
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        if words.next()? != DESKTOP_HAIL {
            return None;
        }
        let protocol = DesktopProtocol::named(words.next()?)?;
        let (login, target) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let password = match words.next() {
            None => None,
            Some(word) => Some(word.parse().ok()?),
        };
        words.next().is_none().then_some(Self { protocol, login, target, password })
    }
}

impl fmt::Display for DesktopHail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{DESKTOP_HAIL} {} {} {}", self.protocol.as_str(), self.login, self.target)?;
        self.password.map_or(Ok(()), |digest| write!(f, " {digest}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hail_is_read_as_it_is_written() {
        let digest = "ab".repeat(32);
        for text in ["tapgate-desktop/1 vnc ann win1", &format!("tapgate-desktop/1 rdp ann win1 {digest}")] {
            assert_eq!(DesktopHail::parse(text).map(|hail| hail.to_string()).as_deref(), Some(text));
        }
        for text in ["tapgate-desktop/1 rdp ann", "tapgate-desktop/1 rdp ann win1 ab", "tapgate-desktop/1 ssh ann win1"]
        {
            assert_eq!(DesktopHail::parse(text), None, "{text:?}");
        }
        for text in ["tapgate-to/1 grafana", "tapgate-to/1 broker 5671"] {
            assert_eq!(Hail::parse(text).map(|hail| hail.to_string()).as_deref(), Some(text));
        }
        let bad = [
            "",
            "tapgate-to/2 a",
            "tapgate-to/1",
            "tapgate-to/1 ",
            "tapgate-to/1 a 0",
            "tapgate-to/1 a 65536",
            "tapgate-to/1 a 080",
            "tapgate-to/1 a +1",
            "tapgate-to/1 a 1 2",
            "tapgate-to/1  a",
            "tapgate-to/1 a\r",
            "GET / HTTP/1.1",
        ];
        for text in bad {
            assert_eq!(Hail::parse(text), None, "{text:?}");
        }
    }
}
