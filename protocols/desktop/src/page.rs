//! Desktops on a page: whoever is signed in asks, and what the page speaks comes as bytes, whatever carries them.

use std::net::SocketAddr;
use std::sync::Arc;

use tapgate_identity::Identity;
use tapgate_model::tunnel::DesktopHail;
use tapgate_model::{DesktopProtocol, LoginName, TargetName, UnixTime};
use tapgate_proof::Holder;
use tapgate_relay::Io;
use tapgate_session::{Door, Live};
use zeroize::Zeroizing;

use crate::Desktop;
use crate::enter::Entered;
use crate::serve::Guest;

/// Who asks on a page, and for what.
pub struct Wish {
    /// What the page speaks.
    pub protocol: DesktopProtocol,
    /// The desktop.
    pub target: TargetName,
    /// Who to become there.
    pub login: LoginName,
    /// Who is signed in.
    pub identity: Arc<Identity>,
    /// What a tap on that page names.
    pub holder: Holder,
    /// Where the page is.
    pub peer: SocketAddr,
}

/// A desktop that was entered for a page.
pub struct OnPage {
    entered: Entered,
    live: Live,
    certificates: Vec<Vec<u8>>,
}

/// What a page gives its user for a client of RDP.
pub struct DesktopFile {
    /// What stands in the file. It only finds what the file is for.
    pub handle: String,
    /// What the user types: the proof.
    pub password: Zeroizing<String>,
    /// What a tap for it must name.
    pub holder: Holder,
    /// Until when it opens a session.
    pub until: UnixTime,
}

/// Why there is no file, in words for the page.
#[derive(Debug, thiserror::Error)]
pub enum NoFile {
    /// Too many are out.
    #[error("too many files for desktops are out (use one of them, or wait five minutes)")]
    TooMany,
    /// This gate can't read what clients with a file say.
    #[error("this gate was built without Network Level Authentication (the feature rdp-nla)")]
    NotBuilt,
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Random,
}

impl Desktop {
    /// Asks for the session and enters the desktop. The error is in words for the page.
    pub async fn on_page(&self, wish: Wish) -> Result<OnPage, String> {
        let Wish { protocol, target, login, identity, holder, peer } = wish;
        let hail = DesktopHail { protocol, login, target, password: None };
        let guest = Guest { identity, peer, door: Door::Web, holder: Some(holder) };
        let (entered, live) = Box::pin(self.open(&hail, &guest)).await?;
        Ok(OnPage { entered, live, certificates: self.certificates.clone() })
    }
}

impl OnPage {
    /// Carries the session to its end; answers why it ended, for the page.
    pub async fn carry(self, page: impl Io) -> String {
        let reason = Box::pin(self.entered.on_page(page, &self.live, &self.certificates)).await;
        self.live.finish(&reason);
        reason.to_string()
    }
}
