//! A login: who one becomes on a target.

use std::fmt;
use std::sync::Arc;

use crate::{Kind, LoginName};

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
