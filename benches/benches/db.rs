//! What databases cost through the gate: beside PgBouncer, beside the servers themselves, and in memory.

#[path = "db/bouncer.rs"]
mod bouncer;
#[path = "db/copier.rs"]
mod copier;
#[path = "db/mysql.rs"]
mod mysql;
#[path = "db/postgres.rs"]
mod postgres;

use std::process::ExitCode;

use anyhow::Result;
use tapgate_benches::harness::{Compared, ROUNDS, Round, in_turns, weigh};
use tapgate_benches::process::{memory, rest};
use tapgate_benches::report::{Figure, Report};

use crate::mysql::Shop;
use crate::postgres::{Cost, Database, Pgbench, Way};

/// How many rounds there are of programs that run for a second or so.
const PROGRAM_ROUNDS: usize = ROUNDS / 4;

/// PostgreSQL's point selects for each run, at one client and at sixteen.
const SELECTS: [(u32, u32); 2] = [(1, 10_000), (16, 2_000)];

/// How many connections a run makes.
const CONNECTIONS: u32 = 40;

/// How many idle sessions are held at once.
const IDLE: u32 = 100;

/// What an idle session may take: two ends of TLS, without a buffer.
const IDLE_GOAL: f64 = 40.0 * 1024.0;

/// How much longer a transaction of one client may take.
const ONE_GOAL: f64 = 1.0 / 0.97;

/// How much CPU time a transaction may take, against a program that does little else than we do.
const CPU_GOAL: f64 = 1.1;

/// How much longer a bulk copy may take: 0.8 of the direct way's speed must be had.
const COPY_GOAL: f64 = 1.0 / 0.8;

/// How much longer a point select of MySQL may take: 0.85 of the direct way's speed must be had.
const MYSQL_GOAL: f64 = 1.0 / 0.85;

/// What telling every text may cost.
const AUDIT_GOAL: f64 = 1.07;

const ONE: &str = "postgres-select-1";
const MANY: &str = "postgres-select-16";
const CONNECT: &str = "postgres-connect";
const FRESH: &str = "postgres-connect-unpooled";
const AUDIT: &str = "postgres-audit";
const OUT: &str = "postgres-copy-out";
const IN: &str = "postgres-copy-in";
const SESSION: &str = "postgres-idle-session-memory";
const MYSQL: &str = "mysql-select";
const MYSQL_COPIED: &str = "mysql-select-copied";
const MYSQL_SESSION: &str = "mysql-idle-session-memory";

fn main() -> Result<ExitCode> {
    let mut report = Report::from_arguments()?;
    if report.wants_any(&[ONE, MANY, CONNECT, FRESH, AUDIT, OUT, IN, SESSION]) {
        let database = Database::new()?;
        // Memory goes first: what came before would be held against it, or for it.
        idle(&database, &mut report)?;
        for (name, (clients, each), goal) in [(ONE, SELECTS[0], ONE_GOAL), (MANY, SELECTS[1], 1.0)] {
            selects(&database, &mut report, name, Pgbench::selects(clients, each), goal)?;
        }
        connects(&database, &mut report, CONNECT, Way::Bouncer, Some(1.0))?;
        connects(&database, &mut report, FRESH, Way::Unpooled, None)?;
        audit(&database, &mut report)?;
        copies(&database, &mut report)?;
    }
    if report.wants_any(&[MYSQL, MYSQL_COPIED, MYSQL_SESSION]) {
        of_mysql(&mut report)?;
    }
    report.finish()
}

/// One thing of what both sides cost.
fn only(rounds: &[Round<Cost>], pick: impl Fn(Cost) -> f64) -> Compared {
    weigh(&rounds.iter().map(|round| round.only(&pick)).collect::<Vec<Round>>())
}

fn idle(database: &Database, report: &mut Report) -> Result<()> {
    if !report.wants(SESSION) {
        return Ok(());
    }
    let gate = database.gate();
    let first = database.hold(1)?;
    rest(gate)?;
    let before = memory(gate, "VmRSS")?;
    let held = database.hold(IDLE)?;
    rest(gate)?;
    let each = (memory(gate, "VmRSS")? - before) / f64::from(IDLE);
    drop((first, held));
    let what = "the gate's memory for one of 100 idle PostgreSQL sessions, TLS on both sides, over a first one";
    report.add(SESSION, Figure::bytes(what, IDLE_GOAL, each));
    Ok(())
}

fn selects(database: &Database, report: &mut Report, name: &str, pgbench: Pgbench, goal: f64) -> Result<()> {
    let cpu = format!("{name}-cpu");
    if !report.wants_any(&[name, &cpu]) {
        return Ok(());
    }
    let rounds =
        in_turns(PROGRAM_ROUNDS, || database.bench(Way::Gate, pgbench), || database.bench(Way::Bouncer, pgbench))?;
    let clients = pgbench.clients;
    let what = format!("wall-clock time of a transaction, `pgbench -S -M prepared -c {clients}`, TLS on both sides");
    let sides = ["the gate", "PgBouncer, session mode"];
    report.add(name, Figure::ratio(&what, Some(goal), sides, &only(&rounds, |cost| cost.wall)));
    let what = format!("CPU time of the program between for a transaction, `pgbench -S -M prepared -c {clients}`");
    report.add(&cpu, Figure::ratio(&what, Some(CPU_GOAL), sides, &only(&rounds, |cost| cost.cpu)));
    Ok(())
}

fn connects(database: &Database, report: &mut Report, name: &str, other: Way, goal: Option<f64>) -> Result<()> {
    let cpu = format!("{name}-cpu");
    if !report.wants_any(&[name, &cpu]) {
        return Ok(());
    }
    let pgbench = Pgbench::connects(CONNECTIONS);
    let rounds = in_turns(PROGRAM_ROUNDS, || database.bench(Way::Gate, pgbench), || database.bench(other, pgbench))?;
    let sides = match other {
        Way::Unpooled => ["the gate", "PgBouncer, a new server connection each"],
        _ => ["the gate", "PgBouncer, its server connection open already"],
    };
    let what = "wall-clock time to connect within the window and select once, TLS on both sides (`pgbench -S -C`)";
    report.add(name, Figure::ratio(what, goal, sides, &only(&rounds, |cost| cost.wall)));
    let what = "CPU time of the program between for that";
    report.add(&cpu, Figure::ratio(what, None, sides, &only(&rounds, |cost| cost.cpu)));
    Ok(())
}

fn audit(database: &Database, report: &mut Report) -> Result<()> {
    let cpu = format!("{AUDIT}-cpu");
    if !report.wants_any(&[AUDIT, &cpu]) {
        return Ok(());
    }
    // Each text is another, so that each is told: many runs of one prepared statement are told as one.
    let pgbench = Pgbench::texts(6_000);
    let rounds =
        in_turns(PROGRAM_ROUNDS, || database.bench(Way::Gate, pgbench), || database.bench(Way::Quiet, pgbench))?;
    let sides = ["texts told in full", "`db_audit_text: off`"];
    let what = "wall-clock time of a simple statement whose text is another each time, `pgbench -S -M simple -c 1`";
    report.add(AUDIT, Figure::ratio(what, Some(AUDIT_GOAL), sides, &only(&rounds, |cost| cost.wall)));
    let what = "the gate's CPU time for that";
    report.add(&cpu, Figure::ratio(what, None, sides, &only(&rounds, |cost| cost.cpu)));
    Ok(())
}

fn copies(database: &Database, report: &mut Report) -> Result<()> {
    for (name, what) in [(OUT, "COPY TO STDOUT"), (IN, "COPY FROM STDIN")] {
        let cpu = format!("{name}-cpu");
        if !report.wants_any(&[name, &cpu]) {
            continue;
        }
        let copy = |way| if name == OUT { database.copy_out(way) } else { database.copy_in(way) };
        let rounds = in_turns(PROGRAM_ROUNDS, || copy(Way::Gate), || copy(Way::Direct))?;
        let told = format!("wall-clock time of `{what}` of 100 MB, TLS everywhere: the whole runs move 1 GB and more");
        let sides = ["through the gate", "direct"];
        report.add(name, Figure::ratio(&told, Some(COPY_GOAL), sides, &only(&rounds, |cost| cost.wall)));
        let told = format!("the gate's CPU time for `{what}` of 100 MB");
        report.add(&cpu, Figure::nanoseconds(&told, None, only(&rounds, |cost| cost.cpu).a));
    }
    Ok(())
}

fn of_mysql(report: &mut Report) -> Result<()> {
    let shop = Shop::new()?;
    if report.wants(MYSQL_SESSION) {
        let gate = shop.gate();
        let first = shop.hold(1)?;
        rest(gate)?;
        let before = memory(gate, "VmRSS")?;
        let held = shop.hold(IDLE)?;
        rest(gate)?;
        let each = (memory(gate, "VmRSS")? - before) / f64::from(IDLE);
        drop((first, held));
        let what = "the gate's memory for one of 100 idle MySQL sessions, TLS on both sides, over a first one";
        report.add(MYSQL_SESSION, Figure::bytes(what, IDLE_GOAL, each));
    }
    let what = "wall-clock time of a point select of MariaDB, one client, TLS everywhere (`mariadb-slap`)";
    let copied = "the same through a program that copies bytes and opens nothing, which no program between can beat";
    for (name, way, what, side, goal) in [
        (MYSQL, mysql::Way::Gate, what, "through the gate", Some(MYSQL_GOAL)),
        (MYSQL_COPIED, mysql::Way::Copied, copied, "through a copier", None),
    ] {
        if report.wants(name) {
            let rounds = in_turns(PROGRAM_ROUNDS, || shop.selects(way), || shop.selects(mysql::Way::Direct))?;
            report.add(name, Figure::ratio(what, goal, [side, "direct"], &weigh(&rounds)));
        }
    }
    Ok(())
}
