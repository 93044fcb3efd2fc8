//! Traces for who runs an OpenTelemetry collector beside the gate: OTLP in its JSON form, posted by the gate's own hyper.
//! `OTEL_EXPORTER_OTLP_ENDPOINT` says where; without it nothing of this runs (ADR 0032).

use std::fmt::Debug;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::limits::{TRACES_AT_ONCE, TRACES_EVERY, TRACES_POST_MAX, TRACES_WAITING_MAX};
use crate::words::words;

/// What a collector takes traces at, below its address.
const PATH: &str = "/v1/traces";

/// Where the environment says that a collector is.
pub(crate) fn endpoint() -> Option<String> {
    std::env::var("OTEL_EXPORTER_OTLP_ENDPOINT").ok().filter(|place| !place.is_empty())
}

/// Which spans are told: the gate's own, with those that its log leaves out.
pub(crate) fn own() -> Targets {
    Targets::new().with_target("tapgate", LevelFilter::DEBUG)
}

/// Sees spans begin and end.
pub(crate) struct Traces {
    ended: mpsc::Sender<Value>,
}

/// A span that has not ended.
struct Open {
    trace: String,
    id: String,
    parent: Option<String>,
    begun: String,
    attributes: Vec<Value>,
}

impl Traces {
    /// Begins to post what ends to this collector, from a thread of its own.
    pub(crate) fn to(endpoint: &str) -> Result<Self> {
        let whole: Uri = format!("{}{PATH}", endpoint.trim_end_matches('/')).parse()?;
        ensure!(
            whole.scheme_str() == Some("http"),
            "{endpoint} is not an http:// address (run a collector beside the gate)"
        );
        whole.host().with_context(|| format!("{endpoint} names no host"))?;
        let (ended, spans) = mpsc::channel(TRACES_WAITING_MAX);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new()
            .name("traces".to_owned())
            .spawn(move || runtime.block_on(post_all(whole, spans)))?;
        Ok(Self { ended })
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Traces {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let above = span.parent().and_then(|parent| {
            let extensions = parent.extensions();
            extensions.get::<Open>().map(|open| (open.trace.clone(), open.id.clone()))
        });
        let (trace, parent) = above.map_or_else(|| (number(16), None), |(trace, id)| (trace, Some(id)));
        let mut open = Open { trace, id: number(8), parent, begun: now(), attributes: Vec::new() };
        attributes.record(&mut open);
        span.extensions_mut().insert(open);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(open) = span.extensions_mut().get_mut::<Open>() {
            values.record(open);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(open) = span.extensions_mut().remove::<Open>() else { return };
        let mut told = json!({
            "traceId": open.trace, "spanId": open.id, "name": span.name(), "kind": 2,
            "startTimeUnixNano": open.begun, "endTimeUnixNano": now(), "attributes": open.attributes,
        });
        if let Some(parent) = open.parent {
            told["parentSpanId"] = Value::from(parent);
        }
        // A collector that is too slow gets fewer spans; nobody waits for it.
        if self.ended.try_send(told).is_err() {
            metrics::counter!("tapgate_spans_lost_total").increment(1);
        }
    }
}

impl Visit for Open {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let value = json!({ "stringValue": format!("{value:?}") });
        self.attributes.push(json!({ "key": field.name(), "value": value }));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.attributes.push(json!({ "key": field.name(), "value": { "stringValue": value } }));
    }
}

fn number(bytes: usize) -> String {
    let number: [u8; 16] = rand::random();
    hex::encode(number.get(..bytes).unwrap_or_default())
}

fn now() -> String {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos().to_string()
}

/// Posts what has ended, many at once, for as long as there is a gate.
async fn post_all(to: Uri, mut ended: mpsc::Receiver<Value>) {
    let mut well = true;
    loop {
        let mut spans = Vec::new();
        if ended.recv_many(&mut spans, TRACES_AT_ONCE).await == 0 {
            return;
        }
        sleep(TRACES_EVERY).await;
        while spans.len() < TRACES_AT_ONCE
            && let Ok(span) = ended.try_recv()
        {
            spans.push(span);
        }
        let posted = timeout(TRACES_POST_MAX, post(&to, &spans)).await;
        let posted = posted.context("it does not answer").and_then(|posted| posted);
        if let (true, Err(error)) = (well, &posted) {
            tracing::warn!(%to, error = words(error), "Traces do not reach their collector");
        }
        well = posted.is_ok();
    }
}

async fn post(to: &Uri, spans: &[Value]) -> Result<()> {
    let authority = to.authority().context("it has no address")?;
    let scope = json!({ "scope": { "name": "tapgate" }, "spans": spans });
    let name = json!({ "key": "service.name", "value": { "stringValue": "tapgate" } });
    let body = json!({ "resourceSpans": [{ "resource": { "attributes": [name] }, "scopeSpans": [scope] }] });
    let host = authority.host().trim_matches(['[', ']']);
    #[expect(clippy::disallowed_methods, reason = "a collector is no target: no session goes there")]
    let stream = TcpStream::connect((host, authority.port_u16().unwrap_or(4318))).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let request = Request::post(to.path()).header(HOST, authority.as_str()).header(CONTENT_TYPE, "application/json");
    let answer = sender.send_request(request.body(Full::new(Bytes::from(body.to_string())))?).await;
    driver.abort();
    let status = answer?.status();
    ensure!(status.is_success(), "it answers {status}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_beside_the_gate() {
        for (place, good) in [
            ("http://127.0.0.1:4318", true),
            ("http://collector:4318/", true),
            ("https://collector:4318", false),
            ("collector:4318", false),
            ("http://", false),
        ] {
            assert_eq!(Traces::to(place).is_ok(), good, "{place}");
        }
        assert_eq!((number(16).len(), number(8).len()), (32, 16));
    }
}
