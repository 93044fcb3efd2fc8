//! A MariaDB server, directly and through the gate, and what stock clients say of each way.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tapgate_benches::world::{Pass, World};
use tapgate_lab::{MariaDb, MariaDbOptions, Process, program};

use crate::copier;

/// How long one run may take.
const RUN_MAX: Duration = Duration::from_mins(3);

/// Point selects of one run.
const SELECTS: u32 = 3_000;

/// How the server is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Through the gate.
    Gate,
    /// Through a program that copies bytes, and does nothing else.
    Copied,
    /// As it is.
    Direct,
}

/// The server and the gate before it.
pub(crate) struct Shop {
    server: MariaDb,
    copier: u16,
    pass: Pass,
    world: World,
}

const SETUP: &str = "create database shop; create user app@'%' require subject '/CN=app'; create user direct@'%' \
                     identified by 'direct' require ssl; grant all on shop.* to app@'%'; grant all on shop.* to \
                     direct@'%'; create table shop.t (id int primary key auto_increment, name varchar(40)); insert \
                     into shop.t (name) values ('one'), ('two'), ('three');";

const ROLE: &str = "kind: role\nversion: v7\nmetadata: { name: bench }\nspec:\n  allow:\n    db_labels: { env: bench \
                    }\n    db_users: [app]\n    db_names: [shop]\n";

impl Shop {
    /// Sets everything up.
    pub(crate) fn new() -> Result<Self> {
        let world = World::new("bench", ROLE)?;
        let client_ca = world.authority(&["--databases"])?;
        let options = MariaDbOptions { client_ca, options: Vec::new(), setup: SETUP.to_owned() };
        let server = MariaDb::start(&world.lab, "shopdb", &options)?;
        world.put(&server.db_yaml("bench", ""))?;
        let pass = world.pass()?;
        let copier = copier::start(server.port())?;
        Ok(Self { server, copier, pass, world })
    }

    /// The gate's process.
    pub(crate) fn gate(&self) -> u32 {
        self.world.gate()
    }

    /// Nanoseconds of a point select.
    pub(crate) fn selects(&self, way: Way) -> Result<f64> {
        let mut command = Command::new(program("mariadb-slap", "mariadb-client")?);
        command.args([
            "--no-defaults",
            "--host=127.0.0.1",
            "--protocol=tcp",
            "--create-schema=shop",
            "--concurrency=1",
        ]);
        command.args(["--iterations=1", "--query=select name from t where id = 2"]);
        command.arg(format!("--number-of-queries={SELECTS}"));
        if way == Way::Gate {
            let Pass { certificate, key, gate_ca } = &self.pass;
            command.arg(format!("--port={}", self.world.mysql)).arg("--user=app@shopdb");
            command.arg(format!("--ssl-ca={}", gate_ca.display()));
            command.arg(format!("--ssl-cert={}", certificate.display())).arg(format!("--ssl-key={}", key.display()));
        } else {
            let port = if way == Way::Copied { self.copier } else { self.server.port() };
            command.arg(format!("--port={port}")).args(["--user=direct", "--password=direct", "--ssl"]);
        }
        let said = Process::start("mariadb-slap", &mut command)?.finish(RUN_MAX)?.success()?.stdout;
        let seconds = said.lines().find_map(|line| {
            let (_, rest) = line.split_once("Average number of seconds to run all queries:")?;
            rest.split_whitespace().next()?.parse::<f64>().ok()
        });
        Ok(seconds.with_context(|| format!("mariadb-slap told no time: {said}"))? * 1e9 / f64::from(SELECTS))
    }

    /// Opens sessions and leaves them idle until this is dropped.
    pub(crate) fn hold(&self, sessions: u32) -> Result<Process> {
        let Pass { certificate, key, gate_ca } = &self.pass;
        let text = format!(
            "import pymysql, sys\nheld = [pymysql.connect(host='localhost', port={}, user='app@shopdb', \
             database='shop', ssl=dict(ca='{}', cert='{}', key='{}')) for _ in range({sessions})]\nprint('up', \
             flush=True)\nsys.stdin.read()\n",
            self.world.mysql,
            gate_ca.display(),
            certificate.display(),
            key.display()
        );
        let script = self.world.lab.write("hold.py", &text)?;
        let mut command = Command::new(program("/usr/bin/python3", "python3")?);
        let process = Process::start("python3", command.arg(script))?;
        process.wait_for("up")?;
        Ok(process)
    }
}
