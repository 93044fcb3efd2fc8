//! Short ways to make an event.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tapgate_model::{Digest, SessionId, UserName};

use crate::{BrowserStep, Change, Event, SessionFacts, TapRecord, Text};

impl Event {
    /// A session was opened.
    pub fn session_start(facts: SessionFacts) -> Self {
        Self::SessionStart { facts: Box::new(facts) }
    }

    /// A session is over.
    pub fn session_end(
        facts: SessionFacts,
        reason: impl Into<Text>,
        bytes_up: u64,
        bytes_down: u64,
        duration: Duration,
    ) -> Self {
        let duration_secs = duration.as_secs();
        Self::SessionEnd { facts: Box::new(facts), reason: reason.into(), bytes_up, bytes_down, duration_secs }
    }

    /// A session was refused, for this reason and with this message to the client.
    pub fn session_denied(facts: SessionFacts, reason: impl Into<Text>, message: impl Into<Text>) -> Self {
        Self::SessionDenied { facts: Box::new(facts), reason: reason.into(), message: message.into() }
    }

    /// A granted session did not come about, for this reason and with this message to the client.
    pub fn session_failed(facts: SessionFacts, reason: impl Into<Text>, message: impl Into<Text>) -> Self {
        Self::SessionFailed { facts: Box::new(facts), reason: reason.into(), message: message.into() }
    }

    /// Somebody sees a recording.
    pub const fn recording_accessed(user: UserName, session: SessionId) -> Self {
        Self::RecordingAccessed { user, session }
    }

    /// A recording is removed, for this reason.
    pub fn recording_removed(session: SessionId, reason: impl Into<Text>) -> Self {
        Self::RecordingRemoved { session, reason: reason.into() }
    }

    /// Somebody is asked for a tap.
    pub fn mfa_begin(user: UserName, purpose: impl Into<Text>, ceremony: impl Into<Text>, targets: Vec<Text>) -> Self {
        Self::MfaBegin { user, purpose: purpose.into(), ceremony: ceremony.into(), targets }
    }

    /// Somebody has tapped.
    pub fn mfa_succeeded(
        user: UserName,
        purpose: impl Into<Text>,
        ceremony: impl Into<Text>,
        targets: Vec<Text>,
        proof: TapRecord,
    ) -> Self {
        Self::MfaSucceeded { user, purpose: purpose.into(), ceremony: ceremony.into(), targets, proof }
    }

    /// A tap was not given, or did not verify.
    pub fn mfa_failed(
        user: UserName,
        purpose: impl Into<Text>,
        ceremony: impl Into<Text>,
        targets: Vec<Text>,
        reason: impl Into<Text>,
    ) -> Self {
        Self::MfaFailed { user, purpose: purpose.into(), ceremony: ceremony.into(), targets, reason: reason.into() }
    }

    /// Something happened to a tap in the browser.
    pub fn mfa_browser(
        user: UserName,
        purpose: impl Into<Text>,
        ceremony: impl Into<Text>,
        step: BrowserStep,
        peer: IpAddr,
        reason: Option<&str>,
    ) -> Self {
        let (purpose, ceremony, reason) = (purpose.into(), ceremony.into(), reason.map(Text::from));
        Self::MfaBrowser { user, purpose, ceremony, step, peer, reason }
    }

    /// Somebody signed in with a tap.
    pub fn login(user: UserName, peer: SocketAddr) -> Self {
        Self::login_by(user, peer, "webauthn")
    }

    /// Somebody signed in with this second factor.
    pub fn login_by(user: UserName, peer: SocketAddr, method: impl Into<Text>) -> Self {
        Self::Login { user, peer, method: method.into() }
    }

    /// A sign-in failed; the user is whoever the peer claimed to be.
    pub fn login_failed(user: impl Into<Text>, peer: SocketAddr, reason: impl Into<Text>) -> Self {
        Self::LoginFailed { user: user.into(), peer, reason: reason.into() }
    }

    /// A device was registered, vouched for by `link` and its tap.
    pub fn enrolled(
        user: UserName,
        credential_id: &[u8],
        name: impl Into<Text>,
        link: impl Into<Text>,
        proof: Option<TapRecord>,
    ) -> Self {
        let credential_id = URL_SAFE_NO_PAD.encode(credential_id).into();
        Self::Enrolled { user, credential_id, name: name.into(), link: link.into(), proof }
    }

    /// A user changed a device of theirs with a tap over the change's digest.
    pub fn device_changed(
        user: UserName,
        kind: impl Into<Text>,
        name: impl Into<Text>,
        change: Change,
        action: Digest,
        proof: TapRecord,
    ) -> Self {
        Self::DeviceChanged { user, kind: kind.into(), name: name.into(), change, action, proof }
    }

    /// A user changed a resource with a tap over the change's digest.
    pub fn resource_changed(
        user: UserName,
        kind: impl Into<Text>,
        name: impl Into<Text>,
        change: Change,
        action: Digest,
        proof: TapRecord,
    ) -> Self {
        let (kind, name) = (kind.into(), name.into());
        Self::ResourceChanged { user: Some(user), kind, name, change, action: Some(action), proof: Some(proof) }
    }

    /// A resource was changed from the resource directory, where there is neither user nor tap.
    pub fn resource_reloaded(kind: impl Into<Text>, name: impl Into<Text>, change: Change) -> Self {
        let (kind, name) = (kind.into(), name.into());
        Self::ResourceChanged { user: None, kind, name, change, action: None, proof: None }
    }

    /// An administrator invited somebody.
    pub fn invite_created(by: UserName, user: UserName, proof: Option<TapRecord>) -> Self {
        Self::InviteCreated { by, user, proof }
    }

    /// The gate has started.
    pub fn gate_started(version: impl Into<Text>) -> Self {
        Self::GateStarted { version: version.into() }
    }

    /// The gate stops in good order.
    pub fn gate_stopped(version: impl Into<Text>) -> Self {
        Self::GateStopped { version: version.into() }
    }

    /// Something that an operator should look at.
    pub fn security_warning(what: impl Into<Text>) -> Self {
        Self::SecurityWarning { what: what.into() }
    }

    /// The name that the log gives this event.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::SessionStart { .. } => "session.start",
            Self::SessionEnd { .. } => "session.end",
            Self::SessionDenied { .. } => "session.denied",
            Self::SessionFailed { .. } => "session.failed",
            Self::SessionCommand { .. } => "session.command",
            Self::SessionSubsystem { .. } => "session.subsystem",
            Self::SessionSftp { .. } => "session.sftp",
            Self::SessionForward { .. } => "session.forward",
            Self::DbQuery { .. } => "db.session.query",
            Self::SessionRequest { .. } => "session.request",
            Self::KubeRequest { .. } => "kube.request",
            Self::DesktopSession { .. } => "desktop.session",
            Self::SessionUntold { .. } => "session.untold",
            Self::RecordingAccessed { .. } => "session.recording.access",
            Self::RecordingRemoved { .. } => "session.recording.removed",
            Self::MfaBegin { .. } => "mfa.begin",
            Self::MfaSucceeded { .. } => "mfa.succeeded",
            Self::MfaFailed { .. } => "mfa.failed",
            Self::Login { .. } => "auth.login",
            Self::LoginFailed { .. } => "auth.login_failed",
            Self::Enrolled { .. } => "auth.enrolled",
            Self::DeviceChanged { .. } => "auth.device",
            Self::ResourceChanged { .. } => "admin.changed",
            Self::InviteCreated { .. } => "auth.invite",
            Self::GateStarted { .. } => "gate.started",
            Self::GateStopped { .. } => "gate.stopped",
            Self::SecurityWarning { .. } => "security.warning",
            Self::AuditLost { .. } => "audit.lost",
            Self::MfaBrowser { .. } => "mfa.browser",
            Self::AuditTorn { .. } => "audit.torn",
            Self::AuditPruned { .. } => "audit.pruned",
        }
    }
}

impl TapRecord {
    /// A WebAuthn tap: the credential's id, the statement's DER and the proof's DER.
    pub fn webauthn(proof_id: Digest, credential_id: &[u8], statement: &[u8], proof: &[u8]) -> Self {
        Self {
            proof_id,
            method: "webauthn".into(),
            credential_id: URL_SAFE_NO_PAD.encode(credential_id),
            statement: URL_SAFE_NO_PAD.encode(statement),
            proof: URL_SAFE_NO_PAD.encode(proof),
        }
    }

    /// The credential's id, where the text is base64url.
    pub fn credential_id_bytes(&self) -> Option<Vec<u8>> {
        URL_SAFE_NO_PAD.decode(&self.credential_id).ok()
    }

    /// The statement's DER, where the text is base64url.
    pub fn statement_der(&self) -> Option<Vec<u8>> {
        URL_SAFE_NO_PAD.decode(&self.statement).ok()
    }

    /// The proof's DER, where the text is base64url.
    pub fn proof_der(&self) -> Option<Vec<u8>> {
        URL_SAFE_NO_PAD.decode(&self.proof).ok()
    }
}
