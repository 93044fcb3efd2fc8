//! The first administrator, and resources that are written without a tap before there is one.

use std::sync::PoisonError;

use tapgate_api::InviteCreated;
use tapgate_audit::Event;
use tapgate_model::UserName;
use tapgate_policy::{ResourceKind, Verb};
use tapgate_store::Write;

use crate::admin::user_document;
use crate::change::Plan;
use crate::invite::{StoredInvite, created};
use crate::token::random;
use crate::{Authority, AuthorityError, Fault};

/// The role that may do everything with resources, and opens no target.
const ADMIN_ROLE: &str = "\
kind: role
version: v7
metadata:
  name: admin
  description: May do everything with resources; opens no target.
spec:
  allow:
    rules:
      - resources: [\"*\"]
        verbs: [\"*\"]
";

impl Authority {
    /// Makes the first administrator and the invite for it. The key that enrols with it counts only
    /// once its pin is in `tapgate.yaml`, so whoever can write the store alone makes no administrator.
    pub fn first_admin(&self, user: &UserName) -> Result<InviteCreated, AuthorityError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(registration) = self.chained()?.0.iter().next() {
            return Err(AuthorityError::HasAdmin(registration.user.clone()));
        }
        let documents = self.documents()?;
        let role = || "admin".parse().map_err(AuthorityError::internal);
        let mut yaml = Vec::new();
        if !documents.has(ResourceKind::Role, "admin") {
            yaml.push(ADMIN_ROLE.to_owned());
        }
        if !documents.has(ResourceKind::User, user.as_str()) {
            yaml.push(user_document(user, &[role()?]));
        } else if !documents
            .build()
            .map_err(AuthorityError::Problems)?
            .roles_of(user)
            .is_some_and(|roles| roles.iter().any(|role| role.as_str() == "admin"))
        {
            return Err(AuthorityError::NotAdmin(user.clone()));
        }
        let mut writes = Vec::new();
        if !yaml.is_empty() {
            let plan = self.plan_put("<init>", &yaml.join("---\n"), false).map_err(AuthorityError::internal)?;
            writes.extend(plan.writes());
        }
        let secret = random::<32>();
        let invite = self.new_invite(user, &secret, b"");
        let shown = created(&invite, &secret);
        let stored = StoredInvite { invite, vouched: None };
        writes.extend(self.store_invite(&stored).map_err(AuthorityError::internal)?);
        self.store.write(&writes)?;
        self.refresh();
        self.sink.record(Event::invite_created(user.clone(), user.clone(), None));
        Ok(shown)
    }

    /// Lets an administrator enrol anew who has lost every key, without anybody's tap. The new key counts only once its
    /// pin is in `tapgate.yaml`, as a first administrator's does; until it is enrolled, nothing of the old one changes.
    pub fn recover(&self, user: &UserName) -> Result<InviteCreated, AuthorityError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let policy = self.documents()?.build().map_err(AuthorityError::Problems)?;
        if !policy.may_administer(user, ResourceKind::User, Verb::Update) {
            return Err(AuthorityError::NothingToRecover(user.clone()));
        }
        let secret = random::<32>();
        let invite = self.new_invite(user, &secret, b"");
        let shown = created(&invite, &secret);
        let stored = StoredInvite { invite, vouched: None };
        self.store.write(&self.store_invite(&stored).map_err(AuthorityError::internal)?)?;
        self.sink.record(Event::invite_created(user.clone(), user.clone(), None));
        Ok(shown)
    }

    /// Writes resources without a tap, replacing those that are there: for the demonstration and
    /// for tests, never for anything that came over the network.
    pub fn put_resources_trusted(&self, yaml: &str) -> Result<Vec<String>, AuthorityError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let plan: Plan = self
            .plan_put("<trusted>", yaml, true)
            .map_err(|fault: Fault| AuthorityError::Internal(fault.to_string()))?;
        let writes: Vec<Write> = plan.writes();
        self.store.write(&writes)?;
        for step in &plan.steps {
            self.sink.record(Event::resource_reloaded(step.kind.as_str(), step.name.as_str(), step.what));
        }
        self.refresh();
        Ok(plan.steps.iter().map(crate::change::Step::line).collect())
    }
}
