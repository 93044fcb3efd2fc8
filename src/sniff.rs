//! What does a client speak? Its first bytes tell.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tapgate_relay::{Protocol, Sniff};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::limits::SNIFF_MAX;

/// What the one port speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spoken {
    /// A protocol of the table, by its place there.
    Protocol(usize),
    /// TLS; ALPN and SNI tell what is inside.
    Tls,
    /// HTTP without TLS, which is only told to use TLS.
    PlainHttp,
    /// None of them.
    Unknown,
}

/// The methods that HTTP/1 requests begin with, as far as they tell.
const METHODS: [&[u8]; 9] =
    [b"GET ", b"POST ", b"HEAD ", b"PUT ", b"DELETE ", b"OPTIONS ", b"PATCH ", b"CONNECT ", b"PRI "];

/// Tells from a head, or wants more of it. Pure.
pub(crate) fn tell(head: &[u8], protocols: &[Arc<dyn Protocol>]) -> Option<Spoken> {
    if head.is_empty() {
        return None;
    }
    // A TLS record of type handshake, version 3.x (RFC 8446 section 5.1).
    if head.starts_with(&[0x16, 0x03]) {
        return Some(Spoken::Tls);
    }
    let mut more = head == [0x16];
    for (n, protocol) in protocols.iter().enumerate() {
        match protocol.sniff(head) {
            Sniff::Yes => return Some(Spoken::Protocol(n)),
            Sniff::NeedMore => more = true,
            Sniff::No => {}
        }
    }
    if METHODS.iter().any(|method| head.starts_with(method)) {
        return Some(Spoken::PlainHttp);
    }
    more |= METHODS.iter().any(|method| method.starts_with(head));
    if more && head.len() < SNIFF_MAX { None } else { Some(Spoken::Unknown) }
}

/// Reads until the head tells; gives back what was read. The caller sets the deadline.
pub(crate) async fn sniff<T: AsyncRead + Unpin>(
    stream: &mut T,
    protocols: &[Arc<dyn Protocol>],
) -> std::io::Result<(Spoken, Bytes)> {
    let mut head = BytesMut::with_capacity(SNIFF_MAX);
    loop {
        if let Some(spoken) = tell(&head, protocols) {
            return Ok((spoken, head.freeze()));
        }
        if stream.read_buf(&mut head).await? == 0 {
            return Ok((Spoken::Unknown, head.freeze()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads() {
        let check = |head: &[u8], spoken| assert_eq!(tell(head, &[]), spoken, "{head:?}");
        check(b"", None);
        check(b"\x16", None);
        check(b"\x16\x03\x01", Some(Spoken::Tls));
        check(b"\x16\x02", Some(Spoken::Unknown));
        check(b"GE", None);
        check(b"GET / HTTP/1.1", Some(Spoken::PlainHttp));
        check(b"GEX", Some(Spoken::Unknown));
        check(&[0; SNIFF_MAX], Some(Spoken::Unknown));
    }
}
