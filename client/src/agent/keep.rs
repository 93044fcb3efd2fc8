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

    /// Signs an SSH authentication request of this very window: its user name, its certificate.
    fn sign(&self, id: u64, data: &str) -> Result<Answer> {
        let entry = self.entries.get(&id).ok_or_else(|| Failure::new("the window is over"))?;
        let data = from_base64(data)?;
        let auth = UserAuth::parse(&data).ok_or_else(|| Failure::new("this is not an SSH authentication request"))?;
        // Where the connection itself leads to the target, its user name is the login alone.
        let names = auth.user == entry.window.ssh_user() || auth.user == entry.window.login;
        if auth.key != entry.blob.as_slice() || !names {
            return Err(Failure::new("this is for another window"));
        }
        Ok(Answer::Signature { signature: to_base64(&entry.key.sign(&data)) })
    }
}
