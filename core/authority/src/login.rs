//! Login: a password and a tap, for certificates that say who somebody is and open nothing by themselves.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use tapgate_api::{Assertion, Ceremony, LoginBegin, LoginCertificates};
use tapgate_audit::Event;
use tapgate_identity::{LoginSubject, SshLoginSubject};
use tapgate_model::{Digest, UserName};
use tapgate_proof::{Purpose, Statement, StatementParts, Uses};
use webauthn_rs::prelude::SecurityKey;

use crate::authority::ssh_lines;
use crate::ceremony::{Work, new_id};
use crate::limits::{CEREMONY_TTL, LOGIN_TTL_MAX};
use crate::public_key::LoginKeys;
use crate::tap::Wanted;
use crate::{Authority, Fault, key};

impl Authority {
    /// Starts a login. A stranger, a wrong password and a user without a key get a challenge too:
    /// nothing is told before the tap, and nothing but "no" after it.
    pub fn login_begin(&self, begin: &LoginBegin, peer: IpAddr) -> Result<Ceremony, Fault> {
        self.admit(&begin.user, peer)?;
        let keys = LoginKeys::parse(&begin.tls_public_key, &begin.ssh_public_key)?;
        let user: UserName = begin.user.parse().map_err(|e: tapgate_model::NameError| {
            Fault::invalid(e.to_string(), "give the name as your administrator wrote it")
        })?;
        let known = self.recognise(&user, &begin.password)?;
        let statement = self.login_statement(user, keys.action()?)?;
        let (tls_public_key, ssh_public_key) = (begin.tls_public_key.clone(), begin.ssh_public_key.clone());
        let work = Work::Login { tls_public_key, ssh_public_key };
        let wanted = Wanted { statement: &statement, verified: false, peer, identity: None, work };
        match known {
            Some(keys) => self.ask(new_id(), wanted, &keys),
            None => self.ask_in_vain(new_id(), wanted),
        }
    }

    /// What a login's tap signs: who logs in, and the keys of the login.
    pub(crate) fn login_statement(&self, user: UserName, action: Digest) -> Result<Statement, Fault> {
        let now = self.now();
        Statement::new(StatementParts {
            gate: self.gate,
            purpose: Purpose::Login,
            user,
            uses: Uses::Once,
            source_ip: None,
            action: Some(action),
            targets: Vec::new(),
            created: now,
            expires: now.plus(CEREMONY_TTL),
        })
        .map_err(Fault::internal)
    }

    /// The user's keys, if this is the password of a user who has keys. It takes as long if not.
    pub(crate) fn recognise(&self, user: &UserName, password: &str) -> Result<Option<Vec<SecurityKey>>, Fault> {
        let hash = self.store.get(&key::password(user), self.now().as_secs())?;
        let hash = hash.and_then(|entry| String::from_utf8(entry.value).ok());
        let matches = self.passwords.check(password, hash.as_deref())?;
        let exists = self.state.load().policy.roles_of(user).is_some();
        let keys = self.keys_of(user)?;
        Ok((matches && exists && !keys.is_empty()).then_some(keys))
    }

    /// Finishes a login.
    pub fn login_finish(&self, answer: &Assertion, peer: IpAddr) -> Result<LoginCertificates, Fault> {
        self.rates.anybody(peer)?;
        let given = self.receive(answer, Purpose::Login, None).map_err(|fault| match fault.status {
            500.. => fault,
            _ => self.login_failed("", peer, &fault.to_string()),
        })?;
        self.record_success(&given);
        let Work::Login { tls_public_key, ssh_public_key } = &given.pending.work else {
            return Err(Fault::internal("a login's tap was asked for something else"));
        };
        let keys = LoginKeys::parse(tls_public_key, ssh_public_key)?;
        let failed = |reason: &str| self.login_failed(given.pending.user.as_str(), peer, reason);
        let certificates = self.certify_login(&given.pending.user, &keys, (given.pending.peer, peer), failed)?;
        self.admitted(given.pending.user.as_str(), given.pending.peer)?;
        self.sink.record(Event::login(given.pending.user, SocketAddr::new(peer, 0)));
        Ok(certificates)
    }

    /// One answer for all that can be wrong with a login.
    fn login_failed(&self, user: &str, peer: IpAddr, reason: &str) -> Fault {
        self.sink.record(Event::login_failed(user, SocketAddr::new(peer, 0), reason));
        Fault::unauthenticated(
            "the login failed: the user name, the password or the key is wrong, or the tap came too late",
        )
    }

    /// The certificates of a login that was begun and is finished from these addresses.
    pub(crate) fn certify_login(
        &self,
        user: &UserName,
        keys: &LoginKeys,
        (begun, finished): (IpAddr, IpAddr),
        failed: impl Fn(&str) -> Fault,
    ) -> Result<LoginCertificates, Fault> {
        let now = self.now();
        let state = self.state.load();
        let terms = state.policy.login_terms(user).ok_or_else(|| failed("the user is gone"))?;
        self.must_be_free(user)?;
        let source_ip = terms.pin_source_ip.then_some(begun);
        if source_ip.is_some_and(|begun| begun != finished) {
            return Err(failed("it was begun from another address"));
        }
        let expires = now.plus(terms.max_session_ttl.min(LOGIN_TTL_MAX).max(Duration::from_secs(1)));
        let tls = LoginSubject { user, spki_der: &keys.spki, source_ip, expires };
        let tls = self.cas().login.issue_login(&tls, &self.gate, now).map_err(unissued)?;
        let ssh = SshLoginSubject { user, public_key: &keys.ssh, source_ip, expires };
        let ssh = self.cas().login_ssh.issue_login(&ssh, &self.gate, now).map_err(unissued)?;
        self.note_login_pair(keys, expires)?;
        let roles = state.policy.roles_of(user).unwrap_or_default();
        Ok(LoginCertificates {
            user: user.to_string(),
            tls_certificate: pem(&tls),
            ssh_certificate: ssh.to_openssh().map_err(Fault::internal)?,
            host_ca: self.host_ca_pem(),
            host_ssh_ca: ssh_lines(&self.cas().host_ssh).map_err(Fault::internal)?,
            expires: expires.as_secs(),
            roles: roles.iter().map(ToString::to_string).collect(),
            logins: self.unix_logins(user),
        })
    }

    /// Every Unix login that the user may use on some node.
    fn unix_logins(&self, user: &UserName) -> Vec<String> {
        let policy = &self.state.load().policy;
        let node = tapgate_model::Kind::Node;
        let logins = policy.nodes().flat_map(|n| policy.logins(user, node, &n.name, &n.uid, &n.labels));
        let sorted: std::collections::BTreeSet<_> = logins.collect();
        sorted.into_iter().collect()
    }
}

/// What the client could have done better is its fault; the rest is ours.
pub(crate) fn unissued(error: tapgate_identity::IssueError) -> Fault {
    use tapgate_identity::IssueError as E;
    match error {
        E::Key | E::Oversized { .. } => Fault::invalid(error.to_string(), "start again"),
        E::Past => Fault::expired("the certificate would have ended already", "start again"),
        other => Fault::internal(other),
    }
}

/// A certificate as text.
pub(crate) fn pem(certificate: &CertificateDer<'_>) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(certificate);
    let lines = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect::<Vec<_>>().join("\n");
    format!("-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n")
}
