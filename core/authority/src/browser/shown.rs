//! What the page shows of a ceremony: read from what will be signed, not from what anybody says of it.

use tapgate_api::{AdminAction, BrowserShown, BrowserTarget, DeviceAction};
use tapgate_model::Login;
use tapgate_proof::{SshKey, Statement, StatementTarget, Uses};

use crate::ceremony::{Pending, PendingEnrolment, PendingTap, Work};
use crate::limits::DETAILS_MAX;
use crate::token;

/// All but where and when it was asked for; none where the ceremony is damaged.
pub(super) fn of(pending: &Pending, cluster: &str) -> Option<BrowserShown> {
    let shown = BrowserShown {
        ceremony: String::new(),
        webauthn: serde_json::Value::Null,
        cluster: cluster.to_owned(),
        user: pending.user().to_string(),
        purpose: pending.purpose().to_owned(),
        targets: Vec::new(),
        reusable_until: None,
        details: None,
        changes: Vec::new(),
        paste: false,
        good_for: None,
        others: Vec::new(),
        address: String::new(),
        host: None,
        elsewhere: false,
        asked: 0,
        expires: pending.expires().as_secs(),
    };
    match pending {
        Pending::Tap(tap) => of_tap(tap, shown),
        Pending::Enrolment(enrolment) => Some(of_enrolment(enrolment, shown)),
        Pending::Device(device) => Some(BrowserShown {
            ceremony: "create".to_owned(),
            webauthn: device.options.clone(),
            details: Some(device.name.clone()),
            ..shown
        }),
        Pending::Otp(_) => None,
    }
}

fn of_tap(tap: &PendingTap, shown: BrowserShown) -> Option<BrowserShown> {
    let statement = Statement::from_der(&token::from_text(&tap.statement)?).ok()?;
    let parts = statement.parts();
    let reusable = parts.uses == Uses::Window && !parts.targets.is_empty();
    let details = match &tap.work {
        Work::Admin { body, .. } => Some(change(&token::from_text(body)?)?),
        Work::AddDevice { name, .. } => Some(name.clone()),
        Work::Device { body } => Some(device_change(&token::from_text(body)?)?),
        Work::Login { .. } | Work::WebLogin { .. } | Work::Session { .. } | Work::WebSession | Work::InBand => None,
    };
    Some(BrowserShown {
        ceremony: "get".to_owned(),
        webauthn: tap.options.clone(),
        user: parts.user.to_string(),
        targets: parts.targets.iter().map(target).collect(),
        reusable_until: reusable.then(|| parts.expires.as_secs()),
        details,
        ..shown
    })
}

fn of_enrolment(enrolment: &PendingEnrolment, shown: BrowserShown) -> BrowserShown {
    let details = Some(enrolment.device_name.clone());
    BrowserShown { ceremony: "create".to_owned(), webauthn: enrolment.options.clone(), details, ..shown }
}

/// A target as a page names it.
pub(crate) fn target(entry: &StatementTarget) -> BrowserTarget {
    let login = match &entry.login {
        Login::App => String::new(),
        login => login.to_string(),
    };
    BrowserTarget { kind: entry.target.kind.title().to_owned(), name: entry.target.name.to_string(), login }
}

/// A change of the user's own devices, in words.
fn device_change(body: &[u8]) -> Option<String> {
    Some(match serde_json::from_slice(body).ok()? {
        DeviceAction::RemoveDevice { name } => format!("Remove the device \"{name}\""),
        DeviceAction::RenameDevice { name, to } => format!("Rename the device \"{name}\" to \"{to}\""),
        DeviceAction::AddSshKey { name, key } => {
            let fingerprint = key.parse::<SshKey>().ok()?.fingerprint();
            format!("Add the SSH key \"{name}\", {fingerprint}, which logs in as you from then on")
        }
        DeviceAction::RemoveSshKey { name } => format!("Remove the SSH key \"{name}\""),
        DeviceAction::AddOtp { name } => format!("Add one-time codes \"{name}\", good for login alone"),
    })
}

/// An administrator's act as its author wrote it: what is signed is its hash, which nobody can read.
fn change(body: &[u8]) -> Option<String> {
    let text = match serde_json::from_slice(body).ok()? {
        AdminAction::PutResources { yaml, replace: true } => format!("# create or replace\n{yaml}"),
        AdminAction::PutResources { yaml, replace: false } if yaml.contains("cluster_auth_preference") => {
            format!("# create, and replace the cluster_auth_preference\n{yaml}")
        }
        AdminAction::PutResources { yaml, replace: false } => format!("# create\n{yaml}"),
        AdminAction::DeleteResource { kind, name } => format!("delete {kind}/{name}"),
        AdminAction::Invite { user, roles } if roles.is_empty() => format!("invite {user}"),
        AdminAction::RotateAuthority { authority, step, at_once } => {
            let at_once = if at_once { ", and give up what still depends on it" } else { "" };
            format!("rotate the authorities \"{authority}\": {step}{at_once}")
        }
        AdminAction::Invite { user, roles } => format!("invite {user} with the roles {}", roles.join(", ")),
    };
    if text.len() <= DETAILS_MAX {
        return Some(text);
    }
    let kept: String = text.chars().take(DETAILS_MAX / 4).collect();
    Some(format!("{kept}\n# … and more: {} bytes in all, too many to be shown", text.len()))
}
