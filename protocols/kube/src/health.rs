//! Whether clusters let the gate be others: asked of the API server itself, and said in the log before users wonder.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use futures::future::join_all;
use http::{HeaderValue, Method, Request, Uri, header};
use http_body_util::{BodyExt as _, Limited};
use serde_json::{Value, json};
use tapgate_model::TargetName;
use tokio::time::timeout;

use crate::body::{BoxError, whole};
use crate::limits::{ANSWER_MAX, HEALTH_AGE_MAX, REVIEW_BYTES_MAX};
use crate::upstream::{Sender, send};

/// Where the API server is asked what its caller may do.
const REVIEWS: &str = "apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

/// What the clusters last said.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Mutex<HashMap<TargetName, Known>>>);

#[derive(Debug)]
struct Known {
    /// When it was asked; what was merely noticed is asked anew by the next session.
    asked: Option<Instant>,
    /// What is wrong, in words for the operator.
    wrong: Option<String>,
}

impl Health {
    fn all(&self) -> MutexGuard<'_, HashMap<TargetName, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The clusters with which something is wrong, and what, by name.
    pub fn wrong(&self) -> Vec<(TargetName, String)> {
        let all = self.all();
        let mut wrong: Vec<_> =
            all.iter().filter_map(|(name, known)| Some((name.clone(), known.wrong.clone()?))).collect();
        wrong.sort_unstable();
        wrong
    }

    /// Notes what went wrong with a cluster before it could be asked.
    pub(crate) fn note(&self, cluster: &TargetName, wrong: String) {
        self.all().insert(cluster.clone(), Known { asked: None, wrong: Some(wrong) });
    }

    /// Asks a cluster by a session that has just begun, unless it was asked not long ago.
    pub(crate) async fn ask(self, cluster: TargetName, sender: Sender, base: Uri) {
        {
            let mut all = self.all();
            if all.get(&cluster).and_then(|known| known.asked).is_some_and(|asked| asked.elapsed() < HEALTH_AGE_MAX) {
                return;
            }
            // Whoever comes meanwhile does not ask as well; what was wrong is wrong until the answer is there.
            let wrong = all.remove(&cluster).and_then(|known| known.wrong);
            all.insert(cluster.clone(), Known { asked: Some(Instant::now()), wrong });
        }
        let asked = join_all(["users", "groups"].map(|resource| may(sender.clone(), &base, resource))).await;
        let wrong = match asked.as_slice() {
            [Ok(true), Ok(_)] => None,
            [Ok(false), _] => Some(
                "the gate may not impersonate users there, so that every request is refused (bind its user to a role \
                 that may)"
                    .to_owned(),
            ),
            answers => answers
                .iter()
                .find_map(|answer| answer.as_ref().err())
                .map(|error| format!("it can't be asked: {error}")),
        };
        if let [Ok(true), Ok(false)] = asked.as_slice() {
            tracing::warn!(%cluster, "The gate may not impersonate all groups in a cluster; roles that name others fail");
        }
        if let Some(wrong) = &wrong {
            tracing::warn!(%cluster, wrong, "Something is wrong with a cluster");
        }
        self.all().insert(cluster, Known { asked: Some(Instant::now()), wrong });
    }
}

/// Whether the gate may impersonate these.
async fn may(sender: Sender, base: &Uri, resource: &str) -> Result<bool, BoxError> {
    let attributes = json!({ "verb": "impersonate", "resource": resource });
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": { "resourceAttributes": attributes },
    });
    let uri = format!("{}/{REVIEWS}", base.to_string().trim_end_matches('/'));
    let request = Request::builder()
        .method(Method::POST)
        .uri(uri)
        .header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .header(header::ACCEPT, HeaderValue::from_static("application/json"))
        .body(whole(Bytes::from(review.to_string())))?;
    let response = timeout(ANSWER_MAX, send(sender, request)).await??;
    let status = response.status();
    let body = timeout(ANSWER_MAX, Limited::new(response.into_body(), REVIEW_BYTES_MAX).collect()).await??.to_bytes();
    let review: Value = serde_json::from_slice(&body)?;
    review["status"]["allowed"].as_bool().ok_or_else(|| format!("it answers with {status}").into())
}
