//! A lock from the pages: an administrator's act like every other, signed by a tap over exactly what it says.

use axum::Extension;
use axum::extract::State;
use bytes::Bytes;
use serde_json::json;
use tapgate_api::{AdminAction, WebLock};
use tapgate_authority::Fault;
use tapgate_model::{Kind, TargetName, UserName};

use super::Caller;
use super::api::{Shared, install};
use super::reply::{Reply, blocking, body, identity};

/// Asks for a lock on a user or on a target; a tap is due.
pub(super) async fn begin(State(app): Shared, Extension(caller): Extension<Caller>, bytes: Bytes) -> Reply {
    blocking(&app, move |app| {
        let own = identity(app, &caller)?;
        let expires = |hours: u32| app.clock.now().plus(std::time::Duration::from_hours(hours.into())).to_string();
        let yaml = document(&body(&bytes)?, expires)?;
        let action =
            serde_json::to_vec(&AdminAction::PutResources { yaml, replace: false }).map_err(Fault::internal)?;
        app.authority.admin_begin(app.gate.snapshot().policy(), &own, &action, caller.peer.ip())
    })
    .await
}

/// Gives the tap; what the lock strikes ends at once.
pub(super) async fn finish(State(app): Shared, Extension(caller): Extension<Caller>, bytes: Bytes) -> Reply {
    blocking(&app, move |app| {
        let own = identity(app, &caller)?;
        let snapshot = app.gate.snapshot();
        let outcome = app.authority.admin_finish(snapshot.policy(), &own, &body(&bytes)?, caller.peer.ip())?;
        install(app)?;
        Ok(outcome)
    })
    .await
}

/// The lock as a resource; JSON is YAML.
fn document(wish: &WebLock, expires: impl Fn(u32) -> String) -> Result<String, Fault> {
    let wrong =
        || Fault::invalid("this is nothing that a lock can strike", "name a user, or a target by kind and name");
    let target = match wish {
        WebLock { user: Some(user), target: None, .. } => {
            let user: UserName = user.parse().map_err(|_| wrong())?;
            json!({ "user": user })
        }
        WebLock { user: None, target: Some(target), .. } => {
            let (kind, name) = target.split_once('/').ok_or_else(wrong)?;
            let (kind, name): (Kind, TargetName) =
                (kind.parse().map_err(|_| wrong())?, name.parse().map_err(|_| wrong())?);
            json!({ "target": format!("{kind}/{name}") })
        }
        _ => return Err(wrong()),
    };
    let mut spec = json!({ "target": target });
    if let Some(hours) = wish.hours.filter(|hours| *hours > 0) {
        spec["expires"] = expires(hours).into();
    }
    if let Some(message) = wish.message.as_deref().filter(|message| !message.is_empty()) {
        spec["message"] = message.into();
    }
    let name = format!("lock-{:016x}", rand::random::<u64>());
    Ok(json!({ "kind": "lock", "version": "v2", "metadata": { "name": name }, "spec": spec }).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_locked_is_one_thing_and_quoted() {
        let wish = |user: Option<&str>, target: Option<&str>| WebLock {
            user: user.map(str::to_owned),
            target: target.map(str::to_owned),
            hours: Some(1),
            message: Some("a: \"b\"\nkind: role".to_owned()),
        };
        let made = |wish: &WebLock| document(wish, |hours| format!("in {hours}"));
        let text = made(&wish(Some("jerry"), None)).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&value["kind"], &value["spec"]["target"]["user"]), (&"lock".into(), &"jerry".into()));
        assert_eq!((&value["spec"]["expires"], text.lines().count()), (&"in 1".into(), 1));
        assert!(made(&wish(None, Some("node/prod3"))).unwrap().contains("node/prod3"));
        for (user, target) in [
            (None, None),
            (Some("jerry"), Some("node/prod3")),
            (Some("a b\n"), None),
            (None, Some("prod3")),
            (None, Some("cat/prod3")),
            (None, Some("node/")),
        ] {
            assert!(made(&wish(user, target)).is_err(), "{user:?} {target:?}");
        }
    }
}
