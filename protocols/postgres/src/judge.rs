//! What may be said in a session, and how a text that may not is kept from the target.
//!
//! The target gets something in its stead that it refuses itself: then its error comes at the right place among its
//! answers, a transaction is failed as by any other error, and what follows up to the `Sync` is skipped by the target
//! itself. Only the words of that error are the gate's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tapgate_audit::{Deed, Statement, StatementText};
use tapgate_model::{ClassSet, StatementClass};
use tapgate_session::{AuditText, DbTerms, StatementVerdict};
use tapgate_sql::{Classified, Classifier, Dialect, redact};

use crate::said::{Said, Told};
use crate::wire::{self, Frame, text};

/// Encodings whose names begin so, in which every byte below 0x80 is the ASCII character: in the others a quote or a
/// backslash can be the second half of a letter.
const ENCODINGS: [&[u8]; 7] = [b"UTF8", b"SQL_ASCII", b"LATIN", b"WIN", b"ISO_8859", b"KOI8", b"EUC_"];

/// Judges the texts of one session.
pub(crate) struct Judge {
    classifier: Classifier,
    terms: DbTerms,
    /// What stands in for a refused text: no statement of SQL, and a word that nobody else says.
    stand_in: String,
    /// Whether the session's settings make the target read texts in another way than the classifier.
    reads_strings: AtomicBool,
    reads_encoding: AtomicBool,
}

impl Judge {
    pub(crate) fn new(classifier: Classifier, terms: DbTerms) -> Self {
        let stand_in = format!("tapgate_refused_{:032x}", rand::random::<u128>());
        let yes = || AtomicBool::new(true);
        Self { classifier, terms, stand_in, reads_strings: yes(), reads_encoding: yes() }
    }

    /// Whether texts are judged before they are sent.
    pub(crate) const fn judges(&self) -> bool {
        self.terms.judges()
    }

    /// The target reports a setting.
    pub(crate) fn setting(&self, name: &[u8], value: &[u8]) {
        match name {
            b"standard_conforming_strings" => self.reads_strings.store(value == b"on", Ordering::Relaxed),
            b"client_encoding" => {
                let known = ENCODINGS.iter().any(|known| value.starts_with(known));
                self.reads_encoding.store(known, Ordering::Relaxed);
            }
            _ => {}
        }
    }

    /// Judges a text before it is sent; none is a text that can't be read. Answers why it may not be sent.
    pub(crate) async fn judge(&self, said: Option<&[u8]>) -> Option<Arc<str>> {
        if !self.judges() {
            return None;
        }
        let reads = self.reads_strings.load(Ordering::Relaxed) && self.reads_encoding.load(Ordering::Relaxed);
        let said = said.filter(|_| reads).and_then(|said| str::from_utf8(said).ok());
        let classes = match said {
            None => Classified::unreadable().classes,
            Some(said) => match self.classifier.known(Dialect::PostgreSql, said) {
                Some(known) => known.classes,
                None => self.classifier.classify(Dialect::PostgreSql, said.into()).await.classes,
            },
        };
        if self.terms.is_read_only() && said.is_some_and(|said| opens_writing(said, classes)) {
            return Some("this session is read-only, and stays so (your role says so)".into());
        }
        match self.terms.statement(classes) {
            StatementVerdict::Allow => None,
            StatementVerdict::Deny(class) => Some(denied(class).into()),
            StatementVerdict::FreshTap => self.fresh_tap(classes).await.err(),
        }
    }

    /// Asks for a tap for one statement. This protocol can't ask yet, and so the answer is always no; the answer to an
    /// ask in-band belongs here, while the direction from the client waits.
    async fn fresh_tap(&self, classes: ClassSet) -> Result<(), Arc<str>> {
        let classes = classes.and(self.terms.fresh_tap);
        std::future::ready(Err(
            format!("MFA is required for this statement ({classes}): tap anew with `tap db exec`").into()
        ))
        .await
    }

    /// What goes to the target instead of this frame.
    pub(crate) fn stand_in(&self, frame: &Frame<'_>) -> Vec<u8> {
        match frame.kind {
            b'P' => {
                let name = if frame.whole { text(frame.body).0 } else { b"" };
                wire::frame(b'P', &[name, &[0], self.stand_in.as_bytes(), &[0, 0, 0]].concat())
            }
            _ => wire::frame(b'Q', &[self.stand_in.as_bytes(), &[0]].concat()),
        }
    }

    /// Whether an error is the target's answer to what stood in for a refused text.
    pub(crate) fn is_answer(&self, error: &[u8]) -> bool {
        self.judges() && error.windows(self.stand_in.len()).any(|part| part == self.stand_in.as_bytes())
    }

    /// What is known of a text without waiting.
    pub(crate) fn known(&self, told: &Told) -> Option<Arc<Classified>> {
        let said = told.said.as_deref().filter(|said| said.whole)?;
        self.classifier.known(Dialect::PostgreSql, &said.text)
    }

    /// What a text does.
    pub(crate) async fn class_of(&self, told: &Told) -> Option<Arc<Classified>> {
        if let Some(known) = self.known(told) {
            return Some(known);
        }
        let said = told.said.as_deref().filter(|said| said.whole)?;
        Some(self.classifier.classify(Dialect::PostgreSql, (*said.text).into()).await)
    }

    /// What the log is told of a text; one that nobody has read counts as not understood.
    pub(crate) fn deed(&self, told: &Told, class: Option<Arc<Classified>>) -> Deed {
        let class = class.unwrap_or_else(|| Arc::new(Classified::unreadable()));
        Deed::Statement(Statement {
            classes: class.classes.iter().map(|class| class.name().into()).collect(),
            tables: class.tables.iter().map(|table| (**table).into()).collect(),
            text: told.said.as_deref().and_then(|said| self.recorded(said)),
            rows: told.rows,
            outcome: told.outcome.to_string().into(),
        })
    }

    /// As much of a text as the role has recorded.
    fn recorded(&self, said: &Said) -> Option<StatementText> {
        match self.terms.audit_text {
            AuditText::Off => None,
            AuditText::Redacted => Some(redact(Dialect::PostgreSql, &said.text).into()),
            AuditText::Full => Some((*said.text).into()),
        }
    }
}

/// Whether a text would let a read-only session write after all. It may find too much; such texts are rare.
fn opens_writing(said: &str, classes: ClassSet) -> bool {
    let sets = classes.has(StatementClass::Session) || classes.has(StatementClass::Transaction);
    let said = said.to_ascii_lowercase();
    sets && ["write", "read_only", "u&"].iter().any(|word| said.contains(word))
}

fn denied(class: StatementClass) -> String {
    match class {
        StatementClass::Unparsed => {
            "statements that the gate can't read are not allowed in this session (your role denies them)".to_owned()
        }
        class => format!("statements of the class {class} are not allowed in this session (your role denies them)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::said::Outcome;

    fn judge(deny: &[StatementClass], fresh_tap: &[StatementClass]) -> Judge {
        let terms = DbTerms { deny: ClassSet::of(deny), fresh_tap: ClassSet::of(fresh_tap), ..DbTerms::DEFAULT };
        Judge::new(Classifier::new(), terms)
    }

    #[tokio::test]
    async fn denied_classes_are_told_in_words() {
        let judge = judge(&[StatementClass::Ddl, StatementClass::Unparsed], &[StatementClass::Unbounded]);
        let words = async |text: &str| judge.judge(Some(text.as_bytes())).await.map(|words| words.to_string());
        assert_eq!(words("select 1").await, None);
        assert!(words("drop table x").await.unwrap().contains("class ddl"));
        assert!(words("select 1; drop table x").await.unwrap().contains("class ddl"));
        assert!(words("delete from x").await.unwrap().starts_with("MFA is required"));
        assert!(judge.judge(None).await.unwrap().contains("can't read"));
        assert!(judge.judge(Some(b"select '\xff'")).await.unwrap().contains("can't read"));
        judge.setting(b"standard_conforming_strings", b"off");
        assert!(words("select 1").await.is_some());
        judge.setting(b"standard_conforming_strings", b"on");
        judge.setting(b"client_encoding", b"SJIS");
        assert!(words("select 1").await.is_some());
        judge.setting(b"client_encoding", b"UTF8");
        assert_eq!(words("select 1").await, None);
    }

    #[tokio::test]
    async fn a_read_only_session_stays_one() {
        let terms = DbTerms { deny: ClassSet::CHANGING, ..DbTerms::DEFAULT };
        let judge = Judge::new(Classifier::new(), terms);
        for text in [
            "set default_transaction_read_only = off",
            "begin read write",
            "start transaction isolation level serializable, read/**/write",
            "select set_config('transaction_read_only', 'off', false)",
            "insert into x values (1)",
        ] {
            assert!(judge.judge(Some(text.as_bytes())).await.is_some(), "{text}");
        }
        for text in ["select 'read write'", "begin", "set work_mem = '1GB'", "commit"] {
            assert_eq!(judge.judge(Some(text.as_bytes())).await, None, "{text}");
        }
    }

    #[test]
    fn a_stand_in_is_known_by_its_answer() {
        let judge = judge(&[StatementClass::Ddl], &[]);
        let frame = Frame { kind: b'P', body: b"name\0drop table x\0\0\0", whole: true };
        let stand_in = judge.stand_in(&frame);
        assert!(stand_in.starts_with(b"P") && stand_in[5..].starts_with(b"name\0tapgate_refused_"));
        assert!(judge.is_answer(format!("Msyntax error at or near \"{}\"\0\0", judge.stand_in).as_bytes()));
        assert!(!judge.is_answer(b"Msyntax error at or near \"tapgate_refused_\"\0\0"));
    }

    #[test]
    fn a_role_says_how_much_of_a_text_is_recorded() {
        let told =
            Told { said: Some(Arc::new(Said::new(b"select 'secret'", true))), rows: Some(1), outcome: Outcome::Done };
        for (audit_text, expect) in [
            (AuditText::Full, Some("select 'secret'")),
            (AuditText::Redacted, Some("select ?")),
            (AuditText::Off, None),
        ] {
            let judge = Judge::new(Classifier::new(), DbTerms { audit_text, ..DbTerms::DEFAULT });
            let Deed::Statement(statement) = judge.deed(&told, None) else { panic!("a statement") };
            assert_eq!(statement.text.as_ref().map(StatementText::as_str), expect);
            assert_eq!(statement.classes.len(), 1);
        }
    }
}
