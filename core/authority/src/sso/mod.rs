//! Sign-in and taps at an identity provider, by `OpenID` Connect.
//!
//! A terminal asks, the browser shows what for, and after code and click it goes to the provider with the tap's challenge
//! as the nonce. The provider sends it back with a code, which the gate makes into an ID token: that is the proof. The
//! terminal gets a ticket, sealed, by way of its loopback, and finishes over its own connection.

mod answer;
mod begin;
mod fetch;
mod finish;
mod provider;
mod request;
#[cfg(test)]
mod tests;
mod user;

use std::sync::Arc;

use tapgate_api::{BrowserCarried, SsoRedirect};
use tapgate_model::UserName;
use tapgate_policy::OidcResource;
use tapgate_proof::ProviderKey;
use tapgate_session::ProviderKeys;

use crate::{Authority, AuthorityError, Fault};
use provider::{Provider, ProviderError, Providers};

pub use answer::SsoOutcome;

/// What the authority holds of identity providers in memory.
#[derive(Debug, Default)]
pub(crate) struct Sso {
    providers: Providers,
    /// The keys that the gate verifies with, too.
    keys: Arc<ProviderKeys>,
}

/// Where a browser goes, and the cookie by which it is known when it is back.
#[derive(Clone)]
pub struct SsoDeparture {
    /// The provider's address.
    pub redirect: SsoRedirect,
    /// The value of the cookie [`SSO_COOKIE`].
    pub cookie: String,
}

/// What comes of a code that was typed.
#[derive(Debug, Clone)]
pub enum SsoStarted {
    /// It was right.
    Away(SsoDeparture),
    /// It was wrong, and was the last try: the page carries this to the terminal.
    Exhausted(BrowserCarried),
}

/// Never prints the address, which holds the state, or the cookie.
impl std::fmt::Debug for SsoDeparture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SsoDeparture").finish_non_exhaustive()
    }
}

/// The cookie of a browser that is at an identity provider: for this host alone, by its prefix.
pub const SSO_COOKIE: &str = "__Host-tapgate-sso";

/// Who taps at a login: whoever the provider names. The statement must name somebody, and this is no user's name.
fn anybody_of(connector: &OidcResource) -> Result<UserName, Fault> {
    let name = format!("@{}", connector.name);
    name.parse().map_err(|_| Fault::invalid(format!("oidc \"{}\" has too long a name", connector.name), "rename it"))
}

impl Authority {
    /// The gate's handle to the providers' keys, with those that are kept in the store.
    pub(crate) fn sso_keys(&self) -> Result<Arc<ProviderKeys>, AuthorityError> {
        for (issuer, kept) in self.sso_kept_keys()? {
            self.sso_put_keys(&issuer, kept);
        }
        Ok(Arc::clone(&self.sso.keys))
    }

    /// Adds these to the provider's known keys; of one key, the later sight of it counts.
    fn sso_put_keys(&self, issuer: &str, mut keys: Vec<ProviderKey>) {
        for known in self.sso.keys.of(issuer).iter() {
            match keys.iter_mut().find(|key| key.key == known.key && key.id == known.id) {
                Some(key) => key.last_seen = key.last_seen.max(known.last_seen),
                None => keys.push(known.clone()),
            }
        }
        self.sso.keys.put(issuer, &keys);
    }

    /// The connector of this name; without one, the cluster's own, or the only one there is.
    fn sso_connector(&self, name: Option<&str>) -> Result<OidcResource, Fault> {
        let policy = Arc::clone(&self.state.load().policy);
        let own = policy.preference().connector.as_ref().map(tapgate_model::ObjectName::as_str);
        let found = match name.or(own) {
            Some(name) => policy.connector(name),
            None => policy.connectors().next().filter(|_| policy.connectors().nth(1).is_none()),
        };
        found.cloned().ok_or_else(|| match name {
            Some(name) => Fault::not_found(format!("there is no identity provider \"{name}\" here")),
            None => Fault::invalid("this gate has no identity provider, or several", "name one with --auth=NAME"),
        })
    }

    /// The connector's provider, and its keys where the gate finds them.
    fn sso_provider(&self, connector: &OidcResource, missing: impl Fn(&Provider) -> bool) -> Result<Provider, Fault> {
        let provider =
            self.sso.providers.get(connector, self.now(), missing).map_err(|error| unavailable(connector, &error))?;
        self.sso_put_keys(&connector.issuer_url, provider.keys.clone());
        Ok(provider)
    }
}

/// The provider is of no use now: the person learns why, since nobody else can do anything about it.
fn unavailable(connector: &OidcResource, error: &ProviderError) -> Fault {
    tracing::warn!(connector = %connector.name, %error, "An identity provider is of no use");
    Fault::unavailable(
        format!("the identity provider \"{}\" can't be used now: {error}", connector.name),
        "try again later, or tap with a security key",
    )
}
