//! What `tapgate bench` can be told.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

use crate::error::{Failure, Result};
use crate::limits::{LOAD_AT_ONCE, LOAD_AT_ONCE_MAX, LOAD_DURATION_MAX, LOAD_RATE_MAX, LOAD_RATE_MIN};

/// What to open, how often, and what to tell of it.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// How many sessions are begun each second, whatever becomes of those before
    #[arg(long, value_name = "N", default_value = "10", value_parser = rate, allow_negative_numbers = true)]
    pub rate: f64,
    /// For how long sessions are begun, such as 30s, 5m or 1h
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub duration: Duration,
    /// What is spoken
    #[arg(long, value_enum)]
    pub protocol: Protocol,
    /// The targets, in turns: names at the gate; with --direct HOST:PORT
    #[arg(long, value_name = "TARGETS", value_delimiter = ',', required = true)]
    pub targets: Vec<String>,
    /// Who to be there: a Unix login, a database user, or a Kubernetes user; may be left out where your roles allow one
    /// alone
    #[arg(long, value_name = "NAME")]
    pub login: Option<String>,
    /// The name of the database within the server
    #[arg(long, value_name = "NAME")]
    pub db_name: Option<String>,
    /// What each session does: a command (ssh; `true`), a statement (databases; `select 1`), or the path of a request
    /// (http, `/`; kube, `/version`)
    #[arg(long, value_name = "TEXT")]
    pub run: Option<String>,
    /// How many sessions may be open at once; one more waits, and its wait counts
    #[arg(long, value_name = "N", default_value_t = LOAD_AT_ONCE,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(LOAD_AT_ONCE_MAX)))]
    pub at_once: u32,
    /// A tap and a key of its own for every session, instead of one tap for each target and window
    #[arg(long, conflicts_with = "direct")]
    pub tap_each: bool,
    /// Where the gate tells what it counts (`admin_listen`), for the latency of its own session checks
    #[arg(long, value_name = "URL", conflicts_with = "direct")]
    pub metrics: Option<String>,
    /// Write the distributions to files too: percentiles as plotters of HDR histograms read them, or JSON
    #[arg(long, value_enum, value_name = "FORM")]
    pub export: Option<Export>,
    /// The folder for what is exported
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub out: PathBuf,
    /// Go to the targets themselves, without a gate, to compare
    #[arg(long)]
    pub direct: bool,
    /// Direct, ssh: the private key; a certificate is looked for beside it (FILE-cert.pub)
    #[arg(long, value_name = "FILE", requires = "direct")]
    pub identity: Option<PathBuf>,
    /// Direct, ssh: the file that knows the targets' host keys
    #[arg(long, value_name = "FILE", requires = "direct")]
    pub known_hosts: Option<PathBuf>,
    /// Direct, others: TLS, with certificates from this authority alone (PEM)
    #[arg(long, value_name = "FILE", requires = "direct")]
    pub ca: Option<PathBuf>,
    /// Direct, others: the client certificate (PEM)
    #[arg(long, value_name = "FILE", requires_all = ["direct", "ca", "key"])]
    pub certificate: Option<PathBuf>,
    /// Direct, others: its key (PEM)
    #[arg(long, value_name = "FILE", requires_all = ["direct", "certificate"])]
    pub key: Option<PathBuf>,
    /// Direct, databases: a file with the password; it is sent over TLS alone, or not at all (SCRAM)
    #[arg(long, value_name = "FILE", requires = "direct")]
    pub password_file: Option<PathBuf>,
}

/// What is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// A command over SSH
    Ssh,
    /// A statement in PostgreSQL
    Postgres,
    /// A statement in MySQL or MariaDB
    Mysql,
    /// A request to an application
    Http,
    /// A request to a Kubernetes API server
    Kube,
}

/// How distributions are exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Export {
    /// A text of percentiles for each latency, in milliseconds
    Hdr,
    /// One file with the report and every bucket
    Json,
}

impl Protocol {
    /// The word for it, which is the gate's label too.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ssh => "ssh",
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
            Self::Http => "http",
            Self::Kube => "kube",
        }
    }
}

impl Options {
    /// What each session does.
    pub(super) fn run_text(&self) -> String {
        let usual = match self.protocol {
            Protocol::Ssh => "true",
            Protocol::Postgres | Protocol::Mysql => "select 1",
            Protocol::Http => "/",
            Protocol::Kube => "/version",
        };
        self.run.clone().unwrap_or_else(|| usual.to_owned())
    }
}

fn rate(text: &str) -> Result<f64> {
    let wrong = || {
        Failure::new("sessions are begun at a rate, which is a number greater than 0")
            .advise(format!("from {LOAD_RATE_MIN} to {LOAD_RATE_MAX} each second"))
    };
    let rate: f64 = text.parse().map_err(|_| wrong())?;
    if (LOAD_RATE_MIN..=LOAD_RATE_MAX).contains(&rate) { Ok(rate) } else { Err(wrong()) }
}

fn duration(text: &str) -> Result<Duration> {
    let duration = crate::cli::lock::duration(text)?;
    if duration > LOAD_DURATION_MAX {
        return Err(Failure::new("a load lasts from 1s to 24h").advise("start several, one after another"));
    }
    Ok(duration)
}

#[cfg(test)]
pub(super) mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    /// The options of a command line, or what is wrong with it.
    pub(crate) fn options(words: &[&str]) -> Result<Options, String> {
        let words = std::iter::once("bench").chain(words.iter().copied());
        Line::try_parse_from(words).map(|line| line.options).map_err(|error| error.to_string())
    }

    #[test]
    fn bad_words_are_told_with_what_would_be_good() {
        let usual = ["--protocol", "ssh", "--targets", "a"];
        let refused = |more: &[&str]| options(&[&usual[..], more].concat()).unwrap_err();
        for rate in ["0", "-1", "NaN", "inf", "10001", "x"] {
            assert!(refused(&["--rate", rate]).contains("a number greater than 0 (from 0.01 to 10000"), "{rate}");
        }
        assert!(refused(&["--duration", "0s"]).contains("use 30m"));
        assert!(refused(&["--duration", "25h"]).contains("from 1s to 24h"));
        assert!(refused(&["--duration", "soon"]).contains("use 30m"));
        assert!(refused(&["--at-once", "0"]).contains("--at-once"));
        assert!(refused(&["--direct", "--metrics", "http://127.0.0.1:1/metrics"]).contains("cannot be used with"));
        assert!(refused(&["--identity", "x"]).contains("--direct"));
        assert!(options(&["--protocol", "ssh"]).unwrap_err().contains("--targets"));
        assert!(options(&["--protocol", "telnet", "--targets", "a"]).unwrap_err().contains("kube"));
        let good = options(&[&usual[..], &["--rate", "0.5", "--duration", "1m30s"]].concat()).unwrap();
        assert_eq!((good.rate.to_string(), good.duration.as_secs()), ("0.5".to_owned(), 90));
    }
}
