//! An administrator's change: its body goes to the gate, and a tap signs the hash of that body.

use tapgate_api::{AdminAction, AdminOutcome, Ceremony, path};
use tapgate_model::{Clock as _, SystemClock};

use super::{Context, output};
use crate::browser::Handover;
use crate::ceremony::{Checked, Deed, Wish};
use crate::error::{Act as _, Result};
use crate::keys::sha256;

/// Has the gate carry out a change, after a tap over exactly the bytes that were sent.
pub async fn change(context: &Context, action: &AdminAction) -> Result<AdminOutcome> {
    let body = serde_json::to_vec(action).act(|| "the change cannot be written".to_owned())?;
    let deed = match action {
        AdminAction::Invite { user, .. } => {
            let user = user.parse().act(|| "that is no user name".to_owned())?;
            Deed::Invite { user, request: sha256(&body) }
        }
        AdminAction::PutResources { .. } | AdminAction::DeleteResource { .. } | AdminAction::RotateAuthority { .. } => {
            Deed::Admin(sha256(&body))
        }
    };
    let http = context.with_login()?;
    let ceremony: Ceremony = http.post_bytes(path::ADMIN_BEGIN, body).await?;
    let wish = Wish { gate: context.profile.gate_name(), user: context.user()?, deed, now: SystemClock.now() };
    let checked = Checked::new(ceremony, &wish)?;
    let origin = context.origin().await?;
    let means = context.means();
    eprintln!("MFA is required for this administrative action");
    let handover = Handover { http: &http, path: path::ADMIN_BROWSER, origin: &origin };
    checked.finish(&mut means?, &handover, path::ADMIN_FINISH).await
}

/// One line for each change.
pub fn lines(outcome: &AdminOutcome) -> String {
    output::lines(&outcome.lines)
}
