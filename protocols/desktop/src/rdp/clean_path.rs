//! How a page begins RDP: one message each way (RDCleanPath) in place of the first two messages and of TLS, which the
//! page has with the gate already. Where it wants to go is not asked: that is the grant's.

use ironrdp_rdcleanpath::{RDCleanPathPdu, VERSION_1};
use tapgate_relay::Io;

use super::x224::{self, ReadError};
use super::{BeginError, der};
use crate::limits::CLEAN_PATH_MAX;

/// Reads the page's first message and answers with the gate's certificate. Answers what the page can do.
pub(crate) async fn greet(io: &mut (impl Io + ?Sized), flags: u8, certificates: &[Vec<u8>]) -> Result<u32, BeginError> {
    let bytes = der::read(io, CLEAN_PATH_MAX).await.map_err(BeginError::Client)?;
    let protocols = asked(&bytes).ok_or(BeginError::NoRdp)?;
    let answer = if protocols & x224::TLS == 0 {
        RDCleanPathPdu::new_negotiation_error(x224::write_failure(x224::TLS_DEMANDED))
    } else {
        // No desktop's address: there is none for the page to know.
        let selected = x224::write_selected(flags, x224::TLS);
        RDCleanPathPdu::new_response("0.0.0.0:3389".to_owned(), selected, certificates.iter().cloned())
    };
    let answer = answer.and_then(|answer| answer.to_der()).map_err(|_| BeginError::Client(ReadError::TooLong))?;
    x224::write(io, &answer).await?;
    if protocols & x224::TLS == 0 { Err(BeginError::NoTls) } else { Ok(protocols) }
}

/// What the page can do.
pub(crate) fn asked(bytes: &[u8]) -> Option<u32> {
    let said = RDCleanPathPdu::from_der(bytes).ok().filter(|said| said.version == VERSION_1)?;
    x224::request(said.x224_connection_pdu?.as_bytes()).map(|request| request.protocols)
}

#[cfg(test)]
mod tests {
    use super::x224::Request;
    use super::*;

    #[tokio::test]
    async fn a_page_that_can_do_tls_gets_the_gates_certificate_and_no_address() {
        for (protocols, fine) in [(x224::TLS, true), (x224::NLA, false), (x224::PLAIN, false)] {
            let x224 = x224::write_request(Request { flags: 0, protocols });
            let said = RDCleanPathPdu::new_request(x224, "elsewhere:3389".into(), "x".into(), None).unwrap();
            let said = said.to_der().unwrap();
            let mut heard = Vec::new();
            let mut io = tokio::io::join(&said[..], &mut heard);
            assert_eq!(greet(&mut io, 1, &[vec![7; 20]]).await.is_ok(), fine);
            let answer = RDCleanPathPdu::from_der(&heard).unwrap();
            assert_eq!((answer.error.is_none(), answer.destination), (fine, None));
            assert_eq!(answer.server_cert_chain.is_some_and(|chain| chain[0].as_bytes() == [7; 20]), fine);
        }
    }

    #[tokio::test]
    async fn what_is_none_is_refused() {
        for bad in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0x30, 0], &[0x30, 0x82, 0xff, 0xff], &[0x30]] {
            assert!(greet(&mut tokio::io::join(bad, tokio::io::sink()), 1, &[]).await.is_err(), "{bad:?}");
        }
    }
}
