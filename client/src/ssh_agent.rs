//! OpenSSH's agent protocol, the part that serves one key: pure, bytes in and values out.

/// The algorithm's name in front of a certificate.
pub const CERTIFICATE_ALGORITHM: &str = "ssh-ed25519-cert-v01@openssh.com";

/// What OpenSSH asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request<'a> {
    /// Which keys are there?
    Identities,
    /// Sign this with that key.
    Sign {
        /// The key or certificate.
        key: &'a [u8],
        /// What is to be signed.
        data: &'a [u8],
    },
    /// This connection now serves that SSH session.
    SessionBind {
        /// Whether the connection was forwarded to a remote host.
        forwarded: bool,
    },
    /// Anything else: adding, removing, locking.
    Other,
}

impl<'a> Request<'a> {
    /// Reads one message, without its length. `None`: the message is malformed.
    pub fn parse(message: &'a [u8]) -> Option<Self> {
        let (&kind, rest) = message.split_first()?;
        let mut rest = Reader(rest);
        match kind {
            11 => rest.end(Self::Identities),
            13 => {
                let (key, data) = (rest.string()?, rest.string()?);
                rest.u32()?;
                rest.end(Self::Sign { key, data })
            }
            27 => match rest.string()? {
                b"session-bind@openssh.com" => {
                    let (_host_key, _session, _signature) = (rest.string()?, rest.string()?, rest.string()?);
                    let forwarded = rest.byte()? != 0;
                    rest.end(Self::SessionBind { forwarded })
                }
                _ => Some(Self::Other),
            },
            _ => Some(Self::Other),
        }
    }
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response<'a> {
    /// No.
    Failure,
    /// Done.
    Success,
    /// One key is there.
    Identity {
        /// The certificate.
        key: &'a [u8],
        /// What it is called.
        comment: &'a str,
    },
    /// An Ed25519 signature.
    Signature(&'a [u8]),
}

impl Response<'_> {
    /// The message with its length. `None`: it is larger than the protocol can say.
    pub fn encode(&self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        match self {
            Self::Failure => body.push(5),
            Self::Success => body.push(6),
            Self::Identity { key, comment } => {
                body.push(12);
                body.extend(1_u32.to_be_bytes());
                string(&mut body, key)?;
                string(&mut body, comment.as_bytes())?;
            }
            Self::Signature(signature) => {
                let mut blob = Vec::new();
                string(&mut blob, b"ssh-ed25519")?;
                string(&mut blob, signature)?;
                body.push(14);
                string(&mut body, &blob)?;
            }
        }
        let mut message = Vec::with_capacity(body.len() + 4);
        string(&mut message, &body)?;
        Some(message)
    }
}

/// What a client signs to prove itself to an SSH server (RFC 4252, section 7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserAuth<'a> {
    /// The user name that is asked for.
    pub user: &'a str,
    /// The certificate that it is asked with.
    pub key: &'a [u8],
}

impl<'a> UserAuth<'a> {
    /// Reads the bytes that are to be signed. `None`: they are anything but a public-key request
    /// for a shell service, so our key does not sign them.
    pub fn parse(data: &'a [u8]) -> Option<Self> {
        let mut rest = Reader(data);
        let _session = rest.string()?;
        let request = rest.byte()?;
        let (user, service, method) = (rest.string()?, rest.string()?, rest.string()?);
        let (signed, algorithm, key) = (rest.byte()?, rest.string()?, rest.string()?);
        match method {
            b"publickey" => {}
            b"publickey-hostbound-v00@openssh.com" => {
                rest.string()?;
            }
            _ => return None,
        }
        let ours = request == 50
            && service == b"ssh-connection"
            && signed == 1
            && algorithm == CERTIFICATE_ALGORITHM.as_bytes();
        let user = std::str::from_utf8(user).ok()?;
        if ours { rest.end(Self { user, key }) } else { None }
    }
}

/// Appends a string with its length. `None`: it is longer than the length can say.
pub fn string(out: &mut Vec<u8>, bytes: &[u8]) -> Option<()> {
    out.extend(u32::try_from(bytes.len()).ok()?.to_be_bytes());
    out.extend_from_slice(bytes);
    Some(())
}

/// Bytes that are still to be read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn u32(&mut self) -> Option<u32> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*first))
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.u32()?).ok()?;
        let (first, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(first)
    }

    fn end<T>(&self, value: T) -> Option<T> {
        self.0.is_empty().then_some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(parts: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        for part in parts {
            string(&mut out, part).unwrap();
        }
        out
    }

    fn auth(request: u8, user: &str, service: &str, method: &str, tail: &[&[u8]]) -> Vec<u8> {
        let mut data = strings(&[b"session"]);
        data.push(request);
        data.extend(strings(&[user.as_bytes(), service.as_bytes(), method.as_bytes()]));
        data.push(1);
        data.extend(strings(&[CERTIFICATE_ALGORITHM.as_bytes(), b"cert"]));
        data.extend(strings(tail));
        data
    }

    #[test]
    fn requests() {
        assert_eq!(Request::parse(&[11]), Some(Request::Identities));
        let mut sign = vec![13];
        sign.extend(strings(&[b"key", b"data"]));
        sign.extend([0, 0, 0, 0]);
        assert_eq!(Request::parse(&sign), Some(Request::Sign { key: b"key", data: b"data" }));
        assert_eq!(Request::parse(&sign[..sign.len() - 1]), None);
        sign.push(0);
        assert_eq!(Request::parse(&sign), None);
        assert_eq!(Request::parse(&[17, 1, 2, 3]), Some(Request::Other));
        assert_eq!(Request::parse(&[]), None);
        assert_eq!(Request::parse(&[11, 0]), None);
        assert_eq!(Request::parse(&[13, 0xff, 0xff, 0xff, 0xff, 0]), None);
    }

    #[test]
    fn a_forwarded_connection_is_told_apart() {
        for forwarded in [false, true] {
            let mut bind = vec![27];
            bind.extend(strings(&[b"session-bind@openssh.com", b"host", b"session", b"signature"]));
            bind.push(u8::from(forwarded));
            assert_eq!(Request::parse(&bind), Some(Request::SessionBind { forwarded }));
        }
    }

    #[test]
    fn responses() {
        assert_eq!(Response::Failure.encode().unwrap(), [0, 0, 0, 1, 5]);
        assert_eq!(Response::Success.encode().unwrap(), [0, 0, 0, 1, 6]);
        let identity = Response::Identity { key: b"k", comment: "c" }.encode().unwrap();
        assert_eq!(identity, [0, 0, 0, 15, 12, 0, 0, 0, 1, 0, 0, 0, 1, b'k', 0, 0, 0, 1, b'c']);
        let signature = Response::Signature(b"s").encode().unwrap();
        let mut expect = vec![0, 0, 0, 25, 14, 0, 0, 0, 20, 0, 0, 0, 11];
        expect.extend(b"ssh-ed25519");
        expect.extend([0, 0, 0, 1, b's']);
        assert_eq!(signature, expect);
    }

    #[test]
    fn only_a_login_is_signed() {
        let good = auth(50, "jerry@prod3", "ssh-connection", "publickey", &[]);
        assert_eq!(UserAuth::parse(&good), Some(UserAuth { user: "jerry@prod3", key: b"cert" }));
        let bound = auth(50, "jerry@prod3", "ssh-connection", "publickey-hostbound-v00@openssh.com", &[b"host"]);
        assert_eq!(UserAuth::parse(&bound).map(|a| a.user), Some("jerry@prod3"));
        for bad in [
            auth(51, "u", "ssh-connection", "publickey", &[]),
            auth(50, "u", "ssh-userauth", "publickey", &[]),
            auth(50, "u", "ssh-connection", "hostbased", &[]),
            auth(50, "u", "ssh-connection", "publickey", &[b"more"]),
            b"SSHSIG\0\0\0\x04file".to_vec(),
            Vec::new(),
        ] {
            assert_eq!(UserAuth::parse(&bad), None);
        }
        for cut in 0..good.len() {
            assert_eq!(UserAuth::parse(&good[..cut]), None);
        }
    }
}
