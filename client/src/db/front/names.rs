//! Which user and which database a client of this machine may be, and how the gate is told.

use tapgate_model::{Login, LoginName};

use super::super::find::{Database, Protocol};
use crate::error::{Failure, Result};

/// What the clients of one front may name.
pub(super) struct Names {
    pub(super) database: Database,
    /// The one database user; none where the client chooses.
    pub(super) user: Option<LoginName>,
    /// The one database name; none where the client chooses.
    pub(super) name: Option<String>,
}

/// Who a client wants to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// `user@target`, as the gate wants it.
    pub(super) user: String,
    /// The database's name; MySQL needs none.
    pub(super) name: Option<String>,
    pub(super) login: Login,
}

impl Names {
    /// Who a client is there that names this user and this database.
    pub(super) fn wanted(&self, user: &str, name: Option<&str>) -> Result<Wanted> {
        let target = self.database.name.as_str();
        let user = user.strip_suffix(target).and_then(|user| user.strip_suffix('@')).unwrap_or(user);
        let user: LoginName = user.parse().map_err(|error| Failure::new(format!("{error}")))?;
        if let Some(only) = self.user.as_ref().filter(|only| **only != user) {
            return Err(Failure::new(format!("this is the way for the database user \"{only}\", not for \"{user}\""))
                .advise(format!("connect as {only}, or start another tap proxy db with --db-user {user}")));
        }
        // libpq names the database after the user where nobody names one.
        let named =
            |name: &&str| !(name.is_empty() || self.database.protocol == Protocol::Postgres && *name == user.as_str());
        let name = match (name.filter(named), self.name.as_deref()) {
            (Some(name), Some(only)) if name != only => {
                return Err(Failure::new(format!("this is the way to the database \"{only}\", not to \"{name}\""))
                    .advise(format!("connect to {only}, or start another tap proxy db with --db-name")));
            }
            (named, only) => named.or(only),
        };
        let login = self.database.login(&user, name)?;
        let name = match self.database.protocol {
            Protocol::Postgres => Some(name.unwrap_or(user.as_str())),
            Protocol::Mysql => name,
        };
        Ok(Wanted { user: format!("{user}@{target}"), name: name.map(str::to_owned), login })
    }

    /// The login that can be told before anybody has come. Nothing where a client of PostgreSQL will name the database.
    pub(super) fn usual(&self) -> Result<Option<Login>> {
        let is_told = self.database.protocol == Protocol::Mysql || self.name.is_some();
        self.user.as_ref().filter(|_| is_told).map(|user| self.database.login(user, self.name.as_deref())).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::find::tests::database;
    use super::*;

    fn names(protocol: Protocol, user: Option<&str>, name: Option<&str>) -> Names {
        let user = user.map(|user| user.parse().unwrap());
        Names { database: database("orders", protocol, &["app", "ann"]), user, name: name.map(str::to_owned) }
    }

    fn wanted(names: &Names, user: &str, name: Option<&str>) -> String {
        match names.wanted(user, name) {
            Ok(Wanted { user, name, login }) => format!("{user} {} {login}", name.unwrap_or_default()),
            Err(failure) => failure.to_string(),
        }
    }

    #[test]
    fn what_postgres_clients_name() {
        let fixed = names(Protocol::Postgres, Some("app"), Some("shop"));
        assert_eq!(wanted(&fixed, "app", Some("shop")), "app@orders shop app/shop");
        assert_eq!(wanted(&fixed, "app@orders", Some("app")), "app@orders shop app/shop");
        assert_eq!(wanted(&fixed, "app", None), "app@orders shop app/shop");
        assert!(wanted(&fixed, "root", None).contains("database user \"app\", not for \"root\""));
        assert!(wanted(&fixed, "app", Some("other")).contains("database \"shop\", not to \"other\""));
        assert!(wanted(&fixed, "app@stock", None).contains("not for \"app@stock\""));
        let free = names(Protocol::Postgres, None, None);
        assert_eq!(wanted(&free, "ann", Some("shop")), "ann@orders shop ann/shop");
        assert_eq!(wanted(&free, "ann", None), "ann@orders ann ann/ann");
        assert!(!wanted(&free, "a\u{1b}b", None).contains('\u{1b}'));
    }

    #[test]
    fn a_tap_is_asked_for_early_where_it_is_known_for_what() {
        let usual = |protocol, user, name| names(protocol, user, name).usual().unwrap().map(|login| login.to_string());
        assert_eq!(usual(Protocol::Postgres, Some("app"), Some("shop")).as_deref(), Some("app/shop"));
        assert_eq!(usual(Protocol::Postgres, Some("app"), None), None);
        assert_eq!(usual(Protocol::Mysql, Some("app"), None).as_deref(), Some("app"));
        assert_eq!(usual(Protocol::Mysql, None, Some("shop")), None);
    }

    #[test]
    fn what_mysql_clients_name() {
        let free = names(Protocol::Mysql, Some("app"), None);
        assert_eq!(wanted(&free, "app", None), "app@orders  app");
        assert_eq!(wanted(&free, "app", Some("")), "app@orders  app");
        assert_eq!(wanted(&free, "app", Some("app")), "app@orders app app/app");
        let fixed = names(Protocol::Mysql, Some("app"), Some("shop"));
        assert_eq!(wanted(&fixed, "app", None), "app@orders shop app/shop");
    }
}
