//! SPDY's compressed headers (SPDY/3.1 section 2.6.10.1): one zlib stream for all of a direction, with a dictionary.

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_HAS_MORE_INPUT;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

use crate::limits::HEADERS_BYTES_MAX;

/// How far back deflate refers.
const WINDOW: usize = 32 * 1024;

/// The dictionary's words, each of which stands there with its length before it.
const WORDS: [&str; 65] = [
    "options",
    "head",
    "post",
    "put",
    "delete",
    "trace",
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "age",
    "allow",
    "authorization",
    "cache-control",
    "connection",
    "content-base",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-md5",
    "content-range",
    "content-type",
    "date",
    "etag",
    "expect",
    "expires",
    "from",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "last-modified",
    "location",
    "max-forwards",
    "pragma",
    "proxy-authenticate",
    "proxy-authorization",
    "range",
    "referer",
    "retry-after",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "vary",
    "via",
    "warning",
    "www-authenticate",
    "method",
    "get",
    "status",
    "200 OK",
    "version",
    "HTTP/1.1",
    "url",
    "public",
    "set-cookie",
    "keep-alive",
    "origin",
];

/// What follows its words.
const REST: &str = "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 \
                    Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 \
                    Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar \
                    Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,\
                    image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,public\
                    privatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.";

/// The dictionary's checksum, by which a stream says that it uses it.
const DICTIONARY: [u8; 4] = [0xe3, 0xc6, 0xa7, 0xc2];

/// The headers of one direction.
pub(crate) struct Headers {
    core: Box<DecompressorOxide>,
    /// What was read last; the dictionary to begin with.
    window: Vec<u8>,
    at: usize,
    begun: bool,
}

impl Default for Headers {
    fn default() -> Self {
        let mut window = Vec::with_capacity(WINDOW);
        for word in WORDS {
            window.extend_from_slice(&u32::try_from(word.len()).unwrap_or_default().to_be_bytes());
            window.extend_from_slice(word.as_bytes());
        }
        window.extend_from_slice(REST.as_bytes());
        let at = window.len();
        window.resize(WINDOW, 0);
        Self { core: Box::default(), window, at, begun: false }
    }
}

impl Headers {
    /// The block that these bytes of the stream hold; `None` where they hold none, or too much.
    pub(crate) fn block(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut rest = if std::mem::replace(&mut self.begun, true) { bytes } else { after_the_head(bytes)? };
        let mut block = Vec::new();
        loop {
            let (status, read, written) =
                decompress(&mut self.core, rest, &mut self.window, self.at, TINFL_FLAG_HAS_MORE_INPUT);
            block.extend_from_slice(self.window.get(self.at..self.at + written)?);
            self.at = (self.at + written) % WINDOW;
            rest = rest.get(read..)?;
            if block.len() > HEADERS_BYTES_MAX {
                return None;
            }
            match status {
                TINFLStatus::HasMoreOutput => {}
                TINFLStatus::NeedsMoreInput if rest.is_empty() => return Some(block),
                _ => return None,
            }
        }
    }
}

/// What follows zlib's own head (RFC 1950 section 2.2), which must name the dictionary.
fn after_the_head(bytes: &[u8]) -> Option<&[u8]> {
    let ([method, flags, dictionary @ ..], rest) = bytes.split_first_chunk::<6>()?;
    let sum = u16::from_be_bytes([*method, *flags]);
    (method & 0x0f == 8 && flags & 0x20 != 0 && sum % 31 == 0 && *dictionary == DICTIONARY).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dictionary_is_the_one_that_streams_name() {
        let headers = Headers::default();
        let (mut a, mut b) = (1_u32, 0_u32);
        for byte in &headers.window[..headers.at] {
            a = (a + u32::from(*byte)) % 65_521;
            b = (b + a) % 65_521;
        }
        assert_eq!(((b << 16) | a).to_be_bytes(), DICTIONARY);
    }

    #[test]
    fn what_is_no_block_is_none() {
        assert_eq!(Headers::default().block(b""), None);
        assert_eq!(Headers::default().block(b"\x78\x9c\x01\x00\x00\xff\xff"), None, "another dictionary");
        assert_eq!(Headers::default().block(b"\x78\xbb\xe3\xc6\xa7\xc2\xff"), None, "no block of deflate");
        // A stored block of nothing, again and again, is fine; one that ends the stream is not.
        let mut headers = Headers::default();
        assert_eq!(headers.block(b"\x78\xbb\xe3\xc6\xa7\xc2\x00\x00\x00\xff\xff"), Some(Vec::new()));
        assert_eq!(headers.block(b"\x00\x02\x00\xfd\xffhi"), Some(b"hi".to_vec()));
        assert_eq!(headers.block(b"\x01\x00\x00\xff\xff"), None);
    }
}
