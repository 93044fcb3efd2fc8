//! `cluster_auth_preference`: what holds for everybody.

use tapgate_model::ObjectName;

use crate::at::At;
use crate::attestation::Attestation;
use crate::options::session_mfa;
use crate::section::Section;
use crate::terms::SessionMfa;

/// The one name that the resource may have.
pub(crate) const NAME: &str = "cluster-auth-preference";

/// What may count as a second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecondFactor {
    /// Security keys, passkeys and platform authenticators.
    WebAuthn,
    /// One-time passwords. They never satisfy a session.
    Otp,
    /// The identity provider's own step-up.
    Sso,
}

/// What holds for everybody.
#[expect(clippy::struct_excessive_bools, reason = "each is a field of the document of its own")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthPreference {
    /// Whether every session needs a tap, whatever the roles say.
    pub require_session_mfa: SessionMfa,
    /// What may count as a second factor, sorted.
    pub second_factors: Vec<SecondFactor>,
    /// The relying party's id, where the document names one.
    pub rp_id: Option<String>,
    /// Whose hardware counts as such.
    pub attestation: Attestation,
    /// Whether the command line may have its taps made in a browser.
    pub allow_cli_auth_via_browser: bool,
    /// Whether a key that was registered for it may log in without a password.
    pub allow_passwordless: bool,
    /// Whether the answer of a browser on another machine may be carried to the command line by hand. Nothing then
    /// shows that both are in one place, so that it is off where nobody has said otherwise.
    pub allow_cli_auth_by_paste: bool,
    /// Whether a tap that a stock client asks for may be made at another address than the client's. A lured person
    /// would then tap for a stranger's client, so that it is off where nobody has said otherwise.
    pub allow_approval_from_elsewhere: bool,
    /// Whether every session ends with the login certificate.
    pub disconnect_expired_cert: bool,
    /// The provider that users sign in with where `type` is `oidc`; none where it is `local`.
    pub connector: Option<ObjectName>,
}

/// What holds where no document says otherwise.
impl Default for AuthPreference {
    fn default() -> Self {
        Self {
            require_session_mfa: SessionMfa::Off,
            second_factors: vec![SecondFactor::WebAuthn],
            rp_id: None,
            attestation: Attestation::default(),
            allow_cli_auth_via_browser: true,
            allow_passwordless: true,
            allow_cli_auth_by_paste: false,
            allow_approval_from_elsewhere: false,
            disconnect_expired_cert: false,
            connector: None,
        }
    }
}

const UNSUPPORTED: &[(&str, &str)] = &[
    ("allow_local_auth", "remove it"),
    ("allow_headless", "remove it"),
    ("default_session_ttl", "use `max_session_ttl` in a role"),
    ("device_trust", "remove it"),
    ("hardware_key", "remove it; use `require_session_mfa: hardware_key`"),
    ("idp", "remove it"),
    ("locking_mode", "remove it: locks are always strict"),
    ("message_of_the_day", "remove it"),
    ("okta", "remove it"),
    ("piv_slot", "remove it"),
    ("signature_algorithm_suite", "remove it"),
    ("stable_unix_user_config", "remove it"),
    ("u2f", "use `webauthn`"),
];

impl AuthPreference {
    /// Reads the preference's `spec`.
    pub(crate) fn read(spec: Section<'_>) -> Self {
        let spec = spec.without(UNSUPPORTED);
        let second_factors = second_factors(&spec);
        let (rp_id, attestation) = spec.section("webauthn", "webauthn").map(webauthn).unwrap_or_default();
        let preference = Self {
            require_session_mfa: session_mfa(&spec),
            rp_id,
            attestation,
            allow_cli_auth_via_browser: spec.flag("allow_cli_auth_via_browser", true),
            allow_passwordless: spec.flag("allow_passwordless", true),
            allow_cli_auth_by_paste: spec.flag("allow_cli_auth_by_paste", false),
            allow_approval_from_elsewhere: spec.flag("allow_approval_from_elsewhere", false),
            disconnect_expired_cert: spec.flag("disconnect_expired_cert", false),
            connector: connector(&spec),
            second_factors,
        };
        if preference.allow_cli_auth_by_paste && !preference.allow_cli_auth_via_browser {
            report(&spec, "allow_cli_auth_by_paste", "needs `allow_cli_auth_via_browser` (allow that, or remove this)");
        }
        preference.report_contradictions(&spec);
        spec.finish();
        preference
    }

    fn report_contradictions(&self, spec: &Section<'_>) {
        if self.second_factors.contains(&SecondFactor::WebAuthn) {
            return;
        }
        if self.require_session_mfa != SessionMfa::Off && !self.second_factors.contains(&SecondFactor::Sso) {
            report(spec, "require_session_mfa", "is not satisfied by `otp` (add `webauthn` to `second_factors`)");
        }
        if self.require_session_mfa >= SessionMfa::RequiredWebAuthn {
            report(spec, "require_session_mfa", "with a hardware key needs `webauthn` in `second_factors`");
        }
        if self.allow_passwordless {
            report(spec, "allow_passwordless", "needs `webauthn` in `second_factors` (add it, or remove this)");
        }
        if self.allow_cli_auth_via_browser {
            report(spec, "allow_cli_auth_via_browser", "needs `webauthn` in `second_factors` (add it, or remove this)");
        }
    }
}

fn report(spec: &Section<'_>, field: &'static str, what: &str) {
    if let Some(at) = spec.take(field) {
        at.problem(format!("`{field}` {what}"));
    }
}

fn second_factors(spec: &Section<'_>) -> Vec<SecondFactor> {
    const CHOICES: &[(&str, SecondFactor)] =
        &[("webauthn", SecondFactor::WebAuthn), ("otp", SecondFactor::Otp), ("sso", SecondFactor::Sso)];
    let (list, old) = (spec.take("second_factors"), spec.take("second_factor"));
    if let (Some(_), Some(old)) = (&list, &old) {
        old.problem("`second_factor` and `second_factors` are both there (keep `second_factors`)");
    }
    let mut factors = match (list, old) {
        (Some(list), _) => factor_list(&list, CHOICES),
        (None, Some(old)) => old_factors(&old),
        (None, None) => vec![SecondFactor::WebAuthn],
    };
    factors.sort_unstable();
    factors.dedup();
    factors
}

fn factor_list(list: &At<'_>, choices: &[(&str, SecondFactor)]) -> Vec<SecondFactor> {
    let items = list.one_or_more().unwrap_or_default();
    if items.is_empty() {
        list.problem("`second_factors` is empty (use [\"webauthn\"])");
    }
    items.iter().filter_map(|item| item.choice(choices)).collect()
}

/// The field's older form.
fn old_factors(at: &At<'_>) -> Vec<SecondFactor> {
    match at.word() {
        "on" | "true" => vec![SecondFactor::WebAuthn, SecondFactor::Otp],
        "webauthn" => vec![SecondFactor::WebAuthn],
        "otp" => vec![SecondFactor::Otp],
        other => {
            at.problem(format!("`second_factor: {other}` is not supported (use `second_factors: [\"webauthn\"]`)"));
            Vec::new()
        }
    }
}

fn webauthn(webauthn: Section<'_>) -> (Option<String>, Attestation) {
    const UNSUPPORTED: &[(&str, &str)] = &[("disabled", "use `second_factors`")];
    let webauthn = webauthn.without(UNSUPPORTED);
    let rp_id = webauthn.need("rp_id", "tap.example.com").and_then(|at| crate::address::host(&at));
    let attestation = Attestation::read(&webauthn);
    webauthn.finish();
    (rp_id, attestation)
}

fn connector(spec: &Section<'_>) -> Option<ObjectName> {
    let kind = spec.take("type");
    let name = spec.take("connector_name");
    let oidc = kind.is_some_and(|at| at.choice(&[("local", false), ("oidc", true)]).unwrap_or(false));
    match name {
        Some(at) if oidc => at.parse(),
        Some(at) => {
            at.problem("`connector_name` goes with `type: oidc` only (remove it, or set the type)");
            None
        }
        None if oidc => {
            spec.problem("`type: oidc` needs `connector_name` (name an oidc resource)");
            None
        }
        None => None,
    }
}
