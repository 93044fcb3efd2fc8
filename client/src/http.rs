//! Requests to the gate's `/v1` interface: JSON in, JSON out, one connection each.

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tapgate_api::ApiError;
use tapgate_identity::Lineage;
use tokio::time::timeout;

use crate::error::{Act as _, Failure, Result};
use crate::limits::{BODY_BYTES_MAX, REQUEST_WAIT};
use crate::tls::{Alpn, Tls};

/// The gate's interface, over this TLS.
pub struct Http {
    tls: Tls,
}

impl Http {
    /// Requests that go over `tls`.
    pub const fn new(tls: Tls) -> Self {
        Self { tls }
    }

    /// What TLS has proven of the gate's CA, where that has been another before.
    pub fn seen(&self) -> Option<Lineage> {
        self.tls.seen()
    }

    /// `GET path?query`.
    pub async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T> {
        let uri = if query.is_empty() {
            path.to_owned()
        } else {
            let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
            format!("{path}?{query}")
        };
        self.send(Method::GET, &uri, Vec::new()).await
    }

    /// `POST path` with a JSON body.
    pub async fn post<B: Serialize, T: DeserializeOwned>(&self, path: &str, body: &B) -> Result<T> {
        let body = serde_json::to_vec(body).act(|| "the request cannot be written".to_owned())?;
        self.post_bytes(path, body).await
    }

    /// `POST path` with these bytes, which are JSON; for bodies whose hash a tap signs.
    pub async fn post_bytes<T: DeserializeOwned>(&self, path: &str, body: Vec<u8>) -> Result<T> {
        self.send(Method::POST, path, body).await
    }

    async fn send<T: DeserializeOwned>(&self, method: Method, uri: &str, body: Vec<u8>) -> Result<T> {
        let late = || Failure::new(format!("the gate {} gave no answer in time", self.tls.gate()));
        let (status, answer) = timeout(REQUEST_WAIT, self.exchange(method, uri, body)).await.map_err(|_| late())??;
        if status.is_success() {
            return serde_json::from_slice(&answer).act(|| "the gate's answer cannot be read".to_owned());
        }
        Err(serde_json::from_slice::<ApiError>(&answer)
            .map_or_else(|_| Failure::new(format!("the gate answered {status} to {uri}")), Failure::from))
    }

    async fn exchange(&self, method: Method, uri: &str, body: Vec<u8>) -> Result<(StatusCode, Bytes)> {
        let gate = self.tls.gate();
        let broken = || format!("the gate {gate} ended the connection");
        let stream = self.tls.connect(Alpn::Http).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.act(broken)?;
        // Its errors reach us through the request as well.
        let driver = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header(HOST, gate.to_string())
            .header(USER_AGENT, concat!("tapgate-client/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .act(|| "the request cannot be written".to_owned())?;
        let refused = |failure: Failure| failure.advise("if it goes on, run tap login again");
        let response = sender.send_request(request).await.map_err(|error| refused(Failure::new(chain(&error))))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), BODY_BYTES_MAX).collect().await.act(broken)?;
        driver.abort();
        Ok((status, body.to_bytes()))
    }
}

/// An error with its causes: hyper's own text hides the TLS alert that says why.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = format!("the gate ended the connection: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
