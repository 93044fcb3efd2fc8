//! What becomes of an API server's answer on its way back, and of a body whose name decides on its way there.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use tapgate_model::TargetName;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::body::{Body, Watched, whole};
use crate::filter::{Sifted, is_plain_json, list, name_in};
use crate::limits::{ANSWER_MAX, CREATE_BYTES_MAX, LIST_BYTES_MAX, LISTS_MAX};
use crate::rules::{Filter, Passage};
use crate::sessions::Using;
use crate::status::Refused;

/// What kubectl says beside a list of which something was taken out.
const A_PART: HeaderValue = HeaderValue::from_static("299 - \"your roles show you a part of this list\"");

/// Answers on their way back.
pub(crate) struct Answers {
    /// Room for lists that are filtered.
    lists: Semaphore,
}

impl Default for Answers {
    fn default() -> Self {
        Self { lists: Semaphore::new(LISTS_MAX) }
    }
}

impl Answers {
    /// The answer as the client gets it. Only what succeeded holds objects.
    pub(crate) async fn shaped(
        &self,
        response: Response<Incoming>,
        passage: Passage,
        using: Using,
    ) -> Result<Response<Body>, Refused> {
        let failed = !response.status().is_success();
        let filtered = matches!(passage, Passage::List(_) | Passage::Watch(_)) && !failed;
        if filtered && !is_plain_json(response.headers()) {
            return Err(Refused::new(
                StatusCode::NOT_ACCEPTABLE,
                "your roles show you a part of this, and the API server has not answered with JSON",
            ));
        }
        let (mut head, body) = response.into_parts();
        let body = Watched::new(body, using);
        let body = match passage {
            Passage::List(filter) if filtered => {
                head.headers.remove(header::CONTENT_LENGTH);
                let (shown, all) = self.list(body, filter).await?;
                if !all {
                    head.headers.append(header::WARNING, A_PART);
                }
                whole(shown)
            }
            Passage::Watch(filter) if filtered => {
                head.headers.remove(header::CONTENT_LENGTH);
                Sifted::new(body, filter).boxed_unsync()
            }
            _ => body.boxed_unsync(),
        };
        Ok(Response::from_parts(head, body))
    }

    /// The list as far as it is shown, and whether that is all of it.
    async fn list(&self, body: Watched, filter: Filter) -> Result<(Bytes, bool), Refused> {
        let _room = self.lists.acquire().await;
        let all = timeout(ANSWER_MAX, Limited::new(body, LIST_BYTES_MAX).collect()).await;
        let all = all.ok().and_then(Result::ok).ok_or_else(|| {
            Refused::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "your roles show you a part of this list, and it is too large to be looked at (ask with a limit)",
            )
        })?;
        let text = all.to_bytes();
        let length = text.len();
        let shown = tokio::task::spawn_blocking(move || list(&text, &filter)).await.ok().flatten();
        let shown = shown.map(|shown| {
            let all = shown.len() == length;
            (shown, all)
        });
        shown.ok_or_else(|| {
            Refused::new(StatusCode::BAD_GATEWAY, "your roles show you a part of this list, and it can't be read")
        })
    }
}

/// A body that creates something, where its name decides whether it may.
pub(crate) async fn named(filter: &Filter, body: Incoming, cluster: &TargetName) -> Result<Body, Refused> {
    let all = timeout(ANSWER_MAX, Limited::new(body, CREATE_BYTES_MAX).collect()).await;
    let all = all.ok().and_then(Result::ok);
    let all = all.ok_or_else(|| Refused::new(StatusCode::PAYLOAD_TOO_LARGE, "what shall be created is too large"))?;
    let body = all.to_bytes();
    match name_in(&body) {
        Some(name) if filter.may_create(&name) => Ok(whole(body)),
        Some(name) => {
            Err(Refused::forbidden(format!("your roles do not let you create {name:?} in the cluster \"{cluster}\"")))
        }
        None => Err(Refused::forbidden(
            "your roles let you create some names only, and there is none that can be read (send JSON with a name)",
        )),
    }
}
