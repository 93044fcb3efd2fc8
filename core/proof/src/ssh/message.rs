//! What a key signs when it logs in by SSH (RFC 4252, section 7).

use super::wire::{Wire, push};

const REQUEST: u8 = 50;
const SERVICE: &str = "ssh-connection";
const METHOD: &str = "publickey";

/// The parts of what was signed that decide something.
pub(super) struct Message<'a> {
    /// The connection.
    pub(super) session_id: &'a [u8],
    /// The user name as it was sent.
    pub(super) user: &'a str,
    /// The key, or the certificate.
    pub(super) blob: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads what was signed; the name of the algorithm must be the key's own.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut wire = Wire(bytes);
        let session_id = wire.string()?;
        let request = wire.byte()?;
        let user = wire.text()?;
        let (service, method, signed) = (wire.text()?, wire.text()?, wire.byte()?);
        let (algorithm, blob) = (wire.text()?, wire.string()?);
        wire.end()?;
        let usual = request == REQUEST && service == SERVICE && method == METHOD && signed == 1;
        let named = Wire(blob).text()? == algorithm;
        (usual && named && !session_id.is_empty()).then_some(Self { session_id, user, blob })
    }

    /// Puts together what was signed.
    pub(super) fn write(&self) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        push(&mut bytes, self.session_id);
        bytes.push(REQUEST);
        for text in [self.user, SERVICE, METHOD] {
            push(&mut bytes, text.as_bytes());
        }
        bytes.push(1);
        push(&mut bytes, Wire(self.blob).string()?);
        push(&mut bytes, self.blob);
        Some(bytes)
    }
}

/// Reads anything, and writes what it can read as it was.
pub(crate) fn fuzz(data: &[u8]) {
    if let Some(message) = Message::parse(data) {
        // INVARIANT: what was read has a blob that begins with its name.
        assert_eq!(message.write().expect("it was read"), data);
        drop(super::SshKey::presented(message.blob));
    }
}
