//! What administrators do: each act is planned, signed by a tap over its exact bytes, and done.

use std::net::IpAddr;
use std::sync::PoisonError;

use tapgate_api::{AdminAction, AdminOutcome, Assertion, Ceremony, InviteTerms};
use tapgate_audit::{Change as What, Event};
use tapgate_identity::Identity;
use tapgate_model::UserName;
use tapgate_policy::{Policy, ResourceKind, Verb};
use tapgate_proof::{Invite, Purpose};

use crate::ceremony::{Work, new_id};
use crate::change::Plan;
use crate::demand::Demanded;
use crate::invite::{StoredInvite, Vouched, created};
use crate::limits::BODY_MAX;
use crate::rotate::Rotation;
use crate::tap::{Given, Wanted};
use crate::{Authority, Fault, token};

/// What is to be done, checked against what is there and against what the administrator may do.
struct Deed {
    plan: Plan,
    invited: Option<UserName>,
    rotation: Option<Rotation>,
}

impl Authority {
    /// Checks whether the act may be done and would leave everything in order, and asks for the tap.
    pub fn admin_begin(
        &self,
        policy: &Policy,
        identity: &Identity,
        body: &[u8],
        peer: IpAddr,
    ) -> Result<Ceremony, Fault> {
        self.rates.known(identity.user())?;
        self.must_be_login(identity, peer)?;
        self.must_be_free(identity.user())?;
        let deed = self.deed(policy, identity.user(), body)?;
        // Whoever may change what sessions need must tap as strictly as the strictest session.
        let demanded = policy.preference().require_session_mfa;
        let Demanded { keys, verified } = self.demanded(identity.user(), demanded, "change anything")?;
        let id = new_id();
        let invite = deed.invited.map(|user| self.new_invite(&user, &self.invite_token(&id), body));
        let action = invite.as_ref().map_or_else(|| token::sha256(&[body]), Invite::digest);
        let terms = invite.as_ref().map(|invite| InviteTerms {
            token_sha256: invite.token_sha256.to_string(),
            created: invite.created.as_secs(),
            expires: invite.expires.as_secs(),
        });
        let statement = self.own_statement(identity, Purpose::Admin, action)?;
        let work = Work::Admin { body: token::to_text(body), invite };
        let wanted = Wanted { statement: &statement, verified, peer, identity: Some(identity), work };
        let mut ceremony = self.ask(id, wanted, &keys)?;
        ceremony.invite = terms;
        Ok(ceremony)
    }

    /// Does what the tap was asked for. Everything is checked again: others may have changed things.
    pub fn admin_finish(
        &self,
        policy: &Policy,
        identity: &Identity,
        answer: &Assertion,
        peer: IpAddr,
    ) -> Result<AdminOutcome, Fault> {
        self.rates.known(identity.user())?;
        self.must_be_login(identity, peer)?;
        self.must_be_free(identity.user())?;
        let given = self.receive(answer, Purpose::Admin, Some(identity))?;
        self.record_success(&given);
        self.must_satisfy(policy.preference().require_session_mfa, &given)?;
        let Work::Admin { body, invite } = &given.pending.work else {
            return Err(Fault::internal("an administrator's tap was asked for something else"));
        };
        let body = token::from_text(body).ok_or_else(|| Fault::internal("the pending act is damaged"))?;
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let deed = self.deed(policy, identity.user(), &body)?;
        let outcome = self.carry_out(&given, &deed, invite.as_ref())?;
        self.refresh();
        Ok(outcome)
    }

    fn carry_out(&self, given: &Given, deed: &Deed, invite: Option<&Invite>) -> Result<AdminOutcome, Fault> {
        let mut writes = deed.plan.writes();
        for step in deed.plan.steps.iter().filter(|step| step.kind == ResourceKind::User) {
            // A user who is made anew under an old name must not come into the old one's keys.
            if step.what != What::Updated
                && let Ok(user) = step.name.parse()
            {
                writes.extend(self.retire(&user)?);
                writes.extend(self.sso_forget(&user)?);
                writes.extend(self.void_invites(&user)?);
            }
        }
        let mut outcome =
            AdminOutcome { lines: deed.plan.steps.iter().map(crate::change::Step::line).collect(), invite: None };
        if let Some(invite) = invite {
            let secret = self.invite_token(&given.ceremony);
            if token::sha256(&[&secret]) != invite.token_sha256 {
                return Err(Fault::expired("the gate was restarted before the tap", "start again"));
            }
            let vouched = Vouched { admin: given.pending.user.clone(), proof: given.proof.clone() };
            writes.extend(self.store_invite(&StoredInvite { invite: invite.clone(), vouched: Some(vouched) })?);
            outcome.lines.push(format!("an invite for \"{}\" has been created", invite.user));
            outcome.invite = Some(created(invite, &secret));
        }
        if let Some(rotation) = deed.rotation {
            writes.extend(self.rotation_writes(rotation)?);
            outcome.lines.extend(Self::rotation_lines(rotation));
        }
        self.store.write(&writes)?;
        if deed.rotation.is_some() {
            self.reload_cas().map_err(Fault::internal)?;
        }
        self.record_deed(given, deed);
        Ok(outcome)
    }

    fn record_deed(&self, given: &Given, deed: &Deed) {
        let action = given.tap.statement().parts().action.unwrap_or_else(|| given.proof.id());
        let by = &given.pending.user;
        for step in &deed.plan.steps {
            let (kind, name) = (step.kind.as_str(), step.name.as_str());
            self.sink.record(Event::resource_changed(by.clone(), kind, name, step.what, action, given.record()));
        }
        if let Some(Rotation { group, step, .. }) = deed.rotation {
            let name = format!("{}/{}", group.as_str(), step.as_str());
            let record = given.record();
            self.sink.record(Event::resource_changed(
                by.clone(),
                "cert_authority",
                name,
                What::Updated,
                action,
                record,
            ));
        }
        if let Some(user) = &deed.invited {
            self.sink.record(Event::invite_created(by.clone(), user.clone(), Some(given.record())));
        }
    }

    /// What the body asks for, if this user may do it and it would leave everything in order.
    fn deed(&self, policy: &Policy, by: &UserName, body: &[u8]) -> Result<Deed, Fault> {
        if body.len() > BODY_MAX {
            return Err(Fault::invalid(format!("the body is larger than {BODY_MAX} bytes"), "send it in parts"));
        }
        let action: AdminAction = serde_json::from_slice(body)
            .map_err(|e| Fault::invalid(format!("the body is no administrator's action: {e}"), "see the API"))?;
        let deed = match action {
            AdminAction::PutResources { yaml, replace } => {
                may_at_all(policy, by)?;
                Deed { plan: self.plan_put("<stdin>", &yaml, replace)?, invited: None, rotation: None }
            }
            AdminAction::DeleteResource { kind, name } => {
                may_at_all(policy, by)?;
                Deed { plan: self.plan_delete(&kind, &name)?, invited: None, rotation: None }
            }
            AdminAction::Invite { user, roles } => self.invitation(policy, by, &user, &roles)?,
            AdminAction::RotateAuthority { authority, step, at_once } => {
                may_rotate(policy, by)?;
                let rotation = Rotation { group: authority.parse()?, step: step.parse()?, at_once };
                // Whether it may be done at all is told before the tap.
                self.rotation_writes(rotation)?;
                Deed { plan: Plan { steps: Vec::new() }, invited: None, rotation: Some(rotation) }
            }
        };
        for step in &deed.plan.steps {
            may(policy, by, step.kind, step.verb(), &step.name)?;
        }
        Ok(deed)
    }

    /// An invite for a user who is there, or for a new one with these roles.
    fn invitation(&self, policy: &Policy, by: &UserName, user: &str, roles: &[String]) -> Result<Deed, Fault> {
        let bad = |e: tapgate_model::NameError| Fault::invalid(e.to_string(), "choose another name");
        let name: UserName = user.parse().map_err(bad)?;
        let kind = ResourceKind::User;
        if self.documents().map_err(Fault::internal)?.has(kind, user) {
            may(policy, by, kind, Verb::Update, user)?;
            return Ok(Deed { plan: Plan { steps: Vec::new() }, invited: Some(name), rotation: None });
        }
        may(policy, by, kind, Verb::Create, user)?;
        let roles = roles.iter().map(|role| role.parse()).collect::<Result<Vec<_>, _>>().map_err(bad)?;
        let plan = self.plan_put("<user>", &user_document(&name, &roles), false)?;
        Ok(Deed { plan, invited: Some(name), rotation: None })
    }
}

/// A user as a resource. Names need no escapes between double quotes.
pub(crate) fn user_document(user: &UserName, roles: &[tapgate_model::RoleName]) -> String {
    let roles = roles.iter().map(|role| format!("\"{role}\"")).collect::<Vec<_>>().join(", ");
    format!("kind: user\nversion: v2\nmetadata:\n  name: \"{user}\"\nspec:\n  roles: [{roles}]\n")
}

pub(crate) fn may(policy: &Policy, by: &UserName, kind: ResourceKind, verb: Verb, name: &str) -> Result<(), Fault> {
    if policy.may_administer(by, kind, verb) {
        return Ok(());
    }
    let verb = format!("{verb:?}").to_lowercase();
    Err(Fault::denied(format!("you may not {verb} {kind} \"{name}\" (your roles have no rule for it)")))
}

/// Authorities are everybody's: who rotates them may change what holds for everybody, roles and users alike.
fn may_rotate(policy: &Policy, by: &UserName) -> Result<(), Fault> {
    let kinds = [ResourceKind::ClusterAuthPreference, ResourceKind::Role, ResourceKind::User];
    let all = kinds.iter().all(|kind| policy.may_administer(by, *kind, Verb::Update));
    all.then_some(()).ok_or_else(|| {
        Fault::denied(
            "you may not rotate authorities (it takes rules to update the cluster_auth_preference, roles and users)",
        )
    })
}

/// Somebody who may change nothing at all is told so before the text is looked at, so that its
/// problems tell nobody which resources there are.
fn may_at_all(policy: &Policy, by: &UserName) -> Result<(), Fault> {
    let verbs = [Verb::Create, Verb::Update, Verb::Delete];
    let any = ResourceKind::ALL.iter().any(|kind| verbs.iter().any(|verb| policy.may_administer(by, *kind, *verb)));
    if any { Ok(()) } else { Err(Fault::denied("you may not change resources (your roles have no rule for it)")) }
}
