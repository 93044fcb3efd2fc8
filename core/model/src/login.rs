//! A login: who one becomes on a target.

use std::fmt;
use std::sync::Arc;

use crate::{Kind, LoginName, NameError};

/// How long a database's name, a Kubernetes user or a group may be, in bytes: twice what PostgreSQL allows.
const WORD_MAX: usize = 128;

/// How many groups a Kubernetes login may have, so that a statement stays small.
const GROUPS_MAX: usize = 64;

/// Who one becomes on a target; each kind of target has its own record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Login {
    /// A Unix user on a node.
    Unix(LoginName),
    /// A database user, and the database's name where the protocol has one.
    Db {
        /// The database user.
        user: LoginName,
        /// The database.
        database: Option<Arc<str>>,
    },
    /// A Kubernetes user and groups, sorted and without repetition.
    Kube {
        /// The impersonated user.
        user: Arc<str>,
        /// The impersonated groups.
        groups: Arc<[Arc<str>]>,
    },
    /// An application has no logins of its own.
    App,
    /// A desktop's user.
    Desktop(LoginName),
}

impl Login {
    /// The kind of target that this login belongs to.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Unix(_) => Kind::Node,
            Self::Db { .. } => Kind::Db,
            Self::Kube { .. } => Kind::KubeCluster,
            Self::App => Kind::App,
            Self::Desktop(_) => Kind::WindowsDesktop,
        }
    }

    /// Reads the one text form of a login on a target of this kind; what [`Login`] prints, it reads.
    pub fn parse(kind: Kind, text: &str) -> Result<Self, NameError> {
        Ok(match kind {
            Kind::Node => Self::Unix(text.parse()?),
            Kind::WindowsDesktop => Self::Desktop(text.parse()?),
            Kind::Db => match text.split_once('/') {
                None => Self::Db { user: text.parse()?, database: None },
                Some((user, name)) => Self::Db { user: user.parse()?, database: Some(word(name, "the database", "")?) },
            },
            Kind::KubeCluster => kube(text)?,
            Kind::App if text == "-" => Self::App,
            Kind::App => {
                let character = text.chars().next().ok_or(NameError::Empty { what: "the login" })?;
                let allowed = "- alone: an application has no logins of its own";
                return Err(NameError::Character { what: "the login", character, allowed });
            }
        })
    }
}

/// `user[group,group]`; the groups in order and each of them once, so that one login has one form.
fn kube(text: &str) -> Result<Login, NameError> {
    let (user, groups) = match text.strip_suffix(']').and_then(|text| text.split_once('[')) {
        None => (text, ""),
        Some((user, groups)) => (user, groups),
    };
    let groups = groups.split(',').filter(|group| !group.is_empty());
    let mut groups = groups.map(|group| word(group, "the group", ",[]")).collect::<Result<Vec<_>, _>>()?;
    groups.sort_unstable();
    groups.dedup();
    if groups.len() > GROUPS_MAX {
        return Err(NameError::TooLong { what: "the list of groups", max: GROUPS_MAX });
    }
    Ok(Login::Kube { user: word(user, "the Kubernetes user", ",[]")?, groups: groups.into() })
}

/// A name that its own system made: anything that can be seen, but for the letters that the text form needs.
fn word(text: &str, what: &'static str, not: &str) -> Result<Arc<str>, NameError> {
    if text.is_empty() {
        return Err(NameError::Empty { what });
    }
    if text.len() > WORD_MAX {
        return Err(NameError::TooLong { what, max: WORD_MAX });
    }
    // Control characters and marks that turn the direction of writing would show a person another name.
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    match text.chars().find(|c| hidden(*c) || not.contains(*c)) {
        Some(character) => {
            let allowed = "letters, digits and signs that can be seen, but none of ,[] in a cluster's names";
            Err(NameError::Character { what, character, allowed })
        }
        None => Ok(text.into()),
    }
}

/// The one text form, used in statements, logs and on pages: `jerry`, `app/shop`, `dev[view,edit]`.
impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(name) | Self::Desktop(name) => name.fmt(f),
            Self::Db { user, database: None } => user.fmt(f),
            Self::Db { user, database: Some(database) } => write!(f, "{user}/{database}"),
            Self::Kube { user, groups } => {
                write!(f, "{user}[")?;
                for (n, group) in groups.iter().enumerate() {
                    write!(f, "{}{group}", if n == 0 { "" } else { "," })?;
                }
                f.write_str("]")
            }
            Self::App => f.write_str("-"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read() {
        let texts = [
            (Kind::Node, "jerry"),
            (Kind::Db, "app"),
            (Kind::Db, "app/shop"),
            (Kind::Db, "app/a/b c"),
            (Kind::KubeCluster, "dev[]"),
            (Kind::KubeCluster, "system:dev[edit,view]"),
            (Kind::App, "-"),
            (Kind::WindowsDesktop, "ann"),
        ];
        for (kind, text) in texts {
            assert_eq!(Login::parse(kind, text).map(|login| login.to_string()), Ok(text.to_owned()));
        }
        let sorted = Login::parse(Kind::KubeCluster, "dev[view,edit,view]").map(|login| login.to_string());
        assert_eq!(sorted, Ok("dev[edit,view]".to_owned()));
    }

    #[test]
    fn what_would_be_misread_is_no_login() {
        let bad = [
            (Kind::Node, "a/b"),
            (Kind::Db, "app/"),
            (Kind::Db, "app/a\nb"),
            (Kind::Db, "app/\u{202e}pohs"),
            (Kind::Db, "/shop"),
            (Kind::KubeCluster, "[view]"),
            (Kind::KubeCluster, "dev[a[b]"),
            (Kind::KubeCluster, "dev[view"),
            (Kind::App, "root"),
            (Kind::App, ""),
        ];
        for (kind, text) in bad {
            assert!(Login::parse(kind, text).is_err(), "{kind} {text:?}");
        }
    }
}
