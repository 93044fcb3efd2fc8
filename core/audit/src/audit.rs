//! The whole audit: the chain, its checkpoints and every tap, in one walk; each fault is named with its line.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use serde::Serialize;
use tapgate_model::{Digest, UnixTime};

use crate::prove::{Method, Prover, Unproven};
use crate::record::{Place, place};
use crate::verify::next_line;
use crate::{AuditKeys, Break, Checkpoint, Event, Expectation, GENESIS, Record, Tree, limits};

/// What is to be audited, and what is known beforehand.
#[derive(Debug)]
pub struct Given<'a> {
    /// The log's files, in order.
    pub files: &'a [PathBuf],
    /// The text of the checkpoints' file, one a line; nothing where there is none.
    pub checkpoints: Option<&'a str>,
    /// The keys.
    pub keys: &'a AuditKeys,
    /// What the log must have been, as others have witnessed.
    pub expected: &'a [Expectation],
    /// The time of which sessions are counted.
    pub period: Period,
}

/// A time; without ends it is all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Period {
    /// Its first moment.
    pub from: Option<UnixTime>,
    /// The first moment that is no longer part of it.
    pub to: Option<UnixTime>,
}

/// What is wrong with a record, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// It is not what was written.
    Altered,
    /// Records that were written are not there.
    Removed,
    /// A record is there that was not written there.
    Added,
    /// The log's end is not there.
    Truncated,
    /// A checkpoint is not one of this gate's, or not of this log.
    Checkpoint,
    /// A session that required a tap has none.
    Missing,
    /// A tap does not prove what its record says.
    Unproven,
}

/// One fault, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1.
    pub line: u64,
    /// The record's number, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<u64>,
    /// What it is.
    pub fault: Fault,
    /// The same in a sentence.
    pub what: String,
}

/// What an audit has found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Audit {
    /// How many records there are in the period.
    pub records: u64,
    /// How many records the log has, with those that are archived elsewhere.
    pub log_records: u64,
    /// The hash of the last record; what to keep elsewhere.
    pub head: Option<Digest>,
    /// Whether the chain, its checkpoints and what others have witnessed agree.
    pub chain_intact: bool,
    /// How many checkpoints agree with the log.
    pub checkpoints: u64,
    /// How many records at the end are in no checkpoint yet.
    pub unsigned: u64,
    /// The first record that is here; those before it are archived elsewhere, or removed.
    pub first: u64,
    /// The first record that the gate itself has kept by its rule, as the log says.
    pub pruned: u64,
    /// How many sessions began in the period.
    pub sessions: u64,
    /// How many of them required a tap.
    pub required: u64,
    /// How many of those are proven by a device's tap.
    pub webauthn: u64,
    /// How many of those are proven by an identity provider.
    pub sso: u64,
    /// How many of those are proven by an `sk-` SSH key's touch.
    pub ssh_sk: u64,
    /// How many of those have no tap.
    pub missing: u64,
    /// How many of those have a tap that does not hold.
    pub altered: u64,
    /// How many taps for anything else are proven.
    pub other_taps: u64,
    /// Bytes of a last line that is not complete.
    pub unfinished: u64,
    /// How many events the gate could not record, as the log says itself.
    pub lost: u64,
    /// The faults, up to a limit.
    pub findings: Vec<Finding>,
    /// How many faults there are.
    pub faults: u64,
}

impl Audit {
    /// Whether everything is as it should be.
    pub const fn is_clean(&self) -> bool {
        self.faults == 0
    }
}

/// Audits a log. The error is a file that cannot be read.
pub fn audit(given: &Given<'_>) -> Result<Audit, Break> {
    let mut walk = Walk::new(given);
    for file in given.files {
        walk.file(file)?;
    }
    Ok(walk.end())
}

/// How far an audit has come.
struct Walk<'a> {
    given: &'a Given<'a>,
    prover: Prover,
    /// The checkpoints of this gate that are still to be met, by their size.
    checkpoints: BTreeMap<u64, Vec<(u64, Checkpoint)>>,
    /// The tree, as long as every record before is known.
    tree: Option<Tree>,
    /// The number that the next record must have.
    due: u64,
    head: Digest,
    begun: bool,
    /// The size of the last checkpoint that agreed.
    signed: u64,
    /// What the log was at each size that somebody expects.
    expected: HashMap<u64, Vec<Expectation>>,
    heads: Vec<Expectation>,
    place: (String, u64),
    audit: Audit,
}

impl<'a> Walk<'a> {
    fn new(given: &'a Given<'a>) -> Self {
        let mut walk = Self {
            given,
            prover: Prover::new(given.keys),
            checkpoints: BTreeMap::new(),
            tree: Some(Tree::default()),
            due: 0,
            head: GENESIS,
            begun: false,
            signed: 0,
            expected: HashMap::new(),
            heads: Vec::new(),
            place: ("the checkpoints".to_owned(), 0),
            audit: Audit { chain_intact: true, ..Audit::default() },
        };
        for expected in given.expected {
            match expected.records {
                Some(records) => walk.expected.entry(records).or_default().push(*expected),
                None => walk.heads.push(*expected),
            }
        }
        walk.read_checkpoints(given.checkpoints.unwrap_or_default());
        walk
    }

    fn read_checkpoints(&mut self, text: &str) {
        let lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
        for (number, line) in (1..).zip(lines) {
            self.place.1 = number;
            match serde_json::from_str::<Checkpoint>(line) {
                Ok(checkpoint) if !checkpoint.is_signed_by(&self.given.keys.log_keys) => {
                    self.found(Fault::Checkpoint, None, "the checkpoint is not signed by one of the gate's keys");
                }
                Ok(checkpoint) => {
                    self.checkpoints.entry(checkpoint.records).or_default().push((number, checkpoint));
                }
                Err(error) => self.found(Fault::Checkpoint, None, format!("this is no checkpoint: {error}")),
            }
        }
    }

    fn found(&mut self, fault: Fault, record: Option<u64>, what: impl Into<String>) {
        self.audit.faults += 1;
        self.audit.chain_intact &= matches!(fault, Fault::Missing | Fault::Unproven);
        if self.audit.findings.len() < limits::FINDINGS_MAX {
            let (file, line) = self.place.clone();
            self.audit.findings.push(Finding { file, line, record, fault, what: what.into() });
        }
    }

    fn file(&mut self, path: &Path) -> Result<(), Break> {
        let mut reader = BufReader::new(File::open(path)?);
        self.place = (path.display().to_string(), 0);
        let mut line = Vec::new();
        loop {
            match next_line(&mut reader, &mut line) {
                Ok(true) => {
                    self.place.1 += 1;
                    self.line(&line);
                }
                Ok(false) => break,
                Err(Break::NotARecord) => {
                    self.place.1 += 1;
                    self.found(Fault::Altered, None, "the line is longer than any record");
                    break;
                }
                Err(other) => return Err(other),
            }
        }
        self.audit.unfinished = u64::try_from(line.len()).unwrap_or(u64::MAX);
        Ok(())
    }

    fn line(&mut self, line: &[u8]) {
        let Some((place, hash)) = place(line) else {
            return self.found(Fault::Altered, Some(self.due), "this is not a record (it was altered or added)");
        };
        let seq = place.seq;
        if !self.begun {
            self.begin(&place);
        }
        if place.hash != hash {
            self.found(Fault::Altered, Some(seq), "the record does not match its hash (it was altered)");
        }
        self.sequence(&place);
        self.head = place.hash;
        if let Some(tree) = self.tree.as_mut().filter(|tree| tree.size() == seq) {
            tree.push(&place.hash);
        }
        self.due = seq.saturating_add(1);
        self.met();
        match serde_json::from_slice::<Record>(line) {
            Ok(record) => self.record(record),
            Err(error) => {
                let what = format!("the event cannot be read: {error} (use the program that wrote it)");
                self.found(Fault::Altered, Some(seq), what);
            }
        }
    }

    /// Where the log's older files are archived, a checkpoint says what they were.
    fn begin(&mut self, first: &Place) {
        self.begun = true;
        if first.seq == 0 {
            return;
        }
        let known = self.checkpoints.get(&first.seq).into_iter().flatten();
        let mut known = known.filter(|(_, checkpoint)| checkpoint.head == first.previous);
        let known = known.find_map(|(_, checkpoint)| Some((checkpoint.tree()?, checkpoint.head)));
        if let Some((tree, head)) = known {
            (self.audit.first, self.due, self.head) = (first.seq, first.seq, head);
            self.signed = first.seq;
            self.tree = Some(tree);
            self.checkpoints = self.checkpoints.split_off(&(first.seq + 1));
        }
    }

    /// The record stands where it is due, and follows the one before.
    fn sequence(&mut self, place: &Place) {
        let (seq, due) = (place.seq, self.due);
        if seq > due {
            let what = if seq - due == 1 {
                format!("record {due} is not here (it was removed, or stands elsewhere)")
            } else {
                format!("records {due} to {} are not here (they were removed, or stand elsewhere)", seq - 1)
            };
            self.tree = None;
            self.found(Fault::Removed, Some(seq), what);
        } else if seq < due {
            let what = format!("record {seq} stands where record {due} is due (it was added, or moved)");
            self.tree = None;
            self.found(Fault::Added, Some(seq), what);
        } else if place.previous != self.head {
            let what = "the record does not follow the one before it (one of them was replaced)";
            self.found(Fault::Altered, Some(seq), what);
        }
    }

    /// Compares the log with what was signed, and with what was witnessed, of this size.
    fn met(&mut self) {
        let size = self.due;
        for expected in self.expected.remove(&size).unwrap_or_default() {
            if expected.head != self.head {
                let what = format!("the log of {size} records ends with another hash than was witnessed");
                self.found(Fault::Altered, Some(size - 1), what);
            }
        }
        let head = self.head;
        self.heads.retain(|expected| expected.head != head);
        let Some(checkpoints) = self.checkpoints.get(&size).cloned() else { return };
        let Some(root) = self.tree.as_ref().filter(|tree| tree.size() == size).map(Tree::root) else { return };
        self.checkpoints.remove(&size);
        for (line, checkpoint) in checkpoints {
            if checkpoint.root == root && checkpoint.head == self.head {
                self.signed = size;
                self.audit.checkpoints += 1;
            } else {
                let what = format!(
                    "the records {} to {} are not those that were signed (checkpoint in line {line})",
                    self.signed,
                    size - 1
                );
                self.found(Fault::Altered, Some(size - 1), what);
            }
        }
    }

    fn record(&mut self, record: Record) {
        let Record { seq, time, event, .. } = record;
        let Period { from, to } = self.given.period;
        let within = from.is_none_or(|from| time >= from) && to.is_none_or(|to| time < to);
        self.audit.records += u64::from(within);
        let outcome = match event {
            Event::SessionStart { facts } => {
                let outcome = self.prover.session(&facts, time);
                let required = facts.mfa_required.unwrap_or(facts.tap.is_some());
                if within {
                    self.count(required, &outcome);
                }
                outcome.map(drop)
            }
            Event::MfaSucceeded { user, proof, .. } => self.other(&user, &proof, None, time),
            Event::DeviceChanged { user, action, proof, .. } => self.other(&user, &proof, Some(&action), time),
            Event::ResourceChanged { user: Some(user), action, proof: Some(proof), .. } => {
                self.other(&user, &proof, action.as_ref(), time)
            }
            Event::InviteCreated { by, proof: Some(proof), .. } => self.other(&by, &proof, None, time),
            Event::AuditLost { count } => {
                self.audit.lost += count;
                Ok(())
            }
            Event::AuditPruned { next, .. } => {
                self.audit.pruned = self.audit.pruned.max(next);
                Ok(())
            }
            _ => Ok(()),
        };
        match outcome {
            Ok(()) => {}
            Err(why @ Unproven::Missing) => self.found(Fault::Missing, Some(seq), why.to_string()),
            Err(why) => self.found(Fault::Unproven, Some(seq), why.to_string()),
        }
    }

    fn count(&mut self, required: bool, outcome: &Result<Option<Method>, Unproven>) {
        let audit = &mut self.audit;
        audit.sessions += 1;
        if !required {
            return;
        }
        audit.required += 1;
        match outcome {
            Ok(Some(Method::WebAuthn)) => audit.webauthn += 1,
            Ok(Some(Method::Sso)) => audit.sso += 1,
            Ok(Some(Method::SshSk)) => audit.ssh_sk += 1,
            Ok(None) | Err(Unproven::Missing) => audit.missing += 1,
            Err(_) => audit.altered += 1,
        }
    }

    fn other(
        &mut self,
        user: &tapgate_model::UserName,
        tap: &crate::TapRecord,
        action: Option<&Digest>,
        at: UnixTime,
    ) -> Result<(), Unproven> {
        self.prover.deed(tap, user, action, at)?;
        self.audit.other_taps += 1;
        Ok(())
    }

    /// What was signed or witnessed and is not there any more.
    fn end(mut self) -> Audit {
        let size = self.due;
        let checkpoints = std::mem::take(&mut self.checkpoints);
        let witnessed = self.expected.keys().copied().max().unwrap_or(0);
        let signed = checkpoints.keys().copied().max().unwrap_or(0);
        if let Some(most) = Some(witnessed.max(signed)).filter(|most| *most > size) {
            let who = if witnessed > signed { "were witnessed" } else { "were signed" };
            let what = format!("the log has {size} records, and {most} {who}: its end was removed");
            self.found(Fault::Truncated, None, what);
        } else if let Some((_, checkpoint)) = checkpoints.values().flatten().last() {
            let what = format!(
                "the log cannot be compared with {} checkpoints, the last over {} records",
                checkpoints.values().map(Vec::len).sum::<usize>(),
                checkpoint.records
            );
            self.found(Fault::Checkpoint, None, what);
        }
        if let Some(expected) = self.heads.first().copied() {
            let what =
                format!("no record has the hash that was witnessed ({}): the log was cut or rewritten", expected.head);
            self.found(Fault::Truncated, None, what);
        }
        self.audit.log_records = size;
        self.audit.head = (size > 0).then_some(self.head);
        self.audit.unsigned = size.saturating_sub(self.signed);
        self.audit
    }
}
