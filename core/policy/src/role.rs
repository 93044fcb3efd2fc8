//! `role`: what its holders may open, what they may not, and on which terms.

use tapgate_model::{Kind, RoleName};

use crate::admin::{self, Rule};
use crate::at::At;
use crate::kube_rules::{self, KubeRule};
use crate::label::Selector;
use crate::logins::{self, Take, Word};
use crate::options;
use crate::section::Section;
use crate::terms::Terms;

/// The role format's versions.
pub(crate) const VERSIONS: &[&str] = &["v3", "v4", "v5", "v6", "v7", "v8"];

/// A role as it was read.
#[derive(Debug, Clone)]
pub struct Role {
    pub(crate) name: RoleName,
    pub(crate) terms: Terms,
    pub(crate) allow: Side,
    pub(crate) deny: Side,
}

impl Role {
    /// Its name.
    pub const fn name(&self) -> &RoleName {
        &self.name
    }

    /// The terms of its `options`.
    pub const fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Reads a role's `spec`.
    pub(crate) fn read(name: Option<RoleName>, version: u8, spec: Section<'_>) -> Option<Self> {
        let terms = options::read(spec.take("options"));
        let side = |field, place, allows| {
            spec.section(field, place).map_or_else(Side::default, |at| Side::read(at, version, allows))
        };
        let (mut allow, deny) = (side("allow", "role allow", true), side("deny", "role deny", false));
        if version == 3 {
            allow.default_to_every_label();
        }
        spec.finish();
        Some(Self { name: name?, terms, allow, deny })
    }
}

/// One of a role's two sides: `allow` or `deny`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Side {
    pub(crate) node_labels: Selector,
    pub(crate) db_labels: Selector,
    pub(crate) kube_labels: Selector,
    pub(crate) app_labels: Selector,
    pub(crate) desktop_labels: Selector,
    pub(crate) logins: Vec<Word>,
    pub(crate) db_users: Vec<Word>,
    pub(crate) db_names: Vec<Word>,
    pub(crate) kube_users: Vec<Word>,
    pub(crate) kube_groups: Vec<Word>,
    pub(crate) kube_resources: Vec<KubeRule>,
    pub(crate) desktop_logins: Vec<Word>,
    pub(crate) rules: Vec<Rule>,
}

const UNSUPPORTED: &[(&str, &str)] = &[
    ("node_labels_expression", "use `node_labels`"),
    ("db_labels_expression", "use `db_labels`"),
    ("app_labels_expression", "use `app_labels`"),
    ("kubernetes_labels_expression", "use `kubernetes_labels`"),
    ("windows_desktop_labels_expression", "use `windows_desktop_labels`"),
    ("cluster_labels", "remove it: there is one cluster"),
    ("cluster_labels_expression", "remove it: there is one cluster"),
    ("db_service_labels", "remove it"),
    ("db_service_labels_expression", "remove it"),
    ("db_roles", "remove it and grant roles in the database itself"),
    ("db_permissions", "remove it and grant permissions in the database itself"),
    ("group_labels", "remove it"),
    ("aws_role_arns", "remove it"),
    ("azure_identities", "remove it"),
    ("gcp_service_accounts", "remove it"),
    ("desktop_groups", "remove it"),
    ("host_groups", "remove it and set groups on the node itself"),
    ("host_sudoers", "remove it and set sudoers on the node itself"),
    ("impersonate", "remove it"),
    ("join_sessions", "remove it"),
    ("require_session_join", "remove it"),
    ("request", "remove it"),
    ("review_requests", "remove it"),
    ("spiffe", "remove it"),
];

impl Side {
    fn read(section: Section<'_>, version: u8, allows: bool) -> Self {
        let section = section.without(UNSUPPORTED);
        let labels = |name| section.take(name).map_or(Selector::Nothing, |at: At<'_>| Selector::read(&at));
        let words = |name, take| logins::read(&section, name, take);
        let mut side = Self {
            node_labels: labels("node_labels"),
            db_labels: labels("db_labels"),
            kube_labels: labels("kubernetes_labels"),
            app_labels: labels("app_labels"),
            desktop_labels: labels("windows_desktop_labels"),
            logins: words("logins", Take::Logins),
            db_users: words("db_users", Take::TextOrAny),
            db_names: words("db_names", Take::TextOrAny),
            kube_users: words("kubernetes_users", Take::Text),
            kube_groups: words("kubernetes_groups", Take::Text),
            kube_resources: Vec::new(),
            desktop_logins: words("windows_desktop_logins", Take::Logins),
            rules: admin::read(section.take("rules")),
        };
        namespaces(&section);
        side.kube_resources = match section.take("kubernetes_resources") {
            Some(at) => kube_rules::read(&at, version, allows),
            None if allows && version == 6 && side.reaches_kube() => {
                section.problem(
                    "a v6 role reaches no pods without `kubernetes_resources` (add it with `*` everywhere, or use version: v7)",
                );
                Vec::new()
            }
            None if allows => kube_rules::defaults(version),
            None => Vec::new(),
        };
        section.finish();
        side
    }

    fn reaches_kube(&self) -> bool {
        !matches!(self.kube_labels, Selector::Nothing)
    }

    /// The oldest version's rule: labels that are left out mean every target.
    fn default_to_every_label(&mut self) {
        for kind in Kind::ALL {
            let labels = self.labels_mut(kind);
            if matches!(labels, Selector::Nothing) {
                *labels = Selector::Any;
            }
        }
    }

    const fn labels_mut(&mut self, kind: Kind) -> &mut Selector {
        match kind {
            Kind::Node => &mut self.node_labels,
            Kind::Db => &mut self.db_labels,
            Kind::KubeCluster => &mut self.kube_labels,
            Kind::App => &mut self.app_labels,
            Kind::WindowsDesktop => &mut self.desktop_labels,
        }
    }

    /// The labels for targets of this kind.
    pub(crate) const fn labels(&self, kind: Kind) -> &Selector {
        match kind {
            Kind::Node => &self.node_labels,
            Kind::Db => &self.db_labels,
            Kind::KubeCluster => &self.kube_labels,
            Kind::App => &self.app_labels,
            Kind::WindowsDesktop => &self.desktop_labels,
        }
    }

    /// Whether anything in it reads the user's traits.
    pub(crate) fn has_template(&self) -> bool {
        let lists =
            [&self.logins, &self.db_users, &self.db_names, &self.kube_users, &self.kube_groups, &self.desktop_logins];
        Kind::ALL.into_iter().any(|kind| self.labels(kind).has_template())
            || lists.into_iter().flatten().any(|word| matches!(word, Word::Template(_)))
            || self.kube_resources.iter().any(KubeRule::has_template)
    }
}

/// Namespaces are history: everything is in `default`.
fn namespaces(section: &Section<'_>) {
    for at in section.take("namespaces").and_then(|at| at.one_or_more()).unwrap_or_default() {
        let _ = at.choice(&[("default", ()), ("*", ())]);
    }
}
