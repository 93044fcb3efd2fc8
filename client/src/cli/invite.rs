//! `tapctl users`: people, and the invites that let them enrol.

use tapgate_api::{AdminAction, InviteCreated, web_path};
use tapgate_model::{Clock as _, SystemClock, UnixTime, UserName};

use url::Url;

use super::{Context, admin, output};
use crate::error::{Failure, Result, printable};

/// Makes a user, or lets one enrol anew, and prints what to hand over.
pub async fn invite(context: &Context, user: &UserName, roles: Vec<String>) -> Result<()> {
    let action = AdminAction::Invite { user: user.to_string(), roles };
    let outcome = admin::change(context, &action).await?;
    let invite = outcome.invite.as_ref().ok_or_else(|| Failure::new("the gate gave no invite"))?;
    let origin = context.origin().await?;
    output::show(context.format(), &outcome, |_| {
        format!("{}{}", admin::lines(&outcome), hand_over(context, invite, &origin, SystemClock.now()))
    })
}

fn hand_over(context: &Context, invite: &InviteCreated, origin: &Url, now: UnixTime) -> String {
    let minutes = UnixTime::from_secs(invite.expires).since(now).as_secs().div_ceil(60);
    let (gate, pin) = (&context.profile.gate, &context.profile.ca_pin);
    let (token, own) = (printable(&invite.token), origin.origin().ascii_serialization());
    format!(
        "Hand this link to {}, or the command below it; one of them works, once, within {minutes} minutes:\n\n\
         {own}{}#{token}\n\n\
         tap enrol --gate {gate} --ca-pin {pin} --token {token}\n",
        invite.user,
        web_path::ENROL_PAGE,
    )
}
