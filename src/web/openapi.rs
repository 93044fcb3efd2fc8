//! `/v1/openapi.json`: the interface, described by itself.

use utoipa::OpenApi;

use super::{api, apps, audit, device, live, recordings, sso};

/// The whole of `/v1`.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tapgate",
        description = "The gate's interface. All but find, login and enrol need a login certificate (mTLS)."
    ),
    paths(
        api::find,
        api::login_begin,
        api::login_finish,
        api::login_otp,
        api::login_passwordless,
        device::list,
        device::begin,
        device::register,
        device::finish,
        device::change_begin,
        device::change_finish,
        device::otp,
        device::ssh_keys,
        device::certify_ssh_key,
        api::device_browser,
        live::list,
        live::end,
        live::all,
        live::kill,
        api::login_browser,
        api::enrol_begin,
        api::enrol_finish,
        api::enrol_browser,
        audit::log,
        audit::checkpoints,
        audit::keys,
        recordings::all,
        recordings::one,
        api::targets,
        api::authorities,
        api::reach,
        apps::list,
        api::session_begin,
        api::session_finish,
        api::session_browser,
        api::admin_begin,
        api::admin_finish,
        api::admin_browser,
        api::resources,
        api::status,
        api::explain,
        sso::login_begin,
        sso::login_finish,
        sso::session_begin,
        sso::session_finish,
        document
    ),
    components(schemas(tapgate_api::ApiError))
)]
struct Document;

/// This document.
#[utoipa::path(get, path = "/v1/openapi.json",
    responses((status = 200, description = "The interface, described by itself.", body = serde_json::Value)))]
pub(super) async fn document() -> axum::Json<utoipa::openapi::OpenApi> {
    axum::Json(Document::openapi())
}
