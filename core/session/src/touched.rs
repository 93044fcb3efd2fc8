//! The touch of the `sk-` key that has logged in, as a tap for the session that it names.

use std::sync::Arc;
use std::time::Duration;

use tapgate_model::UnixTime;
use tapgate_policy::{SessionMfa, Terms};
use tapgate_proof::{ExpectedTouch, Holder, Purpose, SshTouch, Statement, StatementParts, StatementTarget, Uses};

use crate::evidence::Tap;
use crate::limits::{TOUCH_SPAN_MIN, WINDOW_MAX};
use crate::snapshot::{Record, Snapshot};
use crate::verdict::Because;
use crate::{Ask, Gate};

/// Writes down what was signed as a statement, and verifies that it was. The key has signed the connection and the user
/// name; all else is the gate's word for it.
pub(crate) fn verify(
    gate: &Gate,
    snapshot: &Snapshot,
    ask: &Ask<'_>,
    (record, terms, touch): (&Record, &Terms, &SshTouch),
    now: UnixTime,
) -> Result<Arc<Tap>, Because> {
    let user = ask.identity.user();
    let id = touch.key().id();
    let known = snapshot.ssh_keys.find(&id).filter(|known| known.user == *user).ok_or(Because::NotRegistered)?;
    let Some(holder @ Holder::SshSession(_)) = ask.connection.holder.clone() else { return Err(Because::NoTap) };
    let target = StatementTarget { target: record.target.clone(), login: ask.login.clone(), holder };
    let statement = Statement::new(StatementParts {
        gate: *gate.fingerprint(),
        purpose: Purpose::Session,
        user: user.clone(),
        uses: Uses::Once,
        source_ip: Some(ask.connection.peer.ip()),
        action: None,
        targets: vec![target],
        created: now,
        expires: now.plus(span(terms.window)),
    });
    let statement = statement.map_err(|error| Because::NoTouch(error.into()))?;
    let expected = ExpectedTouch {
        key: &known.key,
        gate_name: touch.gate_name(),
        gate: gate.fingerprint(),
        user,
        user_verification: terms.session_mfa >= SessionMfa::RequiredHardware,
        at: now,
    };
    let proof = Arc::new(touch.proof(&statement));
    Tap::verify_touch(&proof, &expected).map(Arc::new).map_err(Because::NoTouch)
}

/// For how long the connection may open further channels; it is opened itself at once.
fn span(window: Duration) -> Duration {
    window.clamp(TOUCH_SPAN_MIN, WINDOW_MAX)
}
