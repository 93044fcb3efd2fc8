//! The object identifiers of the X.509 profile.
//!
//! The arc 1.3.6.1.4.1.99999 is NOT registered: it stands in for a private enterprise number, and every
//! certificate lives for hours at most, so the day it is replaced costs one login.

/// The extended key usage of a login certificate.
pub(crate) const LOGIN_USAGE: &[u64] = &[1, 3, 6, 1, 4, 1, 99_999, 1, 1];
/// The same, as the contents of a DER object identifier.
pub(crate) const LOGIN_USAGE_DER: &[u8] = &[0x2b, 6, 1, 4, 1, 0x86, 0x8d, 0x1f, 1, 1];

/// The extended key usage of a session certificate.
pub(crate) const SESSION_USAGE: &[u64] = &[1, 3, 6, 1, 4, 1, 99_999, 1, 2];
/// The same, as the contents of a DER object identifier.
pub(crate) const SESSION_USAGE_DER: &[u8] = &[0x2b, 6, 1, 4, 1, 0x86, 0x8d, 0x1f, 1, 2];

/// The extension that holds the payload.
pub(crate) const PAYLOAD: &[u64] = &[1, 3, 6, 1, 4, 1, 99_999, 1, 3];
/// The same, as the contents of a DER object identifier.
pub(crate) const PAYLOAD_DER: &[u8] = &[0x2b, 6, 1, 4, 1, 0x86, 0x8d, 0x1f, 1, 3];

/// The usage that TLS itself knows for servers, as the contents of a DER object identifier.
pub(crate) const SERVER_AUTH_DER: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];

#[cfg(test)]
mod tests {
    use super::*;
    use der::oid::ObjectIdentifier;

    #[test]
    fn both_forms_say_the_same() {
        for (arcs, contents) in
            [(LOGIN_USAGE, LOGIN_USAGE_DER), (SESSION_USAGE, SESSION_USAGE_DER), (PAYLOAD, PAYLOAD_DER)]
        {
            let text = arcs.iter().map(u64::to_string).collect::<Vec<_>>().join(".");
            assert_eq!(ObjectIdentifier::new(&text).unwrap().as_bytes(), contents, "{text}");
        }
    }
}
