//! A PostgreSQL server with three ways to it, and what stock clients say of each.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tapgate_benches::process::nanos;
use tapgate_benches::world::{Pass, World};
use tapgate_lab::{Postgres, PostgresOptions, Process, program};

use crate::bouncer::Bouncer;

/// How long one run may take.
const RUN_MAX: Duration = Duration::from_mins(3);

/// Rows of a copy, each of a thousand bytes.
const ROWS: u32 = 100_000;

/// The way to the server; the client's side has TLS on each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Through the gate.
    Gate,
    /// Through the gate, where a role has it tell no texts.
    Quiet,
    /// Through PgBouncer, which keeps its connections to the server.
    Bouncer,
    /// Through PgBouncer, with a new connection to the server for each client.
    Unpooled,
    /// To the server.
    Direct,
}

/// What one operation cost, in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    /// By the wall clock.
    pub(crate) wall: f64,
    /// In CPU time of the program between; none on the direct way.
    pub(crate) cpu: f64,
}

/// What pgbench does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pgbench {
    pub(crate) clients: u32,
    each: u32,
    words: &'static [&'static str],
}

impl Pgbench {
    /// Point selects of a prepared statement, so many by each client.
    pub(crate) const fn selects(clients: u32, each: u32) -> Self {
        Self { clients, each, words: &["-S", "-M", "prepared"] }
    }

    /// The same by their texts.
    pub(crate) const fn texts(each: u32) -> Self {
        Self { clients: 1, each, words: &["-S", "-M", "simple"] }
    }

    /// A connection for each point select.
    pub(crate) const fn connects(each: u32) -> Self {
        Self { clients: 1, each, words: &["-S", "-C"] }
    }
}

/// The server, the gate before it, and PgBouncer twice.
pub(crate) struct Database {
    server: Postgres,
    bouncer: Bouncer,
    unpooled: Bouncer,
    pass: Pass,
    rows: PathBuf,
    world: World,
}

const SETUP: &str = "create role app login; create role pool login superuser; create database shop owner app;";

/// Two roles for one server under two names: the second one has no text told.
const ROLES: &str = "kind: role\nversion: v7\nmetadata: { name: bench }\nspec:\n  allow:\n    db_labels: { env: bench \
                     }\n    db_users: [app]\n    db_names: [shop]\n---\nkind: role\nversion: v7\nmetadata: { name: \
                     quiet }\nspec:\n  options: { db_audit_text: off }\n  allow:\n    db_labels: { env: quiet }\n    \
                     db_users: [app]\n    db_names: [shop]\n";

impl Database {
    /// Sets everything up.
    pub(crate) fn new() -> Result<Self> {
        let world = World::new("bench,quiet", ROLES)?;
        let hba = ["hostssl all app all cert", "hostssl all pool all trust"].map(str::to_owned).to_vec();
        let client_ca = world.authority(&["--databases"])?;
        let options = PostgresOptions { client_ca, hba, config: Vec::new(), setup: SETUP.to_owned(), newer: false };
        let server = Postgres::start(&world.lab, "orders", &options)?;
        world.put(&server.db_yaml("bench", ""))?;
        world.put(&server.db_yaml("quiet", "").replacen("name: orders", "name: quiet", 1))?;
        let bouncer = Bouncer::start(&world.lab, "bouncer", server.port(), 3_600)?;
        let unpooled = Bouncer::start(&world.lab, "unpooled", server.port(), 0)?;
        let rows = world.lab.write("rows", &format!("{}\n", "x".repeat(1_000)).repeat(usize::try_from(ROWS)?))?;
        let pass = world.pass()?;
        let database = Self { server, bouncer, unpooled, pass, rows, world };
        database.pgbench(Way::Gate, &["-i", "-q", "-s", "1"])?;
        database.psql(Way::Gate, "create table sink (t text)")?.status().map(drop)?;
        Ok(database)
    }

    /// The gate's process.
    pub(crate) fn gate(&self) -> u32 {
        self.world.gate()
    }

    /// libpq's words for a connection.
    fn conninfo(&self, way: Way) -> String {
        let plain = |port: u16| {
            format!("host=127.0.0.1 port={port} user=pool dbname=shop sslmode=require sslcert=none sslkey=none")
        };
        let gate = |name: &str| {
            let Pass { certificate, key, gate_ca } = &self.pass;
            format!(
                "host=localhost hostaddr=127.0.0.1 port={} user=app@{name} dbname=shop sslmode=verify-full \
                 sslrootcert={} sslcert={} sslkey={}",
                self.world.port(),
                gate_ca.display(),
                certificate.display(),
                key.display()
            )
        };
        match way {
            Way::Gate => gate("orders"),
            Way::Quiet => gate("quiet"),
            Way::Bouncer => plain(self.bouncer.port),
            Way::Unpooled => plain(self.unpooled.port),
            Way::Direct => plain(self.server.port()),
        }
    }

    /// The process between.
    fn between(&self, way: Way) -> Vec<u32> {
        match way {
            Way::Gate | Way::Quiet => vec![self.gate()],
            Way::Bouncer => vec![self.bouncer.id()],
            Way::Unpooled => vec![self.unpooled.id()],
            Way::Direct => Vec::new(),
        }
    }

    fn pgbench(&self, way: Way, words: &[&str]) -> Result<String> {
        let mut command = Command::new(program("pgbench", "postgresql-contrib")?);
        command.args(words).arg(self.conninfo(way));
        Ok(Process::start("pgbench", &mut command)?.finish(RUN_MAX)?.success()?.stdout)
    }

    /// Runs pgbench on one way; what a transaction cost.
    pub(crate) fn bench(&self, way: Way, pgbench: Pgbench) -> Result<Cost> {
        let (clients, each) = (pgbench.clients.to_string(), pgbench.each.to_string());
        let before = nanos(&self.between(way))?;
        let words = [&["-n", "-c", &clients, "-j", "1", "-t", &each], pgbench.words].concat();
        let said = self.pgbench(way, &words)?;
        let all = pgbench.clients * pgbench.each;
        ensure!(said.contains(&format!("processed: {all}/{all}")), "pgbench did less: {said}");
        let rate = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse::<f64>().ok());
        let cpu = (nanos(&self.between(way))? - before) / f64::from(all);
        Ok(Cost { wall: 1e9 / rate.context("pgbench told no rate")?, cpu })
    }

    /// Opens sessions and leaves them idle until this is dropped.
    pub(crate) fn hold(&self, sessions: u32) -> Result<Process> {
        let script = self.world.lab.write("sleep.sql", "select 1;\n\\sleep 600 s\n")?;
        let before = self.sessions()?;
        let mut command = Command::new(program("pgbench", "postgresql-contrib")?);
        let sessions_text = sessions.to_string();
        command.args(["-n", "-j", "1", "-t", "1", "-c", &sessions_text, "-f"]).arg(script);
        let process = Process::start("pgbench", command.arg(self.conninfo(Way::Gate)))?;
        let until = Instant::now() + RUN_MAX;
        while self.sessions()? < before + sessions {
            ensure!(Instant::now() < until, "the sessions did not open: {}", process.stderr());
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(process)
    }

    fn sessions(&self) -> Result<u32> {
        let said = self.server.sql("select count(*) from pg_stat_activity where usename = 'app'")?;
        said.parse().context("no number of sessions")
    }

    fn psql(&self, way: Way, text: &str) -> Result<Command> {
        let mut command = Command::new(program("psql", "postgresql-client")?);
        command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", &self.conninfo(way), "-c", text]);
        Ok(command)
    }

    fn timed(&self, way: Way, command: &mut Command) -> Result<Cost> {
        let (before, start) = (nanos(&self.between(way))?, Instant::now());
        let status = command.stdout(Stdio::null()).status()?;
        ensure!(status.success(), "psql ended with {status}");
        Ok(Cost { wall: start.elapsed().as_secs_f64() * 1e9, cpu: nanos(&self.between(way))? - before })
    }

    /// Reads all rows.
    pub(crate) fn copy_out(&self, way: Way) -> Result<Cost> {
        let text = format!("copy (select repeat('x', 1000) from generate_series(1, {ROWS})) to stdout");
        self.timed(way, &mut self.psql(way, &text)?)
    }

    /// Sends all rows, which the server reads and drops.
    pub(crate) fn copy_in(&self, way: Way) -> Result<Cost> {
        let mut command = self.psql(way, "copy sink from stdin where false")?;
        self.timed(way, command.stdin(File::open(&self.rows)?))
    }
}
