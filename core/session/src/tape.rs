//! Recording: a session whose role wants it has a tape, and a strict role has no session without one.

use std::sync::Arc;

use tapgate_audit::{Event, Tape, TapeFacts};
use tapgate_policy::RecordSession;

use crate::live::CutReason;
use crate::{DialError, Live, ProtocolName};

impl Live {
    /// What this session is recorded on, if it is.
    pub fn tape(&self) -> Option<&Arc<dyn Tape>> {
        self.tape.get()
    }

    /// Begins the recording, where the role wants one. It fails only where a session may not be without.
    pub(crate) fn begin_tape(&self) -> Result<(), DialError> {
        let wanted = self.terms().record_session;
        let strict = wanted == RecordSession::Strict;
        if wanted == RecordSession::Off {
            return Ok(());
        }
        let recorder = self.gate.recorder().ok_or("this gate keeps no recordings");
        let begun = recorder.map_err(str::to_owned).and_then(|recorder| {
            // Of the others there is only what the audit log is told.
            if strict && !tells_all(self.protocol()) {
                return Err(format!("sessions over {} are not recorded whole", self.protocol().as_str()));
            }
            let facts = TapeFacts {
                session: self.id(),
                user: self.user().clone(),
                kind: self.target().kind,
                target: self.target().name.clone(),
                login: self.login().to_string().into(),
                protocol: self.protocol().as_str().into(),
                started: self.gate.clock().now(),
            };
            recorder.begin(&facts, self.on_fault(strict))
        });
        match begun {
            Ok(tape) => {
                // A session has one tape, and this is called once.
                self.tape.get_or_init(|| tape);
                Ok(())
            }
            Err(why) if strict => {
                tracing::error!(why, session = %self.id(), "A session that must be recorded can't be, and is refused");
                Err(DialError::Unrecorded)
            }
            Err(why) => {
                self.warn(&why);
                Ok(())
            }
        }
    }

    /// What becomes of the session where its recording can't go on.
    fn on_fault(&self, strict: bool) -> Box<dyn Fn(&str) + Send + Sync> {
        let (cut, gate, session) = (self.cutter(), self.gate.clone(), self.id());
        Box::new(move |why| {
            tracing::error!(why, %session, strict, "A recording can't go on");
            gate.sink().record(Event::security_warning(format!("session {session} is not recorded whole: {why}")));
            if strict {
                cut(CutReason::Denied("it can no longer be recorded, and its role demands that".to_owned()));
            }
        })
    }

    /// Something in this session can't be recorded: told where the role lets it happen all the same, and false where it
    /// does not.
    pub fn may_go_unrecorded(&self, what: &str) -> bool {
        if self.terms().record_session == RecordSession::Strict {
            return false;
        }
        if self.tape().is_some() {
            tracing::warn!(what, session = %self.id(), "A part of a session is not recorded");
            let text = format!("session {} is not recorded whole: {what} can't be read", self.id());
            self.gate.sink().record(Event::security_warning(text));
        }
        true
    }

    fn warn(&self, why: &str) {
        tracing::warn!(why, session = %self.id(), "A session is not recorded");
        let session = self.id();
        self.gate.sink().record(Event::security_warning(format!("session {session} is not recorded: {why}")));
    }
}

/// Whether what happens in such a session is told to its recording.
const fn tells_all(protocol: ProtocolName) -> bool {
    match protocol {
        ProtocolName::Ssh | ProtocolName::Postgres | ProtocolName::Mysql | ProtocolName::Kube => true,
        ProtocolName::Http | ProtocolName::Tcp | ProtocolName::Rdp | ProtocolName::Vnc => false,
    }
}
