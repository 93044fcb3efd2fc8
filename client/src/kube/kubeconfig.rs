//! A context in a kubeconfig: added beside what is there, or written anew under its name.

use std::path::{Path, PathBuf};

use serde_norway::{Mapping, Value};

use crate::error::{Failure, Result};
use crate::files;

/// What a context leads to.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The name of context, cluster and user.
    pub name: String,
    /// `https://host:port/cluster`.
    pub server: String,
    /// The name in the gate's certificate for clusters, which also tells the gate what is wanted.
    pub server_name: String,
    /// The gate's host authority, PEM.
    pub ca: String,
    /// The program that kubectl asks for credentials, and its arguments.
    pub command: (String, Vec<String>),
}

/// The file that kubectl reads and writes: the first one of `KUBECONFIG`, else `~/.kube/config`.
pub fn default_path() -> Result<PathBuf> {
    let named = std::env::var_os("KUBECONFIG").unwrap_or_default();
    if let Some(first) = std::env::split_paths(&named).find(|path| !path.as_os_str().is_empty()) {
        return Ok(first);
    }
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
    let home = home.ok_or_else(|| Failure::new("HOME is not set").advise("pass --kubeconfig PATH"))?;
    Ok(Path::new(&home).join(".kube/config"))
}

/// Writes the entry into a file and makes it the current context. Everything else in the file stays.
pub fn write(path: &Path, entry: &Entry) -> Result<()> {
    let text = files::read_optional(path)?.unwrap_or_default();
    let text = with(&text, entry).map_err(|why| {
        Failure::new(format!("{} {why}", path.display())).advise("mend it, or pass --kubeconfig with another file")
    })?;
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty() && !parent.exists()) {
        files::private_dir(parent)?;
    }
    files::write_private(path, text.as_bytes())
}

/// The text of a kubeconfig with this entry in it.
fn with(text: &str, entry: &Entry) -> std::result::Result<String, String> {
    let mut root = match serde_norway::from_str(text).map_err(|error| format!("is not YAML: {error}"))? {
        Value::Null => Mapping::new(),
        Value::Mapping(root) => root,
        _ => return Err("is no kubeconfig".to_owned()),
    };
    let set = |map: &mut Mapping, key: &str, value: Value| drop(map.insert(key.into(), value));
    set(&mut root, "apiVersion", "v1".into());
    set(&mut root, "kind", "Config".into());
    for (list, part, value) in [
        ("clusters", "cluster", cluster(entry)),
        ("users", "user", user(entry)),
        ("contexts", "context", pairs([("cluster", entry.name.as_str().into()), ("user", entry.name.as_str().into())])),
    ] {
        let named = pairs([("name", entry.name.as_str().into()), (part, value)]);
        let items = root.entry(list.into()).or_insert_with(|| Value::Sequence(Vec::new()));
        if items.is_null() {
            *items = Value::Sequence(Vec::new());
        }
        let items = items.as_sequence_mut().ok_or_else(|| format!("has a `{list}` that is no list"))?;
        items.retain(|item| item.get("name").and_then(Value::as_str) != Some(&entry.name));
        items.push(named);
    }
    set(&mut root, "current-context", entry.name.as_str().into());
    serde_norway::to_string(&root).map_err(|error| error.to_string())
}

fn cluster(entry: &Entry) -> Value {
    let ca = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &entry.ca);
    pairs([
        ("server", entry.server.as_str().into()),
        ("tls-server-name", entry.server_name.as_str().into()),
        ("certificate-authority-data", ca.into()),
    ])
}

fn user(entry: &Entry) -> Value {
    let (program, arguments) = &entry.command;
    let arguments = arguments.iter().map(|argument| argument.as_str().into()).collect();
    let exec = pairs([
        ("apiVersion", "client.authentication.k8s.io/v1".into()),
        ("command", program.as_str().into()),
        ("args", Value::Sequence(arguments)),
        // A tap may need the terminal where there is one, and must be possible where there is none.
        ("interactiveMode", "IfAvailable".into()),
        ("provideClusterInfo", false.into()),
    ]);
    pairs([("exec", exec)])
}

fn pairs<const N: usize>(pairs: [(&str, Value); N]) -> Value {
    Value::Mapping(pairs.into_iter().map(|(key, value)| (key.into(), value)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry {
            name: "gate-prod".to_owned(),
            server: "https://gate:3080/prod".to_owned(),
            server_name: "k8s.gate".to_owned(),
            ca: "PEM".to_owned(),
            command: ("tap".to_owned(), vec!["kube".to_owned(), "credentials".to_owned()]),
        }
    }

    #[test]
    fn others_stay_and_our_own_is_replaced() {
        let before = "current-context: other\ncontexts:\n- name: other\n  context: {cluster: c}\nclusters: null\n\
                      users:\n- name: gate-prod\n  user: {token: old}\nextensions: [x]\n";
        let once = with(before, &entry()).unwrap();
        assert_eq!(once, with(&once, &entry()).unwrap());
        let root: Value = serde_norway::from_str(&once).unwrap();
        assert_eq!(root["contexts"].as_sequence().unwrap().len(), 2);
        assert_eq!(root["users"].as_sequence().unwrap().len(), 1);
        assert_eq!(root["current-context"], Value::from("gate-prod"));
        assert_eq!(root["clusters"][0]["cluster"]["tls-server-name"], Value::from("k8s.gate"));
        assert_eq!(root["users"][0]["user"]["exec"]["interactiveMode"], Value::from("IfAvailable"));
        assert!(root["users"][0]["user"].get("token").is_none() && root.get("extensions").is_some());
    }

    #[test]
    fn what_is_no_kubeconfig_is_left_alone() {
        assert!(with("- a", &entry()).is_err());
        assert!(with("contexts: {}", &entry()).is_err());
        assert!(with("a: [", &entry()).is_err());
    }
}
