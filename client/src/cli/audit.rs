//! `tapctl audit`: the log listed, followed, exported and verified.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::Value;
use tapgate_api::{AuditPage, path};
use tapgate_audit::{Audit, Checkpoint, Expectation, Given, Period, audit};
use tapgate_model::UnixTime;

use super::{Context, Format, Global, output};
use crate::audit::show::{Filter, row, thousands};
use crate::audit::source::{Source, keys, page, write};
use crate::audit::{date, export};
use crate::error::{Act as _, Failure, Result, printable};

/// Between two looks for new records.
const LOOK: Duration = Duration::from_secs(1);

/// How much of the log's end is read for its last records.
const TAIL: &str = "131072";

/// What is done with the audit log.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Prove that nothing was changed and that every session that required a tap had one
    #[command(after_help = "Examples:\n  tapctl audit verify --from 2026-11-01\n  \
        tapctl audit verify --log audit.jsonl --keys keys.json --expect-head witness.jsonl")]
    Verify(Verify),
    /// Print records
    #[command(after_help = "Example:\n  tapctl audit ls --user jerry --event session --from 2026-11-01")]
    Ls {
        /// Which of them
        #[command(flatten)]
        which: Which,
        /// How many, the last ones; 0 is all
        #[arg(short = 'n', long, default_value_t = 100)]
        limit: usize,
    },
    /// Print the last records
    #[command(after_help = "Example:\n  tapctl audit tail -f")]
    Tail {
        /// Go on with those that come
        #[arg(short, long)]
        follow: bool,
        /// How many
        #[arg(short = 'n', long, default_value_t = 20)]
        lines: usize,
    },
    /// Print records as JSON lines, with the names of events and fields that other products have
    #[command(after_help = "Example:\n  tapctl audit export --from 2026-11-01 > november.jsonl")]
    Export {
        /// Which of them
        #[command(flatten)]
        which: Which,
        /// Leave the gate's own names
        #[arg(long)]
        raw: bool,
    },
    /// Write the public keys that an offline audit takes
    #[command(after_help = "Example:\n  tapctl audit export-keys > keys.json")]
    ExportKeys {
        /// The file; without it, standard output
        #[arg(short, long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

/// What is verified.
#[derive(Debug, Args)]
pub struct Verify {
    /// The log's file; without it, the gate's log
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// The checkpoints; without it, those beside the log
    #[arg(long, value_name = "FILE", requires = "log")]
    checkpoints: Option<PathBuf>,
    /// The public keys, from `tapctl audit export-keys`; without it, the gate's
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// What the log must contain: HASH, RECORDS:HASH, or the file of a witness
    #[arg(long, value_name = "HEAD")]
    expect_head: Vec<String>,
    /// Count the sessions from this date on
    #[arg(long, value_parser = date::parse)]
    from: Option<UnixTime>,
    /// Count the sessions before this date
    #[arg(long, value_parser = date::parse)]
    to: Option<UnixTime>,
}

/// Which records are wanted.
#[derive(Debug, Args)]
pub struct Which {
    /// The log's file; without it, the gate's log
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Of this user
    #[arg(long)]
    user: Option<String>,
    /// With this name, such as session.start, or session for all that begin so
    #[arg(long)]
    event: Option<String>,
    /// Of this session
    #[arg(long)]
    session: Option<String>,
    /// From this date on
    #[arg(long, value_parser = date::parse)]
    from: Option<UnixTime>,
    /// Before this date
    #[arg(long, value_parser = date::parse)]
    to: Option<UnixTime>,
}

/// Runs the command. A log at hand needs no gate.
pub async fn run(global: &Global, command: Command) -> Result<()> {
    match command {
        Command::Verify(wish) => verify(global, wish).await,
        Command::Ls { which, limit } => list(global, which, limit).await,
        Command::Tail { follow, lines } => tail(global, follow, lines).await,
        Command::Export { which, raw } => {
            let (cluster, mut text) = (String::new(), String::new());
            let cluster = if raw { cluster } else { cluster_of(global, &which).await? };
            for record in records(global, which).await? {
                let record = if raw { record } else { export::record(&record, &cluster) };
                text.push_str(&record.to_string());
                text.push('\n');
            }
            output::write(&text)
        }
        Command::ExportKeys { out } => {
            let keys = keys(None, || Context::new(global, None)?.with_login()).await?;
            let mut text = serde_json::to_string_pretty(&keys).act(|| "the keys cannot be written".to_owned())?;
            text.push('\n');
            out.map_or_else(|| output::write(&text), |file| write(&file, &text))
        }
    }
}

async fn verify(global: &Global, wish: Verify) -> Result<()> {
    let login = || Context::new(global, None)?.with_login();
    let source = match &wish.log {
        Some(log) => Source::file(log, wish.checkpoints.as_deref())?,
        None => Source::gate(&login()?).await?,
    };
    let keys = keys(wish.keys.as_deref(), login).await?;
    let mut expected = Vec::new();
    for text in &wish.expect_head {
        expected.extend(expectations(text, &keys)?);
    }
    let given = Given {
        files: &source.files,
        checkpoints: source.checkpoints.as_deref(),
        keys: &keys,
        expected: &expected,
        period: Period { from: wish.from, to: wish.to },
    };
    let found = audit(&given).act(|| "the audit log cannot be read".to_owned())?;
    output::show(global.format, &found, told)?;
    if found.is_clean() {
        return Ok(());
    }
    Err(Failure::new(format!("the audit has found {} faults", thousands(found.faults))))
}

/// What a head on the command line demands: a hash, or all that a witness has.
fn expectations(text: &str, keys: &tapgate_audit::AuditKeys) -> Result<Vec<Expectation>> {
    if let Ok(expected) = text.parse() {
        return Ok(vec![expected]);
    }
    let witness = std::fs::read_to_string(text)
        .act(|| format!("{text:?} is neither a hash nor the file of a witness that can be read"))?;
    let mut expected = Vec::new();
    for (number, line) in (1..).zip(witness.lines()) {
        let checkpoint: Checkpoint =
            serde_json::from_str(line).act(|| format!("{text}, line {number}, is no checkpoint"))?;
        if !checkpoint.is_signed_by(&keys.log_keys) {
            return Err(Failure::new(format!("{text}, line {number}, is not signed by one of the gate's keys")));
        }
        expected.push(Expectation::from(&checkpoint));
    }
    Ok(expected)
}

/// An audit for people: its line, what else is to be said, and every fault.
fn told(audit: &Audit) -> String {
    let n = thousands;
    let chain = if audit.chain_intact { "chain intact" } else { "chain BROKEN" };
    let mut text = format!(
        "{} records, {chain}; {} sessions required a tap: {} proven ({} WebAuthn, {} SSO{}), {} missing, {} altered\n",
        n(audit.records),
        n(audit.required),
        n(audit.webauthn + audit.sso + audit.ssh_sk),
        n(audit.webauthn),
        n(audit.sso),
        if audit.ssh_sk > 0 { format!(", {} SSH keys' touches", n(audit.ssh_sk)) } else { String::new() },
        n(audit.missing),
        n(audit.altered)
    );
    let mut note = |holds: bool, what: String| {
        if holds {
            text.push_str(&what);
            text.push('\n');
        }
    };
    let head = audit.head.map(|head| head.to_string()).unwrap_or_default();
    note(true, format!("{} checkpoints agree; head {}:{head}", n(audit.checkpoints), audit.log_records));
    note(audit.other_taps > 0, format!("{} other taps proven", n(audit.other_taps)));
    let gone = if audit.pruned >= audit.first { "were removed by the gate's rule" } else { "are archived elsewhere" };
    note(audit.first > 0, format!("records before {} {gone}", n(audit.first)));
    note(audit.unsigned > 0, format!("the last {} records are in no checkpoint yet", n(audit.unsigned)));
    note(audit.unfinished > 0, format!("{} bytes of a last line are not complete", n(audit.unfinished)));
    note(audit.lost > 0, format!("{} events were lost, as the log itself says", n(audit.lost)));
    for finding in &audit.findings {
        let record = finding.record.map(|record| format!("record {record}: ")).unwrap_or_default();
        note(true, format!("{}, line {}: {record}{}", finding.file, finding.line, finding.what));
    }
    let told = u64::try_from(audit.findings.len()).unwrap_or(u64::MAX);
    note(audit.faults > told, format!("and {} more", n(audit.faults.saturating_sub(told))));
    text
}

async fn list(global: &Global, which: Which, limit: usize) -> Result<()> {
    let mut found = records(global, which).await?;
    if limit > 0 {
        found.drain(..found.len().saturating_sub(limit));
    }
    output::show(global.format, &found, |found| table(found))
}

fn table(records: &[Value]) -> String {
    output::table(&records.iter().map(row).collect::<Vec<_>>())
}

async fn records(global: &Global, which: Which) -> Result<Vec<Value>> {
    let Which { log, user, event, session, from, to } = which;
    let filter = Filter { user, event, session, from, to };
    let source = match &log {
        Some(log) => Source::file(log, None)?,
        None => Source::gate(&Context::new(global, None)?.with_login()?).await?,
    };
    let mut found = Vec::new();
    for file in &source.files {
        read(file, &filter, &mut found)?;
    }
    Ok(found)
}

fn read(file: &Path, filter: &Filter, found: &mut Vec<Value>) -> Result<()> {
    let unreadable = || format!("the audit log {} cannot be read", file.display());
    for line in BufReader::new(std::fs::File::open(file).act(unreadable)?).lines() {
        found.extend(record(&line.act(unreadable)?).filter(|record| filter.admits(record)));
    }
    Ok(())
}

/// A line as a record; one that is none is the business of verify.
fn record(line: &str) -> Option<Value> {
    serde_json::from_str(line).ok()
}

async fn cluster_of(global: &Global, which: &Which) -> Result<String> {
    if which.log.is_some() {
        return Ok(String::new());
    }
    let status: tapgate_api::Status = Context::new(global, None)?.with_login()?.get(path::STATUS, &[]).await?;
    Ok(status.cluster)
}

async fn tail(global: &Global, follow: bool, lines: usize) -> Result<()> {
    let http = Context::new(global, None)?.with_login()?;
    let first: AuditPage = http.get(path::AUDIT_LOG, &[("last", TAIL)]).await?;
    let mut found: Vec<Value> = first.text.lines().filter_map(record).collect();
    found.drain(..found.len().saturating_sub(lines));
    say(global.format, &found)?;
    let mut at = first.next;
    if !follow {
        return Ok(());
    }
    loop {
        let page = page(&http, path::AUDIT_LOG, at).await?;
        say(global.format, &page.text.lines().filter_map(record).collect::<Vec<_>>())?;
        at = page.next;
        if page.end {
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Records as they come: a line each.
fn say(format: Format, records: &[Value]) -> Result<()> {
    for record in records {
        let line = if format == Format::Text { printable(&row(record).join("  ")) } else { record.to_string() };
        output::write(&format!("{line}\n"))?;
    }
    Ok(())
}
