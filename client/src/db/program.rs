//! The databases' own clients: finding `psql` and `mariadb`, and starting them at a socket of ours.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tapgate_model::LoginName;
use tokio::process::Command;

use super::find::Protocol;
use crate::error::{Failure, Result};

/// The name of the socket in its folder: `psql` looks for it by the folder and the port.
pub const PG_SOCKET: &str = ".s.PGSQL.5432";

/// The name of a MySQL socket; clients are given the whole path.
pub const MYSQL_SOCKET: &str = "mysql.sock";

/// What of the surroundings would lead `psql` elsewhere, or have it ask for what a socket of ours does not do.
const PG_FOREIGN: [&str; 11] = [
    "PGHOSTADDR",
    "PGSERVICE",
    "PGSERVICEFILE",
    "PGPASSWORD",
    "PGREQUIREAUTH",
    "PGREQUIREPEER",
    "PGCHANNELBINDING",
    "PGSSLMODE",
    "PGSSLNEGOTIATION",
    "PGGSSENCMODE",
    "PGLOADBALANCEHOSTS",
];

impl Protocol {
    /// The name of its socket.
    pub const fn socket_name(self) -> &'static str {
        match self {
            Self::Postgres => PG_SOCKET,
            Self::Mysql => MYSQL_SOCKET,
        }
    }
}

/// A client of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    path: PathBuf,
    /// Whether it is MySQL's own, whose flags differ from MariaDB's.
    is_mysqls: bool,
    protocol: Protocol,
}

/// Where a client is to go, and as whom.
#[derive(Debug, Clone, Copy)]
pub struct Aim<'a> {
    /// The socket; its name is the protocol's.
    pub socket: &'a Path,
    /// The database user.
    pub user: &'a LoginName,
    /// The database.
    pub database: Option<&'a str>,
}

impl Program {
    /// The client for this protocol that `PATH` leads to.
    pub fn find(protocol: Protocol) -> Result<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        Self::within(protocol, &path)
    }

    fn within(protocol: Protocol, path: &OsStr) -> Result<Self> {
        let find = |name: &str| std::env::split_paths(path).map(|folder| folder.join(name)).find(|file| file.is_file());
        let found = match protocol {
            Protocol::Postgres => find("psql").map(|path| (path, false)),
            Protocol::Mysql => find("mariadb").map(|path| (path, false)).or_else(|| {
                let path = find("mysql")?;
                // MariaDB installs its client under this name too.
                let own = std::fs::canonicalize(&path).is_ok_and(|real| !real.ends_with("mariadb"));
                Some((path, own))
            }),
        };
        let (path, is_mysqls) = found.ok_or_else(|| match protocol {
            Protocol::Postgres => Failure::new("psql was not found on this machine")
                .advise("install PostgreSQL's client, such as the package postgresql-client; or use tap proxy db"),
            Protocol::Mysql => Failure::new("neither mariadb nor mysql was found on this machine")
                .advise("install a client, such as the package mariadb-client; or use tap proxy db"),
        })?;
        Ok(Self { path, is_mysqls, protocol })
    }

    /// What it is called.
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// A command that goes there, to which the caller adds what is to be done.
    pub fn command(&self, aim: &Aim<'_>) -> Command {
        let mut command = Command::new(&self.path);
        match self.protocol {
            Protocol::Postgres => {
                for name in PG_FOREIGN {
                    command.env_remove(name);
                }
                // By the environment: on its command line psql would read a name with = in it as a connection string.
                command.env("PGHOST", aim.socket.parent().unwrap_or(aim.socket)).env("PGPORT", "5432");
                command.env("PGUSER", aim.user.as_str()).env("PGDATABASE", aim.database.unwrap_or(aim.user.as_str()));
            }
            Protocol::Mysql => {
                command.env_remove("MYSQL_PWD").env_remove("MYSQL_HOST");
                command.arg("--protocol=socket").arg(with("--socket=", aim.socket.as_os_str()));
                command.arg(format!("--user={}", aim.user)).arg("--skip-password");
                command.arg(if self.is_mysqls { "--ssl-mode=DISABLED" } else { "--skip-ssl" });
                if let Some(database) = aim.database {
                    command.arg(format!("--database={database}"));
                }
            }
        }
        command.kill_on_drop(true);
        command
    }

    /// A command that runs one statement there and ends, without a terminal.
    pub fn statement(&self, aim: &Aim<'_>, statement: &str) -> Command {
        let mut command = self.command(aim);
        match self.protocol {
            Protocol::Postgres => command.args(["--no-psqlrc", "--no-password", "--command", statement]),
            Protocol::Mysql => command.arg("--execute").arg(statement),
        };
        command.stdin(Stdio::null());
        command
    }
}

fn with(flag: &str, value: &OsStr) -> std::ffi::OsString {
    let mut word = std::ffi::OsString::from(flag);
    word.push(value);
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(command: &Command) -> String {
        let words = command.as_std().get_args().map(|word| word.to_string_lossy().into_owned());
        words.collect::<Vec<_>>().join(" ")
    }

    fn variable(command: &Command, name: &str) -> Option<String> {
        let found = command.as_std().get_envs().find(|(key, _)| *key == name)?;
        found.1.map(|value| value.to_string_lossy().into_owned())
    }

    #[test]
    fn psql_is_led_by_its_environment() {
        let program = Program { path: "/usr/bin/psql".into(), is_mysqls: false, protocol: Protocol::Postgres };
        let user = "app".parse().unwrap();
        let aim = Aim { socket: Path::new("/run/x/.s.PGSQL.5432"), user: &user, database: Some("a=b") };
        let command = program.statement(&aim, "select 1");
        assert_eq!(words(&command), "--no-psqlrc --no-password --command select 1");
        let expect = [("PGHOST", "/run/x"), ("PGPORT", "5432"), ("PGUSER", "app"), ("PGDATABASE", "a=b")];
        for (name, value) in expect {
            assert_eq!(variable(&command, name).as_deref(), Some(value));
        }
        assert!(command.as_std().get_envs().any(|(key, value)| key == "PGHOSTADDR" && value.is_none()));
    }

    #[test]
    fn mariadb_is_led_by_its_flags() {
        let mut program = Program { path: "/usr/bin/mariadb".into(), is_mysqls: false, protocol: Protocol::Mysql };
        let user = "app".parse().unwrap();
        let aim = Aim { socket: Path::new("/run/x/mysql.sock"), user: &user, database: Some("shop") };
        let expect =
            "--protocol=socket --socket=/run/x/mysql.sock --user=app --skip-password --skip-ssl --database=shop";
        assert_eq!(words(&program.command(&aim)), expect);
        program.is_mysqls = true;
        assert!(words(&program.command(&Aim { database: None, ..aim })).ends_with("--ssl-mode=DISABLED"));
    }

    #[test]
    fn a_client_that_is_missing_says_what_to_install() {
        let folder = tempfile::tempdir().unwrap();
        for (protocol, package) in [(Protocol::Postgres, "postgresql-client"), (Protocol::Mysql, "mariadb-client")] {
            let error = Program::within(protocol, folder.path().as_os_str()).unwrap_err().to_string();
            assert!(error.contains(package) && error.contains("tap proxy db"), "{error}");
        }
        std::fs::write(folder.path().join("mysql"), "").unwrap();
        let found = Program::within(Protocol::Mysql, folder.path().as_os_str()).unwrap();
        assert!(found.is_mysqls && found.name() == "mysql");
    }
}
