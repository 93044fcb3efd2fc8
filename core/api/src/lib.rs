//! What client and gate say to each other over `/v1`: JSON bodies, one type each.
//!
//! Bytes travel as base64url without padding. Every error is an [`ApiError`] with an HTTP status.

mod admin;
mod app;
mod audit;
mod browser;
mod ceremony;
mod device;
mod discovery;
mod passwordless;
mod session;
mod sso;
mod web;

pub use admin::{
    AdminAction, AdminOutcome, ExplainRole, Explanation, InviteCreated, ResourceText, Status,
};
pub use app::{AppDown, AppEntry, AppOffer, AppOpen, Apps};
pub use audit::{AuditPage, RecordingEntry, RecordingFrame, RecordingPage, Recordings};
pub use browser::{
    AskApproved, AskCeremony, AskCode, AskDeny, AskOther, BrowserAnswer, BrowserBegin,
    BrowserCarried, BrowserChange, BrowserOutcome, BrowserRequest, BrowserShown, BrowserTarget,
    browser_context,
};
pub use ceremony::{
    Assertion, AttestedTerms, Ceremony, EnrolBegin, EnrolChallenge, EnrolFinish, Enrolled,
    InviteTerms, LoginBegin, LoginCertificates,
};
pub use device::{
    Device, DeviceAction, DeviceBegin, DeviceChallenge, DeviceOutcome, DeviceRegister, Devices,
    OtpConfirm, OtpLogin, OtpSecret,
};
pub use discovery::{Find, FindAuth, FindConnector, FindProxy, FindSsh};
pub use passwordless::{PASSWORDLESS_USER, PasswordlessBegin};
pub use session::{
    Requirement, SessionBegin, SessionCertificates, SessionTarget, TargetEntry, Targets,
};

pub use sso::{
    SsoAnswer, SsoCeremony, SsoFinish, SsoLoginBegin, SsoRedirect, SsoRequirement, SsoReturn,
    SsoSessionBegin, SsoShown, SsoSignedIn, SsoStart,
};
pub use web::{
    FileWritten, FilesBegin, FilesBegun, InviteShown, InviteToken, LiveSessionEntry, LiveSessions,
    PasskeyChallenge, SessionEnd, TerminalNews, TerminalWish, WebMe, WebOtp, WebSignIn, WebTap,
    WebTapBegin, WebTapped, web_path,
};

use serde::{Deserialize, Serialize};

/// Why a request was not carried out, in words for the person at the terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ApiError {
    /// A short, stable word for programs: `not_found`, `denied`, `invalid`, `unauthenticated`,
    /// `expired`, `conflict`, `too_many`, `unavailable`, `internal`.
    pub code: String,
    /// What went wrong.
    pub message: String,
    /// What to do about it, where there is something to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// The paths of the interface, each in one place.
pub mod path {
    /// `GET`, no certificate: [`crate::Find`].
    pub const FIND: &str = "/v1/webapi/find";
    /// `POST`, no certificate: [`crate::LoginBegin`] → [`crate::Ceremony`].
    pub const LOGIN_BEGIN: &str = "/v1/login";
    /// `POST`, no certificate: [`crate::Assertion`] → [`crate::LoginCertificates`].
    pub const LOGIN_FINISH: &str = "/v1/login/finish";
    /// `POST`, no certificate: [`crate::PasswordlessBegin`] → [`crate::Ceremony`].
    pub const LOGIN_PASSWORDLESS: &str = "/v1/login/passwordless";
    /// `POST`, no certificate: [`crate::OtpLogin`] → [`crate::LoginCertificates`].
    pub const LOGIN_OTP: &str = "/v1/login/otp";
    /// `POST`, no certificate: [`crate::BrowserBegin`] → [`crate::BrowserRequest`].
    pub const LOGIN_BROWSER: &str = "/v1/login/browser";
    /// `POST`, no certificate: [`crate::SsoLoginBegin`] → [`crate::SsoCeremony`].
    pub const LOGIN_SSO: &str = "/v1/login/sso";
    /// `POST`, no certificate: [`crate::SsoFinish`] → [`crate::LoginCertificates`].
    pub const LOGIN_SSO_FINISH: &str = "/v1/login/sso/finish";
    /// `POST`, login certificate: [`crate::SsoSessionBegin`] → [`crate::SsoRequirement`].
    pub const SESSION_SSO: &str = "/v1/sessions/sso";
    /// `POST`, login certificate: [`crate::SsoFinish`] → [`crate::SessionCertificates`].
    pub const SESSION_SSO_FINISH: &str = "/v1/sessions/sso/finish";
    /// The page that leads to an identity provider, and below it: `GET …/request` is a [`crate::SsoShown`],
    /// `POST …/start` takes a [`crate::SsoStart`] and answers a [`crate::SsoRedirect`], `POST …/deny` takes
    /// nothing and answers a [`crate::BrowserCarried`].
    pub const SSO_PAGE: &str = "/web/sso/request";
    /// The page that the provider sends the browser back to.
    pub const SSO_CALLBACK: &str = "/web/sso/callback";
    /// `POST` by that page: [`crate::SsoAnswer`] → [`crate::BrowserCarried`].
    pub const SSO_FINISH: &str = "/web/sso/finish";
    /// `POST`: begins signing in on the pages at the provider of this name.
    pub const SSO_SIGN_IN: &str = "/web/sso/login/{connector}";
    /// `POST`, no certificate: [`crate::EnrolBegin`] → [`crate::EnrolChallenge`].
    pub const ENROL_BEGIN: &str = "/v1/enrol";
    /// `POST`, no certificate: [`crate::EnrolFinish`] → [`crate::Enrolled`].
    pub const ENROL_FINISH: &str = "/v1/enrol/finish";
    /// `GET`, login certificate: [`crate::Devices`]; `POST`: [`crate::DeviceBegin`] → [`crate::DeviceChallenge`].
    pub const DEVICES: &str = "/v1/devices";
    /// `POST`, login certificate: [`crate::DeviceRegister`] → [`crate::Ceremony`], for a key that is registered.
    pub const DEVICE_REGISTER: &str = "/v1/devices/register";
    /// `POST`, login certificate: [`crate::Assertion`] → [`crate::DeviceOutcome`].
    pub const DEVICE_FINISH: &str = "/v1/devices/finish";
    /// `POST`, login certificate: [`crate::DeviceAction`] → [`crate::Ceremony`].
    pub const DEVICE_CHANGE: &str = "/v1/devices/change";
    /// `POST`, login certificate: [`crate::Assertion`] → [`crate::DeviceOutcome`].
    pub const DEVICE_CHANGE_FINISH: &str = "/v1/devices/change/finish";
    /// `POST`, login certificate: [`crate::OtpConfirm`] → [`crate::DeviceOutcome`].
    pub const DEVICE_OTP: &str = "/v1/devices/otp";
    /// `POST`, no certificate: [`crate::BrowserBegin`] → [`crate::BrowserRequest`].
    pub const ENROL_BROWSER: &str = "/v1/enrol/browser";
    /// `POST`, login certificate: [`crate::BrowserBegin`] → [`crate::BrowserRequest`].
    pub const DEVICE_BROWSER: &str = "/v1/devices/browser";
    /// `GET`, login certificate: [`crate::Targets`].
    pub const TARGETS: &str = "/v1/targets";
    /// `GET`, login certificate of somebody who may see events: [`crate::AuditPage`] of the audit log.
    pub const AUDIT_LOG: &str = "/v1/audit/log";
    /// `GET`, the same: [`crate::AuditPage`] of its checkpoints.
    pub const AUDIT_CHECKPOINTS: &str = "/v1/audit/checkpoints";
    /// `GET`, the same: the public keys that an audit takes.
    pub const AUDIT_KEYS: &str = "/v1/audit/keys";
    /// `GET`, login certificate of somebody who may see sessions: [`crate::Recordings`].
    pub const RECORDINGS: &str = "/v1/recordings";
    /// `GET`, the same: [`crate::RecordingPage`] of the session in the path, or its asciicast.
    pub const RECORDING: &str = "/v1/recordings/{session}";
    /// `GET`, login certificate: [`crate::Apps`].
    pub const APPS: &str = "/v1/apps";
    /// `GET`, no certificate: the keys that verify the identities which applications get (RFC 7517).
    pub const JWKS: &str = "/.well-known/jwks.json";
    /// `GET`, login certificate: [`crate::LiveSessions`].
    pub const SESSIONS_LIVE: &str = "/v1/sessions/live";
    /// `POST`, login certificate: [`crate::SessionEnd`] → [`crate::LiveSessions`], those that are left.
    pub const SESSIONS_END: &str = "/v1/sessions/end";
    /// `POST`, login certificate: [`crate::SessionBegin`] → [`crate::Requirement`].
    pub const SESSION_BEGIN: &str = "/v1/sessions";
    /// `POST`, login certificate: [`crate::Assertion`] → [`crate::SessionCertificates`].
    pub const SESSION_FINISH: &str = "/v1/sessions/finish";
    /// `POST`, login certificate: [`crate::BrowserBegin`] → [`crate::BrowserRequest`].
    pub const SESSION_BROWSER: &str = "/v1/sessions/browser";
    /// `POST`, login certificate, an administrator's: [`crate::AdminAction`] → [`crate::Ceremony`].
    pub const ADMIN_BEGIN: &str = "/v1/admin";
    /// `POST`, login certificate: [`crate::Assertion`] → [`crate::AdminOutcome`].
    pub const ADMIN_FINISH: &str = "/v1/admin/finish";
    /// `POST`, login certificate: [`crate::BrowserBegin`] → [`crate::BrowserRequest`].
    pub const ADMIN_BROWSER: &str = "/v1/admin/browser";
    /// `GET ?kind=…&name=…`, login certificate: a list of [`crate::ResourceText`].
    pub const RESOURCES: &str = "/v1/resources";
    /// `GET`, login certificate: [`crate::Status`].
    pub const STATUS: &str = "/v1/status";
    /// `GET ?user=…&target=…`, login certificate, an administrator's: [`crate::Explanation`].
    pub const EXPLAIN: &str = "/v1/explain";
    /// The page where a browser approves, and below it what the page asks for: `GET …/request` is a
    /// [`crate::BrowserShown`], `POST …/approve` takes a [`crate::BrowserAnswer`] and `POST …/deny`
    /// nothing; both answer a [`crate::BrowserCarried`].
    pub const BROWSER_PAGE: &str = "/web/mfa/browser";
    /// The page where a tap is made that a stock client asks for, and below it what the page asks for: `GET …/request`
    /// is a [`crate::BrowserShown`], `POST …/code` takes a [`crate::AskCode`] and answers a [`crate::AskCeremony`],
    /// `POST …/approve` takes a [`crate::Assertion`] and answers a [`crate::AskApproved`], and `POST …/deny` takes nothing.
    pub const ASK_PAGE: &str = "/web/ask";
    /// The page that says that the terminal goes on.
    pub const BROWSER_APPROVED: &str = "/web/mfa/approved";
    /// The page that says that nothing was approved.
    pub const BROWSER_DENIED: &str = "/web/mfa/denied";
    /// `GET`, no certificate: the `OpenAPI` document of all of this.
    pub const OPENAPI: &str = "/v1/openapi.json";
}
