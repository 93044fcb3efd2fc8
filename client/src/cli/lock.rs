//! `tapctl lock`: the lock resource that ends sessions now and refuses new ones.

use std::time::Duration;

use clap::{ArgGroup, Args};
use serde::Serialize;
use tapgate_model::{ObjectName, RoleName, TargetName, UnixTime, UserName};

use crate::error::{Act as _, Failure, Result};

/// What is locked, and for how long.
#[derive(Debug, Clone, Args)]
#[group(skip)]
#[command(group = ArgGroup::new("locked").required(true).args(["user", "role", "node"]))]
pub struct LockArgs {
    /// Lock a user
    #[arg(long, value_name = "NAME")]
    pub user: Option<UserName>,
    /// Lock everybody who has a role
    #[arg(long, value_name = "NAME")]
    pub role: Option<RoleName>,
    /// Lock a node
    #[arg(long, value_name = "NAME")]
    pub node: Option<TargetName>,
    /// For how long, such as 30m, 1h or 7d; without it, until the lock is removed
    #[arg(long, value_parser = duration)]
    pub ttl: Option<Duration>,
    /// What those who are locked out are told
    #[arg(long)]
    pub message: Option<String>,
}

#[derive(Serialize)]
struct Document<'a> {
    kind: &'static str,
    version: &'static str,
    metadata: Metadata<'a>,
    spec: Spec<'a>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    name: &'a ObjectName,
}

#[derive(Serialize)]
struct Spec<'a> {
    target: Target<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
struct Target<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a UserName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'a RoleName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<&'a TargetName>,
}

/// The lock as a document.
pub fn document(lock: &LockArgs, name: &ObjectName, now: UnixTime) -> Result<String> {
    let expires = lock.ttl.map(|ttl| now.plus(ttl).to_string());
    let target = Target { user: lock.user.as_ref(), role: lock.role.as_ref(), node: lock.node.as_ref() };
    let spec = Spec { target, message: lock.message.as_deref(), expires };
    let document = Document { kind: "lock", version: "v2", metadata: Metadata { name }, spec };
    serde_norway::to_string(&document).act(|| "the lock cannot be written".to_owned())
}

/// A name that no other lock has.
pub fn fresh_name() -> Result<ObjectName> {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes).act(|| "the system gives no random bytes".to_owned())?;
    format!("lock-{}", hex::encode(bytes)).parse().act(|| "the lock has no name".to_owned())
}

/// `90s`, `30m`, `1h`, `7d`, and several of them together.
pub(crate) fn duration(text: &str) -> Result<Duration> {
    let wrong = || Failure::new(format!("{text:?} is not a duration")).advise("use 30m, 1h or 1h30m");
    let (mut total, mut number) = (0_u64, None);
    for c in text.chars() {
        if let Some(digit) = c.to_digit(10) {
            let so_far: u64 = number.unwrap_or(0);
            number = Some(so_far.checked_mul(10).and_then(|n| n.checked_add(digit.into())).ok_or_else(wrong)?);
            continue;
        }
        let unit = match c {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            _ => return Err(wrong()),
        };
        let part = number.take().and_then(|n| n.checked_mul(unit)).ok_or_else(wrong)?;
        total = total.checked_add(part).ok_or_else(wrong)?;
    }
    if number.is_some() || total == 0 { Err(wrong()) } else { Ok(Duration::from_secs(total)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let check = |text: &str, secs: u64| {
            assert_eq!(duration(text).map(|d| d.as_secs()).unwrap_or_default(), secs, "{text:?}");
        };
        check("90s", 90);
        check("1h30m", 5400);
        check("7d", 604_800);
        for bad in ["", "1", "h", "1x", "0s", "1h1", "99999999999999999999s", "99999999999999999d"] {
            check(bad, 0);
        }
    }

    #[test]
    fn the_document_is_quoted() {
        let lock = LockArgs {
            user: Some("jerry".parse().unwrap()),
            role: None,
            node: None,
            ttl: Some(Duration::from_hours(1)),
            message: Some("a: \"b\"\nkind: role".into()),
        };
        let text = document(&lock, &"lock-1".parse().unwrap(), UnixTime::from_secs(0)).unwrap();
        let value: serde_json::Value = serde_norway::from_str(&text).unwrap();
        assert_eq!(value["kind"], "lock");
        assert_eq!(value["spec"]["target"], serde_json::json!({"user": "jerry"}));
        assert_eq!(value["spec"]["message"], "a: \"b\"\nkind: role");
        assert_eq!(value["spec"]["expires"], "1970-01-01T01:00:00Z");
    }
}
