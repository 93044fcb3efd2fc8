//! `oidc`: an `OpenID` Connect provider.

use tapgate_model::{ObjectName, RoleName};

use crate::at::At;
use crate::section::Section;
use crate::target::certificate;

/// Which roles a claim brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimRule {
    /// The claim.
    pub claim: String,
    /// The value it must hold.
    pub value: String,
    /// The roles it brings.
    pub roles: Vec<RoleName>,
}

/// An `OpenID` Connect provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OidcResource {
    /// Its name.
    pub name: ObjectName,
    /// What people see on the sign-in page, where it differs from the name.
    pub display: Option<String>,
    /// The provider's address.
    pub issuer_url: String,
    /// What the provider calls this gate.
    pub client_id: String,
    /// The file that holds the secret shared with the provider.
    pub client_secret_file: String,
    /// Where the provider sends the browser back to.
    pub redirect_url: String,
    /// The authority of the provider's TLS certificate, PEM, where it is none that the system knows.
    pub ca_cert: Option<String>,
    /// The claim that names a user at the first sign-in; without it `preferred_username`, else `email`.
    pub username_claim: Option<String>,
    /// What is asked for besides `openid`.
    pub scope: Vec<String>,
    /// Which roles which claims bring.
    pub claims_to_roles: Vec<ClaimRule>,
    /// The authentication class that sign-in demands, where it demands one.
    pub acr_values: Option<String>,
    /// The authentication class that counts as a tap; none where the provider's step-up does not count.
    pub mfa_acr_values: Option<String>,
}

/// Where the gate takes the provider's answer.
const CALLBACK_PATH: &str = "/web/sso/callback";

const REDIRECT_EXAMPLE: &str = "https://tap.example.com/web/sso/callback";

const UNSUPPORTED: &[(&str, &str)] = &[
    ("client_secret", "put the secret into a file and name it in `client_secret_file`"),
    ("allow_unverified_email", "remove it"),
    ("google_service_account", "remove it"),
    ("google_service_account_uri", "remove it"),
    ("google_admin_email", "remove it"),
    ("provider", "remove it"),
    ("prompt", "remove it: the provider is always asked to sign the user in afresh"),
    ("max_age", "remove it: a sign-in is always fresh"),
    ("client_redirect_settings", "remove it"),
    ("pkce_mode", "remove it: PKCE is always used"),
    ("user_matchers", "remove it"),
    ("request_object_mode", "remove it"),
];

impl OidcResource {
    /// Reads a connector's `spec`.
    pub(crate) fn read(name: Option<ObjectName>, spec: Section<'_>) -> Option<Self> {
        let spec = spec.without(UNSUPPORTED);
        let issuer_url = spec.need("issuer_url", "https://id.example.com").and_then(|at| https(&at));
        let client_id = spec.need("client_id", "tapgate").and_then(|at| at.text().map(str::to_owned));
        let secret = spec.need("client_secret_file", "/etc/tapgate/oidc").and_then(|at| at.text().map(str::to_owned));
        let redirect_url = spec.need("redirect_url", REDIRECT_EXAMPLE).and_then(|at| callback(&at));
        let rules = spec.need("claims_to_roles", "[{claim: groups, value: dev, roles: [dev]}]");
        let claims_to_roles = rules.and_then(|at| at.items()).unwrap_or_default();
        let (display, scope, acr_values) = (spec.text("display"), spec.texts("scope"), spec.text("acr_values"));
        let (ca_cert, username_claim) =
            (spec.take("ca_cert").and_then(|at| certificate(&at)), spec.text("username_claim"));
        let mfa_acr_values = spec.section("mfa", "mfa").and_then(step_up);
        let claims_to_roles = claims_to_roles.into_iter().filter_map(claim_rule).collect();
        spec.finish();
        Some(Self {
            name: name?,
            display,
            issuer_url: issuer_url?,
            client_id: client_id?,
            client_secret_file: secret?,
            redirect_url: redirect_url?,
            ca_cert,
            username_claim,
            scope,
            claims_to_roles,
            acr_values,
            mfa_acr_values,
        })
    }
}

impl OidcResource {
    /// The classes of authentication of which a step-up must name one; none where it does not count as a tap.
    pub fn step_up_classes(&self) -> Vec<String> {
        words(self.mfa_acr_values.as_deref())
    }

    /// The classes of which a sign-in must name one; none where any will do.
    pub fn sign_in_classes(&self) -> Vec<String> {
        words(self.acr_values.as_deref())
    }
}

fn words(text: Option<&str>) -> Vec<String> {
    text.unwrap_or_default().split_ascii_whitespace().map(str::to_owned).collect()
}

/// The gate's own page: the provider sends the browser to no other.
fn callback(at: &At<'_>) -> Option<String> {
    let url = https(at)?;
    let host = url.strip_suffix(CALLBACK_PATH).and_then(|rest| rest.strip_prefix("https://"));
    if host.is_none_or(|host| host.contains(['/', '?'])) {
        at.problem(format!("`{}`: `{url}` is not the gate's page (use {REDIRECT_EXAMPLE})", at.name()));
        return None;
    }
    Some(url)
}

fn https(at: &At<'_>) -> Option<String> {
    let text = at.text()?;
    let good = text.strip_prefix("https://").is_some_and(|rest| !rest.is_empty() && !rest.contains([' ', '#', '@']));
    if !good {
        at.problem(format!(
            "`{}`: `{text}` is not an https:// address (an address without TLS proves nothing)",
            at.name()
        ));
    }
    good.then(|| text.to_owned())
}

fn claim_rule(at: At<'_>) -> Option<ClaimRule> {
    let section = Section::open(at, "claims_to_roles")?;
    let text = |name, example| section.need(name, example).and_then(|at| at.text().map(str::to_owned));
    let (claim, value) = (text("claim", "groups"), text("value", "dev"));
    let roles = section.need("roles", "[dev]").and_then(|at| at.one_or_more()).unwrap_or_default();
    let roles = roles.iter().filter_map(At::parse).collect();
    section.finish();
    Some(ClaimRule { claim: claim?, value: value?, roles })
}

/// The provider's step-up counts only where it says by which class it was done.
fn step_up(section: Section<'_>) -> Option<String> {
    const UNSUPPORTED: &[(&str, &str)] = &[
        ("client_id", "remove it: the connector's own is used"),
        ("client_secret", "remove it: the connector's own is used"),
        ("prompt", "remove it: the provider is always asked to sign the user in afresh"),
        ("max_age", "remove it: a tap is always fresh"),
        ("request_object_mode", "remove it"),
    ];
    let section = section.without(UNSUPPORTED);
    let enabled = section.flag("enabled", true);
    let acr = section.need("acr_values", "phr").and_then(|at| at.text().map(str::to_owned));
    section.finish();
    acr.filter(|_| enabled)
}
