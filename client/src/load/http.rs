//! One request to an application or to a cluster, over a connection of its own.

use std::time::Instant;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, HOST, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;

use super::route::Route;
use super::tally::{Fault, Kind};

/// Asks for the path and reads the answer to its end; answers when the door was reached.
pub(super) async fn session(route: &Route, path: &str) -> Result<Instant, Fault> {
    let place = route.place().await?;
    let broken = |error: hyper::Error| Fault::new(Kind::Broken, format!("the connection ended: {error}"));
    let (mut sender, connection) = http1::handshake(TokioIo::new(place.stream)).await.map_err(broken)?;
    // Its errors reach us through the request as well.
    let driver = tokio::spawn(connection);
    let mut request = Request::get(format!("{}{path}", place.prefix))
        .header(HOST, place.host)
        .header(ACCEPT, "*/*")
        .header(USER_AGENT, concat!("tapgate-bench/", env!("CARGO_PKG_VERSION")));
    if let Some(user) = place.user {
        request = request.header("impersonate-user", user);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(Fault::of(Kind::Answer))?;
    let response = sender.send_request(request).await.map_err(broken)?;
    let status = response.status();
    let mut body = response.into_body();
    // Frame by frame, so that no answer is too large.
    while let Some(frame) = body.frame().await {
        frame.map_err(broken)?;
    }
    driver.abort();
    if status.is_success() || status.is_redirection() {
        return Ok(place.reached);
    }
    let refused = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    let kind = if refused { Kind::Refused } else { Kind::Answer };
    Err(Fault::new(kind, format!("the answer to {path} is {status}")))
}
