//! The answer to one command, packet by packet: where it ends, and how it ended. Pure.

use crate::limits::FRAME_MAX;
use crate::wire::error::ServerError;
use crate::wire::ok::End;
use crate::wire::read::Reader;

/// What form a command's answer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// One packet: done, or an error.
    Status,
    /// One packet of text.
    Text,
    /// Done, an error, the wish for a file, or columns and rows; and that perhaps several times.
    Results,
    /// What a prepared statement takes and gives.
    Prepared,
    /// Columns alone.
    Columns,
    /// Rows alone.
    Rows,
    /// Events without end.
    Stream,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    First,
    Columns(u64),
    ColumnsEnd,
    Rows,
    Parameters(u16, u16),
    ParametersEnd(u16),
    Fields(u16),
    FieldsEnd,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was done.
    Done,
    /// The target said an error.
    Failed(ServerError),
}

/// What a packet means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// More packets follow.
    More,
    /// This was the last one.
    Ended(Outcome),
    /// The target wants a file of the client.
    File,
    /// It is not an answer to this command.
    Strange,
}

/// The answer to one command on its way.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    form: Form,
    stage: Stage,
    /// Whether columns end without a packet of their own (`CLIENT_DEPRECATE_EOF`).
    no_eof: bool,
    /// Rows that were read or changed.
    pub(crate) rows: u64,
    /// The number of what was prepared.
    pub(crate) prepared: Option<u32>,
    /// Whether the target has said that a backslash escapes nothing.
    pub(crate) no_escapes: bool,
}

impl Answer {
    /// Awaits an answer of this form.
    pub(crate) const fn new(form: Form, no_eof: bool) -> Self {
        let stage = match form {
            Form::Rows => Stage::Rows,
            _ => Stage::First,
        };
        Self { form, stage, no_eof, rows: 0, prepared: None, no_escapes: false }
    }

    /// Whether anything else than an answer of several packets may come now: an error ends it at any packet.
    pub(crate) fn packet(&mut self, head: &[u8], length: usize) -> Step {
        let Some(first) = head.first().copied() else {
            // A row without columns can't be, and neither can anything else without a byte.
            return if self.form == Form::Text { Step::Ended(Outcome::Done) } else { Step::Strange };
        };
        if first == 0xff {
            return ServerError::parse(head).map_or(Step::Strange, |error| Step::Ended(Outcome::Failed(error)));
        }
        match self.stage {
            Stage::First => self.first(first, head, length),
            Stage::Columns(1) if self.no_eof => self.go(Stage::Rows),
            Stage::Columns(1) => self.go(Stage::ColumnsEnd),
            Stage::Columns(left) => self.go(Stage::Columns(left.saturating_sub(1))),
            Stage::ColumnsEnd => match eof(first, head, length) {
                Some(end) if end.cursor() => self.ended(end),
                Some(_) => self.go(Stage::Rows),
                None => Step::Strange,
            },
            Stage::Rows => self.row(first, head, length),
            Stage::Parameters(1, fields) if self.no_eof => self.fields(fields),
            Stage::Parameters(1, fields) => self.go(Stage::ParametersEnd(fields)),
            Stage::Parameters(left, fields) => self.go(Stage::Parameters(left.saturating_sub(1), fields)),
            Stage::ParametersEnd(fields) => match eof(first, head, length) {
                Some(_) => self.fields(fields),
                None => Step::Strange,
            },
            Stage::Fields(1) if self.no_eof => Step::Ended(Outcome::Done),
            Stage::Fields(1) => self.go(Stage::FieldsEnd),
            Stage::Fields(left) => self.go(Stage::Fields(left.saturating_sub(1))),
            Stage::FieldsEnd => match eof(first, head, length) {
                Some(_) => Step::Ended(Outcome::Done),
                None => Step::Strange,
            },
        }
    }

    fn go(&mut self, stage: Stage) -> Step {
        self.stage = stage;
        Step::More
    }

    fn first(&mut self, first: u8, head: &[u8], length: usize) -> Step {
        match (self.form, first) {
            (Form::Text, _) | (Form::Status, 0x00 | 0xfe) => Step::Ended(Outcome::Done),
            (Form::Columns | Form::Stream, 0xfe) if length < 9 => Step::Ended(Outcome::Done),
            (Form::Columns, 0xfe) if self.no_eof && length < FRAME_MAX => Step::Ended(Outcome::Done),
            (Form::Columns | Form::Stream, _) => Step::More,
            (Form::Results, 0x00) => match End::ok(head) {
                Some(end) => self.ended(end),
                None => Step::Strange,
            },
            (Form::Results, 0xfb) => Step::File,
            (Form::Results, _) => match Reader(head).number() {
                Some(count @ 1..=0xffff) => self.go(Stage::Columns(count)),
                _ => Step::Strange,
            },
            (Form::Prepared, 0x00) => self.prepared(head).unwrap_or(Step::Strange),
            (Form::Prepared | Form::Status | Form::Rows, _) => Step::Strange,
        }
    }

    fn row(&mut self, first: u8, head: &[u8], length: usize) -> Step {
        let end = match (first, self.no_eof) {
            (0xfe, true) if length < FRAME_MAX => End::ok(head).or_else(|| End::eof(head)),
            (0xfe, false) if length < 9 => End::eof(head),
            _ => {
                self.rows += 1;
                return Step::More;
            }
        };
        end.map_or(Step::Strange, |end| self.ended(end))
    }

    fn ended(&mut self, end: End) -> Step {
        self.rows = self.rows.saturating_add(end.changed);
        self.no_escapes |= end.no_escapes();
        if end.more() && self.form == Form::Results {
            return self.go(Stage::First);
        }
        Step::Ended(Outcome::Done)
    }

    fn prepared(&mut self, head: &[u8]) -> Option<Step> {
        let mut reader = Reader(head.get(1..)?);
        self.prepared = Some(reader.u32()?);
        let (fields, parameters) = (reader.u16()?, reader.u16()?);
        Some(if parameters > 0 { self.go(Stage::Parameters(parameters, fields)) } else { self.fields(fields) })
    }

    fn fields(&mut self, fields: u16) -> Step {
        if fields == 0 { Step::Ended(Outcome::Done) } else { self.go(Stage::Fields(fields)) }
    }
}

fn eof(first: u8, head: &[u8], length: usize) -> Option<End> {
    (first == 0xfe && length < 9).then(|| End::eof(head)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: &[u8] = b"\0\x03\0\x02\0\0\0";
    const OK_MORE: &[u8] = b"\0\x01\0\x0a\0\0\0";
    const EOF: &[u8] = b"\xfe\0\0\x02\0";
    const EOF_MORE: &[u8] = b"\xfe\0\0\x0a\0";
    const EOF_CURSOR: &[u8] = b"\xfe\0\0\x42\0";
    const END: &[u8] = b"\xfe\0\0\x02\0\0\0";
    const ERROR: &[u8] = b"\xff\x48\x04#42000no";

    /// The steps of these packets; the answer's rows.
    fn steps(form: Form, no_eof: bool, packets: &[&[u8]]) -> (Vec<Step>, u64) {
        let mut answer = Answer::new(form, no_eof);
        let steps = packets.iter().map(|packet| answer.packet(packet, packet.len())).collect();
        (steps, answer.rows)
    }

    fn ends_with(form: Form, no_eof: bool, packets: &[&[u8]], rows: u64) {
        let (steps, counted) = steps(form, no_eof, packets);
        let (last, before) = steps.split_last().unwrap();
        assert!(matches!(last, Step::Ended(_)), "{form:?} {packets:?}: {steps:?}");
        assert!(before.iter().all(|step| *step == Step::More), "{form:?} {packets:?}: {steps:?}");
        assert_eq!(counted, rows, "{form:?} {packets:?}");
    }

    #[test]
    fn answers_of_every_form_end_where_they_end() {
        ends_with(Form::Status, true, &[OK], 0);
        ends_with(Form::Status, false, &[EOF], 0);
        ends_with(Form::Status, true, &[ERROR], 0);
        ends_with(Form::Text, true, &[b"Uptime: 1"], 0);
        ends_with(Form::Text, true, &[b""], 0);
        ends_with(Form::Results, true, &[OK], 3);
        ends_with(Form::Results, true, &[ERROR], 0);
        ends_with(Form::Results, true, &[b"\x02", b"def", b"def", b"\x01a", b"\xfb\xfb", END], 2);
        ends_with(Form::Results, false, &[b"\x01", b"def", EOF, b"\x01a", EOF], 1);
        ends_with(Form::Results, false, &[b"\x01", b"def", EOF, b"\x01a", ERROR], 1);
        ends_with(Form::Results, false, &[b"\x01", b"def", EOF_CURSOR], 0);
        ends_with(Form::Results, true, &[OK_MORE, b"\x01", b"def", b"\x01a", END], 2);
        ends_with(Form::Results, false, &[b"\x01", b"def", EOF, EOF_MORE, OK], 3);
        ends_with(Form::Columns, false, &[b"def", b"def", EOF], 0);
        ends_with(Form::Rows, false, &[b"\0\0\x01a", EOF], 1);
        ends_with(Form::Rows, true, &[b"\0\0\x01a", END], 1);
        ends_with(Form::Stream, true, &[b"\0event", EOF], 0);
        ends_with(Form::Prepared, true, &[b"\0\x01\0\0\0\0\0\0\0\0\0\0"], 0);
        ends_with(Form::Prepared, true, &[b"\0\x01\0\0\0\x01\0\x02\0\0\0\0", b"def", b"def", b"def"], 0);
        let parts: &[&[u8]] = &[b"\0\x01\0\0\0\x01\0\x02\0\0\0\0", b"def", b"def", EOF, b"def", EOF];
        ends_with(Form::Prepared, false, parts, 0);
        ends_with(Form::Prepared, false, &[ERROR], 0);
    }

    #[test]
    fn a_long_row_that_begins_like_an_end_is_a_row() {
        let mut answer = Answer::new(Form::Rows, true);
        assert_eq!(answer.packet(&[0xfe; 30], FRAME_MAX), Step::More);
        let mut old = Answer::new(Form::Rows, false);
        assert_eq!(old.packet(&[0xfe; 9], 9), Step::More);
        assert_eq!((answer.rows, old.rows), (1, 1));
    }

    #[test]
    fn what_is_no_answer_is_strange() {
        let strange = |form, packets: &[&[u8]]| {
            assert_eq!(steps(form, false, packets).0.pop(), Some(Step::Strange), "{form:?} {packets:?}");
        };
        strange(Form::Status, &[b"\x05"]);
        strange(Form::Status, &[b""]);
        strange(Form::Results, &[b"\0"]);
        strange(Form::Results, &[b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff"]);
        strange(Form::Results, &[b"\x01", b"def", OK]);
        strange(Form::Prepared, &[b"\0\x01"]);
        assert_eq!(steps(Form::Results, true, &[b"\xfb/etc/passwd"]).0, [Step::File]);
    }
}
