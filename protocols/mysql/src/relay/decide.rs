//! What may be said to the target: each command is passed on, changed or refused.

use std::sync::Arc;

use mysql_common::constants::CapabilityFlags as Flags;
use tapgate_model::{ClassSet, Kind, Login, LoginName, StatementClass};
use tapgate_session::{Gate, Live, StatementVerdict};
use tapgate_sql::{Classified, Classifier, Dialect};

use super::scribe::{About, Deal};
use super::waiting::Waiting;
use crate::answer::Form;
use crate::command::{Command, LAST_PREPARED};
use crate::entrance::login_for;
use crate::kill::Kill;
use crate::threads::{Owner, Threads};
use crate::uses;
use crate::wire::error::ServerError;

/// What a session's rules are made of.
pub(crate) struct Standing<'a> {
    pub(crate) gate: &'a Gate,
    pub(crate) classifier: &'a Classifier,
    pub(crate) threads: &'a Threads,
    pub(crate) owner: Owner,
    pub(crate) user: LoginName,
    /// Whether the target cuts texts in a way that can't be followed.
    pub(crate) unreadable: bool,
}

/// What happens to a command.
pub(super) enum Decision {
    /// It goes to the target as it is; there may be an answer.
    Pass(Option<Form>, Option<About>),
    /// It goes there as this payload instead.
    Instead(Vec<u8>, Form, Option<About>),
    /// It goes there, and then the gate makes the session read-only again.
    Reset,
    /// It does not go there.
    Refuse(ServerError, Option<About>),
    /// The client says goodbye.
    Leave,
}

/// The rules of one session.
pub(super) struct Rules<'a> {
    live: &'a Live,
    standing: Standing<'a>,
    /// Whether the client may be asked for files.
    files: bool,
}

impl<'a> Rules<'a> {
    pub(super) fn new(live: &'a Live, standing: Standing<'a>, flags: Flags) -> Self {
        Self { live, standing, files: flags.contains(Flags::CLIENT_LOCAL_FILES) }
    }

    /// Decides on a command; `whole` where all of it is here. `last` is what was prepared last.
    pub(super) async fn decide(
        &self,
        payload: &[u8],
        whole: bool,
        waiting: &Waiting,
        last: &mut Option<About>,
    ) -> Decision {
        match Command::parse(payload) {
            Command::Quit => Decision::Leave,
            Command::Database(name) => match self.may_use(name) {
                Ok(()) => Decision::Pass(Some(Form::Status), None),
                Err(error) => Decision::Refuse(error, None),
            },
            Command::Query(text) => self.query(text_of(text, whole), waiting).await,
            Command::Prepare(text) => {
                let decision = self.prepare(text_of(text, whole), waiting).await;
                *last = if let Decision::Pass(_, about) = &decision { about.clone() } else { None };
                decision
            }
            Command::Execute(LAST_PREPARED) => match last {
                Some(about) => execute(Some(about.clone())),
                // The target would run what was prepared before the one that was refused.
                None => Decision::Refuse(ServerError::unprepared("nothing was prepared".to_owned()), None),
            },
            Command::Execute(number) => execute(waiting.prepared(number)),
            Command::Close(number) => {
                waiting.forget(number);
                Decision::Pass(None, None)
            }
            Command::LongData => Decision::Pass(None, None),
            Command::Kill(number) => self.kill(number),
            Command::Reset => {
                waiting.forget_all();
                *last = None;
                if self.live.terms().db.is_read_only() {
                    Decision::Reset
                } else {
                    Decision::Pass(Some(Form::Status), None)
                }
            }
            Command::Plain(form) => Decision::Pass(Some(form), None),
            Command::Admin(form, name) => self.admin(form, name),
            Command::Replication(form) if self.live.terms().db.replication => Decision::Pass(Some(form), None),
            Command::Replication(_) => {
                let words = "your role allows no replication (it needs `db_replication`)";
                Decision::Refuse(ServerError::denied(words.to_owned()), None)
            }
            Command::ChangeUser => {
                let words = "a session through the gate belongs to one database user (connect again as another)";
                Decision::Refuse(ServerError::access(words.to_owned()), None)
            }
            Command::Unknown => {
                Decision::Refuse(ServerError::command("the gate knows no such command".to_owned()), None)
            }
        }
    }

    async fn query(&self, text: Option<Arc<str>>, waiting: &Waiting) -> Decision {
        if let Some(kill) = text.as_deref().and_then(Kill::parse) {
            match self.standing.threads.of(&self.standing.owner, kill.thread) {
                Ok(Some(thread)) => {
                    let payload = [b"\x03", kill.text_for(thread).as_bytes()].concat();
                    let about = About { deal: Deal::Query, text: text.clone(), found: None, file: false };
                    return Decision::Instead(payload, Form::Results, Some(about));
                }
                Ok(None) => {}
                Err(_) => return Decision::Refuse(no_thread(kill.thread), None),
            }
        }
        let file = self.files && text.as_deref().is_some_and(offers_file);
        self.statement(Deal::Query, text, file, waiting).await
    }

    async fn prepare(&self, text: Option<Arc<str>>, waiting: &Waiting) -> Decision {
        self.statement(Deal::Prepare, text, false, waiting).await
    }

    /// A text for the target.
    async fn statement(&self, deal: Deal, text: Option<Arc<str>>, file: bool, waiting: &Waiting) -> Decision {
        let form = if deal == Deal::Prepare { Form::Prepared } else { Form::Results };
        let used = text.as_deref().map(uses::databases).unwrap_or_default();
        let refused = used.iter().find_map(|name| self.may_use(name.as_bytes()).err());
        let mut about = About { deal, text, found: None, file };
        if let Some(error) = refused {
            return Decision::Refuse(error, Some(about));
        }
        if !self.live.terms().db.judges() {
            return Decision::Pass(Some(form), Some(about));
        }
        let readable = !self.standing.unreadable && !waiting.lock().unreadable;
        let found = match about.text.clone().filter(|_| readable) {
            Some(text) => self.standing.classifier.classify(Dialect::MySql, text).await,
            None => Arc::new(Classified::unreadable()),
        };
        about.found = Some(Arc::clone(&found));
        let unlocks = || about.text.as_deref().is_some_and(makes_writable);
        match self.judge(found.classes) {
            Some(error) => Decision::Refuse(error, Some(about)),
            None if self.live.terms().db.is_read_only() && unlocks() => {
                let words = "this session is read-only, and stays so (your role says so)";
                Decision::Refuse(ServerError::denied(words.to_owned()), Some(about))
            }
            None => Decision::Pass(Some(form), Some(about)),
        }
    }

    /// Why a statement of these classes may not be said.
    fn judge(&self, classes: ClassSet) -> Option<ServerError> {
        match self.live.terms().db.statement(classes) {
            StatementVerdict::Allow => None,
            StatementVerdict::Deny(class) => Some(ServerError::denied(denied(class))),
            // This protocol can't ask within a connection.
            StatementVerdict::FreshTap => {
                let classes = classes.and(self.live.terms().db.fresh_tap);
                let words = format!("MFA is required for this statement ({classes}): tap anew with `tap db exec`");
                Some(ServerError::denied(words))
            }
        }
    }

    fn admin(&self, form: Form, name: &'static str) -> Decision {
        let found = Classified { classes: ClassSet::of(&[StatementClass::Admin]), ..Classified::unreadable() };
        let judged = self.judge(found.classes);
        let about = About { deal: Deal::Query, text: Some(name.into()), found: Some(Arc::new(found)), file: false };
        match judged {
            Some(error) => Decision::Refuse(error, Some(about)),
            None => Decision::Pass(Some(form), Some(about)),
        }
    }

    fn kill(&self, number: u32) -> Decision {
        match self.standing.threads.of(&self.standing.owner, u64::from(number)) {
            Ok(None) => self.admin(Form::Status, "KILL"),
            Ok(Some(thread)) => {
                let payload = [&[0x0c][..], &thread.to_le_bytes()].concat();
                let text = Some("KILL".into());
                let about = About { deal: Deal::Query, text, found: None, file: false };
                Decision::Instead(payload, Form::Status, Some(about))
            }
            Err(_) => Decision::Refuse(no_thread(u64::from(number)), None),
        }
    }

    /// Whether the session may change to this database: it is the one that was asked for, or none was asked for and
    /// the roles allow this one on no stricter terms.
    fn may_use(&self, name: &[u8]) -> Result<(), ServerError> {
        let shown = String::from_utf8_lossy(name);
        let refused = |why: &str| Err(ServerError::database(format!("no change to database '{shown}': {why}")));
        let Login::Db { database: asked, .. } = self.live.login() else { return refused("it is no database") };
        let Some(login) = login_for(&self.standing.user, name) else { return refused("its name can't be read") };
        if let Some(asked) = asked {
            if asked.as_bytes() == name {
                return Ok(());
            }
            return refused("this session was asked for another one (connect again with it)");
        }
        let wishes = [(Kind::Db, self.live.target().name.clone(), login)];
        match self.standing.gate.requirement(self.live.user(), &wishes) {
            Ok(required) if required.mfa <= self.live.terms().session_mfa => Ok(()),
            Ok(_) => refused("it needs a tap of its own (connect again with it)"),
            Err(_) => refused("your roles do not allow it (see `db_names` of the role)"),
        }
    }
}

fn execute(about: Option<About>) -> Decision {
    Decision::Pass(Some(Form::Results), about.map(|about| About { deal: Deal::Execute, file: false, ..about }))
}

fn denied(class: StatementClass) -> String {
    match class {
        StatementClass::Unparsed => {
            "statements that the gate can't read are not allowed in this session (your role denies them)".to_owned()
        }
        class => format!("statements of the class {class} are not allowed in this session (your role denies them)"),
    }
}

fn no_thread(number: u64) -> ServerError {
    ServerError::thread(format!("Unknown thread id: {number}"))
}

fn text_of(text: &[u8], whole: bool) -> Option<Arc<str>> {
    std::str::from_utf8(text).ok().filter(|_| whole).map(Into::into)
}

/// Whether a text can be `LOAD DATA LOCAL INFILE`: to nothing else a target may answer with the wish for a file.
fn offers_file(text: &str) -> bool {
    let has = |word: &[u8]| text.as_bytes().windows(word.len()).any(|there| there.eq_ignore_ascii_case(word));
    has(b"local") && has(b"infile")
}

/// Whether a text may end what `SET SESSION TRANSACTION READ ONLY` has begun.
fn makes_writable(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|w| !w.is_empty()).collect();
    words.windows(2).any(|pair| pair == ["read", "write"])
        || words.iter().any(|word| matches!(*word, "transaction_read_only" | "tx_read_only"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_offered_by_one_statement_alone() {
        assert!(offers_file("load data  LOCAL infile '/x' into table t"));
        assert!(!offers_file("select 1"));
        assert!(!offers_file("load data infile '/x' into table t"));
    }

    #[test]
    fn what_makes_a_session_writable_is_seen() {
        for text in ["START TRANSACTION READ  WRITE", "set @@transaction_read_only=0", "SET tx_read_only = OFF"] {
            assert!(makes_writable(text), "{text}");
        }
        assert!(!makes_writable("select read_write from t"));
    }
}
