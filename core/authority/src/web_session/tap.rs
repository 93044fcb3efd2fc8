//! A tap on a page, for sessions that the web session itself holds: applications, terminals and desktops in the browser.

use std::net::IpAddr;
use std::sync::Arc;

use tapgate_api::{Assertion, Requirement, SessionTarget, WebTap};
use tapgate_proof::{Expected, Holder, Purpose};
use tapgate_session::{Gate, Tap};

use super::WebSession;
use crate::browser::target;
use crate::ceremony::Work;
use crate::session::parse_targets;
use crate::tap::GONE;
use crate::{Authority, Fault};

impl Authority {
    /// Says what sessions of these targets need, and asks for the tap where one is due. It is good for this holder
    /// alone: the web session, or a connection of it.
    pub fn web_tap_begin(
        &self,
        gate: &Gate,
        session: &WebSession,
        (targets, holder): (&[SessionTarget], &Holder),
        peer: IpAddr,
    ) -> Result<WebTap, Fault> {
        if holder.web_session() != Some(&session.number()) {
            return Err(Fault::denied("the tap would be for another session"));
        }
        let identity = session.identity();
        self.rates.known(identity.user())?;
        self.must_be_login(identity, peer)?;
        let wishes = parse_targets(targets)?;
        match self.begin_session_tap(gate, identity, &wishes, (holder, Work::WebSession), peer)? {
            (Requirement::None, _) => Ok(WebTap::None),
            (Requirement::Sso, _) => Err(Fault::denied(
                "a session in the browser takes a security key so far (use `tap ssh --mfa-mode=sso`)",
            )),
            (Requirement::Tap { ceremony, reusable }, statement) => {
                let statement = statement.ok_or_else(|| Fault::internal("a tap without a statement"))?;
                let expires = ceremony.expires;
                Ok(WebTap::Tap {
                    id: ceremony.id,
                    webauthn: serde_json::to_value(&ceremony.webauthn)?,
                    targets: statement.parts().targets.iter().map(target).collect(),
                    reusable_until: reusable.then_some(expires),
                    expires,
                })
            }
        }
    }

    /// Takes the tap. What comes of it goes to [`Gate::bring`], where the asks of this web session find it.
    pub fn web_tap_finish(
        &self,
        gate: &Gate,
        session: &WebSession,
        answer: &Assertion,
        peer: IpAddr,
    ) -> Result<Arc<Tap>, Fault> {
        let identity = session.identity();
        self.rates.known(identity.user())?;
        self.must_be_login(identity, peer)?;
        let given = self.receive(answer, Purpose::Session, Some(identity))?;
        if !matches!(given.pending.work, Work::WebSession) {
            return Err(Fault::unauthenticated("the tap was asked for at a terminal"));
        }
        self.record_success(&given);
        let needed = self.still_due(gate, identity, given.tap.statement().parts(), peer)?;
        self.must_satisfy(needed.mfa, &given)?;
        let (user, state) = (identity.user(), self.state.load());
        let gone = || Fault::unauthenticated(GONE);
        let registration = state.registrations.credential(user, &given.proof.credential_id).ok_or_else(gone)?;
        let expected = Expected {
            key: &registration.key,
            relying_party: &self.relying_party,
            gate: &self.gate,
            purpose: Purpose::Session,
            user,
            user_verification: given.pending.verified,
            at: self.now(),
        };
        let tap = Tap::verify(&Arc::new(given.proof), &expected).map_err(Fault::internal)?;
        Ok(Arc::new(tap))
    }
}
