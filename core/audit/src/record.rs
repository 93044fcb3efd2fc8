//! A record: an event with its number, its time and its place in the chain, as one line of JSON.

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};
use tapgate_model::{Digest, UnixTime};

use crate::Event;

/// What the first record names as the one before it.
pub const GENESIS: Digest = Digest::from_bytes([0; 32]);

/// One line of the log. Its hash covers the line up to the hash, and the hash before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its number, from 0 without a gap.
    pub seq: u64,
    /// When it happened.
    pub time: UnixTime,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
    /// The hash of the record before.
    pub previous: Digest,
    /// Its own hash.
    pub hash: Digest,
}

/// How far a chain has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// How many records there are.
    pub records: u64,
    /// The hash of the last one. Whoever keeps this elsewhere can tell later that nothing before it was
    /// changed or removed.
    pub head: Digest,
    /// Bytes of a last line that is not complete: it is being written, or was torn by a power cut.
    pub unfinished: u64,
}

impl Summary {
    /// The summary of an empty log.
    pub const EMPTY: Self = Self { records: 0, head: GENESIS, unfinished: 0 };
}

/// A record without its hash, which is what the hash is over.
#[derive(Serialize)]
struct Body<'a> {
    seq: u64,
    time: UnixTime,
    #[serde(flatten)]
    event: &'a Event,
    previous: Digest,
}

/// What a line says about its place. Events of a newer program have such a place as well.
#[derive(Debug, Deserialize)]
pub(crate) struct Place {
    pub(crate) seq: u64,
    pub(crate) time: UnixTime,
    pub(crate) previous: Digest,
    pub(crate) hash: Digest,
}

const DOMAIN: &[u8] = b"tapgate/audit/v1";
const HASH_START: &[u8] = b",\"hash\":\"";
const HASH_END: &[u8] = b"\"}";

/// Adds the next record after `after` to `lines`, as a line with its end, and gives its hash.
pub(crate) fn add_line(lines: &mut Vec<u8>, after: &Summary, time: UnixTime, event: &Event) -> Digest {
    let begin = lines.len();
    let body = serde_json::to_writer(&mut *lines, &Body { seq: after.records, time, event, previous: after.head });
    // INVARIANT: events are made of texts and numbers under names that are texts, and all of that is JSON.
    body.expect("an event is JSON");
    lines.pop();
    let hash = hash(&after.head, lines.get(begin..).unwrap_or_default());
    lines.extend_from_slice(HASH_START);
    lines.extend_from_slice(hash.to_string().as_bytes());
    lines.extend_from_slice(HASH_END);
    lines.push(b'\n');
    hash
}

/// A line's place and the hash that it ought to have; nothing where the line does not have the form of a record.
pub(crate) fn place(line: &[u8]) -> Option<(Place, Digest)> {
    let place: Place = serde_json::from_slice(line).ok()?;
    let end = [HASH_START, place.hash.to_string().as_bytes(), HASH_END].concat();
    let due = hash(&place.previous, line.strip_suffix(end.as_slice())?);
    Some((place, due))
}

/// The hash of a record whose text, without its hash and the brace that ends it, is `start`.
fn hash(previous: &Digest, start: &[u8]) -> Digest {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(DOMAIN);
    context.update(previous.as_bytes());
    context.update(start);
    context.update(b"}");
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    Digest::from_bytes(bytes)
}
