//! Login and session certificates by the identity provider.

use tapgate_api::{
    Find, FindAuth, LoginCertificates, SessionCertificates, SsoCeremony, SsoFinish, SsoLoginBegin, SsoRequirement,
    SsoSessionBegin, path,
};
use tapgate_model::{Clock as _, SystemClock, UserName};

use crate::browser::Return;
use crate::ceremony::{self, Deed, Wish};
use crate::cli::Context;
use crate::error::{Act as _, Failure, Result};
use crate::http::Http;
use crate::keys::{LoginKeys, to_base64};
use crate::login::keep;
use crate::profile::{Home, Profile};
use crate::tls::Tls;

/// What the gate says of itself before a login.
pub async fn find(profile: &Profile) -> Result<Find> {
    crate::find::find(&Http::new(Tls::anonymous(profile.gate.clone(), &profile.ca_pin))).await
}

/// The provider that is meant: the one that was named, or the gate's first.
pub fn connector(auth: &FindAuth, named: Option<&str>) -> Result<String> {
    let mut known = auth.connectors.iter().map(|connector| connector.name.as_str());
    let all: Vec<&str> = known.clone().collect();
    let found = match named {
        Some(named) => known.find(|name| *name == named),
        None => known.next(),
    };
    found.map(str::to_owned).ok_or_else(|| match (named, all.is_empty()) {
        (_, true) => Failure::new("this gate has no identity provider").advise("log in with password and key"),
        (named, false) => Failure::new(format!("this gate has no identity provider {:?}", named.unwrap_or_default()))
            .advise(format!("use --auth={}", all.join(" or --auth="))),
    })
}

/// Logs in at the identity provider and keeps what comes of it. Who it is, the provider says; somebody who is named
/// must be the one.
pub async fn login(home: &Home, profile: Profile, find: &Find, name: &str, user: Option<UserName>) -> Result<Profile> {
    let http = Http::new(Tls::anonymous(profile.gate.clone(), &profile.ca_pin));
    let (keys, back) = (LoginKeys::generate()?, Return::bind().await?);
    let begin = SsoLoginBegin {
        connector: Some(name.to_owned()),
        tls_public_key: to_base64(&keys.tls_spki()),
        ssh_public_key: keys.ssh_line()?,
        back: back.told(),
    };
    let asked: SsoCeremony = http.post(path::LOGIN_SSO, &begin).await?;
    // At a login the statement names whoever the provider will name.
    let anybody: UserName = format!("@{name}").parse().act(|| "the provider's name cannot be used".to_owned())?;
    let deed = Deed::Login(keys.action()?);
    let profile = profile.knowing(http.seen());
    let wish = Wish { gate: profile.gate_name(), user: &anybody, deed, now: SystemClock.now() };
    ceremony::check_statement(&asked.statement, &wish)?;
    let origin = ceremony::origin(&profile.gate, &find.auth)?;
    let ticket = back.ticket(&origin, &asked).await?;
    let certificates: LoginCertificates =
        http.post(path::LOGIN_SSO_FINISH, &SsoFinish { id: asked.id, ticket }).await?;
    let found: UserName = certificates.user.parse().act(|| "the gate names a user who cannot be one".to_owned())?;
    if let Some(wanted) = user.filter(|wanted| *wanted != found) {
        return Err(Failure::new(format!("{found}, not {wanted}, has signed in at the identity provider"))
            .advise("sign out there, or leave --user away"));
    }
    let profile = Profile { connector: Some(name.to_owned()), ..profile };
    keep(home, profile, found, find, &keys, certificates).await
}

/// Has a session tapped for at the identity provider. `None`: no tap is due.
pub async fn session<'a>(
    context: &Context,
    begin: SsoSessionBegin,
    back: Return,
    deed: impl FnOnce(bool) -> Deed<'a>,
    asked_for: &str,
) -> Result<Option<SessionCertificates>> {
    let http = context.with_login()?;
    let SsoRequirement::Sso { ceremony } = http.post(path::SESSION_SSO, &begin).await? else { return Ok(None) };
    let deed = deed(ceremony.reusable);
    let wish = Wish { gate: context.profile.gate_name(), user: context.user()?, deed, now: SystemClock.now() };
    ceremony::check_statement(&ceremony.statement, &wish)?;
    let origin = context.origin().await?;
    eprintln!("MFA is required to access {asked_for}");
    let ticket = back.ticket(&origin, &ceremony).await?;
    let finish = SsoFinish { id: ceremony.id, ticket };
    http.post(path::SESSION_SSO_FINISH, &finish).await.map(Some)
}

#[cfg(test)]
mod tests {
    use tapgate_api::FindConnector;

    use super::*;

    #[test]
    fn the_provider_that_is_meant() {
        let auth = |names: &[&str]| FindAuth {
            kind: "local".into(),
            second_factors: Vec::new(),
            rp_id: String::new(),
            origin: String::new(),
            allow_cli_auth_via_browser: true,
            connectors: names
                .iter()
                .map(|name| FindConnector { name: (*name).to_owned(), display: String::new(), mfa: true })
                .collect(),
        };
        assert_eq!(connector(&auth(&["okta", "corp"]), None).unwrap(), "okta");
        assert_eq!(connector(&auth(&["okta", "corp"]), Some("corp")).unwrap(), "corp");
        let unknown = connector(&auth(&["okta"]), Some("x")).unwrap_err().to_string();
        assert!(unknown.contains("\"x\"") && unknown.contains("--auth=okta"), "{unknown}");
        assert!(connector(&auth(&[]), None).is_err());
    }
}
