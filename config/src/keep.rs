//! What is kept, how long, how much of it and where: the sections of the audit log and of recordings.

use std::path::PathBuf;
use std::time::Duration;

use serde_norway::Mapping;

use crate::parse::{Reader, path};

/// How long something is kept; without either, for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeepRule {
    /// What is older goes.
    pub age: Option<Duration>,
    /// The oldest goes until all of it is no larger than this, in bytes.
    pub size: Option<u64>,
}

/// How the audit log is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditConfig {
    /// Somewhere else that gets a copy of each checkpoint, if there is anything.
    pub witness: Option<WitnessPlace>,
    /// Whether sessions are refused while the log can't be written.
    pub refuse_when_full: bool,
    /// Whether each line goes to standard output too.
    pub stdout: bool,
    /// The size at which a new file is begun, in bytes.
    pub file_size: Option<u64>,
    /// How long older files are kept.
    pub keep: KeepRule,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self { witness: None, refuse_when_full: true, stdout: false, file_size: None, keep: KeepRule::default() }
    }
}

/// Where a witness is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WitnessPlace {
    /// A file, which is appended to.
    File(PathBuf),
    /// An address that each checkpoint is posted to.
    Url(String),
}

/// A store that speaks S3, where recordings go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Config {
    /// The bucket.
    pub bucket: String,
    /// Its region.
    pub region: String,
    /// Its address; Amazon's where there is none.
    pub endpoint: Option<String>,
    /// What the objects' names begin with.
    pub prefix: String,
    /// The files of the key and its secret; without them both are in the environment.
    pub credentials: Option<S3Credentials>,
    /// How much may wait in the local directory while the store does not take it, in bytes.
    pub waiting_max: u64,
}

/// The files that the credentials are in, each by itself. They are read anew before each request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Credentials {
    /// The access key's id.
    pub id: PathBuf,
    /// Its secret.
    pub secret: PathBuf,
}

/// How much waits for the store at most, unless somebody says otherwise: some thousand hours of terminals.
const WAITING_MAX: u64 = 10 << 30;

impl Reader<'_> {
    pub(crate) fn audit(&mut self, root: &Mapping) -> AuditConfig {
        let known = ["witness", "when_full", "stdout", "file_size", "keep_age", "keep_size"];
        let map = self.section(root, "audit", &known).cloned().unwrap_or_default();
        let when_full = |text: &str| match text {
            "refuse" => Ok(true),
            "go_on" => Ok(false),
            other => Err(format!("must be refuse or go_on, not {other}")),
        };
        let stdout = map.get("stdout").is_some_and(|value| {
            if value.as_bool().is_none() {
                self.wrong(&["audit", "stdout"], "`stdout` must be true or false".to_owned());
            }
            value.as_bool() == Some(true)
        });
        AuditConfig {
            witness: self.optional(&map, &["audit", "witness"], witness),
            refuse_when_full: self.optional(&map, &["audit", "when_full"], when_full).unwrap_or(true),
            stdout,
            file_size: self.optional(&map, &["audit", "file_size"], size),
            keep: KeepRule {
                age: self.optional(&map, &["audit", "keep_age"], age),
                size: self.optional(&map, &["audit", "keep_size"], size),
            },
        }
    }

    pub(crate) fn recordings_keep(&mut self, root: &Mapping) -> KeepRule {
        let map = self.section(root, "recordings_keep", &["age", "size"]).cloned().unwrap_or_default();
        KeepRule {
            age: self.optional(&map, &["recordings_keep", "age"], age),
            size: self.optional(&map, &["recordings_keep", "size"], size),
        }
    }

    pub(crate) fn recordings_s3(&mut self, root: &Mapping) -> Option<S3Config> {
        const SECTION: &str = "recordings_s3";
        let known = ["bucket", "region", "endpoint", "prefix", "access_key_file", "secret_key_file", "waiting_max"];
        let map = self.section(root, SECTION, &known)?;
        if map.get("bucket").is_none() {
            self.wrong(&[SECTION], format!("`{SECTION}` names no `bucket`"));
        }
        let id = self.optional(map, &[SECTION, "access_key_file"], path);
        let secret = self.optional(map, &[SECTION, "secret_key_file"], path);
        let credentials = match (id, secret) {
            (Some(id), Some(secret)) => Some(S3Credentials { id, secret }),
            (None, None) => None,
            _ => {
                let what = "`access_key_file` and `secret_key_file` belong together (or use the environment for both)";
                self.wrong(&[SECTION], what.to_owned());
                None
            }
        };
        Some(S3Config {
            region: self.optional(map, &[SECTION, "region"], word).unwrap_or_else(|| "us-east-1".to_owned()),
            endpoint: self.optional(map, &[SECTION, "endpoint"], url),
            prefix: self.optional(map, &[SECTION, "prefix"], word).unwrap_or_else(|| "tapgate".to_owned()),
            credentials,
            waiting_max: self.optional(map, &[SECTION, "waiting_max"], size).unwrap_or(WAITING_MAX),
            bucket: self.optional(map, &[SECTION, "bucket"], word)?,
        })
    }
}

fn witness(text: &str) -> Result<WitnessPlace, String> {
    if text.contains("://") { url(text).map(WitnessPlace::Url) } else { path(text).map(WitnessPlace::File) }
}

fn url(text: &str) -> Result<String, String> {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match host {
        Some(host) if !host.is_empty() && !text.contains(char::is_whitespace) => Ok(text.to_owned()),
        _ => Err(format!("is not an address such as https://elsewhere.example.com/: {text}")),
    }
}

/// What may stand in a name on every store.
fn word(text: &str) -> Result<String, String> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    let text = text.trim_matches('/');
    if !text.is_empty() && text.chars().all(good) && text.split('/').all(|part| !part.is_empty() && part != "..") {
        Ok(text.to_owned())
    } else {
        Err(format!("may hold letters, digits, `-`, `_`, `.` and `/`, not {text:?}"))
    }
}

/// `30d`, `12h`.
fn age(text: &str) -> Result<Duration, String> {
    let wrong = || format!("is not an age such as 90d or 12h: {text}");
    let (digits, hours) = match text.strip_suffix('d') {
        Some(digits) => (digits, 24),
        None => (text.strip_suffix('h').ok_or_else(wrong)?, 1),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let seconds = number.checked_mul(hours * 3600).filter(|seconds| *seconds > 0).ok_or_else(wrong)?;
    Ok(Duration::from_secs(seconds))
}

/// `256MiB`, `10GiB`.
fn size(text: &str) -> Result<u64, String> {
    let wrong = || format!("is not a size such as 256MiB or 10GiB: {text}");
    let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1_u64 << 40)];
    let unit = units.into_iter().find_map(|(word, bytes)| Some((text.strip_suffix(word)?, bytes)));
    let (digits, bytes) = unit.ok_or_else(wrong)?;
    let number: u64 = digits.trim_end().parse().map_err(|_| wrong())?;
    number.checked_mul(bytes).filter(|bytes| *bytes > 0).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    const BASE: &str = "public_addr: gate.example.com:443\n";

    fn problems(text: &str) -> String {
        let Err(problems) = parse("t.yaml", &format!("{BASE}{text}")) else { return "no problem".to_owned() };
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_audit_log_has_settings_of_its_own() {
        let config = parse("t.yaml", BASE).unwrap();
        assert_eq!(config.audit, AuditConfig::default());
        assert_eq!(config.recordings, PathBuf::from("/var/lib/tapgate/recordings"));
        let text = "recordings: /r\naudit:\n  witness: /mnt/witness.jsonl\n  when_full: go_on\n  stdout: true\n  \
                    file_size: 64MiB\n  keep_age: 400d\n  keep_size: 10GiB\n";
        let config = parse("t.yaml", &format!("{BASE}{text}")).unwrap();
        let keep = KeepRule { age: Some(Duration::from_hours(400 * 24)), size: Some(10 << 30) };
        let witness = Some(WitnessPlace::File("/mnt/witness.jsonl".into()));
        let due = AuditConfig { witness, refuse_when_full: false, stdout: true, file_size: Some(64 << 20), keep };
        assert_eq!(config.audit, due);
        assert_eq!(config.recordings, PathBuf::from("/r"));
        let wrong = text.replace("go_on", "perhaps");
        assert_eq!(problems(&wrong), "t.yaml:5: `when_full` must be refuse or go_on, not perhaps");
        let posted = parse("t.yaml", &format!("{BASE}audit:\n  witness: https://w.example.com/tapgate\n")).unwrap();
        assert_eq!(posted.audit.witness, Some(WitnessPlace::Url("https://w.example.com/tapgate".to_owned())));
    }

    #[test]
    fn a_store_is_named_whole() {
        let text = "recordings_s3:\n  bucket: tapes\n  endpoint: http://127.0.0.1:9000\n  prefix: gate/one/\n";
        let store = parse("t.yaml", &format!("{BASE}{text}")).unwrap().recordings_s3.unwrap();
        assert_eq!((store.bucket.as_str(), store.prefix.as_str()), ("tapes", "gate/one"));
        assert_eq!((store.region.as_str(), store.waiting_max, store.credentials), ("us-east-1", WAITING_MAX, None));
        for (text, due) in [
            ("recordings_s3:\n  region: x\n", "`recordings_s3` names no `bucket`"),
            ("recordings_s3:\n  bucket: a\n  access_key_file: /k\n", "belong together"),
            ("recordings_s3:\n  bucket: a b\n", "may hold letters"),
            ("recordings_s3:\n  bucket: a\n  prefix: a/../b\n", "may hold letters"),
            ("recordings_s3:\n  bucket: a\n  endpoint: ftp://x\n", "is not an address"),
        ] {
            assert!(problems(text).contains(due), "{text}: {}", problems(text));
        }
    }

    #[test]
    fn ages_and_sizes() {
        let text = "recordings_keep:\n  age: 90d\n  size: 1TiB\n";
        let keep = parse("t.yaml", &format!("{BASE}{text}")).unwrap().recordings_keep;
        assert_eq!(keep, KeepRule { age: Some(Duration::from_hours(90 * 24)), size: Some(1 << 40) });
        for bad in ["90", "d", "0d", "-1d", "99999999999999999999d", "18446744073709551615d"] {
            assert!(age(bad).is_err(), "{bad}");
        }
        for bad in ["10", "GiB", "0MiB", "1GB", "99999999999TiB"] {
            assert!(size(bad).is_err(), "{bad}");
        }
        assert_eq!(age("12h"), Ok(Duration::from_hours(12)));
    }
}
