//! Browser MFA: a ceremony goes to the gate's page in a browser, and its answer comes back sealed, on loopback.
//!
//! The browser carries; the ceremony is finished over our own connection to the gate. So what the page posts
//! is worth nothing to anybody else, and our own key alone opens it.

mod callback;
mod launch;
mod paste;
mod sso;

use std::time::Duration;

use tapgate_api::{BrowserBegin, BrowserOutcome, BrowserRequest, browser_context, path};
use tapgate_model::{Clock as _, SystemClock, UnixTime};
use tapgate_seal::Key;
use tokio::time::timeout;
use url::Url;
use webauthn_rs_proto::{PublicKeyCredential, RegisterPublicKeyCredential};

use crate::error::{Act as _, Failure, Result};
use crate::http::Http;
use crate::limits::BROWSER_WAIT;
use crate::solver::mention_other_ways;
use callback::{Callback, Listener};

pub use launch::possible;
pub use sso::Return;

/// How the answer comes back from the browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carry {
    /// By the browser itself, to a port of this machine.
    Loopback,
    /// By the person, who pastes it into the terminal.
    Paste,
}

/// Where a ceremony is handed over.
pub struct Handover<'a> {
    /// The connection over which it was begun.
    pub http: &'a Http,
    /// The path for ceremonies of its kind.
    pub path: &'a str,
    /// The gate's own origin, where its page must be.
    pub origin: &'a Url,
}

impl Handover<'_> {
    /// Has a tap made in the browser.
    pub async fn tap(&self, carry: Carry, ceremony: &str, expires: UnixTime) -> Result<PublicKeyCredential> {
        match self.carry_out(carry, ceremony, expires).await? {
            BrowserOutcome::Tapped { webauthn } => Ok(*webauthn),
            other => Err(no_answer(&other)),
        }
    }

    /// Has a key made in the browser.
    pub async fn register(
        &self,
        carry: Carry,
        ceremony: &str,
        expires: UnixTime,
    ) -> Result<RegisterPublicKeyCredential> {
        match self.carry_out(carry, ceremony, expires).await? {
            BrowserOutcome::Registered { webauthn } => Ok(*webauthn),
            other => Err(no_answer(&other)),
        }
    }

    async fn carry_out(&self, carry: Carry, ceremony: &str, expires: UnixTime) -> Result<BrowserOutcome> {
        let left = expires.since(SystemClock.now()).clamp(Duration::from_secs(1), BROWSER_WAIT);
        let late = |_| Failure::new("nobody approved in the browser in time").advise("start again");
        let outcome = match carry {
            Carry::Loopback => timeout(left, self.by_loopback(ceremony)).await,
            Carry::Paste => timeout(left, self.by_hand(ceremony)).await,
        };
        let outcome = outcome.map_err(late)??;
        if !matches!(outcome, BrowserOutcome::Denied | BrowserOutcome::Exhausted) {
            eprintln!("Approved in the browser");
        }
        Ok(outcome)
    }

    async fn by_loopback(&self, ceremony: &str) -> Result<BrowserOutcome> {
        // Bound before anybody hears of the port.
        let listener = Listener::bind().await?;
        let key = Key::generate();
        let begin = BrowserBegin {
            ceremony: ceremony.to_owned(),
            port: listener.port(),
            nonce: listener.nonce().to_owned(),
            public_key: key.public().to_owned(),
            paste: false,
        };
        let request: BrowserRequest = self.http.post(self.path, &begin).await?;
        let page = self.page(&request)?;
        let code = shown_code(&request.code)?;
        let link = listener.link();
        eprintln!("If browser window does not open automatically, open it by clicking on the link:\n {link}");
        eprintln!("Type this code on the page: {code}");
        mention_other_ways();
        launch::launch(&link);
        let callback = Callback::new(&listener, key, browser_context(&request.id, ceremony), page);
        listener.serve(callback).await
    }

    async fn by_hand(&self, ceremony: &str) -> Result<BrowserOutcome> {
        let key = Key::generate();
        let begin = BrowserBegin {
            ceremony: ceremony.to_owned(),
            port: 0,
            nonce: String::new(),
            public_key: key.public().to_owned(),
            paste: true,
        };
        let request: BrowserRequest = self.http.post(self.path, &begin).await?;
        let (page, code) = (self.page(&request)?, shown_code(&request.code)?);
        eprintln!("Open this page in a browser of yours, on any machine:\n {page}");
        eprintln!("Type this code on the page: {code}");
        paste::outcome(key, browser_context(&request.id, ceremony)).await
    }

    /// The page, if it is this gate's own: we send nobody elsewhere.
    fn page(&self, request: &BrowserRequest) -> Result<Url> {
        let page = Url::parse(&request.url).act(|| "the gate's page has no address".to_owned())?;
        let own = page.origin() == self.origin.origin()
            && page.path() == format!("{}/{}", path::BROWSER_PAGE, request.id)
            && page.query().is_none()
            && page.fragment().is_none();
        if own {
            return Ok(page);
        }
        Err(Failure::new("the gate names a page that is not its own").advise("tell the gate's administrator"))
    }
}

/// `418-207`.
fn shown_code(code: &str) -> Result<String> {
    match code.split_at_checked(3) {
        Some((head, tail)) if tail.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit()) => {
            Ok(format!("{head}-{tail}"))
        }
        _ => Err(Failure::new("the gate's code cannot be read")),
    }
}

fn no_answer(outcome: &BrowserOutcome) -> Failure {
    match outcome {
        BrowserOutcome::Denied => Failure::new("the request was denied in the browser"),
        BrowserOutcome::Exhausted => {
            Failure::new("there were too many wrong tries in the browser").advise("start again")
        }
        BrowserOutcome::Refused { reason } => {
            // It comes from the gate, sealed; what the provider has said in it is plain text already.
            Failure::new(reason.clone()).advise("start again")
        }
        _ => Failure::new("the browser answered something else than was asked"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate_addr::GateAddr;
    use crate::tls::{Tls, install_provider};

    #[test]
    fn codes() {
        assert_eq!(shown_code("418207").unwrap(), "418-207");
        for bad in ["", "41820", "4182071", "41820x", "\u{1b}[2J41", "ééé"] {
            assert!(shown_code(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn only_the_gates_own_page_is_opened() {
        install_provider();
        let gate: GateAddr = "localhost:3080".parse().unwrap();
        let pin = format!("sha256:{}", "ab".repeat(32)).parse().unwrap();
        let (http, origin) = (Http::new(Tls::anonymous(gate.clone(), &pin)), gate.origin().unwrap());
        let handover = Handover { http: &http, path: path::SESSION_BROWSER, origin: &origin };
        let check =
            |url: &str| handover.page(&BrowserRequest { id: "R".into(), url: url.into(), code: "1".into() }).is_ok();
        assert!(check("https://localhost:3080/web/mfa/browser/R"));
        for bad in [
            "",
            "https://evil.test/web/mfa/browser/R",
            "http://localhost:3080/web/mfa/browser/R",
            "https://localhost:3081/web/mfa/browser/R",
            "https://localhost:3080/web/mfa/browser/R?next=evil",
            "https://localhost:3080/web/mfa/browser/R#x",
            "https://localhost:3080/web/mfa/browser/S",
            "javascript:alert(1)",
        ] {
            assert!(!check(bad), "{bad}");
        }
    }
}
