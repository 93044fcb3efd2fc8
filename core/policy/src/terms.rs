//! On which terms a session is allowed: what must be tapped, how long it lives, what it may do.

use std::time::Duration;

use crate::db::DbTerms;
use crate::kube_verbs::KubeFreshTap;
use crate::limits::{BATCH_MAX, SESSION_TTL_MAX, WINDOW_MAX};

/// Whether a session needs a tap of its own; the greater of two is the stricter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum SessionMfa {
    /// The login certificate is enough.
    #[default]
    Off,
    /// A tap is due.
    Required,
    /// A tap of a key is due; the identity provider's step-up is not enough: `webauthn`.
    RequiredWebAuthn,
    /// A tap with user verification (PIN or biometrics), or one of an attested key: `hardware_key`.
    RequiredHardware,
    /// A tap with user verification is due, whatever the key: `hardware_key_pin`.
    RequiredVerified,
    /// A tap with user verification by an attested key is due: `hardware_key_attested`.
    RequiredAttested,
}

/// How a stock client may be asked for its tap; the greater of two is the stricter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum InBand {
    /// By an address to open in a browser, or by an `sk-` key's touch.
    #[default]
    Url,
    /// By an `sk-` key's touch alone, which can't be phished.
    Sk,
    /// Not at all.
    Off,
}

/// Whether sessions are recorded; the greater of two is the stricter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum RecordSession {
    /// They are not.
    #[default]
    Off,
    /// They are, and go on where they can't be: `best_effort`.
    BestEffort,
    /// What can't be recorded does not happen: `strict`.
    Strict,
}

/// What holds for an allowed session.
#[expect(clippy::struct_excessive_bools, reason = "each is a role's option of its own")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Whether a tap is due.
    pub session_mfa: SessionMfa,
    /// How long one tap may open sessions, never more than five minutes; zero means once.
    pub window: Duration,
    /// When the session ends at the latest.
    pub max_session_ttl: Duration,
    /// When a session without traffic ends, where a role says so.
    pub client_idle_timeout: Option<Duration>,
    /// Whether the session ends with the login certificate.
    pub disconnect_expired_cert: bool,
    /// Whether certificates are good from one address only.
    pub pin_source_ip: bool,
    /// How many targets one tap may cover.
    pub batch_max: u8,
    /// Whether evidence may be used again by login key and address inside the window.
    pub reuse_login_key: bool,
    /// How a stock client may be asked.
    pub in_band: InBand,
    /// Whether SSH port forwarding is allowed.
    pub port_forwarding: bool,
    /// Whether SSH agent forwarding is allowed.
    pub forward_agent: bool,
    /// Whether files may be copied with scp and sftp.
    pub ssh_file_copy: bool,
    /// Whether each request of an application's session is written to the audit log.
    pub app_audit_requests: bool,
    /// What holds inside a database session.
    pub db: DbTerms,
    /// What needs a fresh tap inside a Kubernetes cluster.
    pub kube_fresh_tap: KubeFreshTap,
    /// Whether it is recorded.
    pub record_session: RecordSession,
    /// What holds inside a desktop session.
    pub desktop: DesktopTerms,
}

/// What a desktop session may carry beside picture, keys and pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DesktopTerms {
    /// Whether the two clipboards are one.
    pub clipboard: bool,
    /// Whether the client's drives, printers and other devices may be used there.
    pub directory_sharing: bool,
}

impl DesktopTerms {
    /// What a role says that says nothing.
    pub const DEFAULT: Self = Self { clipboard: true, directory_sharing: true };

    /// What two roles say together: what either forbids is forbidden.
    const fn and(self, other: Self) -> Self {
        Self {
            clipboard: self.clipboard && other.clipboard,
            directory_sharing: self.directory_sharing && other.directory_sharing,
        }
    }
}

impl SessionMfa {
    /// Whether a key's tap that was made so is strict enough.
    pub const fn takes(self, user_verified: bool, attested: bool) -> bool {
        match self {
            Self::Off | Self::Required | Self::RequiredWebAuthn => true,
            Self::RequiredHardware => user_verified || attested,
            Self::RequiredVerified => user_verified,
            Self::RequiredAttested => user_verified && attested,
        }
    }
}

impl Terms {
    /// The terms to which combining adds nothing: restrictions all absent, permissions as given by none.
    pub(crate) const fn neutral() -> Self {
        Self {
            session_mfa: SessionMfa::Off,
            window: WINDOW_MAX,
            max_session_ttl: SESSION_TTL_MAX,
            client_idle_timeout: None,
            disconnect_expired_cert: false,
            pin_source_ip: false,
            batch_max: BATCH_MAX,
            reuse_login_key: true,
            in_band: InBand::Url,
            port_forwarding: false,
            forward_agent: false,
            ssh_file_copy: true,
            app_audit_requests: false,
            db: DbTerms::neutral(),
            kube_fresh_tap: KubeFreshTap::NONE,
            record_session: RecordSession::Off,
            desktop: DesktopTerms::DEFAULT,
        }
    }

    /// What two roles say together. A restriction holds when either has it, the shorter time wins,
    /// and `port_forwarding`, `forward_agent` and two of [`DbTerms`] are permissions, which either may give.
    #[must_use]
    pub(crate) fn and(self, other: &Self) -> Self {
        Self {
            session_mfa: self.session_mfa.max(other.session_mfa),
            window: self.window.min(other.window),
            batch_max: self.batch_max.min(other.batch_max),
            in_band: self.in_band.max(other.in_band),
            reuse_login_key: self.reuse_login_key && other.reuse_login_key,
            port_forwarding: self.port_forwarding || other.port_forwarding,
            forward_agent: self.forward_agent || other.forward_agent,
            app_audit_requests: self.app_audit_requests || other.app_audit_requests,
            db: self.db.and(other.db),
            kube_fresh_tap: self.kube_fresh_tap.and(other.kube_fresh_tap),
            record_session: self.record_session.max(other.record_session),
            ..self.within(other)
        }
    }

    /// The part of [`Terms::and`] that concerns a user's every session, whichever role allows it.
    #[must_use]
    pub(crate) fn within(self, other: &Self) -> Self {
        Self {
            max_session_ttl: self.max_session_ttl.min(other.max_session_ttl),
            client_idle_timeout: shorter(self.client_idle_timeout, other.client_idle_timeout),
            disconnect_expired_cert: self.disconnect_expired_cert || other.disconnect_expired_cert,
            pin_source_ip: self.pin_source_ip || other.pin_source_ip,
            ssh_file_copy: self.ssh_file_copy && other.ssh_file_copy,
            desktop: self.desktop.and(other.desktop),
            ..self
        }
    }

    /// What `hardware_key…` brings with it: no address to open, and no reuse by a key on the disk.
    #[must_use]
    pub(crate) fn consistent(self) -> Self {
        match self.session_mfa {
            SessionMfa::RequiredHardware | SessionMfa::RequiredVerified | SessionMfa::RequiredAttested => {
                Self { in_band: self.in_band.max(InBand::Sk), reuse_login_key: false, ..self }
            }
            SessionMfa::Off | SessionMfa::Required | SessionMfa::RequiredWebAuthn => self,
        }
    }
}

/// What holds for a user's login, whichever target follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoginTerms {
    /// How long a login certificate may live.
    pub max_session_ttl: Duration,
    /// Whether the certificate is good from one address only.
    pub pin_source_ip: bool,
}

const fn shorter(a: Option<Duration>, b: Option<Duration>) -> Option<Duration> {
    match (a, b) {
        (Some(a), Some(b)) if a.as_nanos() < b.as_nanos() => Some(a),
        (Some(_), Some(b)) => Some(b),
        (one, None) | (None, one) => one,
    }
}

#[cfg(test)]
mod tests {
    use tapgate_model::{ClassSet, StatementClass};

    use super::*;
    use crate::db::AuditText;
    use crate::kube_verbs::KubeVerbs;

    #[test]
    fn the_stricter_value_is_the_greater() {
        use SessionMfa::{Off, Required, RequiredAttested, RequiredHardware, RequiredVerified, RequiredWebAuthn};
        assert!([Off, Required, RequiredWebAuthn, RequiredHardware, RequiredVerified, RequiredAttested].is_sorted());
        assert!(InBand::Url < InBand::Sk && InBand::Sk < InBand::Off);
    }

    #[test]
    fn what_a_stricter_value_takes_a_laxer_one_takes_too() {
        use SessionMfa::{Off, Required, RequiredAttested, RequiredHardware, RequiredVerified};
        let values = [Off, Required, RequiredHardware, RequiredVerified, RequiredAttested];
        for (verified, attested) in [(false, false), (false, true), (true, false), (true, true)] {
            let taken = values.map(|value| value.takes(verified, attested));
            assert!(taken.is_sorted_by(|laxer, stricter| laxer >= stricter), "{verified} {attested}: {taken:?}");
        }
        assert!(!RequiredHardware.takes(false, false) && RequiredHardware.takes(false, true));
        assert!(!RequiredVerified.takes(false, true) && !RequiredAttested.takes(true, false));
    }

    #[test]
    fn combining_with_neutral_terms_changes_nothing() {
        let terms = Terms {
            session_mfa: SessionMfa::Required,
            window: Duration::from_secs(7),
            max_session_ttl: Duration::from_secs(8),
            client_idle_timeout: Some(Duration::from_secs(9)),
            disconnect_expired_cert: true,
            pin_source_ip: true,
            batch_max: 7,
            reuse_login_key: true,
            in_band: InBand::Sk,
            port_forwarding: true,
            forward_agent: true,
            ssh_file_copy: false,
            app_audit_requests: true,
            db: DbTerms {
                deny: ClassSet::of(&[StatementClass::Ddl]),
                fresh_tap: ClassSet::of(&[StatementClass::Write]),
                audit_text: AuditText::Redacted,
                local_infile: true,
                replication: true,
            },
            kube_fresh_tap: KubeFreshTap { verbs: KubeVerbs::CONNECTING, within: Duration::from_secs(5) },
            record_session: RecordSession::Strict,
            desktop: DesktopTerms { clipboard: false, directory_sharing: true },
        };
        assert_eq!(Terms::neutral().and(&terms), terms);
        assert_eq!(terms.and(&Terms::neutral()), terms);
    }

    #[test]
    fn a_hardware_key_excludes_the_url_and_the_login_key() {
        let terms = Terms { session_mfa: SessionMfa::RequiredVerified, ..Terms::neutral() }.consistent();
        assert_eq!((terms.in_band, terms.reuse_login_key), (InBand::Sk, false));
        let off = Terms { in_band: InBand::Off, ..terms }.consistent();
        assert_eq!(off.in_band, InBand::Off);
    }
}
