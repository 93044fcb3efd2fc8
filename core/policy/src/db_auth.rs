//! `auth` of a database: how the gate logs in there as each database user.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tapgate_model::LoginName;

use crate::at::At;
use crate::section::Section;

/// How the gate logs in to a database: with a certificate of its own authority, or for the users who are named
/// here with a password.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DbAuth {
    password_files: BTreeMap<LoginName, PathBuf>,
    /// Whether a password may be sent as it is, within TLS, where the database asks for that: whoever holds the
    /// database then reads it.
    pub clear_password: bool,
}

impl DbAuth {
    /// The file that this user's password is in; none for a user who logs in with a certificate.
    pub fn password_file(&self, user: &LoginName) -> Option<&Path> {
        self.password_files.get(user).map(PathBuf::as_path)
    }

    /// Reads `auth`.
    pub(crate) fn read(section: Section<'_>) -> Self {
        const UNSUPPORTED: &[(&str, &str)] =
            &[("password", "write the password into a file and name that in `password_files`")];
        let section = section.without(UNSUPPORTED);
        let files = section.take("password_files").and_then(|at| at.entries()).unwrap_or_default();
        let password_files = files.into_iter().filter_map(|(user, at)| file_of(user, &at)).collect();
        let clear_password = section.flag("clear_password", false);
        section.finish();
        Self { password_files, clear_password }
    }
}

fn file_of(user: &str, at: &At<'_>) -> Option<(LoginName, PathBuf)> {
    let path = PathBuf::from(at.text()?);
    let name = user.parse();
    if let Err(error) = &name {
        at.problem(format!("`{user}` is no database user: {error}"));
    }
    if !path.is_absolute() {
        at.problem(format!("the password file of `{user}` must be a whole path (begin it with /)"));
        return None;
    }
    Some((name.ok()?, path))
}
