//! What came of a `tap db exec`, database by database.

use std::collections::BTreeMap;

use serde::Serialize;
use tapgate_model::{LoginName, TargetName};

use super::super::find::Protocol;

/// What came of it in one database.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Outcome {
    pub(super) name: TargetName,
    pub(super) protocol: Protocol,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) db_user: LoginName,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) db_name: Option<String>,
    /// Where its output is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) output: Option<String>,
    pub(super) success: bool,
    /// The exit status of the database's client, where it ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) exit_code: Option<u8>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
    /// How long it took.
    pub(super) milliseconds: u128,
}

/// What came of it in all.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Report {
    statement: String,
    pub(super) total: usize,
    pub(super) succeeded: usize,
    pub(super) failed: usize,
    databases: Vec<Outcome>,
}

impl Report {
    /// The sum of these.
    pub(super) fn new(statement: &str, databases: Vec<Outcome>) -> Self {
        let (total, succeeded) = (databases.len(), databases.iter().filter(|outcome| outcome.success).count());
        Self { statement: statement.to_owned(), total, succeeded, failed: total - succeeded, databases }
    }
}
