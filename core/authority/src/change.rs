//! Changes of resources: planned against all there are, refused as a whole, or written as a whole.

use tapgate_audit::Change as What;
use tapgate_policy::{Document, Problem, Resource, ResourceKind, Verb, parse};
use tapgate_store::Write;

use crate::documents::Documents;
use crate::error::lines;
use crate::{Authority, AuthorityError, Fault, key, uid};

/// A change that was checked: with it, all resources still make a policy.
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
}

/// One resource of a change.
pub(crate) struct Step {
    pub(crate) kind: ResourceKind,
    pub(crate) name: String,
    pub(crate) what: What,
    /// Its text; none when it is removed.
    yaml: Option<String>,
}

impl Step {
    /// What it is to the one who may or may not do it.
    pub(crate) const fn verb(&self) -> Verb {
        match self.what {
            What::Created => Verb::Create,
            What::Updated => Verb::Update,
            What::Deleted => Verb::Delete,
        }
    }

    /// Its text as it will stand; none where it is removed.
    pub(crate) fn yaml(&self) -> Option<&str> {
        self.yaml.as_deref()
    }

    /// The line that the administrator reads.
    pub(crate) fn line(&self) -> String {
        let done = match self.what {
            What::Created => "created",
            What::Updated => "updated",
            What::Deleted => "deleted",
        };
        match self.kind {
            ResourceKind::ClusterAuthPreference => format!("{} has been {done}", self.kind.title()),
            kind => format!("{} \"{}\" has been {done}", kind.title(), self.name),
        }
    }
}

impl Plan {
    /// The writes of the resources themselves.
    pub(crate) fn writes(&self) -> Vec<Write> {
        let write = |step: &Step| {
            let key = key::resource(step.kind, &step.name);
            match &step.yaml {
                Some(yaml) => Write::Put { key, value: yaml.clone().into_bytes(), expires: None },
                None => Write::Delete { key },
            }
        };
        self.steps.iter().map(write).collect()
    }
}

impl Authority {
    /// Plans to create, and where `replace` is set to replace, the resources of a YAML text.
    pub(crate) fn plan_put(&self, source: &str, yaml: &str, replace: bool) -> Result<Plan, Fault> {
        let new = parse(source, yaml).map_err(|problems| unfit(&problems))?;
        if new.is_empty() {
            return Err(Fault::invalid("the text holds no resource", "write at least one YAML document"));
        }
        let mut documents = self.documents().map_err(broken)?;
        let mut steps = Vec::with_capacity(new.len());
        for document in new {
            let (kind, name) = (document.kind, document.name.as_str());
            if let Some(filed) = documents.filed(kind, name) {
                return Err(in_file(filed));
            }
            // There is one preference, and it holds before anybody writes it: to create it is to change it.
            let stands = kind == ResourceKind::ClusterAuthPreference;
            if stands {
                self.fits(source, &document)?;
            }
            let old = documents.stored(kind, name);
            if old.is_some() && !replace && !stands {
                return Err(Fault::conflict(
                    format!("{kind} \"{name}\" is there already"),
                    "use --force to replace it",
                ));
            }
            let what = if old.is_some() || stands { What::Updated } else { What::Created };
            let text = uid::assign(&document, old).map_err(Fault::internal)?;
            let read = parse(source, &text).map_err(|problems| unfit(&problems))?;
            documents.stored.retain(|other| other.kind != kind || other.name.as_str() != name);
            steps.push(Step { kind, name: name.to_owned(), what, yaml: Some(text) });
            documents.stored.extend(read.into_iter().map(|fresh| Document { line: document.line, ..fresh }));
        }
        built(&documents, steps)
    }

    /// A preference that names a relying party names this gate's: keys answer to no other, so to take
    /// another name and go on would only look as if it had been heeded.
    fn fits(&self, source: &str, document: &Document) -> Result<(), Fault> {
        let Resource::ClusterAuthPreference(preference) = &document.resource else { return Ok(()) };
        let own = &self.relying_party.id;
        match &preference.rp_id {
            Some(rp_id) if rp_id != own => Err(Fault::invalid(
                format!("{source}:{}: the rp_id of this gate is {own:?}, not {rp_id:?}", document.line),
                "write the gate's own, or leave `webauthn` away; nothing was changed",
            )),
            _ => Ok(()),
        }
    }

    /// Plans to remove a resource.
    pub(crate) fn plan_delete(&self, kind: &str, name: &str) -> Result<Plan, Fault> {
        let kind: ResourceKind = kind.parse().map_err(|e: String| Fault::invalid(e, "see `tapctl get --help`"))?;
        let mut documents = self.documents().map_err(broken)?;
        if let Some(filed) = documents.filed(kind, name) {
            return Err(in_file(filed));
        }
        if documents.stored(kind, name).is_none() {
            return Err(Fault::not_found(format!("there is no {kind} \"{name}\"")));
        }
        documents.stored.retain(|other| other.kind != kind || other.name.as_str() != name);
        built(&documents, vec![Step { kind, name: name.to_owned(), what: What::Deleted, yaml: None }])
    }
}

/// The plan, if everything with it still makes a policy.
fn built(documents: &Documents, steps: Vec<Step>) -> Result<Plan, Fault> {
    documents.build().map_err(|problems| unfit(&problems))?;
    Ok(Plan { steps })
}

fn unfit(problems: &[Problem]) -> Fault {
    Fault::invalid(lines(problems), "nothing was changed")
}

/// What is there already does not hold together: that is the operator's to mend, in the open.
fn broken(error: AuthorityError) -> Fault {
    match error {
        AuthorityError::Problems(problems) => {
            Fault::conflict(format!("the present resources have problems:\n{}", lines(&problems)), "mend them first")
        }
        other => Fault::internal(other),
    }
}

fn in_file(document: &Document) -> Fault {
    let what = format!("{} \"{}\" comes from the file {}", document.kind, document.name, document.source);
    Fault::conflict(what, "change it there")
}
