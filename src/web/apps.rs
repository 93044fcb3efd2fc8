//! Applications on the gate's own pages and interface: which there are, the way into one, the keys of their identities.

use axum::extract::State;
use axum::{Extension, Json};
use bytes::Bytes;
use tapgate_api::{AppEntry, AppOffer, AppOpen, Apps};
use tapgate_authority::{Fault, WebSession};
use tapgate_http::{Errand, Offer, Party, Place};
use tapgate_model::Kind;

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
        })
    };
    Apps { apps: visible.filter_map(entry).collect() }
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
