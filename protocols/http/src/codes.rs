//! One-time codes: what leads a browser from the tap page back to the application, for that browser alone.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tapgate_model::{Digest, TargetName};
use tokio::time::Instant;

use crate::cookie::{fresh, hash};
use crate::limits::{CODE_TTL, CODES_MAX, PLACE_BYTES_MAX};
use crate::session::Party;

/// What a code is good for.
pub(crate) struct Leave {
    pub(crate) party: Party,
    pub(crate) app: TargetName,
    pub(crate) host: String,
    /// Where the browser comes back to, at that host.
    pub(crate) place: Place,
    /// The hash of the cookie of the browser that began.
    pub(crate) begun: Digest,
}

/// A place at an application's own host: path and query. It can't lead anywhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place(String);

impl Place {
    /// Takes what begins with one slash and holds nothing that a browser would read as another host.
    pub fn new(text: &str) -> Option<Self> {
        let rest = text.strip_prefix('/')?;
        let elsewhere = rest.starts_with(['/', '\\']);
        let good = text.len() <= PLACE_BYTES_MAX && text.bytes().all(|byte| (0x21..=0x7e).contains(&byte));
        (good && !elsewhere).then(|| Self(text.to_owned()))
    }

    /// The front page.
    pub(crate) fn front() -> Self {
        Self("/".to_owned())
    }

    /// Path and query.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The codes that are on their way, by their hashes.
#[derive(Default)]
pub(crate) struct Codes(Mutex<HashMap<Digest, (Instant, Leave)>>);

impl Codes {
    /// A code for this; none where too many are on their way.
    pub(crate) fn give(&self, leave: Leave) -> Option<String> {
        let code = fresh()?;
        let now = Instant::now();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, (until, _)| *until > now);
        if all.len() >= CODES_MAX {
            return None;
        }
        all.insert(hash(&code), (now + CODE_TTL, leave));
        Some(code)
    }

    /// What a code is good for, once.
    pub(crate) fn take(&self, code: &str) -> Option<Leave> {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&hash(code));
        taken.filter(|(until, _)| *until > Instant::now()).map(|(_, leave)| leave)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_at_its_own_host() {
        for good in ["/", "/d/1?a=b&c=https://elsewhere.example/", "/a//b", "/%2f%2felsewhere"] {
            assert_eq!(Place::new(good).as_ref().map(Place::as_str), Some(good));
        }
        let long = format!("/{}", "x".repeat(PLACE_BYTES_MAX));
        for bad in
            ["", "a", "//elsewhere", "/\\elsewhere", "https://elsewhere", "/a b", "/a\r\nb", "/\t/a", "/é", &long]
        {
            assert_eq!(Place::new(bad), None, "{bad:?}");
        }
    }
}
