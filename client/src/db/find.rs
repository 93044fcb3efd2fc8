//! The databases that the user may open, as the gate lists them.

use std::collections::BTreeMap;

use serde::Serialize;
use tapgate_api::{TargetEntry, Targets, path};
use tapgate_model::{Kind, Login, LoginName, TargetName, tunnel};

use crate::ceremony::Goal;
use crate::cli::Context;
use crate::error::{Act as _, Failure, Result};

/// What a database speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// PostgreSQL.
    Postgres,
    /// MySQL and MariaDB.
    Mysql,
}

impl Protocol {
    /// The name that resources use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
        }
    }

    /// The tunnel's name.
    pub const fn alpn(self) -> &'static [u8] {
        match self {
            Self::Postgres => tunnel::POSTGRES,
            Self::Mysql => tunnel::MYSQL,
        }
    }

    /// The port by which its clients know it.
    pub const fn port(self) -> u16 {
        match self {
            Self::Postgres => 5432,
            Self::Mysql => 3306,
        }
    }
}

/// A database that the user may open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Database {
    /// Its name at the gate.
    pub name: TargetName,
    /// What its resource says of it.
    pub description: String,
    /// What it speaks.
    pub protocol: Protocol,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The database users that the user's roles allow; `*` for any.
    pub users: Vec<String>,
    /// Whether a session there needs a tap.
    pub mfa_required: bool,
}

impl Database {
    /// The database of a listed target; `None` for a target of another kind, or of a protocol that is not known here.
    fn of(entry: TargetEntry) -> Option<Self> {
        if entry.kind != Kind::Db.as_str() {
            return None;
        }
        let known = [Protocol::Postgres, Protocol::Mysql];
        let protocol = known.into_iter().find(|known| Some(known.as_str()) == entry.protocol.as_deref())?;
        Some(Self {
            name: entry.name.parse().ok()?,
            description: entry.description.unwrap_or_default(),
            protocol,
            labels: entry.labels,
            users: entry.logins,
            mfa_required: entry.mfa_required,
        })
    }

    /// The labels as people write them: `env=prod,team=a`.
    pub fn labels_text(&self) -> String {
        let labels: Vec<_> = self.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        labels.join(",")
    }

    /// The database user: the one that is named, by this option, or the only one that the roles allow.
    pub fn user(&self, named: Option<&LoginName>, option: &str) -> Result<LoginName> {
        self.only_user(named)?.ok_or_else(|| {
            let known: Vec<&str> = self.users.iter().map(String::as_str).filter(|user| *user != "*").collect();
            let allowed =
                if known.is_empty() { "any is allowed".to_owned() } else { format!("allowed: {}", known.join(", ")) };
            Failure::new(format!("no database user is named for \"{}\"", self.name))
                .advise(format!("pass {option}; {allowed}"))
        })
    }

    /// The same; `None` where there is a choice.
    pub fn only_user(&self, named: Option<&LoginName>) -> Result<Option<LoginName>> {
        match (named, self.users.as_slice()) {
            (Some(named), _) => Ok(Some(named.clone())),
            (None, [only]) if only != "*" => {
                only.parse().map(Some).act(|| "the gate's answer cannot be used".to_owned())
            }
            (None, _) => Ok(None),
        }
    }

    /// What the tap names for this user and database. `PostgreSQL` calls the database after the user where none is
    /// named.
    pub fn login(&self, user: &LoginName, database: Option<&str>) -> Result<Login> {
        let database = match self.protocol {
            Protocol::Postgres => Some(database.unwrap_or(user.as_str())),
            Protocol::Mysql => database,
        };
        let text = database.map_or_else(|| user.to_string(), |database| format!("{user}/{database}"));
        Login::parse(Kind::Db, &text).map_err(|error| Failure::new(error.to_string()))
    }

    /// The same with the target.
    pub fn goal(&self, user: &LoginName, database: Option<&str>) -> Result<Goal> {
        Ok(Goal { kind: Kind::Db, target: self.name.clone(), login: self.login(user, database)? })
    }
}

/// Every database that the user may open, by name.
pub async fn all(context: &Context) -> Result<Vec<Database>> {
    let Targets { targets } = context.with_login()?.get(path::TARGETS, &[]).await?;
    Ok(targets.into_iter().filter_map(Database::of).collect())
}

/// The database of this name.
pub async fn one(context: &Context, name: &TargetName) -> Result<Database> {
    let found = all(context).await?.into_iter().find(|database| database.name == *name);
    found.ok_or_else(|| {
        Failure::new(format!("there is no database \"{name}\", or it is not yours to open")).advise("see tap db ls")
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A database with these users.
    pub(crate) fn database(name: &str, protocol: Protocol, users: &[&str]) -> Database {
        Database {
            name: name.parse().unwrap(),
            description: String::new(),
            protocol,
            labels: [("env".to_owned(), "prod".to_owned())].into(),
            users: users.iter().map(|&user| user.to_owned()).collect(),
            mfa_required: true,
        }
    }

    #[test]
    fn a_target_of_another_kind_is_no_database() {
        let entry = |kind: &str, protocol: Option<&str>| TargetEntry {
            kind: kind.into(),
            name: "orders".into(),
            labels: [("env".to_owned(), "prod".to_owned())].into(),
            logins: vec!["app".into()],
            mfa_required: true,
            protocol: protocol.map(Into::into),
            description: None,
        };
        let expect = database("orders", Protocol::Postgres, &["app"]);
        assert_eq!(Database::of(entry("db", Some("postgres"))), Some(expect));
        assert_eq!(Database::of(entry("node", Some("postgres"))), None);
        assert_eq!(Database::of(entry("db", Some("oracle"))), None);
        assert_eq!(Database::of(entry("db", None)), None);
    }

    #[test]
    fn the_user_is_named_or_the_only_one() {
        let named: LoginName = "ann".parse().unwrap();
        let user = |users: &[&str], named| {
            database("a", Protocol::Mysql, users).user(named, "--db-user").map(|u| u.to_string())
        };
        assert_eq!(user(&["app"], None), Ok("app".to_owned()));
        assert_eq!(user(&["app", "root"], Some(&named)), Ok("ann".to_owned()));
        let error = user(&["app", "root"], None).unwrap_err().to_string();
        assert_eq!(error, "no database user is named for \"a\" (pass --db-user; allowed: app, root)");
        assert!(user(&["*"], None).unwrap_err().to_string().contains("any is allowed"));
    }

    #[test]
    fn the_tap_names_what_the_gate_will_see() {
        let login = |protocol, name| database("a", protocol, &["app"]).login(&"app".parse().unwrap(), name).unwrap();
        assert_eq!(login(Protocol::Postgres, Some("shop")).to_string(), "app/shop");
        assert_eq!(login(Protocol::Postgres, None).to_string(), "app/app");
        assert_eq!(login(Protocol::Mysql, Some("shop")).to_string(), "app/shop");
        assert_eq!(login(Protocol::Mysql, None).to_string(), "app");
    }
}
