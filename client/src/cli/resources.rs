//! Resources on the command line: `roles`, `role/NAME`, `cap`, and how they are listed.

use std::str::FromStr;

use tapgate_api::{ResourceText, path};

use super::Context;
use super::output::{Format, write};
use crate::error::{Act as _, Failure, Result};

/// A kind, and a name where one resource is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    /// The kind, by the name that documents use.
    pub kind: String,
    /// The name.
    pub name: Option<String>,
}

/// The one resource of its kind: what holds for everybody.
const PREFERENCE: &str = "cluster_auth_preference";

/// What holds where nobody has said otherwise, so that `tapctl edit cap` has something to edit.
const DEFAULT_PREFERENCE: &str = "\
kind: cluster_auth_preference
metadata:
  name: cluster-auth-preference
spec:
  require_session_mfa: false
version: v2
";

/// The kinds by the names that people type.
const ALIASES: &[(&str, &[&str])] = &[
    ("role", &["roles"]),
    ("user", &["users"]),
    (PREFERENCE, &["cap"]),
    ("node", &["nodes"]),
    ("db", &["dbs", "databases", "database"]),
    ("kube_cluster", &["kube_clusters", "kube"]),
    ("app", &["apps"]),
    ("windows_desktop", &["windows_desktops", "desktops", "desktop"]),
    ("lock", &["locks"]),
    ("oidc", &["connectors", "oidc_connector"]),
];

impl FromStr for Selector {
    type Err = Failure;
    fn from_str(text: &str) -> Result<Self> {
        let (word, name) = text.split_once('/').map_or((text, None), |(kind, name)| (kind, Some(name)));
        let known = ALIASES.iter().find(|(kind, others)| *kind == word || others.contains(&word));
        let (kind, _) = known.ok_or_else(|| {
            Failure::new(format!("{word:?} is not a kind of resource"))
                .advise("use roles, users, nodes, locks or cap, and KIND/NAME for one of them")
        })?;
        if name.is_some_and(str::is_empty) {
            return Err(Failure::new(format!("{text:?} has no name")).advise("use KIND/NAME"));
        }
        Ok(Self { kind: (*kind).to_owned(), name: name.map(str::to_owned) })
    }
}

impl Selector {
    /// Whether it stands for one resource.
    pub fn is_one(&self) -> bool {
        self.name.is_some() || self.kind == PREFERENCE
    }

    /// `role/dev`, or `cluster_auth_preference`.
    pub fn label(&self) -> String {
        self.name.as_ref().map_or_else(|| self.kind.clone(), |name| format!("{}/{name}", self.kind))
    }
}

/// Reads the resources that are meant. One that is not there is a failure; an empty list is none.
pub async fn get(context: &Context, selector: &Selector) -> Result<Vec<ResourceText>> {
    let mut query = vec![("kind", selector.kind.as_str())];
    query.extend(selector.name.as_deref().map(|name| ("name", name)));
    let mut found: Vec<ResourceText> = context.with_login()?.get(path::RESOURCES, &query).await?;
    if found.is_empty() && selector.kind == PREFERENCE {
        let name = "cluster-auth-preference".to_owned();
        found.push(ResourceText { kind: PREFERENCE.to_owned(), name, yaml: DEFAULT_PREFERENCE.to_owned() });
    }
    if found.is_empty() && selector.is_one() {
        return Err(Failure::new(format!("{} is not there", selector.label())).advise("tapctl get lists what is"));
    }
    Ok(found)
}

/// Writes resources: YAML documents for people, or one list.
pub fn show(resources: &[ResourceText], format: Format) -> Result<()> {
    if matches!(format, Format::Text | Format::Yaml) {
        return write(&documents(resources));
    }
    let parse = |resource: &ResourceText| serde_norway::from_str::<serde_json::Value>(&resource.yaml);
    let values: Vec<_> = resources
        .iter()
        .map(parse)
        .collect::<std::result::Result<_, _>>()
        .act(|| "a resource cannot be read".to_owned())?;
    super::output::show(format, &values, |_| String::new())
}

/// The documents as one YAML stream, which `tapctl create` takes back.
pub fn documents(resources: &[ResourceText]) -> String {
    let bare = |resource: &ResourceText| {
        let text = resource.yaml.trim();
        format!("{}\n", text.strip_prefix("---\n").unwrap_or(text))
    };
    resources.iter().map(bare).collect::<Vec<_>>().join("---\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors() {
        let check = |text: &str, expect: &str, one: bool| {
            let selector: Selector = text.parse().unwrap();
            assert_eq!((selector.label().as_str(), selector.is_one()), (expect, one), "{text:?}");
        };
        check("roles", "role", false);
        check("role/dev", "role/dev", true);
        check("cap", "cluster_auth_preference", true);
        check("nodes", "node", false);
        check("users/ann", "user/ann", true);
        for bad in ["", "thing", "role/", "/x"] {
            assert!(bad.parse::<Selector>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_stream_of_documents() {
        let text = |yaml: &str| ResourceText { kind: "role".into(), name: "x".into(), yaml: yaml.into() };
        assert_eq!(documents(&[text("---\na: 1\n"), text("b: 2")]), "a: 1\n---\nb: 2\n");
        assert_eq!(documents(&[]), "");
    }
}
