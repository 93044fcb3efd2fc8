//! Session certificates: a tap over the targets, for a key that lives in memory.

use std::net::{IpAddr, SocketAddr};

use tapgate_api::{Assertion, Requirement, SessionBegin, SessionCertificates, SessionTarget};
use tapgate_audit::{Event, SessionFacts};
use tapgate_identity::{Credential, Identity, SessionSubject, SshSessionSubject};
use tapgate_model::{Kind, Login, LoginName, SessionId, TargetName, UserName};
use tapgate_policy::SessionMfa;
use tapgate_proof::{Holder, Proof, Purpose, Statement, StatementParts, StatementTarget, Uses};
use tapgate_session::{Denial, DenialReason, Door, Gate, Requirement as Needed, Wish};

use crate::ceremony::{Work, new_id};
use crate::demand::Demanded;
use crate::limits::{CEREMONY_TTL, ONCE_TTL, TARGETS_MAX};
use crate::login::{pem, unissued};
use crate::public_key::SessionKey;
use crate::tap::Wanted;
use crate::{Authority, Fault};

impl Authority {
    /// Says what sessions of these targets need, and asks for the tap where one is due.
    pub fn session_begin(
        &self,
        gate: &Gate,
        identity: &Identity,
        begin: &SessionBegin,
        peer: IpAddr,
    ) -> Result<Requirement, Fault> {
        self.rates.known(identity.user())?;
        self.must_be_login(identity, peer)?;
        let holder = Holder::SessionKey(SessionKey::parse(&begin.public_key)?.digest());
        let wishes = parse_targets(&begin.targets)?;
        let work = Work::Session { public_key: begin.public_key.clone() };
        self.begin_session_tap(gate, identity, &wishes, (&holder, work), peer).map(|(requirement, _)| requirement)
    }

    /// Asks for the tap that these sessions need, if any, by this holder; answers the statement beside it.
    pub(crate) fn begin_session_tap(
        &self,
        gate: &Gate,
        identity: &Identity,
        wishes: &[Wish],
        (holder, work): (&Holder, Work),
        peer: IpAddr,
    ) -> Result<(Requirement, Option<Statement>), Fault> {
        let needed = self.requirement(gate, identity, wishes, peer)?;
        must_fit(&needed)?;
        if needed.mfa == SessionMfa::Off {
            return Ok((Requirement::None, None));
        }
        let keyless = needed.mfa < SessionMfa::RequiredWebAuthn && self.keys_of(identity.user())?.is_empty();
        if keyless && self.can_step_up(identity.user()) {
            return Ok((Requirement::Sso, None));
        }
        let Demanded { keys, verified } = self.demanded(identity.user(), needed.mfa, "access this resource")?;
        let statement = self.session_statement(identity, &needed, holder, peer)?;
        let reusable = statement.parts().uses == Uses::Window;
        let wanted = Wanted { statement: &statement, verified, peer, identity: Some(identity), work };
        let ceremony = Box::new(self.ask(new_id(), wanted, &keys)?);
        Ok((Requirement::Tap { ceremony, reusable }, Some(statement)))
    }

    /// What the gate says that these sessions need; a denial is recorded as the session's own would be.
    pub(crate) fn requirement(
        &self,
        gate: &Gate,
        identity: &Identity,
        wishes: &[Wish],
        peer: IpAddr,
    ) -> Result<Needed, Fault> {
        gate.requirement(identity.user(), wishes).map_err(|(wish, denial)| {
            let facts = SessionFacts {
                session: SessionId::from_bytes(crate::token::random()),
                user: identity.user().clone(),
                kind: wish.0,
                target: wish.1.clone(),
                uid: None,
                login: wish.2.to_string().into(),
                protocol: "api".into(),
                peer: SocketAddr::new(peer, 0),
                door: Door::Certificate.as_str().into(),
                credential: *identity.fingerprint(),
                mfa_required: None,
                tap: None,
                via: Vec::new(),
                connection: None,
            };
            self.sink.record(Event::session_denied(facts, denial.reason().to_string(), denial.message()));
            denied(&denial)
        })
    }

    /// The window runs from here, so a slow tap leaves less of it; a session is opened with one
    /// tap or not at all, never with an old one.
    pub(crate) fn session_statement(
        &self,
        identity: &Identity,
        needed: &Needed,
        holder: &Holder,
        peer: IpAddr,
    ) -> Result<Statement, Fault> {
        let now = self.now();
        let once = needed.window.is_zero();
        let span = if once { ONCE_TTL } else { needed.window.min(CEREMONY_TTL) };
        let entry = |(target, login, _): &(tapgate_model::TargetRef, Login, tapgate_policy::Terms)| StatementTarget {
            target: target.clone(),
            login: login.clone(),
            holder: holder.clone(),
        };
        Statement::new(StatementParts {
            gate: self.gate,
            purpose: Purpose::Session,
            user: identity.user().clone(),
            uses: if once { Uses::Once } else { Uses::Window },
            source_ip: needed.pin_source_ip.then_some(peer),
            action: None,
            targets: needed.targets.iter().map(entry).collect(),
            created: now,
            expires: now.plus(span).min(identity.login_expires()),
        })
        .map_err(|e| Fault::invalid(e.to_string(), "ask for fewer targets, each of them once"))
    }

    /// Issues the session certificates for a tap.
    pub fn session_finish(
        &self,
        gate: &Gate,
        identity: &Identity,
        answer: &Assertion,
        peer: IpAddr,
    ) -> Result<SessionCertificates, Fault> {
        self.rates.known(identity.user())?;
        self.must_be_login(identity, peer)?;
        let given = self.receive(answer, Purpose::Session, Some(identity))?;
        self.record_success(&given);
        let parts = given.tap.statement().parts();
        let needed = self.still_due(gate, identity, parts, peer)?;
        self.must_satisfy(needed.mfa, &given)?;
        let Work::Session { public_key } = &given.pending.work else {
            return Err(Fault::internal("a session's tap was asked for something else"));
        };
        self.issue_session(identity, public_key, &given.proof, parts)
    }

    /// What was true when the tap was asked for may be true no more: what the sessions need now.
    pub(crate) fn still_due(
        &self,
        gate: &Gate,
        identity: &Identity,
        parts: &StatementParts,
        peer: IpAddr,
    ) -> Result<Needed, Fault> {
        if parts.source_ip.is_some_and(|pinned| pinned != peer) {
            return Err(Fault::denied("the tap was asked for from another address (start again from here)"));
        }
        let wish = |t: &StatementTarget| (t.target.kind, t.target.name.clone(), t.login.clone());
        let wishes: Vec<Wish> = parts.targets.iter().map(wish).collect();
        let needed = self.requirement(gate, identity, &wishes, peer)?;
        let same = |(n, t): (&(tapgate_model::TargetRef, _, _), &StatementTarget)| n.0.uid == t.target.uid;
        if !needed.targets.iter().zip(&parts.targets).all(same) {
            return Err(Fault::conflict("a target is another one now", "start again"));
        }
        Ok(needed)
    }

    /// The session certificates that carry this proof, for the key that was named at the start.
    pub(crate) fn issue_session(
        &self,
        identity: &Identity,
        public_key: &str,
        proof: &Proof,
        parts: &StatementParts,
    ) -> Result<SessionCertificates, Fault> {
        let key = SessionKey::parse(public_key)?;
        let (user, login_expires, not_after) = (identity.user(), identity.login_expires(), parts.expires);
        let now = self.now();
        let subject = SessionSubject { user, spki_der: &key.spki, proof, login_expires, not_after };
        let tls = self.cas().session.issue_session(&subject, &self.gate, now).map_err(unissued)?;
        let logins = parts.targets.iter().filter_map(principal).collect::<Vec<_>>();
        let subject =
            SshSessionSubject { user, public_key: &key.ssh, logins: &logins, proof, login_expires, not_after };
        let ssh = self.cas().session_ssh.issue_session(&subject, &self.gate, now).map_err(unissued)?;
        Ok(SessionCertificates {
            tls_certificate: pem(&tls),
            ssh_certificate: ssh.to_openssh().map_err(Fault::internal)?,
            expires: not_after.as_secs(),
            reusable: parts.uses == Uses::Window,
        })
    }

    /// Only a login certificate asks for anything, and only while it is valid, from where it may.
    pub(crate) fn must_be_login(&self, identity: &Identity, peer: IpAddr) -> Result<(), Fault> {
        if identity.credential() != Credential::Login {
            return Err(Fault::unauthenticated("a session certificate asks for nothing (use the login certificate)"));
        }
        if self.state.load().locked_keys.contains(identity.key()) {
            return Err(Fault::unauthenticated("your login was locked from your page of sessions (run `tap login`)"));
        }
        if identity.not_after() <= self.now() {
            return Err(Fault::unauthenticated("your login has expired (run `tap login`)"));
        }
        if identity.source_ip().is_some_and(|pinned| pinned != peer) {
            return Err(Fault::unauthenticated("your login is pinned to another address (run `tap login` from here)"));
        }
        Ok(())
    }

    /// Whoever is locked gets nothing, and is told so: they know that they exist.
    pub(crate) fn must_be_free(&self, user: &UserName) -> Result<(), Fault> {
        match self.state.load().policy.lock_on(user, self.now()) {
            Some(lock) => Err(Fault::denied(format!("access is locked: {} (ask your administrator)", lock.why()))),
            None => Ok(()),
        }
    }
}

fn principal(entry: &StatementTarget) -> Option<(LoginName, TargetName)> {
    match &entry.login {
        Login::Unix(login) => Some((login.clone(), entry.target.name.clone())),
        _ => None,
    }
}

/// Unknown and forbidden are one answer; a lock is told, so that people know whom to ask.
fn denied(denial: &Denial) -> Fault {
    match denial.reason() {
        DenialReason::Limit(_) => Fault::too_many(),
        _ => Fault::denied(denial.message()),
    }
}

/// The roles let one tap cover as many.
pub(crate) fn must_fit(needed: &Needed) -> Result<(), Fault> {
    let (count, max) = (needed.targets.len(), needed.batch_max);
    if count <= max {
        return Ok(());
    }
    let what = format!("your roles let one tap cover {max} targets, not {count}");
    Err(Fault::invalid(what, "choose fewer, or ask for `session_mfa_batch` in a role"))
}

pub(crate) fn parse_targets(targets: &[SessionTarget]) -> Result<Vec<Wish>, Fault> {
    if targets.is_empty() || targets.len() > TARGETS_MAX {
        let what = format!("a tap covers 1 to {TARGETS_MAX} targets, not {}", targets.len());
        return Err(Fault::invalid(what, "ask for fewer at once"));
    }
    targets.iter().map(parse_target).collect()
}

fn parse_target(target: &SessionTarget) -> Result<Wish, Fault> {
    let kind: Kind =
        target.kind.parse().map_err(|e| Fault::invalid(format!("{:?} is {e}", target.kind), "see `tap ls`"))?;
    let bad = |e: tapgate_model::NameError| Fault::invalid(e.to_string(), "see `tap ls`");
    Ok((kind, target.name.parse().map_err(bad)?, Login::parse(kind, &target.login).map_err(bad)?))
}
