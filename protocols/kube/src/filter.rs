//! Lists and watches with what a role may not see taken out, byte for byte the same otherwise.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, header};
use hyper::body::{Body as HttpBody, Frame};
use serde::Deserialize;

use crate::body::{BoxError, Watched};
use crate::json::{Scanner, elements};
use crate::limits::EVENT_BYTES_MAX;
use crate::rules::Filter;

/// What is read of an object.
#[derive(Deserialize, Default)]
struct Object {
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Deserialize, Default)]
struct Metadata {
    #[serde(default)]
    name: String,
    #[serde(default)]
    namespace: String,
}

/// A row of a table holds what it is about, unless the client does not want it: then it can't be shown.
#[derive(Deserialize)]
struct Row {
    #[serde(default)]
    object: Object,
}

#[derive(Deserialize)]
struct Table {
    #[serde(default)]
    rows: Vec<Row>,
}

/// An event, read as one about `T`.
#[derive(Deserialize)]
struct Event<T> {
    #[serde(rename = "type")]
    kind: String,
    object: T,
}

/// What an event's object is, and its name.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Changed {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    metadata: Metadata,
}

impl Changed {
    /// Only the API server itself makes these; an object of somebody's own kind can't pass for one.
    fn is_table(&self) -> bool {
        self.kind == "Table" && self.api_version.starts_with("meta.k8s.io/")
    }
}

impl Metadata {
    fn passes(&self, filter: &Filter) -> bool {
        filter.passes(&self.namespace, &self.name)
    }
}

/// Asks for an answer that can be filtered: JSON, be it a list or a table, and not packed.
pub(crate) fn negotiate(headers: &mut HeaderMap) {
    let json = |range: &&str| range.split(';').next().is_some_and(|kind| kind.trim() == "application/json");
    let accepted: Vec<String> = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter(json)
        .map(|range| range.trim().to_owned())
        .collect();
    let plain = HeaderValue::from_static("application/json");
    let accept = HeaderValue::from_str(&accepted.join(",")).ok().filter(|value| !value.is_empty()).unwrap_or(plain);
    headers.insert(header::ACCEPT, accept);
    headers.remove(header::ACCEPT_ENCODING);
}

/// Whether an answer has the form that was asked for.
pub(crate) fn is_plain_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim() == "application/json")
        && !headers.contains_key(header::CONTENT_ENCODING)
}

/// A list or a table without what does not pass; `None` where it is neither.
pub(crate) fn list(text: &Bytes, filter: &Filter) -> Option<Bytes> {
    let found = elements(text, &["items", "rows"])?;
    let passes = |range: &std::ops::Range<usize>| {
        let Some(element) = text.get(range.clone()) else { return false };
        if found.name == "rows" {
            serde_json::from_slice::<Row>(element).is_ok_and(|row| row.object.metadata.passes(filter))
        } else {
            serde_json::from_slice::<Object>(element).is_ok_and(|object| object.metadata.passes(filter))
        }
    };
    let kept: Vec<_> = found.each.iter().filter(|range| passes(range)).cloned().collect();
    if kept.len() == found.each.len() {
        return Some(text.clone());
    }
    let mut out = BytesMut::with_capacity(text.len());
    out.extend_from_slice(text.get(..found.inside.start)?);
    for (number, range) in kept.into_iter().enumerate() {
        if number > 0 {
            out.extend_from_slice(b",");
        }
        out.extend_from_slice(text.get(range)?);
    }
    out.extend_from_slice(text.get(found.inside.end..)?);
    Some(out.freeze())
}

/// The name of what a body creates, where it is JSON that says so once.
pub(crate) fn name_in(body: &[u8]) -> Option<String> {
    let object: Object = serde_json::from_slice(body).ok()?;
    Some(object.metadata.name).filter(|name| !name.is_empty())
}

/// A watch whose events are looked at one by one.
pub(crate) struct Sifted {
    body: Watched,
    sieve: Sieve,
}

/// Takes bytes in, and gives out whole events that pass.
struct Sieve {
    filter: Filter,
    scanner: Scanner,
    event: BytesMut,
}

impl Sifted {
    pub(crate) fn new(body: Watched, filter: Filter) -> Self {
        Self { body, sieve: Sieve { filter, scanner: Scanner::default(), event: BytesMut::new() } }
    }
}

impl Sieve {
    fn sift(&mut self, bytes: &[u8]) -> Result<Bytes, BoxError> {
        let mut out = BytesMut::new();
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| self.scanner.ends_with(*byte)) {
            let (last, after) = rest.split_at(end + 1);
            self.event.extend_from_slice(last);
            let event = self.event.split();
            if self.passes(&event) {
                out.extend_from_slice(event.trim_ascii());
                out.extend_from_slice(b"\n");
            }
            rest = after;
        }
        self.event.extend_from_slice(rest);
        if self.event.len() > EVENT_BYTES_MAX {
            return Err("an event is too large to be looked at".into());
        }
        Ok(out.freeze())
    }

    /// Bookmarks and errors are about no object.
    fn passes(&self, event: &[u8]) -> bool {
        let Ok(Event { kind, object }) = serde_json::from_slice::<Event<Changed>>(event) else { return false };
        if matches!(kind.as_str(), "BOOKMARK" | "ERROR") {
            return true;
        }
        if !object.is_table() {
            return object.metadata.passes(&self.filter);
        }
        let rows = serde_json::from_slice::<Event<Table>>(event).map(|event| event.object.rows).unwrap_or_default();
        !rows.is_empty() && rows.iter().all(|row| row.object.metadata.passes(&self.filter))
    }
}

impl HttpBody for Sifted {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(cx)?) else { return Poll::Ready(None) };
            // Trailers say nothing here.
            let Ok(bytes) = frame.into_data() else { continue };
            let passed = self.sieve.sift(&bytes)?;
            if !passed.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(passed))));
            }
        }
    }
}
