//! Resources as text, for those who may read them.

use tapgate_api::ResourceText;
use tapgate_identity::Identity;
use tapgate_policy::{Document, Policy, ResourceKind, Verb};

use crate::admin::may;
use crate::{Authority, Fault};

impl Authority {
    /// The resources of this kind and name, or of all kinds that the user may list.
    pub fn resources(
        &self,
        policy: &Policy,
        identity: &Identity,
        kind: Option<&str>,
        name: Option<&str>,
    ) -> Result<Vec<ResourceText>, Fault> {
        let user = identity.user();
        self.rates.known(user)?;
        let bad = |e: String| Fault::invalid(e, "name a kind, such as `role`");
        let kind = kind.map(str::parse::<ResourceKind>).transpose().map_err(bad)?;
        let verb = if name.is_some() { Verb::Read } else { Verb::List };
        if let Some(kind) = kind {
            may(policy, user, kind, verb, name.unwrap_or("*"))?;
        }
        let documents = self.documents().map_err(Fault::internal)?;
        let wanted = |document: &&Document| {
            kind.is_none_or(|kind| document.kind == kind)
                && name.is_none_or(|name| document.name.as_str() == name)
                && policy.may_administer(user, document.kind, verb)
                && policy.may_administer(user, document.kind, Verb::Read)
        };
        let text = |document: &Document| ResourceText {
            kind: document.kind.to_string(),
            name: document.name.to_string(),
            yaml: document.yaml.clone(),
        };
        let mut found: Vec<_> = documents.stored.iter().chain(&documents.filed).filter(wanted).map(text).collect();
        found.sort_by(|a, b| (&a.kind, &a.name).cmp(&(&b.kind, &b.name)));
        match (kind, name) {
            (Some(kind), Some(name)) if found.is_empty() => {
                Err(Fault::not_found(format!("there is no {kind} \"{name}\"")))
            }
            _ => Ok(found),
        }
    }
}
