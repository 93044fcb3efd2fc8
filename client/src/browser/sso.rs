//! Sign-in and taps at an identity provider: the browser goes there by the gate's page, and a sealed ticket comes back.

use std::time::Duration;

use tapgate_api::{BrowserOutcome, SsoCeremony, SsoReturn, browser_context, path};
use tapgate_model::{Clock as _, SystemClock, UnixTime};
use tapgate_seal::Key;
use tokio::time::timeout;
use url::Url;

use super::callback::{Callback, Listener};
use super::{launch, no_answer, shown_code};
use crate::error::{Act as _, Failure, Result};
use crate::keys::sha256;
use crate::limits::BROWSER_WAIT;

/// A terminal that listens for the browser. It is bound before anybody hears of its port.
pub struct Return {
    listener: Listener,
    key: Key,
}

impl Return {
    /// Listens.
    pub async fn bind() -> Result<Self> {
        Ok(Self { listener: Listener::bind().await?, key: Key::generate() })
    }

    /// What the gate is told of it.
    pub fn told(&self) -> SsoReturn {
        let (nonce, public_key) = (self.listener.nonce().to_owned(), self.key.public().to_owned());
        SsoReturn { port: self.listener.port(), nonce, public_key }
    }

    /// Shows link and code, and waits until the provider has answered; `origin` is the gate's own.
    pub async fn ticket(self, origin: &Url, ceremony: &SsoCeremony) -> Result<String> {
        let page = page(origin, ceremony)?;
        let code = shown_code(&ceremony.code)?;
        let link = self.listener.link();
        eprintln!("If browser window does not open automatically, open it by clicking on the link:\n {link}");
        eprintln!("Type this code on the page: {code}");
        launch::launch(&link);
        let number = sha256(format!("tapgate/sso/v1/{}", ceremony.id).as_bytes());
        let context = browser_context(&number.to_string(), "sso");
        let callback = Callback::new(&self.listener, self.key, context, page);
        let expires = UnixTime::from_secs(ceremony.expires);
        let left = expires.since(SystemClock.now()).clamp(Duration::from_secs(1), BROWSER_WAIT);
        let late = |_| Failure::new("nobody signed in at the identity provider in time").advise("start again");
        match timeout(left, self.listener.serve(callback)).await.map_err(late)?? {
            BrowserOutcome::Sso { ticket } => {
                eprintln!("Signed in at the identity provider");
                Ok(ticket)
            }
            other => Err(no_answer(&other)),
        }
    }
}

/// The page, if it is this gate's own: we send nobody elsewhere.
fn page(origin: &Url, ceremony: &SsoCeremony) -> Result<Url> {
    let page = Url::parse(&ceremony.url).act(|| "the gate's page has no address".to_owned())?;
    let own = page.origin() == origin.origin()
        && page.path() == format!("{}/{}", path::SSO_PAGE, ceremony.id)
        && page.query().is_none()
        && page.fragment().is_none();
    if own {
        return Ok(page);
    }
    Err(Failure::new("the gate names a page that is not its own").advise("tell the gate's administrator"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_gates_own_page_is_opened() {
        let origin = Url::parse("https://localhost:3080").unwrap();
        let check = |url: &str| {
            let (id, code, statement) = ("R".to_owned(), String::new(), String::new());
            page(&origin, &SsoCeremony { id, url: url.to_owned(), code, statement, expires: 0, reusable: false })
                .is_ok()
        };
        assert!(check("https://localhost:3080/web/sso/request/R"));
        for bad in [
            "",
            "https://id.example.com/web/sso/request/R",
            "https://localhost:3080/web/sso/request/S",
            "https://localhost:3080/web/mfa/browser/R",
            "https://localhost:3080/web/sso/request/R?x",
        ] {
            assert!(!check(bad), "{bad}");
        }
    }
}
