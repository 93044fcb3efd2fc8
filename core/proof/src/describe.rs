//! What a person reads before tapping.

use std::fmt::Write as _;

use tapgate_model::Login;

use crate::{Purpose, Statement, StatementTarget, Uses};

impl Statement {
    /// The lines that a person reads before tapping: who, each target with its login, what else, and when.
    pub fn describe(&self) -> Vec<String> {
        let parts = self.parts();
        let mut lines = vec![format!("{}: {}", parts.user, parts.purpose.deed())];
        lines.extend(parts.targets.iter().map(target_line));
        lines.extend(parts.action.map(|action| format!("action sha256:{action}")));
        lines.extend(parts.source_ip.map(|address| format!("only from {address}")));
        let often = match (parts.purpose, parts.uses) {
            (Purpose::Session, Uses::Window) => "as often as needed",
            _ => "once",
        };
        lines.push(format!("{often}, from {} until {}", parts.created, parts.expires));
        lines
    }
}

fn target_line(target: &StatementTarget) -> String {
    let mut line = format!("{} \"{}\"", target.target.kind.title(), target.target.name);
    let written = match &target.login {
        Login::Unix(name) | Login::Desktop(name) => write!(line, " as {name}"),
        Login::App => Ok(()),
        Login::Db { user, database: None } => write!(line, " as {user}"),
        Login::Db { user, database: Some(database) } => write!(line, " as {user}, database {database:?}"),
        Login::Kube { user, groups } if groups.is_empty() => write!(line, " as {user:?}"),
        Login::Kube { user, groups } => write!(line, " as {user:?}, groups {groups:?}"),
    };
    let written = written.and_then(|()| write!(line, ", {}", target.holder));
    // INVARIANT: writing to a String never fails.
    written.expect("writing to a String");
    line
}
