//! `metadata`: a resource's name, labels and uid.

use std::fmt::Display;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};
use tapgate_model::{Kind, Labels, TargetName, TargetUid};

use crate::at::At;
use crate::resource::ResourceKind;
use crate::section::Section;

const UNSUPPORTED: &[(&str, &str)] = &[
    ("expires", "remove it: only a lock expires, with `spec.expires`"),
    ("revision", "remove it"),
    ("id", "remove it"),
];

/// A resource's metadata, its name not yet parsed.
pub(crate) struct Metadata<'a> {
    name: Option<At<'a>>,
    labels: Labels,
    description: Option<String>,
    uid: Option<TargetUid>,
}

impl<'a> Metadata<'a> {
    /// Reads the map.
    pub(crate) fn read(section: Section<'a>, kind: ResourceKind) -> Self {
        let section = section.without(UNSUPPORTED);
        let name = section.need("name", "...");
        let labels = section.take("labels").map_or_else(Labels::new, |at| labels(&at));
        let description = section.text("description");
        let _ = section.take("namespace").and_then(|at| at.choice(&[("default", ())]));
        let uid = kind.target().and_then(|_| section.take("uid")).and_then(|at| uid(&at));
        section.finish();
        Self { name, labels, description, uid }
    }

    /// The name, as the kind's own type; `None` where it is missing or bad, which is reported.
    pub(crate) fn name<T: FromStr<Err: Display>>(&self) -> Option<T> {
        self.name.as_ref()?.parse()
    }

    /// The name as it stands.
    pub(crate) fn name_text(&self) -> &'a str {
        self.name.as_ref().map_or("", At::word)
    }

    /// Reports a problem with the name.
    pub(crate) fn problem(&self, what: &str) {
        if let Some(at) = &self.name {
            at.problem(what);
        }
    }

    /// A target's labels.
    pub(crate) fn labels(&self) -> Labels {
        self.labels.clone()
    }

    /// What the resource says of itself.
    pub(crate) fn description(&self) -> Option<String> {
        self.description.clone().filter(|text| !text.is_empty())
    }

    /// A target's uid. Where the text names none it is derived, so that it is the same at every start.
    pub(crate) fn uid(&self, kind: Kind, name: &TargetName) -> TargetUid {
        self.uid.unwrap_or_else(|| derived_uid(kind, name))
    }
}

fn derived_uid(kind: Kind, name: &TargetName) -> TargetUid {
    let digest = Sha256::digest(format!("{kind}/{name}").as_bytes());
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(digest).for_each(|(byte, from)| *byte = from);
    TargetUid::from_bytes(bytes)
}

fn uid(at: &At<'_>) -> Option<TargetUid> {
    let text = at.text()?;
    let parsed = text.parse().ok();
    if parsed.is_none() {
        at.problem("`uid` must be 32 lower-case hex digits (remove it to have one derived)");
    }
    parsed
}

/// Labels of a target: plain texts.
fn labels(at: &At<'_>) -> Labels {
    let entries = at.entries().unwrap_or_default();
    let pair = |(key, at): (&str, At<'_>)| {
        if key.is_empty() || key.contains('*') {
            at.problem(format!("the label key `{key}` is empty or has a wildcard (use plain text)"));
            return None;
        }
        Some((key.to_owned(), at.text()?.to_owned()))
    };
    entries.into_iter().filter_map(pair).collect()
}
