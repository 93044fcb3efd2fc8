//! `user`: a person, their roles, and the traits that templates read.

use std::collections::BTreeMap;

use tapgate_model::{LoginName, RoleName, UserName};

use crate::at::At;
use crate::section::Section;

/// A person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Their name.
    pub name: UserName,
    /// Their roles, as written.
    pub roles: Vec<RoleName>,
    /// What `{{internal.…}}` and `{{external.…}}` stand for.
    pub traits: BTreeMap<String, Vec<String>>,
}

const UNSUPPORTED: &[(&str, &str)] = &[
    ("created_by", "remove it"),
    ("expires", "remove it, and lock or remove the user when the time has come"),
    ("status", "remove it; use a lock"),
    ("local_auth", "remove it: devices are enrolled by invite"),
    ("oidc_identities", "remove it"),
    ("saml_identities", "remove it"),
    ("github_identities", "remove it"),
    ("trusted_device_ids", "remove it"),
];

impl User {
    /// Reads a user's `spec`.
    pub(crate) fn read(name: Option<UserName>, spec: Section<'_>) -> Option<Self> {
        let spec = spec.without(UNSUPPORTED);
        let roles = spec.need("roles", "[access]").map_or_else(Vec::new, |at| roles(&at));
        let traits = spec.take("traits").map_or_else(BTreeMap::new, |at| traits(&at));
        spec.finish();
        Some(Self { name: name?, roles, traits })
    }
}

fn roles(at: &At<'_>) -> Vec<RoleName> {
    let mut roles: Vec<RoleName> = Vec::new();
    for item in at.one_or_more().unwrap_or_default() {
        match item.parse() {
            Some(role) if roles.contains(&role) => item.problem(format!("the role `{role}` stands twice (keep one)")),
            Some(role) => roles.push(role),
            None => {}
        }
    }
    roles
}

fn traits(at: &At<'_>) -> BTreeMap<String, Vec<String>> {
    let entries = at.entries().unwrap_or_default();
    entries.into_iter().map(|(key, at)| (key.to_owned(), values(key, &at))).collect()
}

fn values(key: &str, at: &At<'_>) -> Vec<String> {
    let items = at.one_or_more().unwrap_or_default();
    // These two are logins and nothing else, so that a bad one is a mistake.
    let logins = matches!(key, "logins" | "windows_logins");
    let value = |at: &At<'_>| {
        if logins { at.parse().map(|name: LoginName| name.to_string()) } else { at.text().map(str::to_owned) }
    };
    items.iter().filter_map(value).collect()
}
