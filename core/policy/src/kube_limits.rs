//! `kubernetes_resources`: limits inside a cluster are not supported, so only "everything" is taken.

use crate::at::At;
use crate::section::Section;

/// Reads the list of an `allow` section: each entry must mean everything that the role's version knows.
pub(crate) fn read(at: &At<'_>, version: u8) {
    let items = at.items().unwrap_or_default();
    if items.is_empty() {
        at.problem("an empty `kubernetes_resources` allows nothing in any cluster (remove it, or allow everything)");
    }
    for item in items {
        if Section::open(item.clone(), "kubernetes_resources").is_some_and(|entry| !is_everything(entry, version)) {
            item.problem(
                "limits inside a Kubernetes cluster are not supported (use `*` for kind, name, namespace and verbs)",
            );
        }
    }
}

/// Whether a role of this version reaches a whole cluster where it does not say so.
pub(crate) const fn is_default(version: u8) -> bool {
    version != 6
}

fn is_everything(entry: Section<'_>, version: u8) -> bool {
    let every = |name, absent: bool, also: &str| {
        entry.take(name).map_or(absent, |at| {
            let items = at.one_or_more().unwrap_or_default();
            items.iter().any(|item| item.word() == "*" || item.word() == also)
        })
    };
    // Before v7 pods were the one kind there was, and verbs could not be given.
    let old = version < 7;
    let everything = [
        every("kind", false, if old { "pod" } else { "*" }),
        every("name", false, "*"),
        every("namespace", false, "*"),
        every("verbs", old, "*"),
        every("api_group", true, "*"),
    ];
    entry.finish();
    everything.into_iter().all(|every| every)
}
