//! `rules`: what a role lets its holders do to resources.

use std::collections::HashSet;

use crate::at::At;
use crate::resource::ResourceKind;
use crate::section::Section;

/// What is done to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// See which there are.
    List,
    /// See one whole.
    Read,
    /// Make a new one.
    Create,
    /// Replace one.
    Update,
    /// Remove one.
    Delete,
}

impl Verb {
    const ALL: [(&'static str, Self); 5] = [
        ("list", Self::List),
        ("read", Self::Read),
        ("create", Self::Create),
        ("update", Self::Update),
        ("delete", Self::Delete),
    ];
}

/// What the gate keeps of what happened, and a rule lets somebody see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Records {
    /// The audit log: `event`.
    Event,
    /// The recordings of sessions: `session`.
    Session,
}

/// What a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Subject {
    Resource(ResourceKind),
    Records(Records),
}

/// One rule: these verbs on these kinds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    kinds: Vec<Subject>,
    verbs: Vec<Verb>,
}

/// Reads a list of rules.
pub(crate) fn read(at: Option<At<'_>>) -> Vec<Rule> {
    let items = at.and_then(|at| at.items()).unwrap_or_default();
    items.into_iter().filter_map(rule).collect()
}

fn rule(at: At<'_>) -> Option<Rule> {
    const UNSUPPORTED: &[(&str, &str)] =
        &[("where", "write a rule without a condition, or none"), ("actions", "remove it")];
    let section = Section::open(at, "a rule")?.without(UNSUPPORTED);
    let resources = section.need("resources", "[role, user]");
    let verbs = section.need("verbs", "[list, read]");
    let records = [("event", Subject::Records(Records::Event)), ("session", Subject::Records(Records::Session))];
    let kinds = ResourceKind::ALL.into_iter().map(|kind| (kind.as_str(), Subject::Resource(kind)));
    let kinds: Vec<_> = kinds.chain(records).collect();
    let rule = Rule { kinds: words(resources.as_ref(), &kinds), verbs: words(verbs.as_ref(), &Verb::ALL) };
    section.finish();
    Some(rule)
}

/// A list of words, where `*` is all of them.
fn words<T: Copy>(at: Option<&At<'_>>, all: &[(&str, T)]) -> Vec<T> {
    let items = at.and_then(At::one_or_more).unwrap_or_default();
    if let Some(at) = at.filter(|_| items.is_empty()) {
        at.problem(format!("`{}` is empty (name what is meant, or remove the rule)", at.name()));
    }
    let every = |item: &At<'_>| item.word() == "*";
    items
        .iter()
        .flat_map(|item| if every(item) { all.iter().map(|(_, v)| *v).collect() } else { one(item, all) })
        .collect()
}

fn one<T: Copy>(item: &At<'_>, all: &[(&str, T)]) -> Vec<T> {
    item.choice(all).into_iter().collect()
}

/// A user's rules taken together.
#[derive(Debug, Default)]
pub(crate) struct Admin(HashSet<(Subject, Verb)>);

impl Admin {
    /// Everything that some rule allows and no rule denies.
    pub(crate) fn new<'a>(allow: impl Iterator<Item = &'a Rule>, deny: impl Iterator<Item = &'a Rule>) -> Self {
        let mut allowed: HashSet<_> = allow.flat_map(pairs).collect();
        deny.flat_map(pairs).for_each(|pair| {
            allowed.remove(&pair);
        });
        Self(allowed)
    }

    /// Whether this may be done to resources of this kind.
    pub(crate) fn may(&self, kind: ResourceKind, verb: Verb) -> bool {
        self.0.contains(&(Subject::Resource(kind), verb))
    }

    /// Whether these records may be seen.
    pub(crate) fn may_see(&self, records: Records, verb: Verb) -> bool {
        self.0.contains(&(Subject::Records(records), verb))
    }
}

fn pairs(rule: &Rule) -> impl Iterator<Item = (Subject, Verb)> {
    rule.kinds.iter().flat_map(|kind| rule.verbs.iter().map(|verb| (*kind, *verb)))
}
