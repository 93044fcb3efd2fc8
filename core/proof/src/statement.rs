//! The statement: what exactly a tap signs.

use std::net::IpAddr;
use std::sync::Arc;

use der::{Decode, Encode};
use tapgate_model::{Digest, Login, NameError, TargetRef, UnixTime, UserName};

use crate::limits::{GROUPS_MAX, STATEMENT_MAX, STATEMENT_SPAN_MAX, TARGETS_MAX, TEXT_MAX};
use crate::wire::{WireStatement, WireTarget};
use crate::{Holder, Purpose, Uses};

/// One session that a tap may open: to whom, as whom, and over which key or connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StatementTarget {
    /// The target.
    pub target: TargetRef,
    /// Who the user becomes there.
    pub login: Login,
    /// The key or connection that may open it.
    pub holder: Holder,
}

/// A statement's content.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StatementParts {
    /// The fingerprint of the cluster's key: a tap for one gate means nothing to another.
    pub gate: Digest,
    /// What the tap is for.
    pub purpose: Purpose,
    /// Who taps.
    pub user: UserName,
    /// How often the tap may be used.
    pub uses: Uses,
    /// The only address the tap may be used from, where that is pinned.
    pub source_ip: Option<IpAddr>,
    /// The digest of what is done, where it is more than opening a session.
    pub action: Option<Digest>,
    /// The sessions.
    pub targets: Vec<StatementTarget>,
    /// When the statement was made.
    pub created: UnixTime,
    /// The last moment at which it counts.
    pub expires: UnixTime,
}

/// A statement that keeps the rules, with the one encoding that a tap signs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Statement {
    parts: StatementParts,
    der: Vec<u8>,
}

/// Why something is no statement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// The encoding is longer than a statement may be.
    #[error("the statement takes {0} bytes, more than {STATEMENT_MAX} (name fewer targets)")]
    TooLong(usize),
    /// The bytes are not DER of the schema.
    #[error("the statement is not in its schema: {0}")]
    Encoding(#[from] der::Error),
    /// The bytes say something in another way than the one way to say it.
    #[error("the statement is not in its one encoding (sort targets and groups, write IPv4 addresses as such)")]
    NotCanonical,
    /// The schema is of another version.
    #[error("the statement's version is {0}, not 1 (update the older side)")]
    Version(u8),
    /// A name is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A kind of target is none.
    #[error("{0}")]
    Kind(&'static str),
    /// A text would mislead whoever reads it before tapping.
    #[error("{0} must have 1 to {TEXT_MAX} bytes and no invisible characters")]
    Text(&'static str),
    /// A login belongs to another kind of target.
    #[error("the login {login} is for another kind of target than {target}")]
    LoginKind {
        /// The login, as text.
        login: String,
        /// The target's name.
        target: String,
    },
    /// A session statement without targets.
    #[error("a statement for sessions needs at least one target")]
    NoTarget,
    /// Targets where the purpose has none.
    #[error("a statement for {0} names no targets")]
    UnwantedTarget(Purpose),
    /// More targets or groups than a person reads.
    #[error("a statement names at most {TARGETS_MAX} targets of at most {GROUPS_MAX} groups each")]
    TooMany,
    /// The same session twice.
    #[error("the statement names the same target, login and holder twice")]
    Duplicate,
    /// No action where the purpose needs one.
    #[error("a statement for {0} needs the digest of its action")]
    NoAction(Purpose),
    /// An action where the purpose has none.
    #[error("a statement for sessions has no action")]
    UnwantedAction,
    /// The times contradict each other.
    #[error("the statement must expire after its creation, at most {} s later", STATEMENT_SPAN_MAX.as_secs())]
    Span,
}

impl Statement {
    /// The statement of these parts. Targets and groups are sorted and addresses put in their plain
    /// form, so that the same content always has the same bytes.
    pub fn new(mut parts: StatementParts) -> Result<Self, StatementError> {
        check_rules(&parts)?;
        check_targets(&parts.targets)?;
        normalize(&mut parts)?;
        if parts.targets.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(StatementError::Duplicate);
        }
        let der = WireStatement::new(&parts)?.to_der()?;
        if der.len() > STATEMENT_MAX {
            return Err(StatementError::TooLong(der.len()));
        }
        Ok(Self { parts, der })
    }

    /// The statement with exactly this encoding; whatever would be written otherwise is refused.
    pub fn from_der(der: &[u8]) -> Result<Self, StatementError> {
        if der.len() > STATEMENT_MAX {
            return Err(StatementError::TooLong(der.len()));
        }
        // The decoder takes DER alone, in which every value has one form; what is left are the orders and addresses,
        // of which the schema allows one each. To write all of it anew would say the same and cost as much again.
        let parts = WireStatement::from_der(der)?.into_parts()?;
        check_rules(&parts)?;
        check_targets(&parts.targets)?;
        check_normal(&parts)?;
        Ok(Self { parts, der: der.to_owned() })
    }

    /// Its content.
    pub const fn parts(&self) -> &StatementParts {
        &self.parts
    }

    /// Its content, taken out.
    pub fn into_parts(self) -> StatementParts {
        self.parts
    }

    /// Its encoding.
    pub fn to_der(&self) -> Vec<u8> {
        self.der.clone()
    }

    /// Its encoding, borrowed.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The challenge that an authenticator signs for this statement.
    pub fn challenge(&self, random: &[u8; 32]) -> [u8; 32] {
        crate::challenge(random, &self.der)
    }
}

fn check_rules(parts: &StatementParts) -> Result<(), StatementError> {
    let (purpose, action, targets) = (parts.purpose, parts.action.is_some(), !parts.targets.is_empty());
    match purpose {
        Purpose::Session if !targets => return Err(StatementError::NoTarget),
        Purpose::Session if action => return Err(StatementError::UnwantedAction),
        Purpose::Admin | Purpose::AddDevice | Purpose::Statement if !action => {
            return Err(StatementError::NoAction(purpose));
        }
        Purpose::Login | Purpose::Admin | Purpose::AddDevice if targets => {
            return Err(StatementError::UnwantedTarget(purpose));
        }
        _ => {}
    }
    if parts.expires <= parts.created || parts.expires.since(parts.created) > STATEMENT_SPAN_MAX {
        return Err(StatementError::Span);
    }
    Ok(())
}

fn check_targets(targets: &[StatementTarget]) -> Result<(), StatementError> {
    if targets.len() > TARGETS_MAX {
        return Err(StatementError::TooMany);
    }
    for StatementTarget { target, login, .. } in targets {
        if login.kind() != target.kind {
            return Err(StatementError::LoginKind { login: login.to_string(), target: target.name.to_string() });
        }
        match login {
            Login::Db { database: Some(database), .. } => readable(database, "a database's name")?,
            Login::Kube { user, groups } => {
                readable(user, "a Kubernetes user's name")?;
                if groups.len() > GROUPS_MAX {
                    return Err(StatementError::TooMany);
                }
                groups.iter().try_for_each(|group| readable(group, "a Kubernetes group's name"))?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// The model's names are plain already; these texts come from elsewhere and are shown before a tap.
fn readable(text: &str, what: &'static str) -> Result<(), StatementError> {
    let misleading = |c: char| {
        c.is_control()
            || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
    };
    let fits = (1..=TEXT_MAX).contains(&text.len());
    if fits && !text.chars().any(misleading) { Ok(()) } else { Err(StatementError::Text(what)) }
}

/// What [`normalize`] would leave as it is.
fn check_normal(parts: &StatementParts) -> Result<(), StatementError> {
    let plain = |address: &IpAddr| address.to_canonical() == *address;
    let normal = |StatementTarget { login, holder, .. }: &StatementTarget| {
        let sorted = match login {
            Login::Kube { groups, .. } => groups.is_sorted_by(|a, b| a < b),
            _ => true,
        };
        sorted && !matches!(holder, Holder::LoginKey { address, .. } if !plain(address))
    };
    if !parts.source_ip.as_ref().is_none_or(plain) || !parts.targets.iter().all(normal) {
        return Err(StatementError::NotCanonical);
    }
    if parts.targets.len() < 2 {
        return Ok(());
    }
    let encoded = |target: &StatementTarget| WireTarget::new(target)?.to_der();
    let keys = parts.targets.iter().map(encoded).collect::<Result<Vec<_>, der::Error>>()?;
    if keys.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(StatementError::Duplicate);
    }
    if keys.is_sorted() { Ok(()) } else { Err(StatementError::NotCanonical) }
}

fn normalize(parts: &mut StatementParts) -> Result<(), StatementError> {
    parts.source_ip = parts.source_ip.map(|address| address.to_canonical());
    for StatementTarget { login, holder, .. } in &mut parts.targets {
        if let Holder::LoginKey { address, .. } = holder {
            *address = address.to_canonical();
        }
        if let Login::Kube { groups, .. } = login
            && !groups.is_sorted_by(|a, b| a < b)
        {
            let mut sorted: Vec<Arc<str>> = groups.to_vec();
            sorted.sort();
            sorted.dedup();
            *groups = sorted.into();
        }
    }
    if parts.targets.len() > 1 {
        // The order is that of the encodings, so that anybody can check it without our types.
        let keyed = std::mem::take(&mut parts.targets).into_iter().map(|target| {
            let key = WireTarget::new(&target)?.to_der()?;
            Ok((key, target))
        });
        let mut keyed = keyed.collect::<Result<Vec<_>, der::Error>>()?;
        keyed.sort_by(|a, b| a.0.cmp(&b.0));
        parts.targets = keyed.into_iter().map(|(_, target)| target).collect();
    }
    Ok(())
}
