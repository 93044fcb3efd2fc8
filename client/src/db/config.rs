//! `tap config db`, and the connection strings that `tap proxy db` prints: what ordinary clients are told.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use tapgate_model::{LoginName, TargetName};

use super::find::{Protocol, one};
use super::proxy::usual_socket;
use crate::cli::{Context, output};
use crate::error::Result;
use crate::files;

/// Where a local proxy is reached.
#[derive(Debug, Clone, Copy)]
pub enum Reach<'a> {
    /// At a socket.
    Socket(&'a Path),
    /// At a port of 127.0.0.1.
    Port(u16),
}

/// Connection strings to a local proxy; none of them holds a password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Links {
    /// The command line of the database's own client.
    pub command: String,
    /// The JDBC URL; none for a socket, which Java's drivers can't reach without further libraries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jdbc: Option<String>,
    /// A URL as libpq and many other libraries read it; none where there is no such form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

impl Links {
    /// The strings for this place, user and database.
    pub fn new(protocol: Protocol, reach: Reach<'_>, user: Option<&str>, name: Option<&str>) -> Self {
        let (user, name) =
            (user.unwrap_or("DBUSER"), name.unwrap_or(if protocol == Protocol::Mysql { "" } else { "DBNAME" }));
        let (user_part, name_part) = (encoded(user), encoded(name));
        match (protocol, reach) {
            (Protocol::Postgres, Reach::Socket(path)) => {
                let folder = path.parent().unwrap_or(path).display().to_string();
                let port = path.extension().and_then(|port| port.to_str()).unwrap_or("5432");
                let words = conninfo(&[("host", &folder), ("port", port), ("user", user), ("dbname", name)]);
                let url = format!("postgresql://{user_part}@/{name_part}?host={}&port={port}", encoded(&folder));
                Self { command: format!("psql {}", quoted(&words)), jdbc: None, url: Some(url) }
            }
            (Protocol::Postgres, Reach::Port(port)) => {
                let text = port.to_string();
                let words =
                    [("host", "127.0.0.1"), ("port", &text), ("user", user), ("dbname", name), ("sslmode", "disable")];
                Self {
                    command: format!("psql {}", quoted(&conninfo(&words))),
                    jdbc: Some(format!(
                        "jdbc:postgresql://127.0.0.1:{port}/{name_part}?user={user_part}&sslmode=disable"
                    )),
                    url: Some(format!("postgresql://{user_part}@127.0.0.1:{port}/{name_part}?sslmode=disable")),
                }
            }
            (Protocol::Mysql, Reach::Socket(path)) => {
                let words = ["mariadb", "--protocol=socket", "--skip-ssl"].map(str::to_owned);
                let own = [format!("--socket={}", path.display()), format!("--user={user}"), name.to_owned()];
                Self { command: line(words.into_iter().chain(own)), jdbc: None, url: None }
            }
            (Protocol::Mysql, Reach::Port(port)) => {
                let words = ["mariadb", "--host=127.0.0.1", "--skip-ssl", "--password"].map(str::to_owned);
                let own = [format!("--port={port}"), format!("--user={user}"), name.to_owned()];
                Self {
                    command: line(words.into_iter().chain(own)),
                    jdbc: Some(format!("jdbc:mariadb://127.0.0.1:{port}/{name_part}?user={user_part}&sslMode=disable")),
                    url: Some(format!("mysql://{user_part}@127.0.0.1:{port}/{name_part}")),
                }
            }
        }
    }

    /// Each on a line of its own, two spaces from the edge.
    pub fn text(&self) -> String {
        let lines = [Some(&self.command), self.url.as_ref(), self.jdbc.as_ref()];
        lines.into_iter().flatten().fold(String::new(), |text, line| text + "  " + line + "\n")
    }
}

/// What to print.
#[derive(Debug, clap::Args)]
pub struct ConfigDb {
    /// The database, as in tap db ls
    #[arg(value_name = "DB")]
    pub db: TargetName,
    /// The database user; may be left out where your roles allow one alone
    #[arg(long, value_name = "USER")]
    pub db_user: Option<LoginName>,
    /// The name of the database within the server
    #[arg(long, value_name = "NAME")]
    pub db_name: Option<String>,
    /// The port that you will give to tap proxy db, for the JDBC URL
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
}

/// Prints the configuration of stock clients: through `tap proxy db`, and straight to the gate.
pub async fn run(context: &Context, config: &ConfigDb) -> Result<()> {
    context.user()?;
    let database = one(context, &config.db).await?;
    let user = database.user(config.db_user.as_ref(), "--db-user")?;
    let authority = save_authority(context).await?;
    let socket = usual_socket(&context.home, &database.name, database.protocol)?;
    let port = config.port.unwrap_or_else(|| database.protocol.port() + 10_000);
    let name = config.db_name.as_deref();
    let told = Told {
        context,
        target: &database.name,
        user: user.as_str(),
        name,
        socket: &socket,
        port,
        authority: &authority,
    };
    let text = match database.protocol {
        Protocol::Postgres => told.postgres(),
        Protocol::Mysql => told.mysql(),
    };
    let due = if database.mfa_required {
        "# Sessions of this database need a tap: use the way through tap proxy db.\n"
    } else {
        ""
    };
    output::write(&(text + due))
}

/// What goes into the lines.
struct Told<'a> {
    context: &'a Context,
    target: &'a TargetName,
    user: &'a str,
    name: Option<&'a str>,
    socket: &'a Path,
    port: u16,
    authority: &'a Path,
}

impl Told<'_> {
    fn postgres(&self) -> String {
        let Self { target, user, port, .. } = self;
        let name = self.name.unwrap_or(user);
        let folder = self.socket.parent().unwrap_or(self.socket).display();
        let files = self.context.login_files();
        let gate = &self.context.profile.gate;
        let own = format!("{user}@{target}");
        let straight = [
            ("host", gate.host().to_owned()),
            ("port", gate.port().to_string()),
            ("user", own),
            ("dbname", name.to_owned()),
            ("sslmode", "verify-full".to_owned()),
            ("sslrootcert", self.authority.display().to_string()),
            ("sslcert", files.tls_certificate.display().to_string()),
            ("sslkey", files.tls_key.display().to_string()),
        ];
        let service = straight.iter().fold(String::new(), |text, (key, value)| text + key + "=" + value + "\n");
        let words: Vec<(&str, &str)> = straight.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let mut text =
            format!("# While `tap proxy db {target}` runs. ~/.pg_service.conf, then: psql service={target}\n");
        let _ = write!(text, "[{target}]\nhost={folder}\nport=5432\nuser={user}\ndbname={name}\n\n");
        let _ = write!(
            text,
            "# Without a file, and without a password:\n# {}\n\n",
            links(Protocol::Postgres, Reach::Socket(self.socket), user, Some(name)).command
        );
        let jdbc = links(Protocol::Postgres, Reach::Port(*port), user, Some(name)).jdbc.unwrap_or_default();
        let _ = write!(
            text,
            "# While `tap proxy db {target} --port {port}` runs, with the password that it prints:\n# {jdbc}\n\n"
        );
        let _ = write!(
            text,
            "# Straight to the gate with the login certificate, for sessions that need no tap.\n[{target}-gate]\n{service}\n# {}\n",
            "psql ".to_owned() + &quoted(&conninfo(&words))
        );
        text
    }

    fn mysql(&self) -> String {
        let Self { target, user, port, socket, .. } = self;
        let database = self.name.map_or_else(String::new, |name| format!("\n[mysql-{target}]\ndatabase={name}\n"));
        let mut text = format!(
            "# While `tap proxy db {target}` runs. ~/.my.cnf, then: mariadb --defaults-group-suffix=-{target}\n"
        );
        let _ = write!(
            text,
            "[client-{target}]\nprotocol=socket\nsocket={}\nuser={user}\nskip-ssl\n{database}\n",
            socket.display()
        );
        let command = links(Protocol::Mysql, Reach::Socket(socket), user, self.name).command;
        let _ = write!(text, "# Without a file, and without a password:\n# {command}\n\n");
        let jdbc = links(Protocol::Mysql, Reach::Port(*port), user, self.name).jdbc.unwrap_or_default();
        let _ = write!(
            text,
            "# While `tap proxy db {target} --port {port}` runs, with the password that it prints:\n# {jdbc}\n\n"
        );
        let (files, gate) = (self.context.login_files(), &self.context.profile.gate);
        let _ = write!(
            text,
            "# Straight to the gate's MySQL port (`mysql_listen`, 3036 as a rule) with the login certificate, for sessions\n\
             # that need no tap.\n[client-{target}-gate]\nhost={}\nport=3036\nuser={user}@{target}\nssl-ca={}\nssl-cert={}\n\
             ssl-key={}\nssl-verify-server-cert\n",
            gate.host(),
            self.authority.display(),
            files.tls_certificate.display(),
            files.tls_key.display()
        );
        text
    }
}

fn links(protocol: Protocol, reach: Reach<'_>, user: &str, name: Option<&str>) -> Links {
    Links::new(protocol, reach, Some(user), name)
}

/// Writes the authority of the gate's certificate beside the login, for clients that know no pin.
async fn save_authority(context: &Context) -> Result<PathBuf> {
    let path = context.home.gate_ca(&context.profile.gate);
    files::write_private(&path, crate::cli::auth::of_gate(context).await?.as_bytes())?;
    Ok(path)
}

/// Words and values as libpq reads them.
fn conninfo(words: &[(&str, &str)]) -> String {
    let word = |(key, value): &(&str, &str)| {
        let plain = !value.is_empty() && !value.contains([' ', '\'', '\\']);
        if plain {
            format!("{key}={value}")
        } else {
            format!("{key}='{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
        }
    };
    words.iter().map(word).collect::<Vec<_>>().join(" ")
}

/// Words as a shell reads them; an empty one is left out.
fn line(words: impl IntoIterator<Item = String>) -> String {
    let plain = |word: &str| word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./=:@+".contains(c));
    let word = |word: String| if plain(&word) { word } else { format!("'{}'", word.replace('\'', "'\\''")) };
    words.into_iter().filter(|word| !word.is_empty()).map(word).collect::<Vec<_>>().join(" ")
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$").replace('`', "\\`"))
}

/// A part of a URL.
fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_a_socket() {
        let path = Path::new("/run/user/1/tap/db-orders/.s.PGSQL.5432");
        let links = Links::new(Protocol::Postgres, Reach::Socket(path), Some("app"), Some("shop"));
        assert_eq!(links.command, "psql \"host=/run/user/1/tap/db-orders port=5432 user=app dbname=shop\"");
        assert_eq!(
            links.url.as_deref(),
            Some("postgresql://app@/shop?host=%2Frun%2Fuser%2F1%2Ftap%2Fdb-orders&port=5432")
        );
        let links = Links::new(Protocol::Mysql, Reach::Socket(Path::new("/r/mysql.sock")), Some("app"), None);
        assert_eq!(links.command, "mariadb --protocol=socket --skip-ssl --socket=/r/mysql.sock --user=app");
    }

    #[test]
    fn links_to_a_port() {
        let links = Links::new(Protocol::Postgres, Reach::Port(4000), Some("app"), Some("a b"));
        assert_eq!(links.command, "psql \"host=127.0.0.1 port=4000 user=app dbname='a b' sslmode=disable\"");
        assert_eq!(links.jdbc.as_deref(), Some("jdbc:postgresql://127.0.0.1:4000/a%20b?user=app&sslmode=disable"));
        let links = Links::new(Protocol::Mysql, Reach::Port(4000), Some("app"), Some("shop"));
        assert_eq!(links.command, "mariadb --host=127.0.0.1 --skip-ssl --password --port=4000 --user=app shop");
        assert_eq!(links.jdbc.as_deref(), Some("jdbc:mariadb://127.0.0.1:4000/shop?user=app&sslMode=disable"));
    }

    #[test]
    fn what_a_shell_or_libpq_would_misread_is_quoted() {
        assert_eq!(conninfo(&[("dbname", "o'b\\r"), ("user", "")]), "dbname='o\\'b\\\\r' user=''");
        assert_eq!(quoted("a$b\"`"), "\"a\\$b\\\"\\`\"");
        assert_eq!(line(["a'b".to_owned(), String::new(), "c".to_owned()]), "'a'\\''b' c");
    }
}
