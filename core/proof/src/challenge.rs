//! The challenge that carries a statement to the authenticator.

use aws_lc_rs::digest;
use tapgate_model::Digest;

/// What keeps these digests apart from every other use of SHA-256.
const DOMAIN: &[u8] = b"tapgate/tap/v1";

/// The challenge of a tap: `SHA-256("tapgate/tap/v1" ‖ random ‖ SHA-256(statement))`.
///
/// The random bytes make it unguessable and the digest binds it, so an assertion over this
/// challenge is a signature over the statement.
pub fn challenge(random: &[u8; 32], statement_der: &[u8]) -> [u8; 32] {
    sha256(&[DOMAIN, random, sha256(&[statement_der]).as_bytes()]).as_bytes().to_owned()
}

/// The SHA-256 of these parts, one after another.
pub fn sha256(parts: &[&[u8]]) -> Digest {
    // At once is quicker than piece by piece.
    let digest = if let [whole] = parts {
        digest::digest(&digest::SHA256, whole)
    } else {
        let mut context = digest::Context::new(&digest::SHA256);
        for part in parts {
            context.update(part);
        }
        context.finish()
    };
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest.as_ref());
    Digest::from_bytes(bytes)
}
