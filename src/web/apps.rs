//! Applications on the gate's own pages and interface: which there are, the way into one, the keys of their identities.

use axum::extract::State;
use axum::{Extension, Json};
use bytes::Bytes;
use tapgate_api::{AppDown, AppEntry, AppOffer, AppOpen, Apps};
use tapgate_authority::{Fault, WebSession};
use tapgate_http::{Errand, Offer, Party, Place};
use tapgate_model::{Kind, TargetName, TargetRef};
use tapgate_policy::{ResourceKind, Verb};

use super::api::Shared;
use super::reply::{Reply, body, identity};
use super::{App, Caller};

/// The applications that the caller may open.
#[utoipa::path(get, path = "/v1/apps", responses((status = 200, body = Apps)))]
pub(super) async fn list(State(app): Shared, Extension(caller): Extension<Caller>) -> Reply {
    identity(&app, &caller).map(|identity| listed(&app, identity.user())).into()
}

fn listed(app: &App, user: &tapgate_model::UserName) -> Apps {
    let snapshot = app.gate.snapshot();
    let visible = app.gate.visible(user).into_iter().filter(|seen| seen.target.kind == Kind::App);
    let entry = |seen: tapgate_session::Visible| {
        let resource = snapshot.policy().app(&seen.target.name)?;
        Some(AppEntry {
            name: seen.target.name.to_string(),
            url: app.apps.url(resource),
            tcp: resource.is_tcp(),
            ports: resource.tcp_ports.clone(),
            labels: seen.labels,
            mfa_required: seen.mfa,
            down: app.gate.health(&seen.target).and_then(|health| health.down),
        })
    };
    Apps { apps: visible.filter_map(entry).collect() }
}

/// The applications that can't be reached, of those that this user may open, or of all for who may read them.
pub(super) fn down(app: &App, user: &tapgate_model::UserName) -> Vec<AppDown> {
    let snapshot = app.gate.snapshot();
    let all = snapshot.policy().may_administer(user, ResourceKind::App, Verb::Read);
    let own = if all { Vec::new() } else { app.gate.visible(user) };
    let seen =
        |name: &TargetName| all || own.iter().any(|seen| seen.target.kind == Kind::App && seen.target.name == *name);
    let entry = |resource: &tapgate_session::AppResource| {
        let target = TargetRef { kind: Kind::App, name: resource.name.clone(), uid: resource.uid };
        let health = app.gate.health(&target).filter(|_| seen(&resource.name))?;
        Some(AppDown { name: resource.name.to_string(), why: health.down?, since: health.since.as_secs() })
    };
    let mut down: Vec<AppDown> = snapshot.policy().apps().filter_map(entry).collect();
    down.sort_by(|a, b| a.name.cmp(&b.name));
    down
}

/// The keys that verify the identities which applications get. They are no secret.
pub(super) async fn jwks(State(app): Shared) -> Json<serde_json::Value> {
    Json(app.signer.jwks())
}

/// The way into an application, for whoever is signed in on the page that asks.
pub(super) async fn open(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    Extension(session): Extension<WebSession>,
    bytes: Bytes,
) -> Reply {
    offered(&app, &caller, &session, &bytes).await.into()
}

async fn offered(app: &App, caller: &Caller, session: &WebSession, bytes: &Bytes) -> Result<AppOffer, Fault> {
    let AppOpen { host, to, begun } = body(bytes)?;
    let wrong = || Fault::invalid("this is no way into an application", "open the application's own address again");
    let errand = Errand { host, place: Place::new(&to).ok_or_else(wrong)?, begun: begun.parse().map_err(|_| wrong())? };
    let party = Party { identity: std::sync::Arc::clone(session.identity()), holder: Some(session.holder()) };
    match app.apps.offer(party, errand, caller.peer).await {
        Offer::Tap(name) => Ok(AppOffer::Tap { name: name.to_string() }),
        Offer::Go(url) => Ok(AppOffer::Go { url }),
        Offer::Refused(why) => Err(Fault::denied(why)),
    }
}
