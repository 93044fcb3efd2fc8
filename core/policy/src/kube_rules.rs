//! `kubernetes_resources`: the entries of a role, as they are written and as they stand for one user.

use std::collections::BTreeMap;

use crate::at::At;
use crate::kube::Fit;
use crate::kube_verbs::{self, KubeVerb, KubeVerbs};
use crate::label::{Value, value};
use crate::limits::KUBE_RULES_MAX;
use crate::pattern::Pattern;
use crate::section::Section;

/// The kinds that could be named before v8, each with the name of its collection and whether it lies in namespaces.
const KINDS: [(&str, &str, bool); 21] = [
    ("pod", "pods", true),
    ("secret", "secrets", true),
    ("configmap", "configmaps", true),
    ("namespace", "namespaces", false),
    ("service", "services", true),
    ("serviceaccount", "serviceaccounts", true),
    ("kube_node", "nodes", false),
    ("persistentvolume", "persistentvolumes", false),
    ("persistentvolumeclaim", "persistentvolumeclaims", true),
    ("deployment", "deployments", true),
    ("replicaset", "replicasets", true),
    ("statefulset", "statefulsets", true),
    ("daemonset", "daemonsets", true),
    ("clusterrole", "clusterroles", false),
    ("kube_role", "roles", true),
    ("clusterrolebinding", "clusterrolebindings", false),
    ("rolebinding", "rolebindings", true),
    ("cronjob", "cronjobs", true),
    ("job", "jobs", true),
    ("certificatesigningrequest", "certificatesigningrequests", false),
    ("ingress", "ingresses", true),
];

/// One entry as a role writes it.
#[derive(Debug, Clone)]
pub(crate) struct KubeRule {
    kind: KindIs,
    group: Option<Value>,
    /// None: what lies in no namespace.
    namespace: Option<Value>,
    name: Value,
    verbs: KubeVerbs,
}

/// Which kinds of objects an entry is about, by the names of their collections.
#[derive(Debug, Clone, PartialEq, Eq)]
enum KindIs {
    Any,
    Collection(String),
    /// Before v8 a namespace stands for all that lies in it as well.
    WholeNamespace,
    /// Before v7 pods were all that a role could limit.
    AllButPods,
}

/// An entry for one user. A template may stand for several values, or for none.
#[derive(Debug, PartialEq)]
pub(crate) struct ReadyKubeRule {
    kind: KindIs,
    group: Option<Vec<Pattern>>,
    namespace: Option<Vec<Pattern>>,
    name: Vec<Pattern>,
    verbs: KubeVerbs,
}

/// What is looked for: an object, or those of a collection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sought<'a> {
    pub(crate) verb: KubeVerb,
    pub(crate) group: &'a str,
    pub(crate) resource: &'a str,
    /// Empty: none. `None`: any, or none.
    pub(crate) namespace: Option<&'a str>,
    /// `None`: any.
    pub(crate) name: Option<&'a str>,
}

/// Reads the entries of a role of this version.
pub(crate) fn read(at: &At<'_>, version: u8, allows: bool) -> Vec<KubeRule> {
    let items = at.items().unwrap_or_default();
    if items.is_empty() && allows {
        at.problem("an empty `kubernetes_resources` allows nothing in any cluster (remove it, or allow everything)");
    }
    if items.len() > KUBE_RULES_MAX {
        at.problem(format!("`kubernetes_resources` has more than {KUBE_RULES_MAX} entries (join some by patterns)"));
    }
    let mut rules: Vec<_> = items.into_iter().filter_map(|item| entry(item, version)).collect();
    if allows && version < 7 {
        rules.push(KubeRule { kind: KindIs::AllButPods, ..KubeRule::everything() });
    }
    rules
}

/// What a role of this version allows where it names no resources: in v6 no pod, else everything.
pub(crate) fn defaults(version: u8) -> Vec<KubeRule> {
    if version == 6 { Vec::new() } else { vec![KubeRule::everything()] }
}

fn entry(item: At<'_>, version: u8) -> Option<KubeRule> {
    let section = Section::open(item, "kubernetes_resources")?;
    let (kind, namespaced) = match section.need("kind", if version < 8 { "pod" } else { "pods" }) {
        Some(at) => kind(&at, version)?,
        None => return None,
    };
    let name = section.need("name", "'*'").and_then(|at| value(&at));
    let namespace = match section.take("namespace") {
        Some(at) if at.is_empty_text() => None,
        Some(at) => Some(value(&at)?),
        None => None,
    };
    // Before v8 the namespace of what lies in none was not looked at.
    let namespace = if namespaced || version >= 8 { namespace } else { None };
    if namespaced && namespace.is_none() && version < 8 {
        section.problem("`namespace` is missing in kubernetes_resources (add `namespace: '*'`)");
    }
    let group = if version < 8 {
        // It is no field there, but "any" does no harm.
        let _ = section.take("api_group").and_then(|at| at.choice(&[("*", ())]));
        None
    } else {
        match section.need("api_group", "'*'") {
            Some(at) if at.is_empty_text() => Some(Value::Pattern(Pattern::Literal("".into()))),
            Some(at) => Some(value(&at)?),
            None => None,
        }
    };
    let verbs = match section.take("verbs") {
        Some(at) => kube_verbs::read(&at),
        None if version < 7 => KubeVerbs::ALL,
        None => {
            section.problem("`verbs` is missing in kubernetes_resources (add `verbs: ['*']`)");
            KubeVerbs::NONE
        }
    };
    section.finish();
    Some(KubeRule { kind, group, namespace, name: name?, verbs })
}

/// The kind, and whether its objects may lie in namespaces.
fn kind(at: &At<'_>, version: u8) -> Option<(KindIs, bool)> {
    let word = at.word();
    if word == "*" && version >= 7 {
        return Some((KindIs::Any, true));
    }
    if version < 8 {
        let known = KINDS.iter().filter(|(name, ..)| version == 7 || *name == "pod");
        let choices: Vec<_> = known.map(|(name, plural, namespaced)| (*name, (*plural, *namespaced))).collect();
        // In v6 `*` could mean pods alone.
        let every = (version < 7).then_some(("*", ("pods", true)));
        let choices: Vec<_> = choices.into_iter().chain(every).collect();
        let (plural, namespaced) = at.choice(&choices)?;
        let kind = if plural == "namespaces" { KindIs::WholeNamespace } else { KindIs::Collection(plural.to_owned()) };
        return Some((kind, namespaced));
    }
    if let Some((_, plural, _)) = KINDS.iter().find(|(name, ..)| *name == word) {
        at.problem(format!("`kind`: `{word}` is no collection in a v8 role (use `{plural}`)"));
        return None;
    }
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
    if word.is_empty() || !word.chars().all(plain) {
        at.problem(format!(
            "`kind`: `{word}` is no collection's name (use one as in `kubectl api-resources`, such as pods)"
        ));
        return None;
    }
    Some((KindIs::Collection(word.to_owned()), true))
}

impl KubeRule {
    fn everything() -> Self {
        let any = || Value::Pattern(Pattern::Any);
        Self { kind: KindIs::Any, group: None, namespace: Some(any()), name: any(), verbs: KubeVerbs::ALL }
    }

    /// Whether it reads the user's traits.
    pub(crate) fn has_template(&self) -> bool {
        let values = [self.group.as_ref(), self.namespace.as_ref(), Some(&self.name)];
        values.into_iter().flatten().any(|value| matches!(value, Value::Template(_)))
    }

    /// The entry for one user.
    pub(crate) fn compile(&self, traits: &BTreeMap<String, Vec<String>>) -> ReadyKubeRule {
        ReadyKubeRule {
            kind: self.kind.clone(),
            group: self.group.as_ref().map(|group| group.compile(traits)),
            namespace: self.namespace.as_ref().map(|namespace| namespace.compile(traits)),
            name: self.name.compile(traits),
            verbs: self.verbs,
        }
    }
}

impl ReadyKubeRule {
    /// Whether it is about everything there is.
    pub(crate) fn is_everything(&self) -> bool {
        let any = |patterns: &[Pattern]| patterns.iter().any(|pattern| matches!(pattern, Pattern::Any));
        self.kind == KindIs::Any
            && self.verbs == KubeVerbs::ALL
            && self.group.as_deref().is_none_or(any)
            && self.namespace.as_deref().is_some_and(any)
            && any(&self.name)
    }

    /// Whether it is about what is sought: about all of it, some, or none. `shows` has it show the namespaces in
    /// which it allows something.
    pub(crate) fn fits(&self, sought: &Sought<'_>, shows: bool) -> Fit {
        if !self.verbs.has(sought.verb) {
            return Fit::No;
        }
        let of_namespaces = sought.resource == "namespaces" && sought.group.is_empty();
        let own = self.own(sought, of_namespaces);
        let reads = matches!(sought.verb, KubeVerb::Get | KubeVerb::List | KubeVerb::Watch);
        match &self.namespace {
            Some(namespace) if shows && of_namespaces && reads && self.kind != KindIs::WholeNamespace => {
                own.max(fit(namespace, sought.name))
            }
            _ => own,
        }
    }

    fn own(&self, sought: &Sought<'_>, of_namespaces: bool) -> Fit {
        let kind = match &self.kind {
            KindIs::Any => true,
            KindIs::AllButPods => sought.resource != "pods",
            KindIs::Collection(collection) => *collection == *sought.resource,
            KindIs::WholeNamespace if of_namespaces => true,
            KindIs::WholeNamespace => return self.within(sought.namespace),
        };
        let group = self.group.as_ref().is_none_or(|group| fit(group, Some(sought.group)) == Fit::Yes);
        if !kind || !group {
            return Fit::No;
        }
        let namespace = match (&self.namespace, sought.namespace) {
            (Some(patterns), None) => fit(patterns, None),
            // What lies in no namespace is meant by every one of them, and by none in particular.
            (Some(patterns), Some("")) if fit(patterns, None) == Fit::Yes => Fit::Yes,
            (Some(_), Some("")) => Fit::No,
            (Some(patterns), Some(namespace)) => fit(patterns, Some(namespace)),
            (None, None) => Fit::Some,
            (None, Some("")) => Fit::Yes,
            (None, Some(_)) => Fit::No,
        };
        namespace.min(fit(&self.name, sought.name))
    }

    /// What lies in the namespaces that it names.
    fn within(&self, namespace: Option<&str>) -> Fit {
        match namespace {
            None => Fit::Some,
            Some("") => Fit::No,
            Some(namespace) => fit(&self.name, Some(namespace)),
        }
    }
}

/// Whether a value fits one of the patterns; without one: whether every value would.
fn fit(patterns: &[Pattern], value: Option<&str>) -> Fit {
    let every = patterns.iter().any(|pattern| matches!(pattern, Pattern::Any));
    match value {
        _ if every => Fit::Yes,
        Some(value) if patterns.iter().any(|pattern| pattern.matches(value)) => Fit::Yes,
        None if !patterns.is_empty() => Fit::Some,
        Some(_) | None => Fit::No,
    }
}
