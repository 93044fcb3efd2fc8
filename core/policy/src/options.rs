//! A role's `options`: the terms that it puts on the sessions it allows.

use std::time::Duration;

use crate::at::At;
use crate::db::{self, DbTerms};
use crate::kube_verbs::KubeFreshTap;
use crate::limits::{BATCH_DEFAULT, BATCH_MAX, SESSION_TTL_DEFAULT, SESSION_TTL_MAX, WINDOW_MAX};
use crate::section::Section;
use crate::terms::{DesktopTerms, InBand, RecordSession, SessionMfa, Terms};

const UNSUPPORTED: &[(&str, &str)] = &[
    ("ssh_port_forwarding", "use `port_forwarding`"),
    ("mfa_verification_interval", "use `session_mfa_window`"),
    ("cert_format", "remove it: certificates have one format"),
    ("cert_extensions", "remove it"),
    ("create_host_user", "remove it and create users on the node itself"),
    ("create_host_user_mode", "remove it and create users on the node itself"),
    ("create_host_user_default_shell", "remove it and create users on the node itself"),
    ("create_db_user", "remove it and create users in the database itself"),
    ("create_db_user_mode", "remove it and create users in the database itself"),
    ("create_desktop_user", "remove it and create users on the desktop itself"),
    ("device_trust_mode", "remove it"),
    ("enhanced_recording", "remove it"),
    ("lock", "remove it: locks are always strict"),
    ("max_connections", "remove it"),
    ("max_sessions", "remove it"),
    ("max_kubernetes_connections", "remove it"),
    ("permit_x11_forwarding", "remove it: X11 is never forwarded"),
    ("request_access", "remove it"),
    ("request_prompt", "remove it"),
    ("idp", "remove it"),
];

/// What a role without `options` says.
pub(crate) const fn defaults() -> Terms {
    Terms {
        max_session_ttl: SESSION_TTL_DEFAULT,
        batch_max: BATCH_DEFAULT,
        reuse_login_key: false,
        port_forwarding: true,
        db: DbTerms::DEFAULT,
        ..Terms::neutral()
    }
}

/// Reads a role's `options`.
pub(crate) fn read(at: Option<At<'_>>) -> Terms {
    let Some(section) = at.and_then(|at| Section::open(at, "role options")) else { return defaults() };
    let section = section.without(UNSUPPORTED);
    let session_mfa = session_mfa(&section);
    let terms = Terms {
        session_mfa,
        window: window(&section),
        max_session_ttl: max_session_ttl(&section),
        client_idle_timeout: idle_timeout(&section),
        disconnect_expired_cert: section.flag("disconnect_expired_cert", false),
        pin_source_ip: section.flag("pin_source_ip", false),
        batch_max: batch_max(&section),
        reuse_login_key: reuse(&section, session_mfa),
        in_band: in_band(&section, session_mfa),
        port_forwarding: section.flag("port_forwarding", true),
        forward_agent: section.flag("forward_agent", false),
        ssh_file_copy: section.flag("ssh_file_copy", true),
        app_audit_requests: section.flag("app_audit_requests", false),
        db: db::read(&section),
        kube_fresh_tap: section
            .section("kubernetes_fresh_tap", "kubernetes_fresh_tap")
            .map_or(KubeFreshTap::NONE, KubeFreshTap::read),
        record_session: record_session(&section),
        desktop: DesktopTerms {
            clipboard: section.flag("desktop_clipboard", true),
            directory_sharing: section.flag("desktop_directory_sharing", true),
        },
    };
    section.finish();
    terms
}

/// Reads `require_session_mfa`. What is not understood is reported, and required meanwhile.
pub(crate) fn session_mfa(section: &Section<'_>) -> SessionMfa {
    const CHOICES: &[(&str, SessionMfa)] = &[
        ("true", SessionMfa::Required),
        ("false", SessionMfa::Off),
        ("yes", SessionMfa::Required),
        ("no", SessionMfa::Off),
        ("webauthn", SessionMfa::RequiredWebAuthn),
        ("hardware_key", SessionMfa::RequiredHardware),
        ("hardware_key_touch", SessionMfa::RequiredHardware),
        ("hardware_key_pin", SessionMfa::RequiredVerified),
        ("hardware_key_touch_and_pin", SessionMfa::RequiredVerified),
        ("hardware_key_attested", SessionMfa::RequiredAttested),
    ];
    let Some(at) = section.take("require_session_mfa") else { return SessionMfa::Off };
    at.choice(CHOICES).unwrap_or(SessionMfa::RequiredAttested)
}

fn record_session(section: &Section<'_>) -> RecordSession {
    const CHOICES: &[(&str, RecordSession)] = &[
        ("off", RecordSession::Off),
        ("best_effort", RecordSession::BestEffort),
        ("strict", RecordSession::Strict),
        // YAML of before 2009 reads `off` as this.
        ("false", RecordSession::Off),
    ];
    let Some(at) = section.take("record_session") else { return RecordSession::Off };
    at.choice(CHOICES).unwrap_or(RecordSession::Strict)
}

fn window(section: &Section<'_>) -> Duration {
    let Some(at) = section.take("session_mfa_window") else { return WINDOW_MAX };
    let Some(window) = at.duration() else { return Duration::ZERO };
    if window > WINDOW_MAX {
        at.problem("`session_mfa_window` can only shorten the five minutes of a tap (use 5m or less; 0s for once)");
    }
    window.min(WINDOW_MAX)
}

fn max_session_ttl(section: &Section<'_>) -> Duration {
    let Some(at) = section.take("max_session_ttl") else { return SESSION_TTL_DEFAULT };
    let Some(ttl) = at.duration() else { return SESSION_TTL_DEFAULT };
    if ttl.is_zero() || ttl > SESSION_TTL_MAX {
        at.problem("`max_session_ttl` is zero or longer than 30 days (use 1s to 720h)");
    }
    ttl
}

fn idle_timeout(section: &Section<'_>) -> Option<Duration> {
    let at = section.take("client_idle_timeout")?;
    if at.word() == "never" {
        return None;
    }
    at.duration().filter(|timeout| !timeout.is_zero())
}

/// Reads `session_mfa_batch`. What is not understood is reported, and one target covered meanwhile.
fn batch_max(section: &Section<'_>) -> u8 {
    let Some(batch) = section.section("session_mfa_batch", "session_mfa_batch") else { return BATCH_DEFAULT };
    let read = batch.need("max_targets", "40").map(|at| {
        let max = at.word().parse().ok().filter(|max| (1..=BATCH_MAX).contains(max));
        max.unwrap_or_else(|| {
            at.problem(format!("`max_targets` must be 1 to {BATCH_MAX}: one tap covers no more"));
            1
        })
    });
    batch.finish();
    read.unwrap_or(1)
}

fn reuse(section: &Section<'_>, mfa: SessionMfa) -> bool {
    let Some(at) = section.take("session_mfa_reuse") else { return false };
    let reuse = at.choice(&[("login_key", true), ("off", false)]).unwrap_or(false);
    if reuse && mfa >= SessionMfa::RequiredHardware {
        at.problem("`session_mfa_reuse: login_key` does not go with a hardware key (remove one of the two)");
    }
    reuse
}

fn in_band(section: &Section<'_>, mfa: SessionMfa) -> InBand {
    let Some(at) = section.take("in_band") else { return InBand::Url };
    let choices = [("url", InBand::Url), ("sk", InBand::Sk), ("off", InBand::Off), ("false", InBand::Off)];
    let in_band = at.choice(&choices).unwrap_or(InBand::Off);
    if in_band == InBand::Url && mfa >= SessionMfa::RequiredHardware {
        at.problem("`in_band: url` does not go with a hardware key (use `sk` or `off`)");
    }
    in_band
}
