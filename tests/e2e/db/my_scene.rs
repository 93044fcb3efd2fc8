//! A world with a MariaDB server `shopdb`, and jerry, who may go there.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use tapgate_lab::{MariaDb, MariaDbOptions, Process, Ran, program};
use tapgate_model::Kind;

use crate::world::{Tapper, World, login_files, tapgate};

/// How long a client's command may take: a machine that compiles at the same time takes its time.
pub(crate) const SOON: Duration = Duration::from_mins(3);

/// A world with a database.
pub(crate) struct Scene {
    pub(crate) db: MariaDb,
    /// The authority of the gate's own certificate.
    pub(crate) gate_ca: PathBuf,
    /// The gate's port for MySQL.
    pub(crate) port: u16,
    pub(crate) world: World,
}

/// A certificate with its key, in files that MySQL's clients read.
#[derive(Debug, Clone)]
pub(crate) struct Pass {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

const SETUP: &str = "
    create database shop; create database other; create database secret;
    create user app@'%' require subject '/CN=app'; create user root2@'%' require x509;
    create user report@'%' identified by 'geheim' require ssl;
    create user ed@'%' identified via ed25519 using password('krumm') require ssl;
    grant all on shop.* to app@'%'; grant all on other.* to app@'%'; grant all on secret.* to app@'%';
    grant file on *.* to app@'%';
    grant select on shop.* to report@'%'; grant select on shop.* to ed@'%';
    create table shop.t (id int primary key auto_increment, name varchar(40), big longblob);
    insert into shop.t (name) values ('one'), ('two'), ('three');";

impl Scene {
    /// Everything as an operator would set it up; jerry's role has these options, and asks for no tap.
    pub(crate) fn new(options: &str) -> Result<Self> {
        let mut world = World::new()?;
        let port = world.lab.port()?;
        world.stop()?;
        let mut config = std::fs::OpenOptions::new().append(true).open(&world.config)?;
        writeln!(config, "mysql_listen: \"127.0.0.1:{port}\"")?;
        world.start()?;
        let config = world.config.display().to_string();
        let authority = |which| tapgate(&["ca", "--config", &config, which])?.success();
        let gate_ca = world.lab.write("gate-ca.pem", &authority("--browsers")?.stdout)?;
        let db = MariaDbOptions {
            client_ca: authority("--databases")?.stdout,
            options: vec!["--plugin-load-add=auth_ed25519".to_owned()],
            setup: SETUP.to_owned(),
        };
        let db = MariaDb::start(&world.lab, "shopdb", &db)?;
        let scene = Self { db, gate_ca, port, world };
        scene.put_role(options)?;
        scene.put_db("")?;
        Ok(scene)
    }

    /// olga gives jerry's role these options.
    pub(crate) fn put_role(&self, options: &str) -> Result<()> {
        let role = format!(
            "kind: role\nversion: v7\nmetadata:\n  name: access-dev\nspec:\n  options: {{ {options} }}\n  allow:\n    \
             db_labels: {{ env: dev }}\n    db_users: [app, report, ed]\n    db_names: [shop, other]\n"
        );
        self.world.put(&role).map(drop)
    }

    /// olga writes the database's document, with further lines of `spec`.
    pub(crate) fn put_db(&self, spec: &str) -> Result<()> {
        self.world.put(&self.db.db_yaml("dev", spec)).map(drop)
    }

    /// jerry's login certificate: it brings no tap.
    pub(crate) fn login_pass(&self) -> Pass {
        let files = login_files(&self.world, &self.world.jerry);
        Pass { certificate: files.tls_certificate, key: files.tls_key }
    }

    /// jerry taps for a login, such as `app/shop`.
    pub(crate) fn tap(&self, login: &str) -> Result<Pass> {
        let folder = self.world.lab.dir(&format!("pass-{}", login.replace('/', "-")))?;
        let (key, public) = (folder.join("key.pem"), folder.join("key.der"));
        let [key_text, public_text] = [&key, &public].map(|path| path.display().to_string());
        openssl(&["genpkey", "-algorithm", "ed25519", "-out", &key_text])?;
        openssl(&["pkey", "-in", &key_text, "-pubout", "-outform", "DER", "-out", &public_text])?;
        let tapper = Tapper::new(&self.world, &self.world.jerry, "jerry")?;
        let (assertion, _) = tapper.assertion_for(&std::fs::read(&public)?, Kind::Db, "shopdb", login)?;
        let certificate = folder.join("certificate.pem");
        std::fs::write(&certificate, tapper.finish(&assertion)?.tls_certificate)?;
        Ok(Pass { certificate, key })
    }

    /// The words of every client of the `mariadb` family.
    pub(crate) fn words(&self, pass: Option<&Pass>, user: &str) -> Vec<String> {
        let mut words = vec![
            "--no-defaults".to_owned(),
            "--host=127.0.0.1".to_owned(),
            "--protocol=tcp".to_owned(),
            format!("--port={}", self.port),
            format!("--user={user}"),
            format!("--ssl-ca={}", self.gate_ca.display()),
        ];
        if let Some(pass) = pass {
            words.push(format!("--ssl-cert={}", pass.certificate.display()));
            words.push(format!("--ssl-key={}", pass.key.display()));
        }
        words
    }

    /// Starts the stock client, which reads its statements from its input.
    pub(crate) fn start_mariadb(&self, pass: &Pass, user: &str, more: &[&str]) -> Result<Process> {
        let words = self.words(Some(pass), user).into_iter().chain(more.iter().map(ToString::to_string));
        let words = words.chain(["--batch", "--skip-column-names", "--unbuffered"].map(str::to_owned));
        self.world.jerry.start(&program("mariadb", "mariadb-client")?, words)
    }

    /// Runs one text of statements as `app` in `shop` to its end.
    pub(crate) fn run(&self, pass: &Pass, text: &str) -> Result<Ran> {
        self.run_as(pass, "app@shopdb", &["shop", "-e", text])
    }

    /// The same with other words.
    pub(crate) fn run_as(&self, pass: &Pass, user: &str, more: &[&str]) -> Result<Ran> {
        self.start_mariadb(pass, user, more)?.finish(SOON)
    }

    /// Runs a script of Python with `PyMySQL` and a connection `db` as `app` in `shop`, whose options may be more.
    pub(crate) fn python(&self, pass: &Pass, options: &str, script: &str) -> Result<Ran> {
        let text = format!(
            "import pymysql, sys, struct\n\
             def connect(**more):\n    \
                 o = dict(host='localhost', port={}, user='app@shopdb', database='shop', ssl=dict(ca='{}', cert='{}', key='{}'))\n    \
                 o.update(more)\n    \
                 return pymysql.connect(**o)\n\
             db = connect({options})\n{script}\n",
            self.port,
            self.gate_ca.display(),
            pass.certificate.display(),
            pass.key.display()
        );
        let file = self.world.lab.write("script.py", &text)?;
        self.world.jerry.start(Path::new("/usr/bin/python3"), [file])?.finish(SOON)
    }
}

fn openssl(words: &[&str]) -> Result<()> {
    let mut command = Command::new(program("openssl", "openssl")?);
    Process::start("openssl", command.args(words))?.finish(SOON)?.success().map(drop)
}
