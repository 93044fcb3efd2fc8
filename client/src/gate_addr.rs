//! A gate as people name it, `host:port`, and the pin of the CA that its certificate comes from.

use std::fmt;
use std::str::FromStr;

use rustls::pki_types::ServerName;
use serde::{Deserialize, Serialize};
use tapgate_model::Digest;
use url::Url;

use crate::error::{Act, Failure};

/// The port of a gate that is named without one.
const DEFAULT_PORT: u16 = 3080;

/// A gate's host and port.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GateAddr {
    host: String,
    port: u16,
}

impl GateAddr {
    /// The host, without brackets: a name or an address.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The name that the gate's certificate must carry.
    pub fn server_name(&self) -> Result<ServerName<'static>, Failure> {
        ServerName::try_from(self.host.clone()).act(|| format!("{} is not a host name", self.host))
    }

    /// `https://host:port`, the origin that TLS authenticates.
    pub fn origin(&self) -> Result<Url, Failure> {
        Url::parse(&format!("https://{self}")).act(|| format!("{self} is not a gate's address"))
    }
}

impl FromStr for GateAddr {
    type Err = Failure;
    fn from_str(text: &str) -> Result<Self, Failure> {
        let wrong = || Failure::new(format!("{text:?} is not a gate's address")).advise("use host or host:port");
        let bare = text.strip_prefix("https://").unwrap_or(text).trim_end_matches('/');
        let (host, port) = match bare.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, port)) => (host, Some(port.strip_prefix(':').ok_or_else(wrong)?)),
            None => bare.rsplit_once(':').map_or((bare, None), |(host, port)| (host, Some(port))),
        };
        let host = host.to_ascii_lowercase();
        let port = port.map_or(Ok(DEFAULT_PORT), |port| port.parse().map_err(|_| wrong()))?;
        if port == 0 || host.starts_with('-') || ServerName::try_from(host.as_str()).is_err() {
            return Err(wrong());
        }
        Ok(Self { host, port })
    }
}

impl TryFrom<String> for GateAddr {
    type Error = Failure;
    fn try_from(text: String) -> Result<Self, Failure> {
        text.parse()
    }
}

impl From<GateAddr> for String {
    fn from(addr: GateAddr) -> Self {
        addr.to_string()
    }
}

impl fmt::Display for GateAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// The SHA-256 of the host CA's public key, as `sha256:…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CaPin(Digest);

impl CaPin {
    /// The digest itself; it is also how statements name the gate.
    pub const fn digest(&self) -> &Digest {
        &self.0
    }
}

impl From<Digest> for CaPin {
    fn from(digest: Digest) -> Self {
        Self(digest)
    }
}

impl FromStr for CaPin {
    type Err = Failure;
    fn from_str(text: &str) -> Result<Self, Failure> {
        let wrong = || {
            Failure::new(format!("{text:?} is not a CA pin"))
                .advise("use sha256: and 64 hex digits, as tapctl status prints it")
        };
        let digits = text.trim().strip_prefix("sha256:").ok_or_else(wrong)?;
        digits.to_ascii_lowercase().parse().map(Self).map_err(|_| wrong())
    }
}

impl TryFrom<String> for CaPin {
    type Error = Failure;
    fn try_from(text: String) -> Result<Self, Failure> {
        text.parse()
    }
}

impl From<CaPin> for String {
    fn from(pin: CaPin) -> Self {
        pin.to_string()
    }
}

impl fmt::Display for CaPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let check = |text: &str, expect: &str| {
            assert_eq!(text.parse::<GateAddr>().map(|a| a.to_string()).unwrap_or_default(), expect, "{text:?}");
        };
        check("localhost:3080", "localhost:3080");
        check("Gate.Example.com", "gate.example.com:3080");
        check("https://gate.example.com:443/", "gate.example.com:443");
        check("[::1]:3080", "[::1]:3080");
        check("[::1]", "[::1]:3080");
        check("127.0.0.1:1", "127.0.0.1:1");
        for bad in ["", ":1", "a:b", "a:0", "a:65536", "a b", "a/../b:1", "..", "[::1]x", "u@h:1", "-o:1", "a:1:2"] {
            check(bad, "");
        }
    }

    #[test]
    fn pins() {
        let digits = "ab".repeat(32);
        let pin = format!("sha256:{digits}").parse::<CaPin>().unwrap();
        assert_eq!(pin.to_string(), format!("sha256:{digits}"));
        for bad in ["", "sha256:", &digits, "sha256:abcd", &format!("sha1:{digits}")] {
            assert!(bad.parse::<CaPin>().is_err(), "{bad:?}");
        }
    }
}
