//! Refusals as Kubernetes clients read them: a `Status` object with the right code and reason.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde::Serialize;

/// Says that the request would be taken after a tap made now.
const FRESH_TAP: HeaderName = HeaderName::from_static(tapgate_model::tunnel::FRESH_TAP);

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) code: StatusCode,
    pub(crate) message: String,
    /// Whether a tap made now would help: said in a header for those who can ask for one.
    pub(crate) fresh_tap: bool,
    /// Whether it is told as a text: kubectl reads no `Status` where it asks what a cluster can do.
    plain: bool,
}

/// `metav1.Status` as far as a refusal needs it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status<'a> {
    kind: &'static str,
    api_version: &'static str,
    metadata: serde_json::Map<String, serde_json::Value>,
    #[serde(rename = "status")]
    outcome: &'static str,
    message: &'a str,
    reason: &'static str,
    code: u16,
}

impl Refused {
    pub(crate) fn new(code: StatusCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), fresh_tap: false, plain: false }
    }

    /// The client must show something else, usually a new certificate: clients that have a credential plugin ask it.
    pub(crate) fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, message)
    }

    /// Nothing that the client could show would help.
    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    /// A tap made now would help. Not 401: a credential plugin would give the same certificate once more.
    pub(crate) fn fresh_tap(message: impl Into<String>) -> Self {
        Self { fresh_tap: true, ..Self::forbidden(message) }
    }

    /// The request itself is wrong.
    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// The API server can't be asked now.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    /// The same as a text.
    pub(crate) fn in_plain_words(self) -> Self {
        Self { plain: true, ..self }
    }

    /// The machine-readable reason that goes with the code (`metav1.StatusReason`).
    const fn reason(&self) -> &'static str {
        match self.code.as_u16() {
            400 => "BadRequest",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "NotFound",
            413 => "RequestEntityTooLarge",
            429 => "TooManyRequests",
            503 => "ServiceUnavailable",
            504 => "Timeout",
            _ => "InternalError",
        }
    }

    /// The response.
    pub(crate) fn response(&self) -> Response<Bytes> {
        if self.plain {
            let mut response = Response::new(Bytes::from(self.message.clone()));
            *response.status_mut() = self.code;
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
            return response;
        }
        let status = Status {
            kind: "Status",
            api_version: "v1",
            metadata: serde_json::Map::new(),
            outcome: "Failure",
            message: &self.message,
            reason: self.reason(),
            code: self.code.as_u16(),
        };
        let mut response = Response::new(Bytes::from(serde_json::to_vec(&status).unwrap_or_default()));
        *response.status_mut() = self.code;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if self.fresh_tap {
            response.headers_mut().insert(FRESH_TAP, HeaderValue::from_static("required"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_that_kubectl_reads() {
        let response = Refused::forbidden("no").response();
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap_or_default();
        assert_eq!(body["kind"], "Status");
        assert_eq!(body["apiVersion"], "v1");
        assert_eq!(body["status"], "Failure");
        assert_eq!(body["reason"], "Forbidden");
        assert_eq!(body["code"], 403);
    }
}
