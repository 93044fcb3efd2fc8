//! Uids of targets: drawn when a target is created, kept when it is replaced.

use serde_norway::Value;
use tapgate_model::TargetUid;
use tapgate_policy::{Document, Resource};

use crate::token::random;

/// A target's uid; none for what is no target.
pub(crate) fn of(resource: &Resource) -> Option<TargetUid> {
    match resource {
        Resource::Node(node) => Some(node.uid),
        Resource::Db(db) => Some(db.uid),
        Resource::KubeCluster(cluster) => Some(cluster.uid),
        Resource::App(app) => Some(app.uid),
        Resource::WindowsDesktop(desktop) => Some(desktop.uid),
        _ => None,
    }
}

/// The document's text with a uid in it: its own, or that of the target it replaces, or a new one.
pub(crate) fn assign(document: &Document, replaced: Option<&Document>) -> Result<String, serde_norway::Error> {
    if of(&document.resource).is_none() {
        return Ok(document.yaml.clone());
    }
    let mut value: Value = serde_norway::from_str(&document.yaml)?;
    if value.get("metadata").and_then(|metadata| metadata.get("uid")).is_some() {
        return Ok(document.yaml.clone());
    }
    let uid = replaced.and_then(|old| of(&old.resource)).unwrap_or_else(|| TargetUid::from_bytes(random()));
    if let Some(text) = insert(&document.yaml, uid) {
        return Ok(text);
    }
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_mapping_mut) {
        metadata.insert("uid".into(), uid.to_string().into());
    }
    serde_norway::to_string(&value)
}

/// Puts the uid as a line of its own before the first line of `metadata`, so that comments and
/// order stay; `None` where the text is not written in blocks.
fn insert(text: &str, uid: TargetUid) -> Option<String> {
    let mut offset = 0;
    let mut lines = text.split_inclusive('\n').map(|line| {
        let start = offset;
        offset += line.len();
        (start, line)
    });
    lines.find(|(_, line)| line.trim_end() == "metadata:")?;
    let (start, line) = lines.find(|(_, line)| !line.trim().is_empty() && !line.trim().starts_with('#'))?;
    let indent = line.len() - line.trim_start_matches(' ').len();
    if indent == 0 {
        return None;
    }
    let (before, after) = text.split_at(start);
    Some(format!("{before}{:indent$}uid: \"{uid}\"\n{after}", ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_uid_is_a_line_of_its_own() {
        let uid = TargetUid::from_bytes([7; 16]);
        let text = "kind: node\nmetadata:\n  # mine\n    name: a # b\nspec: {}\n";
        let expected = format!("kind: node\nmetadata:\n  # mine\n    uid: \"{uid}\"\n    name: a # b\nspec: {{}}\n");
        assert_eq!(insert(text, uid), Some(expected));
        assert_eq!(insert("{kind: node, metadata: {name: a}}", uid), None);
        assert_eq!(insert("metadata:\nname: a", uid), None);
    }
}
