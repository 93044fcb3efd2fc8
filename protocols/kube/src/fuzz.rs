//! Fuzz bodies: plain functions that panic where something is wrong.

use crate::inflate::Headers;
use crate::json::elements;
use crate::path::split;
use crate::request_info::RequestInfo;
use crate::trace::Trace;
use crate::ways::{Dialect, Reading, Side};

/// What passes in an exec or attach that is recorded. The first byte says how it is packed; of each chunk the first byte
/// says who sends it.
pub fn stream(bytes: &[u8]) {
    let [dialect, rest @ ..] = bytes else { return };
    let dialect = if dialect & 1 == 0 { Dialect::WebSocket } else { Dialect::Spdy };
    let mut reading = Reading::of(Trace::new(Box::new(|_| {}), dialect == Dialect::Spdy), dialect);
    for chunk in rest.chunks(61) {
        let [head, data @ ..] = chunk else { continue };
        if reading.sees(if head & 1 == 0 { Side::Client } else { Side::Server }, data).is_err() {
            return;
        }
    }
    reading.over();
}

/// A block of SPDY headers, and another after it.
pub fn headers(bytes: &[u8]) {
    let mut headers = Headers::default();
    let (first, second) = bytes.split_at(bytes.len() / 2);
    if headers.block(first).is_some() {
        drop(headers.block(second));
    }
}

/// A path and a query of any text.
pub fn request(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let (path, query) = text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)));
    if let Ok(split) = split(path) {
        let info = RequestInfo::parse("GET", split.rest, query);
        holds(info.is_resource() || info.name.is_empty(), "what is no resource has no name");
    }
}

/// A list of any bytes: what is found in it lies within it, in order.
pub fn list(bytes: &[u8]) {
    if let Some(found) = elements(bytes, &["items", "rows"]) {
        let mut at = found.inside.start;
        for each in found.each {
            holds(at <= each.start && each.start < each.end && each.end <= found.inside.end, "it is in its place");
            at = each.end;
        }
        holds(found.inside.end <= bytes.len(), "it is within the text");
    }
}

fn holds(condition: bool, what: &str) {
    assert!(condition, "{what}");
}
