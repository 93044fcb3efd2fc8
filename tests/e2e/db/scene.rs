//! A world with a PostgreSQL server `orders`, and jerry, who taps for it.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tapgate_lab::{Client, Postgres, PostgresOptions, Process, Ran, program};
use tapgate_model::Kind;

use crate::world::{Tapper, World, login_files, tapgate};

/// How long a client's command may take: a machine that compiles at the same time takes its time.
pub(crate) const SOON: Duration = Duration::from_mins(3);

/// A world with a database.
pub(crate) struct Scene {
    pub(crate) orders: Postgres,
    /// The authority of the gate's own certificate.
    pub(crate) gate_ca: PathBuf,
    pub(crate) world: World,
}

/// A session certificate with its key, in files that libpq reads.
#[derive(Debug, Clone)]
pub(crate) struct Pass {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// What stands before the 32 bytes of an Ed25519 seed in the first version of PKCS #8 (RFC 8410 section 7).
const ED25519_PKCS8: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

const SETUP: &str = "
    create role app login replication; create role report login password 'geheim';
    create role clear login password 'offen';
    set password_encryption = 'md5'; create role old login password 'alt';
    create database shop owner app;";

impl Scene {
    /// Everything as an operator would set it up; the role has these options.
    pub(crate) fn new(options: &str) -> Result<Self> {
        Self::with_server(options, false)
    }

    /// The same, with a server that is newer than the system's where that is wanted.
    pub(crate) fn with_server(options: &str, newer: bool) -> Result<Self> {
        Self::with_server_in(World::new()?, options, newer)
    }

    /// The same in a world that is there already.
    pub(crate) fn in_world(world: World, options: &str) -> Result<Self> {
        Self::with_server_in(world, options, false)
    }

    fn with_server_in(world: World, options: &str, newer: bool) -> Result<Self> {
        let gate_ca = world.lab.write("gate-ca.pem", &authority(&world, "--browsers")?)?;
        let orders = Postgres::start(&world.lab, "orders", &PostgresOptions { newer, ..options_of(&world)? })?;
        let scene = Self { orders, gate_ca, world };
        scene.put_role(options)?;
        scene.put_db("")?;
        Ok(scene)
    }

    /// A further server like `orders`, with its document written.
    pub(crate) fn another(&self, name: &str) -> Result<Postgres> {
        let server = Postgres::start(&self.world.lab, name, &options_of(&self.world)?)?;
        self.world.put(&server.db_yaml("prod", ""))?;
        Ok(server)
    }

    /// olga gives jerry's role these options.
    pub(crate) fn put_role(&self, options: &str) -> Result<()> {
        // Who brings no tap is told so at once; the suite `stock` has them asked.
        let off = if options.contains("in_band") { "" } else { ", in_band: off" };
        let role = format!(
            "kind: role\nversion: v7\nmetadata:\n  name: access-prod\nspec:\n  options: {{ require_session_mfa: true{off}{}{options} \
             }}\n  allow:\n    db_labels: {{ env: prod }}\n    db_users: [app, report, old, clear]\n    \
             db_names: [shop, postgres]\n",
            if options.is_empty() { "" } else { ", " }
        );
        self.world.put(&role).map(drop)
    }

    /// olga writes the database's document, with further lines of `spec`.
    pub(crate) fn put_db(&self, spec: &str) -> Result<()> {
        self.world.put(&self.orders.db_yaml("prod", spec)).map(drop)
    }

    /// jerry taps for a login at `orders`, such as `app/shop`.
    pub(crate) fn tap(&self, login: &str) -> Result<Pass> {
        self.tap_for("orders", login)
    }

    /// jerry taps for a login at any database.
    pub(crate) fn tap_for(&self, target: &str, login: &str) -> Result<Pass> {
        let folder = self.world.lab.dir(&format!("pass-{target}-{}", login.replace('/', "-")))?;
        let (key, public) = (folder.join("key.pem"), folder.join("key.der"));
        let [key_text, public_text] = [&key, &public].map(|path| path.display().to_string());
        openssl(&["genpkey", "-algorithm", "ed25519", "-out", &key_text])?;
        openssl(&["pkey", "-in", &key_text, "-pubout", "-outform", "DER", "-out", &public_text])?;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&key, mode)?;
        let tapper = Tapper::new(&self.world, &self.world.jerry, "jerry")?;
        let said = || self.world.gate().process().stderr();
        let asserted = tapper.assertion_for(&std::fs::read(&public)?, Kind::Db, target, login);
        let (assertion, _) = asserted.with_context(said)?;
        let certificate = folder.join("certificate.pem");
        std::fs::write(&certificate, tapper.finish(&assertion).with_context(said)?.tls_certificate)?;
        Ok(Pass { certificate, key })
    }

    /// jerry's login certificate as a pass: it brings no tap. libpq takes a colon in a key's path for an engine's, so
    /// the files are copied.
    pub(crate) fn login_pass(&self) -> Result<Pass> {
        self.pass_of(&self.world.jerry)
    }

    /// The same for anybody.
    pub(crate) fn pass_of(&self, client: &Client) -> Result<Pass> {
        let files = login_files(&self.world, client);
        let folder = client.home().join("pass-login");
        std::fs::create_dir_all(&folder)?;
        let pass = Pass { certificate: folder.join("certificate.pem"), key: folder.join("key.pem") };
        std::fs::copy(files.tls_certificate, &pass.certificate)?;
        // OpenSSL 3.0 reads Ed25519 keys in the first version of PKCS #8 alone: the seed without its public key.
        let text = std::fs::read_to_string(files.tls_key)?;
        let body: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
        let whole = STANDARD.decode(body)?;
        let seed = whole.get(16..48).context("no Ed25519 key")?;
        let first = [ED25519_PKCS8.as_slice(), seed].concat();
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(first));
        std::fs::write(&pass.key, pem)?;
        std::fs::set_permissions(&pass.key, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        Ok(pass)
    }

    /// libpq's words for a connection through the gate; later words win.
    pub(crate) fn conninfo(&self, pass: Option<&Pass>, more: &str) -> String {
        let port = self.world.gate().address().port();
        let pass = pass.map_or_else(
            || "sslcert=none sslkey=none".to_owned(),
            |pass| format!("sslcert={} sslkey={}", pass.certificate.display(), pass.key.display()),
        );
        format!(
            "host=localhost hostaddr=127.0.0.1 port={port} user=app@orders dbname=shop sslmode=verify-full \
             sslrootcert={} {pass} {more}",
            self.gate_ca.display()
        )
    }

    /// Starts psql, which reads its statements from its input.
    pub(crate) fn start_psql(&self, pass: Option<&Pass>, more: &str, words: &[&str]) -> Result<Process> {
        let info = self.conninfo(pass, more);
        let own = ["-X", "-A", "-t", "-d", &info];
        self.world.jerry.start(&program("psql", "postgresql-client")?, own.iter().chain(words))
    }

    /// Runs one text of statements to its end.
    pub(crate) fn psql(&self, pass: Option<&Pass>, more: &str, text: &str) -> Result<Ran> {
        self.start_psql(pass, more, &["-c", text])?.finish(SOON)
    }

    /// Runs pgbench to its end.
    pub(crate) fn pgbench(&self, pass: &Pass, words: &[&str]) -> Result<Ran> {
        let info = self.conninfo(Some(pass), "");
        let program = program("pgbench", "postgresql-contrib")?;
        self.world.jerry.start(&program, words.iter().chain([&info.as_str()]))?.finish(SOON)
    }
}

/// A certificate of the gate, in PEM.
fn authority(world: &World, which: &str) -> Result<String> {
    let config = world.config.display().to_string();
    Ok(tapgate(&["ca", "--config", &config, which])?.success()?.stdout)
}

/// A server that takes the gate's certificate for `app`, and passwords for others.
fn options_of(world: &World) -> Result<PostgresOptions> {
    let hba = |line: &str| format!("hostssl {line}");
    Ok(PostgresOptions {
        client_ca: authority(world, "--databases")?,
        hba: vec![
            hba("all app all cert"),
            hba("replication app all cert"),
            hba("all report all scram-sha-256"),
            hba("all old all md5"),
            hba("all clear all password"),
        ],
        config: Vec::new(),
        setup: SETUP.to_owned(),
        newer: false,
    })
}

fn openssl(words: &[&str]) -> Result<()> {
    let mut command = Command::new(program("openssl", "openssl")?);
    Process::start("openssl", command.args(words))?.finish(SOON)?.success().map(drop)
}
