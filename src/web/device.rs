//! The handlers of `/v1/devices`: a user's own security keys and one-time codes.

use axum::Extension;
use axum::extract::State;
use bytes::Bytes;

use super::Caller;
use super::api::{Shared, install};
use super::reply::{Reply, blocking, body, identity};

/// The caller's devices.
#[utoipa::path(get, path = "/v1/devices", responses((status = 200, body = tapgate_api::Devices)))]
pub(super) async fn list(State(app): Shared, Extension(caller): Extension<Caller>) -> Reply {
    blocking(&app, move |app| {
        let owner = identity(app, &caller)?;
        app.authority.devices(&owner, caller.peer.ip())
    })
    .await
}

/// The caller's SSH keys.
#[utoipa::path(get, path = "/v1/ssh-keys", responses((status = 200, body = tapgate_api::SshKeyList)))]
pub(super) async fn ssh_keys(State(app): Shared, Extension(caller): Extension<Caller>) -> Reply {
    blocking(&app, move |app| {
        let owner = identity(app, &caller)?;
        app.authority.ssh_key_list(&owner, caller.peer.ip())
    })
    .await
}

/// A login certificate over one of the caller's `sk-` keys.
#[utoipa::path(post, path = "/v1/ssh-keys/certify", request_body = tapgate_api::SshKeyCertify,
    responses((status = 200, body = tapgate_api::SshKeyCertificate), (status = 404, body = tapgate_api::ApiError)))]
pub(super) async fn certify_ssh_key(State(app): Shared, Extension(caller): Extension<Caller>, bytes: Bytes) -> Reply {
    blocking(&app, move |app| {
        let owner = identity(app, &caller)?;
        app.authority.ssh_key_certificate(&owner, &body(&bytes)?, caller.peer.ip())
    })
    .await
}

/// Asks for a further security key.
#[utoipa::path(post, path = "/v1/devices", request_body = tapgate_api::DeviceBegin,
    responses((status = 200, body = tapgate_api::DeviceChallenge), (status = 403, body = tapgate_api::ApiError)))]
pub(super) async fn begin(State(app): Shared, Extension(caller): Extension<Caller>, bytes: Bytes) -> Reply {
    blocking(&app, move |app| {
        let owner = identity(app, &caller)?;
        app.authority.device_begin(&owner, &body(&bytes)?, caller.peer.ip())
    })
    .await
}

/// Gives the new key's answer, and gets the challenge for a key that is registered.
#[utoipa::path(post, path = "/v1/devices/register", request_body = tapgate_api::DeviceRegister,
    responses((status = 200, body = tapgate_api::Ceremony), (status = 403, body = tapgate_api::ApiError)))]
pub(super) async fn register(State(app): Shared, Extension(caller): Extension<Caller>, bytes: Bytes) -> Reply {
    blocking(&app, move |app| {
        let owner = identity(app, &caller)?;
        app.authority.device_register(&owner, &body(&bytes)?, caller.peer.ip())
    })
    .await
}

/// Gives the tap that vouches for the new key.
#[utoipa::path(post, path = "/v1/devices/finish", request_body = tapgate_api::Assertion,
    responses((status = 200, body = tapgate_api::DeviceOutcome), (status = 401, body = tapgate_api::ApiError)))]
pub(super) async fn finish(State(app): Shared, Extension(caller): Extension<Caller>, bytes: Bytes) -> Reply {
    blocking(&app, move |app| {
        let owner = identity(app, &caller)?;
        let outcome = app.authority.device_finish(&owner, &body(&bytes)?, caller.peer.ip())?;
        install(app)?;
        Ok(outcome)
    })
    .await
}

/// Asks for a change of the caller's devices; the tap signs the SHA-256 of this very body.
#[utoipa::path(post, path = "/v1/devices/change", request_body = tapgate_api::DeviceAction,
    responses((status = 200, body = tapgate_api::Ceremony), (status = 403, body = tapgate_api::ApiError)))]
pub(super) async fn change_begin(State(app): Shared, Extension(caller): Extension<Caller>, bytes: Bytes) -> Reply {
    blocking(&app, move |app| {
        let owner = identity(app, &caller)?;
        app.authority.device_change_begin(&owner, &bytes, caller.peer.ip())
    })
    .await
}

/// Gives the tap and has the change made. What a removed key opened ends here.
#[utoipa::path(post, path = "/v1/devices/change/finish", request_body = tapgate_api::Assertion,
    responses((status = 200, body = tapgate_api::DeviceOutcome), (status = 401, body = tapgate_api::ApiError)))]
pub(super) async fn change_finish(State(app): Shared, Extension(caller): Extension<Caller>, bytes: Bytes) -> Reply {
    blocking(&app, move |app| {
        let owner = identity(app, &caller)?;
        let outcome = app.authority.device_change_finish(&owner, &body(&bytes)?, caller.peer.ip())?;
        install(app)?;
        Ok(outcome)
    })
    .await
}

/// Shows a first one-time code.
#[utoipa::path(post, path = "/v1/devices/otp", request_body = tapgate_api::OtpConfirm,
    responses((status = 200, body = tapgate_api::DeviceOutcome), (status = 400, body = tapgate_api::ApiError)))]
pub(super) async fn otp(State(app): Shared, Extension(caller): Extension<Caller>, bytes: Bytes) -> Reply {
    blocking(&app, move |app| {
        let owner = identity(app, &caller)?;
        app.authority.device_otp(&owner, &body(&bytes)?, caller.peer.ip())
    })
    .await
}
