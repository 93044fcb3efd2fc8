//! Whereto a client wants: `user=app@orders dbname=shop`, or `user=app` at the host name `orders.db.<gate>`.

use tapgate_model::{Kind, Login, LoginName, NameError, TargetName};

use crate::startup::Startup;

/// Where a connection is to lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Destination {
    pub(crate) target: TargetName,
    pub(crate) user: LoginName,
    /// The database: the client's, or the user's own name as PostgreSQL has it.
    pub(crate) database: String,
    /// User and database.
    pub(crate) login: Login,
}

/// Why names lead nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DestinationError {
    #[error("no user was named (use user=DBUSER@TARGET, as in `psql \"host=… user=app@orders dbname=shop\"`)")]
    NoUser,
    #[error("the user name \"{0}\" names no database target (use DBUSER@TARGET, as in user=app@orders)")]
    NoTarget(String),
    #[error("the user name \"{user}\" and the host name lead to different targets (\"{host}\"; use one of them)")]
    Disagree { user: String, host: String },
    #[error("the names lead nowhere: {0}")]
    Name(#[from] NameError),
}

impl Destination {
    /// Reads the names. `host` is the target that the TLS host name stands for, in lower case, where it stands for
    /// one.
    pub(crate) fn of(startup: &Startup, host: Option<&str>) -> Result<Self, DestinationError> {
        let named = startup.text("user").ok_or(DestinationError::NoUser)?;
        let (user, target) = match (named.rsplit_once('@'), host) {
            (Some((user, target)), Some(host)) if target.eq_ignore_ascii_case(host) => (user, target),
            (Some(_), Some(host)) => {
                return Err(DestinationError::Disagree { user: named.to_owned(), host: host.to_owned() });
            }
            (Some(parts), None) => parts,
            (None, Some(host)) => (named, host),
            (None, None) => return Err(DestinationError::NoTarget(named.to_owned())),
        };
        // libpq names the database after the user where nobody names one: after the whole of the user's name.
        let database = startup.text("database").filter(|database| *database != named).unwrap_or(user);
        let login = Login::parse(Kind::Db, &format!("{user}/{database}"))?;
        Ok(Self { target: target.parse()?, user: user.parse()?, database: database.to_owned(), login })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::startup::{Packet, parse};

    fn startup(user: &str, database: &str) -> Startup {
        let body = format!("\0\u{3}\0\0user\0{user}\0database\0{database}\0\0");
        let Ok(Packet::Startup(startup)) = parse(body.as_bytes()) else { panic!("{body:?}") };
        startup
    }

    fn read(user: &str, database: &str, host: Option<&str>) -> Result<String, DestinationError> {
        Destination::of(&startup(user, database), host).map(|found| format!("{} as {}", found.target, found.login))
    }

    #[test]
    fn names() {
        for (user, database, host, expect) in [
            ("app@orders", "shop", None, "orders as app/shop"),
            ("app@orders", "", None, "orders as app/app"),
            ("app@orders", "app@orders", None, "orders as app/app"),
            ("app", "shop", Some("orders"), "orders as app/shop"),
            ("app", "app", Some("orders"), "orders as app/app"),
            ("app@Orders", "shop", Some("orders"), "Orders as app/shop"),
            ("ann@corp@orders", "shop", None, "orders as ann@corp/shop"),
            ("ann@corp@orders", "shop", Some("orders"), "orders as ann@corp/shop"),
        ] {
            assert_eq!(read(user, database, host).as_deref(), Ok(expect), "{user} {database} {host:?}");
        }
    }

    #[test]
    fn what_leads_nowhere() {
        for (user, database, host) in [
            ("", "shop", None),
            ("app", "shop", None),
            ("app@", "shop", None),
            ("@orders", "shop", None),
            ("a/b@orders", "shop", None),
            ("app@orders", "sh\u{202e}op", None),
            ("app@orders", &"x".repeat(129), None),
            ("app@other", "shop", Some("orders")),
        ] {
            assert!(read(user, database, host).is_err(), "{user} {database} {host:?}");
        }
    }
}
