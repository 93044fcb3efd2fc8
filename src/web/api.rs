//! The handlers of `/v1`, one a path.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use axum::extract::{Query, State};
use axum::middleware;
use axum::routing::{get, post};
use axum::{Extension, Router};
use bytes::Bytes;
use tapgate_api::{
    ExplainRole, Explanation, Find, FindAuth, FindProxy, FindSsh, Reach, ReachAsk, Status, TargetEntry, Targets, path,
};
use tapgate_authority::{Asker, AuthorityError, Fault};
use tapgate_model::{Kind, Login, NameError, TargetName, UserName};
use tapgate_policy::{ResourceKind, SecondFactor, Verb};
use tapgate_session::{About, DesktopMode};

use super::reply::{Reply, blocking, body, identity};
use super::{App, Caller, apps, audit, device, live, openapi, recordings, sso, version};

pub(super) type Shared = State<Arc<App>>;

pub(super) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route(path::FIND, get(find))
        .route(path::OPENAPI, get(openapi::document))
        .route(path::LOGIN_BEGIN, post(login_begin))
        .route(path::LOGIN_FINISH, post(login_finish))
        .route(path::LOGIN_BROWSER, post(login_browser))
        .route(path::ENROL_BEGIN, post(enrol_begin))
        .route(path::ENROL_FINISH, post(enrol_finish))
        .route(path::LOGIN_OTP, post(login_otp))
        .route(path::LOGIN_PASSWORDLESS, post(login_passwordless))
        .route(path::DEVICES, get(device::list).post(device::begin))
        .route(path::DEVICE_REGISTER, post(device::register))
        .route(path::DEVICE_FINISH, post(device::finish))
        .route(path::DEVICE_CHANGE, post(device::change_begin))
        .route(path::DEVICE_CHANGE_FINISH, post(device::change_finish))
        .route(path::DEVICE_OTP, post(device::otp))
        .route(path::SSH_KEYS, get(device::ssh_keys))
        .route(path::SSH_KEY_CERTIFY, post(device::certify_ssh_key))
        .route(path::DEVICE_BROWSER, post(device_browser))
        .route(path::SESSIONS_LIVE, get(live::list))
        .route(path::SESSIONS_END, post(live::end))
        .route(path::SESSIONS_ALL, get(live::all))
        .route(path::SESSIONS_KILL, post(live::kill))
        .route(path::ENROL_BROWSER, post(enrol_browser))
        .route(path::APPS, get(apps::list))
        .route(path::JWKS, get(apps::jwks))
        .route(path::AUDIT_LOG, get(audit::log))
        .route(path::AUDIT_CHECKPOINTS, get(audit::checkpoints))
        .route(path::AUDIT_KEYS, get(audit::keys))
        .route(path::RECORDINGS, get(recordings::all))
        .route(path::RECORDING, get(recordings::one))
        .route(path::TARGETS, get(targets))
        .route(path::SESSION_BEGIN, post(session_begin))
        .route(path::SESSION_FINISH, post(session_finish))
        .route(path::SESSION_BROWSER, post(session_browser))
        .route(path::ADMIN_BEGIN, post(admin_begin))
        .route(path::ADMIN_FINISH, post(admin_finish))
        .route(path::ADMIN_BROWSER, post(admin_browser))
        .route(path::RESOURCES, get(resources))
        .route(path::STATUS, get(status))
        .route(path::AUTHORITIES, get(authorities))
        .route(path::EXPLAIN, get(explain))
        .route(path::REACH, post(reach))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), version::old_clients))
        .with_state(app)
}

/// What a client must know before it logs in.
#[utoipa::path(get, path = "/v1/webapi/find", responses((status = 200, body = Find)))]
pub(super) async fn find(State(app): Shared) -> axum::Json<Find> {
    let snapshot = app.gate.snapshot();
    let preference = snapshot.policy().preference();
    axum::Json(Find {
        auth: FindAuth {
            kind: preference.connector.as_ref().map_or_else(|| "local".to_owned(), ToString::to_string),
            second_factors: preference.second_factors.iter().map(|f| factor(*f).to_owned()).collect(),
            rp_id: app.rp_id.clone(),
            origin: app.origin.clone(),
            allow_cli_auth_via_browser: preference.allow_cli_auth_via_browser,
            connectors: sso::connectors(snapshot.policy()),
        },
        proxy: FindProxy { ssh: FindSsh { public_addr: app.public_addr.clone() } },
        server_version: env!("CARGO_PKG_VERSION").to_owned(),
        min_client_version: app.min_client_version.to_string(),
        cluster_name: app.cluster.clone(),
        fips: cfg!(feature = "fips"),
        time: Some(app.clock.now().as_secs()),
    })
}

/// Starts a login.
#[utoipa::path(post, path = "/v1/login", request_body = tapgate_api::LoginBegin,
    responses((status = 200, body = tapgate_api::Ceremony), (status = 401, body = tapgate_api::ApiError)))]
pub(super) async fn login_begin(State(app): Shared, Extension(caller): Extension<Caller>, bytes: Bytes) -> Reply {
    blocking(&app, move |app| app.authority.login_begin(&body(&bytes)?, caller.peer.ip())).await
}

/// Finishes a login with its tap.
#[utoipa::path(post, path = "/v1/login/finish", request_body = tapgate_api::Assertion,
    responses((status = 200, body = tapgate_api::LoginCertificates), (status = 401, body = tapgate_api::ApiError)))]
pub(super) async fn login_finish(State(app): Shared, Extension(caller): Extension<Caller>, bytes: Bytes) -> Reply {
    blocking(&app, move |app| app.authority.login_finish(&body(&bytes)?, caller.peer.ip())).await
}

/// Logs in with a password and a one-time code, where the cluster accepts them.
#[utoipa::path(post, path = "/v1/login/otp", request_body = tapgate_api::OtpLogin,
    responses((status = 200, body = tapgate_api::LoginCertificates), (status = 401, body = tapgate_api::ApiError)))]
pub(super) async fn login_otp(State(app): Shared, Extension(caller): Extension<Caller>, bytes: Bytes) -> Reply {
    blocking(&app, move |app| app.authority.login_otp(&body(&bytes)?, caller.peer.ip())).await
}

/// Starts a login by a key alone, which says whose it is.
#[utoipa::path(post, path = "/v1/login/passwordless", request_body = tapgate_api::PasswordlessBegin,
    responses((status = 200, body = tapgate_api::Ceremony), (status = 403, body = tapgate_api::ApiError)))]
pub(super) async fn login_passwordless(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    bytes: Bytes,
) -> Reply {
    blocking(&app, move |app| app.authority.passwordless_begin(&body(&bytes)?, caller.peer.ip())).await
}

/// Shows an invite.
#[utoipa::path(post, path = "/v1/enrol", request_body = tapgate_api::EnrolBegin,
    responses((status = 200, body = tapgate_api::EnrolChallenge), (status = 401, body = tapgate_api::ApiError)))]
pub(super) async fn enrol_begin(State(app): Shared, Extension(caller): Extension<Caller>, bytes: Bytes) -> Reply {
    blocking(&app, move |app| app.authority.enrol_begin(&body(&bytes)?, caller.peer.ip())).await
}

/// Spends an invite and registers the key.
#[utoipa::path(post, path = "/v1/enrol/finish", request_body = tapgate_api::EnrolFinish,
    responses((status = 200, body = tapgate_api::Enrolled), (status = 401, body = tapgate_api::ApiError)))]
pub(super) async fn enrol_finish(State(app): Shared, Extension(caller): Extension<Caller>, bytes: Bytes) -> Reply {
    blocking(&app, move |app| {
        let enrolled = app.authority.enrol_finish(&body(&bytes)?, caller.peer.ip())?;
        install(app)?;
        Ok(enrolled)
    })
    .await
}

/// The targets that the caller may open.
#[utoipa::path(get, path = "/v1/targets", responses((status = 200, body = Targets)))]
pub(super) async fn targets(State(app): Shared, Extension(caller): Extension<Caller>) -> Reply {
    let listed = identity(&app, &caller).map(|identity| {
        let entry = |seen: tapgate_session::Visible| TargetEntry {
            kind: seen.target.kind.to_string(),
            name: seen.target.name.to_string(),
            labels: seen.labels,
            logins: seen.logins,
            mfa_required: seen.mfa,
            protocol: protocol(&seen.about).map(str::to_owned),
            description: match &seen.about {
                About::Db(db) => db.description.clone(),
                About::Desktop(desktop) => desktop.description.clone(),
                _ => None,
            },
        };
        Targets { targets: app.gate.visible(identity.user()).into_iter().map(entry).collect() }
    });
    listed.into()
}

/// What a target of several protocols speaks. A desktop that is passed through takes no password of `tap`'s.
fn protocol(about: &About) -> Option<&'static str> {
    match about {
        About::Db(db) => Some(db.protocol.as_str()),
        About::Desktop(desktop) if desktop.mode == DesktopMode::Passthrough => Some("rdp-passthrough"),
        About::Desktop(desktop) => Some(desktop.protocol.as_str()),
        _ => None,
    }
}

/// Asks what sessions need, and gets the challenge in the same answer.
#[utoipa::path(post, path = "/v1/sessions", request_body = tapgate_api::SessionBegin,
    responses((status = 200, body = tapgate_api::Requirement), (status = 403, body = tapgate_api::ApiError)))]
pub(super) async fn session_begin(State(app): Shared, Extension(caller): Extension<Caller>, bytes: Bytes) -> Reply {
    blocking(&app, move |app| {
        let identity = identity(app, &caller)?;
        app.authority.session_begin(&app.gate, &identity, &body(&bytes)?, caller.peer.ip())
    })
    .await
}

/// Gives the tap and gets the session certificates.
#[utoipa::path(post, path = "/v1/sessions/finish", request_body = tapgate_api::Assertion,
    responses((status = 200, body = tapgate_api::SessionCertificates), (status = 403, body = tapgate_api::ApiError)))]
pub(super) async fn session_finish(State(app): Shared, Extension(caller): Extension<Caller>, bytes: Bytes) -> Reply {
    blocking(&app, move |app| {
        let identity = identity(app, &caller)?;
        app.authority.session_finish(&app.gate, &identity, &body(&bytes)?, caller.peer.ip())
    })
    .await
}

/// Asks for an administrative change; the tap signs this body's hash.
#[utoipa::path(post, path = "/v1/admin", request_body = tapgate_api::AdminAction,
    responses((status = 200, body = tapgate_api::Ceremony), (status = 400, body = tapgate_api::ApiError)))]
pub(super) async fn admin_begin(State(app): Shared, Extension(caller): Extension<Caller>, bytes: Bytes) -> Reply {
    blocking(&app, move |app| {
        let identity = identity(app, &caller)?;
        app.authority.admin_begin(app.gate.snapshot().policy(), &identity, &bytes, caller.peer.ip())
    })
    .await
}

/// Gives the tap and has the change made.
#[utoipa::path(post, path = "/v1/admin/finish", request_body = tapgate_api::Assertion,
    responses((status = 200, body = tapgate_api::AdminOutcome), (status = 403, body = tapgate_api::ApiError)))]
pub(super) async fn admin_finish(State(app): Shared, Extension(caller): Extension<Caller>, bytes: Bytes) -> Reply {
    blocking(&app, move |app| {
        let identity = identity(app, &caller)?;
        let snapshot = app.gate.snapshot();
        let outcome = app.authority.admin_finish(snapshot.policy(), &identity, &body(&bytes)?, caller.peer.ip())?;
        install(app)?;
        Ok(outcome)
    })
    .await
}

/// Hands a login's tap to the browser.
#[utoipa::path(post, path = "/v1/login/browser", request_body = tapgate_api::BrowserBegin,
    responses((status = 200, body = tapgate_api::BrowserRequest), (status = 403, body = tapgate_api::ApiError)))]
pub(super) async fn login_browser(State(app): Shared, Extension(caller): Extension<Caller>, bytes: Bytes) -> Reply {
    blocking(&app, move |app| app.authority.browser_begin(&app.origin, Asker::Login, &body(&bytes)?, caller.peer.ip()))
        .await
}

/// Hands an enrolment to the browser.
#[utoipa::path(post, path = "/v1/enrol/browser", request_body = tapgate_api::BrowserBegin,
    responses((status = 200, body = tapgate_api::BrowserRequest), (status = 403, body = tapgate_api::ApiError)))]
pub(super) async fn enrol_browser(State(app): Shared, Extension(caller): Extension<Caller>, bytes: Bytes) -> Reply {
    blocking(&app, move |app| {
        app.authority.browser_begin(&app.origin, Asker::Enrolment, &body(&bytes)?, caller.peer.ip())
    })
    .await
}

/// Hands a session's tap to the browser.
#[utoipa::path(post, path = "/v1/sessions/browser", request_body = tapgate_api::BrowserBegin,
    responses((status = 200, body = tapgate_api::BrowserRequest), (status = 403, body = tapgate_api::ApiError)))]
pub(super) async fn session_browser(State(app): Shared, Extension(caller): Extension<Caller>, bytes: Bytes) -> Reply {
    blocking(&app, move |app| {
        let identity = identity(app, &caller)?;
        app.authority.browser_begin(&app.origin, Asker::Session(&identity), &body(&bytes)?, caller.peer.ip())
    })
    .await
}

/// Hands an administrator's tap to the browser.
#[utoipa::path(post, path = "/v1/admin/browser", request_body = tapgate_api::BrowserBegin,
    responses((status = 200, body = tapgate_api::BrowserRequest), (status = 403, body = tapgate_api::ApiError)))]
pub(super) async fn admin_browser(State(app): Shared, Extension(caller): Extension<Caller>, bytes: Bytes) -> Reply {
    blocking(&app, move |app| {
        let identity = identity(app, &caller)?;
        app.authority.browser_begin(&app.origin, Asker::Admin(&identity), &body(&bytes)?, caller.peer.ip())
    })
    .await
}

/// Hands a new key, or the tap for a change of the caller's devices, to the browser.
#[utoipa::path(post, path = "/v1/devices/browser", request_body = tapgate_api::BrowserBegin,
    responses((status = 200, body = tapgate_api::BrowserRequest), (status = 403, body = tapgate_api::ApiError)))]
pub(super) async fn device_browser(State(app): Shared, Extension(caller): Extension<Caller>, bytes: Bytes) -> Reply {
    blocking(&app, move |app| {
        let identity = identity(app, &caller)?;
        app.authority.browser_begin(&app.origin, Asker::Device(&identity), &body(&bytes)?, caller.peer.ip())
    })
    .await
}

/// The resources that the caller may read.
#[utoipa::path(get, path = "/v1/resources", responses((status = 200, body = Vec<tapgate_api::ResourceText>)))]
pub(super) async fn resources(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    Query(query): Query<HashMap<String, String>>,
) -> Reply {
    blocking(&app, move |app| {
        let identity = identity(app, &caller)?;
        let (kind, name) = (query.get("kind").map(String::as_str), query.get("name").map(String::as_str));
        app.authority.resources(app.gate.snapshot().policy(), &identity, kind, name)
    })
    .await
}

/// The gate's state.
#[utoipa::path(get, path = "/v1/status", responses((status = 200, body = Status)))]
pub(super) async fn status(State(app): Shared, Extension(caller): Extension<Caller>) -> Reply {
    let status = identity(&app, &caller).map(|identity| Status {
        cluster: app.cluster.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ca_pin: format!("sha256:{}", app.authority.ca_pin()),
        live_sessions: u64::try_from(app.gate.live_count()).unwrap_or(u64::MAX),
        kube_problems: kube_problems(&app, identity.user()),
        apps_down: apps::down(&app, identity.user()),
    });
    status.into()
}

/// Every authority's public half.
#[utoipa::path(get, path = "/v1/authorities", responses((status = 200, body = tapgate_api::Authorities)))]
pub(super) async fn authorities(State(app): Shared, Extension(caller): Extension<Caller>) -> Reply {
    identity(&app, &caller).and_then(|_| app.authority.authorities()).into()
}

/// What is wrong with clusters, for those who may read their resources.
fn kube_problems(app: &App, user: &UserName) -> Vec<String> {
    let may = app.gate.snapshot().policy().may_administer(user, ResourceKind::KubeCluster, Verb::Read);
    let wrong = if may { app.kube.wrong() } else { Vec::new() };
    wrong.into_iter().map(|(name, wrong)| format!("{name}: {wrong}")).collect()
}

/// Whether the gate can connect to a target, for whoever may add one.
#[utoipa::path(post, path = "/v1/reach", request_body = ReachAsk, responses((status = 200, body = Reach)))]
pub(super) async fn reach(State(app): Shared, Extension(caller): Extension<Caller>, bytes: Bytes) -> Reply {
    let asked = identity(&app, &caller).and_then(|caller| {
        let ReachAsk { kind, name } = body(&bytes)?;
        let bad = |e: String| Fault::invalid(e, "name a target as `tapctl get` lists it");
        let resource: ResourceKind = kind.parse().map_err(bad)?;
        if !app.gate.snapshot().policy().may_administer(caller.user(), resource, Verb::Create) {
            return Err(Fault::denied("you may not try targets (your roles have no rule to create them)"));
        }
        let found = Kind::ALL.into_iter().find(|known| known.as_str() == kind);
        let kind = found.ok_or_else(|| bad(format!("{kind} is no kind of target")))?;
        let name: TargetName = name.parse().map_err(|e: NameError| bad(e.to_string()))?;
        Ok((kind, name))
    });
    let (kind, name) = match asked {
        Ok(asked) => asked,
        Err(fault) => return Err::<(), _>(fault).into(),
    };
    let looked = app.gate.look_at(kind, &name).await;
    let gone = || Fault::not_found(format!("there is no {kind} \"{name}\""));
    looked.map(|answer| Reach { down: answer.err() }).ok_or_else(gone).into()
}

/// Why a user may or may not open a target; for administrators.
#[utoipa::path(get, path = "/v1/explain", responses((status = 200, body = Explanation)))]
pub(super) async fn explain(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    Query(query): Query<HashMap<String, String>>,
) -> Reply {
    let explained = identity(&app, &caller).and_then(|caller| {
        let snapshot = app.gate.snapshot();
        if !snapshot.policy().may_administer(caller.user(), ResourceKind::Role, Verb::Read) {
            return Err(Fault::denied("you may not read roles, which an explanation shows"));
        }
        let text = |key: &str| query.get(key).map(String::as_str).unwrap_or_default();
        let wrong = |e: &dyn std::fmt::Display| Fault::invalid(e.to_string(), "give ?user=…&target=…");
        let user: UserName = text("user").parse().map_err(|e| wrong(&e))?;
        let name: TargetName = text("target").parse().map_err(|e| wrong(&e))?;
        explanation(&app, &user, &name)
    });
    explained.into()
}

fn explanation(app: &App, user: &UserName, name: &TargetName) -> Result<Explanation, Fault> {
    let gate = &app.gate;
    let snapshot = gate.snapshot();
    let policy = snapshot.policy();
    let Some(node) = policy.node(name) else { return Err(Fault::not_found(format!("there is no node \"{name}\""))) };
    let logins = policy.logins(user, Kind::Node, name, &node.uid, &node.labels);
    let parsed: Vec<Login> = logins.iter().filter_map(|l| l.parse().ok().map(Login::Unix)).collect();
    let verdicts = parsed.iter().map(|login| {
        let wish = [(Kind::Node, name.clone(), login.clone())];
        match gate.requirement(user, &wish) {
            Ok(all) if all.mfa == tapgate_policy::SessionMfa::Off => format!("as {login}: allowed"),
            Ok(all) => format!("as {login}: allowed after a tap, for {} seconds", all.window.as_secs()),
            Err((_, denial)) => format!("as {login}: denied, {}", denial.reason()),
        }
    });
    let mut verdicts: Vec<String> = verdicts.collect();
    if verdicts.is_empty() {
        verdicts.push("denied: no role gives a login here".to_owned());
    }
    let login = parsed.first().cloned().or_else(|| user.as_str().parse().ok().map(Login::Unix));
    let roles = login.map(|login| policy.explain(user, Kind::Node, name, &node.uid, &node.labels, &login));
    let roles = roles.unwrap_or_default().into_iter().map(|(role, says)| ExplainRole { role: role.to_string(), says });
    Ok(Explanation { user: user.to_string(), target: name.to_string(), verdicts, roles: roles.collect() })
}

/// The word that `find` uses for a second factor.
const fn factor(factor: SecondFactor) -> &'static str {
    match factor {
        SecondFactor::WebAuthn => "webauthn",
        SecondFactor::Otp => "otp",
        SecondFactor::Sso => "sso",
    }
}

/// Reads what is true now out of the store and makes the gate judge by it. One at a time, so that
/// an older state can't overwrite a newer one.
pub(super) fn install(app: &App) -> Result<(), Fault> {
    read_and_install(app).map_err(Fault::internal)
}

/// The same, for who tells the operator.
pub(super) fn read_and_install(app: &App) -> Result<(), AuthorityError> {
    let _one_at_a_time = app.installing.lock().unwrap_or_else(PoisonError::into_inner);
    app.gate.install(app.authority.snapshot()?);
    Ok(())
}
