//! RDP's first two messages, in clear: what security a client can do, and which the server chose (MS-RDPBCGR 2.2.1.1
//! and 2.2.1.2). A cookie or routing token is an index that anybody on the way can read, so nothing hangs on it.

use tapgate_relay::Io;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// RDP's own security, which is none.
pub(crate) const PLAIN: u32 = 0;
/// TLS.
pub(crate) const TLS: u32 = 1;
/// Network Level Authentication within TLS.
pub(crate) const NLA: u32 = 2;

/// Tells the client that only TLS is spoken here.
pub(crate) const TLS_DEMANDED: u32 = 1;
/// Tells it that only Network Level Authentication is.
#[cfg(feature = "rdp-nla")]
pub(crate) const NLA_DEMANDED: u32 = 5;

const REQUEST: u8 = 0xe0;
const CONFIRM: u8 = 0xd0;

/// The flag that says that 36 bytes of a correlation id follow.
const CORRELATION: u8 = 8;

/// The flags of the server's answer that ask the client for a logon without, or with somebody else's, credentials.
const OTHER_LOGONS: u8 = 8 | 16;

/// Why bytes are none of RDP's.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("{}", .0.kind())]
    Io(#[from] std::io::Error),
    #[error("what it says is no RDP")]
    Malformed,
    #[error("a message is too long")]
    TooLong,
}

/// What a client can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) flags: u8,
    pub(crate) protocols: u32,
}

/// What a server answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Confirm {
    Selected { flags: u8, protocol: u32 },
    Failure(u32),
}

/// Reads one message with its head (RFC 2126 section 4.3).
pub(crate) async fn read(io: &mut (impl Io + ?Sized), most: usize) -> Result<Vec<u8>, ReadError> {
    let mut pdu = vec![0; 4];
    io.read_exact(&mut pdu).await?;
    let length = length(&pdu).ok_or(ReadError::Malformed)?;
    if length > most {
        return Err(ReadError::TooLong);
    }
    pdu.resize(length, 0);
    io.read_exact(pdu.get_mut(4..).unwrap_or_default()).await?;
    Ok(pdu)
}

/// The whole length of a message, from its head.
fn length(head: &[u8]) -> Option<usize> {
    match head {
        [3, 0, high, low] => Some(usize::from(*high) << 8 | usize::from(*low)).filter(|length| *length >= 7),
        _ => None,
    }
}

pub(crate) async fn write(io: &mut (impl Io + ?Sized), pdu: &[u8]) -> std::io::Result<()> {
    io.write_all(pdu).await?;
    io.flush().await
}

/// What follows behind the fixed part of a message of this kind.
fn variable(pdu: &[u8], kind: u8) -> Option<&[u8]> {
    let (head, rest) = pdu.split_at_checked(11)?;
    let length = length(head.get(..4)?)?;
    let (indicator, code) = (head.get(4)?, head.get(5)?);
    let whole = pdu.len() == length && usize::from(*indicator) + 5 == length;
    (whole && code & 0xf0 == kind).then_some(rest)
}

/// Reads what a client can do.
pub(crate) fn request(pdu: &[u8]) -> Option<Request> {
    let mut rest = variable(pdu, REQUEST)?;
    if rest.first().is_some_and(|byte| *byte != 1) {
        let end = rest.windows(2).position(|two| two == b"\r\n")?;
        rest = rest.get(end + 2..)?;
    }
    match rest {
        [] => Some(Request { flags: 0, protocols: PLAIN }),
        [1, flags, 8, 0, a, b, c, d, after @ ..] => {
            let expect = if flags & CORRELATION == 0 { 0 } else { 36 };
            let protocols = u32::from_le_bytes([*a, *b, *c, *d]);
            (after.len() == expect).then_some(Request { flags: *flags, protocols })
        }
        _ => None,
    }
}

/// What a client says before what it can do, as it was told by a file with `loadbalanceinfo`: anybody may have read it.
#[cfg(feature = "rdp-nla")]
pub(crate) fn token(pdu: &[u8]) -> Option<&str> {
    let rest = variable(pdu, REQUEST)?.strip_prefix(b"Cookie: msts=")?;
    let end = rest.windows(2).position(|two| two == b"\r\n")?;
    std::str::from_utf8(rest.get(..end)?).ok()
}

/// Whether a connection's first bytes are a client's first message; `None` where more would tell.
#[cfg(feature = "rdp-nla")]
pub(crate) fn begins(head: &[u8]) -> Option<bool> {
    let fits = match head {
        [3, 0, _, _, _, code, ..] => return Some(code & 0xf0 == REQUEST),
        [] | [3] => true,
        [3, second, ..] => *second == 0,
        _ => false,
    };
    if fits { None } else { Some(false) }
}

/// Reads what a server chose.
pub(crate) fn confirm(pdu: &[u8]) -> Option<Confirm> {
    match variable(pdu, CONFIRM)? {
        [] => Some(Confirm::Selected { flags: 0, protocol: PLAIN }),
        [2, flags, 8, 0, a, b, c, d] => {
            Some(Confirm::Selected { flags: *flags, protocol: u32::from_le_bytes([*a, *b, *c, *d]) })
        }
        [3, _, 8, 0, a, b, c, d] => Some(Confirm::Failure(u32::from_le_bytes([*a, *b, *c, *d]))),
        _ => None,
    }
}

fn message(kind: u8, variable: [u8; 4], value: u32) -> Vec<u8> {
    [&[3, 0, 0, 19, 14, kind, 0, 0, 0, 0, 0][..], &variable, &value.to_le_bytes()].concat()
}

/// The gate's own request to a desktop: no cookie, no token.
pub(crate) fn write_request(Request { flags, protocols }: Request) -> Vec<u8> {
    message(REQUEST, [1, flags & !CORRELATION, 8, 0], protocols)
}

/// The gate's answer to a client, with what the desktop said it can do.
pub(crate) fn write_selected(flags: u8, protocol: u32) -> Vec<u8> {
    message(CONFIRM, [2, flags & !OTHER_LOGONS, 8, 0], protocol)
}

/// The gate's refusal.
pub(crate) fn write_failure(code: u32) -> Vec<u8> {
    message(CONFIRM, [3, 0, 8, 0], code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(code: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(11 + rest.len()).unwrap();
        let indicator = u8::try_from(length - 5).unwrap_or(0xff);
        [&[3, 0][..], &length.to_be_bytes(), &[indicator, code, 0, 0, 0, 0, 0], rest].concat()
    }

    #[test]
    fn requests_with_and_without_cookies() {
        let nego = [1, 0, 8, 0, 3, 0, 0, 0];
        let want = Some(Request { flags: 0, protocols: 3 });
        assert_eq!(request(&framed(0xe0, &nego)), want);
        assert_eq!(request(&framed(0xe0, &[&b"Cookie: mstshash=ann\r\n"[..], &nego].concat())), want);
        assert_eq!(request(&framed(0xe0, b"Cookie: msts=x\r\n")), Some(Request { flags: 0, protocols: 0 }));
        let id = [&[1, 8, 8, 0, 1, 0, 0, 0][..], &[7; 36]].concat();
        assert_eq!(request(&framed(0xe0, &id)), Some(Request { flags: 8, protocols: 1 }));
        assert_eq!(
            request(&write_request(Request { flags: 9, protocols: 3 })),
            Some(Request { flags: 1, protocols: 3 })
        );
    }

    #[test]
    fn bad_requests() {
        let nego = [1, 0, 8, 0, 3, 0, 0, 0];
        for bad in [
            framed(0xd0, &nego),
            framed(0xe0, b"Cookie: without end"),
            framed(0xe0, &nego[..7]),
            framed(0xe0, &[&nego[..], b"x"].concat()),
            framed(0xe0, &[1, 8, 8, 0, 1, 0, 0, 0]),
            [framed(0xe0, &nego), vec![0]].concat(),
            b"GET / HTTP/1.1\r\n".to_vec(),
            vec![],
        ] {
            assert_eq!(request(&bad), None, "{bad:?}");
        }
    }

    #[test]
    fn answers() {
        assert_eq!(confirm(&write_selected(31, TLS)), Some(Confirm::Selected { flags: 7, protocol: TLS }));
        assert_eq!(confirm(&write_failure(5)), Some(Confirm::Failure(5)));
        assert_eq!(confirm(&framed(0xd0, &[])), Some(Confirm::Selected { flags: 0, protocol: PLAIN }));
        assert_eq!(confirm(&framed(0xd0, &[9; 8])), None);
    }

    #[cfg(feature = "rdp-nla")]
    #[test]
    fn what_a_file_tells_a_client_to_say() {
        let nego = [1, 0, 8, 0, 3, 0, 0, 0];
        let said = |text: &[u8]| token(&framed(0xe0, &[text, &nego].concat())).map(str::to_owned);
        assert_eq!(said(b"Cookie: msts=t0f\r\n").as_deref(), Some("t0f"));
        for none in [&b""[..], b"Cookie: mstshash=ann\r\n", b"Cookie: msts=\xff\r\n", b"Cookie: msts=x"] {
            assert_eq!(said(none), None);
        }
        let whole = framed(0xe0, &nego);
        assert!((0..6).all(|end| begins(&whole[..end]).is_none()) && begins(&whole) == Some(true));
        for other in [&b"\x03\x01"[..], b"\x16\x03\x01", b"SSH-2.0", &framed(0xd0, &nego)] {
            assert_eq!(begins(other), Some(false), "{other:?}");
        }
    }

    #[tokio::test]
    async fn a_message_that_is_too_long_is_not_read() {
        let mut io = tokio::io::join(&[3_u8, 0, 0xff, 0xff][..], tokio::io::sink());
        assert!(matches!(read(&mut io, 512).await, Err(ReadError::TooLong)));
        let mut io = tokio::io::join(&[3_u8, 0, 0, 20, 1][..], tokio::io::sink());
        assert!(matches!(read(&mut io, 512).await, Err(ReadError::Io(_))));
    }
}
