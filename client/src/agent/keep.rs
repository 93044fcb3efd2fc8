//! What the agent keeps, and what it answers: a table of windows, without sockets or clocks.

use std::collections::BTreeMap;

use ssh_key::Certificate;
use tapgate_api::SessionCertificates;
use tapgate_model::UnixTime;

use super::wire::{Answer, Ask, Window};
use crate::error::{Act as _, Failure, Result};
use crate::keys::{Seed, SessionKey, from_base64, to_base64};
use crate::limits::{AGENT_ENTRIES_MAX, WINDOW_MARGIN, WINDOW_MAX};
use crate::ssh_agent::UserAuth;

/// The windows that are open.
#[derive(Default)]
pub struct Keep {
    next: u64,
    entries: BTreeMap<u64, Entry>,
}

struct Entry {
    window: Window,
    certificates: SessionCertificates,
    blob: Vec<u8>,
    key: SessionKey,
    expires: UnixTime,
}

impl Keep {
    /// Answers one ask.
    pub fn answer(&mut self, ask: Ask, now: UnixTime) -> Answer {
        self.sweep(now);
        let answer = match ask {
            Ask::Put { window, certificates, key } => self.put(window, certificates, &key, now),
            Ask::Find { window } => Ok(self.find(&window, now)),
            Ask::Sign { id, data } => self.sign(id, &data),
            Ask::Key { id } => self.key(id),
            Ask::Clear => {
                self.entries.clear();
                Ok(Answer::Cleared)
            }
        };
        answer.unwrap_or_else(|failure| Answer::Refused { why: failure.to_string() })
    }

    /// Forgets the windows that are over.
    pub fn sweep(&mut self, now: UnixTime) {
        self.entries.retain(|_, entry| now < entry.expires);
    }

    /// When the last window ends; `None` where there is none.
    pub fn last_end(&self) -> Option<UnixTime> {
        self.entries.values().map(|entry| entry.expires).max()
    }

    fn put(&mut self, window: Window, certificates: SessionCertificates, seed: &Seed, now: UnixTime) -> Result<Answer> {
        let key = SessionKey::from_seed(seed)?;
        let certificate = Certificate::from_openssh(certificates.ssh_certificate.trim())
            .act(|| "the SSH session certificate cannot be read".to_owned())?;
        if !key.is_key_of(certificate.public_key()) {
            return Err(Failure::new("the certificate is for another key"));
        }
        let blob = certificate.to_bytes().act(|| "the SSH session certificate cannot be written".to_owned())?;
        let expires = UnixTime::from_secs(certificates.expires).min(now.plus(WINDOW_MAX));
        if !certificates.reusable || expires <= now {
            return Err(Failure::new("these certificates are not to be kept"));
        }
        self.entries.retain(|_, entry| entry.window != window);
        if self.entries.len() >= AGENT_ENTRIES_MAX {
            return Err(Failure::new("the agent keeps too many windows"));
        }
        let id = self.next;
        self.next += 1;
        let answer = Answer::Window { id, certificates: certificates.clone() };
        self.entries.insert(id, Entry { window, certificates, blob, key, expires });
        Ok(answer)
    }

    fn find(&self, window: &Window, now: UnixTime) -> Answer {
        let open = |entry: &Entry| entry.window == *window && now.plus(WINDOW_MARGIN) < entry.expires;
        self.entries
            .iter()
            .find(|(_, entry)| open(entry))
            .map_or(Answer::Absent, |(id, entry)| Answer::Window { id: *id, certificates: entry.certificates.clone() })
    }

    /// The key of a Kubernetes window: kubectl wants it in its own memory. Any other window's stays here.
    fn key(&self, id: u64) -> Result<Answer> {
        let entry = self.entries.get(&id).ok_or_else(|| Failure::new("the window is over"))?;
        if entry.window.kind != tapgate_model::Kind::KubeCluster.as_str() {
            return Err(Failure::new("the key of this window is not handed out"));
        }
        Ok(Answer::Key { key: entry.key.seed() })
    }

    /// Signs an SSH authentication request of this very window (its user name, its certificate), or the handshake of a
    /// TLS client, which shows this window's certificate: for another one the signature is worth nothing.
    fn sign(&self, id: u64, data: &str) -> Result<Answer> {
        let entry = self.entries.get(&id).ok_or_else(|| Failure::new("the window is over"))?;
        let data = from_base64(data)?;
        if is_client_handshake(&data) {
            return Ok(Answer::Signature { signature: to_base64(&entry.key.sign(&data)) });
        }
        let auth = UserAuth::parse(&data)
            .ok_or_else(|| Failure::new("this is neither an SSH authentication request nor a TLS handshake"))?;
        // Where the connection itself leads to the target, its user name is the login alone.
        let names = auth.user == entry.window.ssh_user() || auth.user == entry.window.login;
        if auth.key != entry.blob.as_slice() || !names {
            return Err(Failure::new("this is for another window"));
        }
        Ok(Answer::Signature { signature: to_base64(&entry.key.sign(&data)) })
    }
}

/// Whether this is what a TLS 1.3 client signs: 64 spaces, the context, a zero, a transcript hash (RFC 8446 section
/// 4.4.3). No SSH message begins with a space.
fn is_client_handshake(data: &[u8]) -> bool {
    let Some(rest) = data.strip_prefix(&[b' '; 64]) else { return false };
    let hash = rest.strip_prefix(b"TLS 1.3, client CertificateVerify\0");
    hash.is_some_and(|hash| matches!(hash.len(), 32 | 48))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_tls_client_signs() {
        let text =
            |context: &str, hash: usize| [vec![b' '; 64], context.as_bytes().to_vec(), vec![0], vec![7; hash]].concat();
        assert!(is_client_handshake(&text("TLS 1.3, client CertificateVerify", 32)));
        assert!(is_client_handshake(&text("TLS 1.3, client CertificateVerify", 48)));
        assert!(!is_client_handshake(&text("TLS 1.3, client CertificateVerify", 33)));
        assert!(!is_client_handshake(&text("TLS 1.3, server CertificateVerify", 32)));
        assert!(!is_client_handshake(b"TLS 1.3, client CertificateVerify"));
    }
}
