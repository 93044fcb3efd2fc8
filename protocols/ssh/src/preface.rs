//! `TO HOST`: the line by which `tap proxy ssh` says where a connection leads, before SSH begins.
//!
//! It stands inside the TLS tunnel, whose holder is known. It lets plain `ssh LOGIN@TARGET` work: what such a client
//! says by itself is the login alone.

use std::io;

use bytes::Bytes;
use tapgate_relay::{Io, Prefixed};
use tokio::io::AsyncReadExt as _;

use crate::limits::PREFACE_MAX;

/// How the line begins. An SSH client begins with `SSH-`.
const START: &[u8] = b"TO ";

/// Reads the line, where there is one: answers the host that it names, and the stream behind it. The caller sets the
/// deadline.
pub(crate) async fn read(mut io: Box<dyn Io>) -> io::Result<(Option<String>, Box<dyn Io>)> {
    let mut line = vec![io.read_u8().await?];
    if line.first() != START.first() {
        return Ok((None, Box::new(Prefixed::new(Bytes::from(line), io))));
    }
    while line.last() != Some(&b'\n') {
        if line.len() >= PREFACE_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        line.push(io.read_u8().await?);
    }
    let host = line.strip_prefix(START).and_then(|rest| str::from_utf8(rest).ok());
    let host = host.ok_or(io::ErrorKind::InvalidData)?.trim_end_matches('\n').to_owned();
    Ok((Some(host), io))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt as _, duplex};

    use super::*;

    async fn say(bytes: &[u8]) -> io::Result<(Option<String>, Vec<u8>)> {
        let (near, mut far) = duplex(4096);
        far.write_all(bytes).await?;
        drop(far);
        let (host, mut rest) = read(Box::new(near)).await?;
        let mut all = Vec::new();
        rest.read_to_end(&mut all).await?;
        Ok((host, all))
    }

    #[tokio::test]
    async fn a_line_or_none() {
        let check = async |said: &[u8], host: Option<&str>, rest: &[u8]| {
            assert_eq!(say(said).await.unwrap(), (host.map(str::to_owned), rest.to_vec()));
        };
        check(b"SSH-2.0-x\r\n", None, b"SSH-2.0-x\r\n").await;
        check(b"TO prod3.gate\nSSH-2.0-x\r\n", Some("prod3.gate"), b"SSH-2.0-x\r\n").await;
        check(b"TO \n", Some(""), b"").await;
        let endless = [b'T'; 2000];
        for bad in [b"".as_slice(), b"TO prod3", b"TX prod3\n", b"TO \xff\n", &endless] {
            assert!(say(bad).await.is_err(), "{bad:?}");
        }
    }
}
