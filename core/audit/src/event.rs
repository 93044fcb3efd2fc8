//! What can happen, with the names that the log gives it.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};
use tapgate_model::{Digest, Kind, SessionId, TargetName, TargetUid, UserName};

use crate::{StatementText, Text};

/// One thing that happened. In the log its name stands in the field `event`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event")]
pub enum Event {
    /// A session to a target was opened.
    #[serde(rename = "session.start")]
    SessionStart {
        /// Who, where, and by what right.
        #[serde(flatten)]
        facts: Box<SessionFacts>,
    },
    /// A session is over.
    #[serde(rename = "session.end")]
    SessionEnd {
        /// Who, where, and by what right.
        #[serde(flatten)]
        facts: Box<SessionFacts>,
        /// Why it ended.
        reason: Text,
        /// Bytes from the client to the target.
        bytes_up: u64,
        /// Bytes from the target to the client.
        bytes_down: u64,
        /// How long it was open.
        duration_secs: u64,
    },
    /// A session was refused.
    #[serde(rename = "session.denied")]
    SessionDenied {
        /// Who and where.
        #[serde(flatten)]
        facts: Box<SessionFacts>,
        /// The true reason.
        reason: Text,
        /// What the client was told, which may be less.
        message: Text,
    },
    /// A session was granted, and the target could not be reached or did not let us in.
    #[serde(rename = "session.failed")]
    SessionFailed {
        /// Who, where, and by what right.
        #[serde(flatten)]
        facts: Box<SessionFacts>,
        /// The true reason.
        reason: Text,
        /// What the client was told, which may be less.
        message: Text,
    },
    /// A command was sent to the target, or a shell was asked for.
    #[serde(rename = "session.command")]
    SessionCommand {
        /// Whose session it is.
        #[serde(flatten)]
        of: DeedFacts,
        /// The command; none where it is a shell.
        command: Option<Text>,
    },
    /// A subsystem of the target was asked for.
    #[serde(rename = "session.subsystem")]
    SessionSubsystem {
        /// Whose session it is.
        #[serde(flatten)]
        of: DeedFacts,
        /// Its name.
        subsystem: Text,
    },
    /// A file operation was asked for over SFTP. The target may have refused it.
    #[serde(rename = "session.sftp")]
    SessionSftp {
        /// Whose session it is.
        #[serde(flatten)]
        of: DeedFacts,
        /// What was asked for, such as `read`, `write`, `rename` or `remove`.
        operation: Text,
        /// The path, as the client named it.
        path: Text,
        /// The second path, where the operation has one.
        to: Option<Text>,
    },
    /// A forwarded connection is over, or the target was asked to listen for some.
    #[serde(rename = "session.forward")]
    SessionForward {
        /// Whose session it is.
        #[serde(flatten)]
        of: DeedFacts,
        /// Which way: `local`, `remote` or `listen`.
        way: Text,
        /// The address or socket that the target connected to or listened at.
        destination: Text,
        /// Where the connection came from, as the peer that opened it says.
        origin: Text,
        /// Bytes from the client to the target.
        bytes_up: u64,
        /// Bytes from the target to the client.
        bytes_down: u64,
    },
    /// A request was made to an application that has its requests logged.
    #[serde(rename = "session.request")]
    SessionRequest {
        /// Whose session it is.
        #[serde(flatten)]
        of: DeedFacts,
        /// Its method.
        method: Text,
        /// Its path, without the query.
        path: Text,
        /// The status of the answer; none where there was no answer.
        status: Option<u16>,
        /// The connection that it came on, by the number that the operator's log calls it: a session of an application may
        /// have many. It is missing in logs of before this was recorded.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        connection: Option<Text>,
    },
    /// A text of statements was said to a database.
    #[serde(rename = "db.session.query")]
    DbQuery {
        /// Whose session it is.
        #[serde(flatten)]
        of: DeedFacts,
        /// What it does, as far as its text tells.
        classes: Vec<Text>,
        /// The tables that it names.
        tables: Vec<Text>,
        /// The text, as much of it as the role has recorded.
        text: Option<StatementText>,
        /// How many rows it read or changed, where the target said so.
        rows: Option<u64>,
        /// What became of it.
        outcome: Text,
    },
    /// A Kubernetes API server answered a request.
    #[serde(rename = "kube.request")]
    KubeRequest {
        /// Whose session it is.
        #[serde(flatten)]
        of: DeedFacts,
        /// What was asked: `get`, `list`, `delete` and so on.
        verb: Text,
        /// The resource with its subresource, or the path of what is no resource.
        resource: Text,
        /// The namespace; empty where there is none.
        namespace: Text,
        /// The object's name; empty for a collection.
        name: Text,
        /// The HTTP status of the answer.
        status: u16,
    },
    /// A desktop was entered.
    #[serde(rename = "desktop.session")]
    DesktopSession {
        /// Whose session it is.
        #[serde(flatten)]
        of: DeedFacts,
        /// How the desktop's side is secured: `tls`, `nla`, `passthrough`, `vnc` or `none`.
        security: Text,
        /// The picture's width; none where the gate does not see it.
        width: Option<u16>,
        /// The picture's height.
        height: Option<u16>,
        /// The channels that the client asked for and has.
        channels: Vec<Text>,
        /// Those that it asked for and does not have.
        denied_channels: Vec<Text>,
    },
    /// Something was done in a session that the log does not hold in detail.
    #[serde(rename = "session.untold")]
    SessionUntold {
        /// Whose session it is.
        #[serde(flatten)]
        of: DeedFacts,
        /// What is missing, and why.
        what: Text,
    },
    /// Somebody has seen a recording, or begun to.
    #[serde(rename = "session.recording.access")]
    RecordingAccessed {
        /// Who.
        user: UserName,
        /// The session that was recorded.
        session: SessionId,
    },
    /// A recording is removed, as the operator's rule says.
    #[serde(rename = "session.recording.removed")]
    RecordingRemoved {
        /// The session that was recorded.
        session: SessionId,
        /// Which part of the rule.
        reason: Text,
    },
    /// Somebody is asked for a tap.
    #[serde(rename = "mfa.begin")]
    MfaBegin {
        /// Who is asked.
        user: UserName,
        /// What for.
        purpose: Text,
        /// The ceremony's number.
        ceremony: Text,
        /// The targets that are shown, such as `node prod3 as jerry`.
        targets: Vec<Text>,
    },
    /// Somebody has tapped.
    #[serde(rename = "mfa.succeeded")]
    MfaSucceeded {
        /// Who has tapped.
        user: UserName,
        /// What for.
        purpose: Text,
        /// The ceremony's number.
        ceremony: Text,
        /// The targets that were shown.
        targets: Vec<Text>,
        /// The tap.
        proof: TapRecord,
    },
    /// A tap was not given, or did not verify.
    #[serde(rename = "mfa.failed")]
    MfaFailed {
        /// Who was asked.
        user: UserName,
        /// What for.
        purpose: Text,
        /// The ceremony's number.
        ceremony: Text,
        /// The targets that were shown.
        targets: Vec<Text>,
        /// Why it failed.
        reason: Text,
    },
    /// A tap that was asked for at a terminal went through the browser.
    #[serde(rename = "mfa.browser")]
    MfaBrowser {
        /// Who is asked.
        user: UserName,
        /// What for.
        purpose: Text,
        /// The ceremony's number.
        ceremony: Text,
        /// What happened there.
        step: BrowserStep,
        /// The terminal where it was handed over; after that, the browser.
        peer: IpAddr,
        /// Why, where it was refused.
        reason: Option<Text>,
    },
    /// Somebody signed in.
    #[serde(rename = "auth.login")]
    Login {
        /// Who.
        user: UserName,
        /// From where.
        peer: SocketAddr,
        /// By what: `webauthn` or `otp` with a password, or `sso`.
        method: Text,
    },
    /// A sign-in failed, or a certificate was refused.
    #[serde(rename = "auth.login_failed")]
    LoginFailed {
        /// The user that was claimed; it need not exist, and may be empty.
        user: Text,
        /// From where.
        peer: SocketAddr,
        /// Why.
        reason: Text,
    },
    /// An MFA device was registered.
    #[serde(rename = "auth.enrolled")]
    Enrolled {
        /// Whose.
        user: UserName,
        /// The credential's id, in base64url.
        credential_id: Text,
        /// What the user calls the device.
        name: Text,
        /// What vouches for it: `pinned`, `invite` or `device`.
        link: Text,
        /// The tap that vouches for it; a pinned device has none.
        proof: Option<TapRecord>,
    },
    /// A user removed or renamed a device, or added one-time codes.
    #[serde(rename = "auth.device")]
    DeviceChanged {
        /// Whose.
        user: UserName,
        /// `webauthn` or `otp`.
        kind: Text,
        /// What the user calls the device; after a change of name, the new one.
        name: Text,
        /// What was done.
        change: Change,
        /// The digest of what was done, which the tap signs.
        action: Digest,
        /// The tap.
        proof: TapRecord,
    },
    /// A resource was created, updated or deleted.
    #[serde(rename = "admin.changed")]
    ResourceChanged {
        /// Who did it; nobody where the resource directory was read again, or an identity provider's sign-in told it.
        user: Option<UserName>,
        /// The resource's kind.
        kind: Text,
        /// The resource's name.
        name: Text,
        /// What was done.
        change: Change,
        /// The digest of what was done, which the tap signs.
        action: Option<Digest>,
        /// The tap.
        proof: Option<TapRecord>,
    },
    /// An invite for a first device was made.
    #[serde(rename = "auth.invite")]
    InviteCreated {
        /// The administrator who made it.
        by: UserName,
        /// Whom it is for.
        user: UserName,
        /// The administrator's tap.
        proof: Option<TapRecord>,
    },
    /// The gate has started.
    #[serde(rename = "gate.started")]
    GateStarted {
        /// The program's version.
        version: Text,
    },
    /// The gate stops in good order. Where this is missing before a start, it crashed.
    #[serde(rename = "gate.stopped")]
    GateStopped {
        /// The program's version.
        version: Text,
    },
    /// Something that an operator should look at.
    #[serde(rename = "security.warning")]
    SecurityWarning {
        /// What, in a sentence.
        what: Text,
    },
    /// Events came faster than the disk took them, and this many before this one are missing.
    #[serde(rename = "audit.lost")]
    AuditLost {
        /// How many.
        count: u64,
    },
    /// The log ended within a line when it was opened, as after a power cut.
    #[serde(rename = "audit.torn")]
    AuditTorn {
        /// How many bytes of the line there were. They were moved to the file `<log>.torn`.
        bytes: u64,
    },
    /// An older file of the log is removed, as the operator's rule says. What follows is verified from the checkpoint
    /// at its end.
    #[serde(rename = "audit.pruned")]
    AuditPruned {
        /// The number of the first record that is removed.
        first: u64,
        /// The number of the first record that stays.
        next: u64,
        /// The hash of the last record that is removed.
        head: Digest,
    },
}

/// Who wants to go where, and by what right: what all events of one session share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionFacts {
    /// The session's number.
    pub session: SessionId,
    /// Who.
    pub user: UserName,
    /// The kind of target.
    pub kind: Kind,
    /// The target's name, as it was asked for.
    pub target: TargetName,
    /// The target's uid, where there is such a target.
    pub uid: Option<TargetUid>,
    /// Who the user becomes there.
    pub login: Text,
    /// The protocol.
    pub protocol: Text,
    /// Where the connection came from.
    pub peer: SocketAddr,
    /// How the proof was brought: `certificate`, `in-band` or `web`.
    pub door: Text,
    /// The fingerprint of the credential that was presented.
    pub credential: Digest,
    /// Whether the policy demanded a tap for this session. It is missing in logs of before this was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mfa_required: Option<bool>,
    /// The tap, where there was one.
    pub tap: Option<TapRecord>,
    /// The nodes that lie on the way, where there are any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub via: Vec<TargetName>,
    /// The connection that it came on, by the number that the operator's log calls it. It is missing where the protocol
    /// has asks of many connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<Text>,
}

/// Whose deed it was. All else about the session stands in its `session.start`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeedFacts {
    /// The session's number.
    pub session: SessionId,
    /// Who.
    pub user: UserName,
    /// The target's name.
    pub target: TargetName,
}

/// A tap, whole: anybody who has the user's public key can verify it years later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TapRecord {
    /// The SHA-256 of the proof.
    pub proof_id: Digest,
    /// The kind of tap: `webauthn` or `sso`.
    pub method: Text,
    /// The credential that signed, or the digest of the account at the provider, in base64url.
    pub credential_id: String,
    /// The statement that was signed: DER in base64url.
    pub statement: String,
    /// The proof: DER in base64url.
    pub proof: String,
}

/// What happened to a tap in the browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BrowserStep {
    /// The terminal handed it over.
    Begun,
    /// Code and tap were right, and the terminal got the answer.
    Approved,
    /// The person at the browser said no.
    Denied,
    /// The code or the tap was wrong.
    Refused,
}

/// What was done to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is new.
    Created,
    /// It is another one now.
    Updated,
    /// It is gone.
    Deleted,
}
