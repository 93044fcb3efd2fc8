//! What the check answers: a grant, a challenge or a denial. None of them is an error.

use std::fmt;

use tapgate_model::{Login, TargetName, TargetRef, UserName};
use tapgate_policy::{DenyReason, InBand, Lock, Policy, Terms};
use tapgate_proof::ProofError;

use crate::{About, Ask, CutReason, Grant, Invitation};

/// The answer to an ask.
#[must_use]
pub enum Verdict {
    /// One session may be opened.
    Grant(Grant),
    /// The same ask with a fresh tap would be granted.
    Challenge(Challenge),
    /// No tap would help.
    Denial(Denial),
}

/// A tap is due. It is given only where the same ask with evidence would be a grant, so that it
/// tells nobody about a target that is not theirs.
#[derive(Debug, Clone)]
pub struct Challenge {
    pub(crate) user: UserName,
    pub(crate) target: TargetRef,
    pub(crate) login: Login,
    pub(crate) terms: Terms,
    pub(crate) about: About,
    pub(crate) because: Because,
}

/// Why the tap that was shown, if any, does not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Because {
    NoTap,
    OtherTarget,
    Over,
    NotRegistered,
    NotAttested,
    Address,
    KeyDemanded,
    NoTouch(ProofError),
    Invalid(ProofError),
}

impl Challenge {
    /// Who must tap.
    pub const fn user(&self) -> &UserName {
        &self.user
    }

    /// For which target.
    pub const fn target(&self) -> &TargetRef {
        &self.target
    }

    /// Under which login.
    pub const fn login(&self) -> &Login {
        &self.login
    }

    /// On which terms the session would be allowed.
    pub const fn terms(&self) -> &Terms {
        &self.terms
    }

    /// What the protocol must know of the target.
    pub const fn about(&self) -> &About {
        &self.about
    }

    /// Whether the roles let a stock client be asked by an address.
    pub fn by_url(&self) -> bool {
        self.terms.in_band == InBand::Url
    }

    /// Why the tap that was shown does not do, for the log.
    pub fn reason(&self) -> String {
        match &self.because {
            Because::NoTap => "no tap was shown".to_owned(),
            Because::OtherTarget => "the tap names another target, login or key".to_owned(),
            Because::Over => "the tap's window is over".to_owned(),
            Because::NotRegistered => "the security key of the tap is not registered".to_owned(),
            Because::NotAttested => "no maker that counts here has vouched for the security key".to_owned(),
            Because::Address => "the tap was made from another address".to_owned(),
            Because::KeyDemanded => "a security key is demanded, and the identity provider made the tap".to_owned(),
            Because::NoTouch(error) => format!("the touch of your SSH key is no tap for this: {error}"),
            Because::Invalid(error) => format!("the tap does not verify: {error}"),
        }
    }
}

/// The words that a person reads: `MFA is required to access Node "prod3"`.
impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MFA is required to access {} \"{}\"", self.target.kind.title(), self.target.name)
    }
}

/// No tap would help. It carries two answers: the client's, in which unknown and forbidden look
/// the same, and the true one, for the log.
#[derive(Debug, Clone)]
pub struct Denial {
    pub(crate) message: String,
    pub(crate) reason: DenialReason,
}

/// The true reason of a denial.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DenialReason {
    /// There is no such target.
    #[error("there is no such target")]
    UnknownTarget,
    /// The policy says no.
    #[error("{0}")]
    Policy(DenyReason),
    /// The SSH key is not registered any more, or the login is locked.
    #[error("the key was removed or locked")]
    KeyRemoved,
    /// The certificate's time is over.
    #[error("the certificate has expired")]
    CertificateExpired,
    /// The certificate is pinned to another address.
    #[error("the certificate is pinned to another address")]
    Address,
    /// A tap over this connection was not made in time, or could not be asked for.
    #[error("no tap: {0}")]
    NoTap(String),
    /// The gate is full.
    #[error("a limit was reached: {0}")]
    Limit(&'static str),
    /// The session's own state forbids it.
    #[error("{0}")]
    Session(String),
    /// The gate is about to end.
    #[error("the gate is closing")]
    Closing,
}

impl DenialReason {
    /// The reason as a label, without any name in it.
    pub(crate) const fn label(&self) -> &'static str {
        match self {
            Self::UnknownTarget => "unknown_target",
            Self::Policy(DenyReason::NoSuchUser) => "unknown_user",
            Self::Policy(DenyReason::Locked(_)) => "locked",
            Self::Policy(DenyReason::DeniedByRole(_)) => "denied_by_role",
            Self::Policy(DenyReason::NoMatchingRole) => "no_role",
            Self::KeyRemoved => "key_removed",
            Self::CertificateExpired => "expired",
            Self::Address => "address",
            Self::NoTap(_) => "no_tap",
            Self::Limit(_) => "limit",
            Self::Session(_) => "session",
            Self::Closing => "closing",
        }
    }
}

impl Denial {
    /// What the client may read.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The true reason, for the log.
    pub const fn reason(&self) -> &DenialReason {
        &self.reason
    }

    pub(crate) fn unknown(ask: &Ask<'_>) -> Self {
        Self { message: masked(ask.target), reason: DenialReason::UnknownTarget }
    }

    pub(crate) fn unknown_name(name: &TargetName) -> Self {
        Self { message: masked(name), reason: DenialReason::UnknownTarget }
    }

    pub(crate) fn policy(policy: &Policy, name: &TargetName, reason: DenyReason) -> Self {
        let message = match &reason {
            DenyReason::Locked(lock) => {
                let why = policy.lock(lock).map_or(lock.as_str(), Lock::why);
                format!("access is locked: {why} (ask your administrator)")
            }
            _ => masked(name),
        };
        Self { message, reason: DenialReason::Policy(reason) }
    }

    pub(crate) fn expired() -> Self {
        Self {
            message: "your certificate has expired (run `tap login`)".to_owned(),
            reason: DenialReason::CertificateExpired,
        }
    }

    pub(crate) fn key_removed() -> Self {
        Self {
            message: "your key was removed or locked (run `tap login`, or register an SSH key anew)".to_owned(),
            reason: DenialReason::KeyRemoved,
        }
    }

    pub(crate) fn address() -> Self {
        Self {
            message: "your certificate is pinned to another address (run `tap login` from here)".to_owned(),
            reason: DenialReason::Address,
        }
    }

    pub(crate) fn limit(what: &'static str) -> Self {
        Self { message: format!("{what} (try again later)"), reason: DenialReason::Limit(what) }
    }

    pub(crate) fn closing() -> Self {
        Self { message: CutReason::Shutdown.to_string(), reason: DenialReason::Closing }
    }

    pub(crate) fn session(message: String) -> Self {
        Self { reason: DenialReason::Session(message.clone()), message }
    }
}

/// One answer for "there is none" and for "it is not yours".
fn masked(name: &TargetName) -> String {
    format!("access to \"{name}\" denied, or there is no such target or login (`tap ls` shows what you may open)")
}

/// Why no session was opened, after all waiting was done.
#[derive(Debug, Clone)]
pub struct Refusal {
    pub(crate) message: String,
    pub(crate) reason: String,
    pub(crate) needs_tap: bool,
    /// The reason as a label, for who counts.
    pub(crate) label: &'static str,
    pub(crate) invitation: Option<Invitation>,
}

impl Refusal {
    /// What the client may read.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The true reason, for the log.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Whether the same ask with a fresh tap would be granted.
    pub const fn needs_tap(&self) -> bool {
        self.needs_tap
    }

    /// Where the person may tap, for a client that comes again afterwards.
    pub const fn invitation(&self) -> Option<&Invitation> {
        self.invitation.as_ref()
    }

    /// There is no tap, for this reason.
    pub(crate) fn no_tap(challenge: &Challenge, why: String) -> Self {
        Self {
            message: format!("{challenge} ({why})"),
            reason: why,
            needs_tap: true,
            label: "no_tap",
            invitation: None,
        }
    }
}

impl From<Denial> for Refusal {
    fn from(denial: Denial) -> Self {
        let (reason, label) = (denial.reason.to_string(), denial.reason.label());
        Self { reason, message: denial.message, needs_tap: false, label, invitation: None }
    }
}

impl From<&Challenge> for Refusal {
    fn from(challenge: &Challenge) -> Self {
        let command = challenge.target.kind.command();
        let hint = match &challenge.because {
            Because::NoTap => format!("this connection brought no tap; use `{command}`"),
            Because::NoTouch(_) => format!("{}; or use `{command}`", challenge.reason()),
            _ => format!("{}; start again with `{command}`", challenge.reason()),
        };
        let message = format!("{challenge} ({hint})");
        Self { message, reason: challenge.reason(), needs_tap: true, label: "no_tap", invitation: None }
    }
}
