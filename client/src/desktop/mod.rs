//! Desktops: listing them, a place on this machine that leads to one, and the viewers of this machine.

pub mod connect;
mod front;
pub mod proxy;
mod viewer;
mod vnc;

use std::collections::BTreeMap;

use serde::Serialize;
use tapgate_api::{TargetEntry, Targets, path};
use tapgate_model::{DesktopProtocol, Kind, LoginName, TargetName};

use crate::cli::Context;
use crate::error::{Act as _, Failure, Result};

/// A desktop that the user may open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Desktop {
    /// Its name at the gate.
    pub name: TargetName,
    /// What its resource says of it.
    pub description: String,
    /// What it speaks, in one word.
    pub protocol: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The logins that the user's roles allow.
    pub logins: Vec<String>,
    /// Whether a session there needs a tap.
    pub mfa_required: bool,
}

impl Desktop {
    /// The desktop of a listed target; `None` for a target of another kind.
    fn of(entry: TargetEntry) -> Option<Self> {
        if entry.kind != Kind::WindowsDesktop.as_str() {
            return None;
        }
        Some(Self {
            name: entry.name.parse().ok()?,
            description: entry.description.unwrap_or_default(),
            protocol: entry.protocol.unwrap_or_default(),
            labels: entry.labels,
            logins: entry.logins,
            mfa_required: entry.mfa_required,
        })
    }

    /// What it speaks.
    pub fn speaks(&self) -> Result<DesktopProtocol> {
        let (name, _) = self.protocol.split_once('-').unwrap_or((&self.protocol, ""));
        DesktopProtocol::named(name).ok_or_else(|| {
            Failure::new(format!("\"{}\" speaks what this client does not know", self.name))
                .advise("is the client of the gate's version?")
        })
    }

    /// Whether its own TLS goes through to the client, so that nobody on the way can ask for a password.
    pub fn is_opaque(&self) -> bool {
        self.protocol == "rdp-passthrough"
    }

    /// The login: the one that is named, or the only one that the roles allow.
    pub fn login(&self, named: Option<&LoginName>) -> Result<LoginName> {
        match (named, self.logins.as_slice()) {
            (Some(named), _) => Ok(named.clone()),
            (None, [only]) => only.parse().act(|| "the gate's answer cannot be used".to_owned()),
            (None, _) => Err(Failure::new(format!("no login is named for \"{}\"", self.name))
                .advise(format!("pass --login; allowed: {}", self.logins.join(", ")))),
        }
    }
}

/// Every desktop that the user may open.
pub async fn all(context: &Context) -> Result<Vec<Desktop>> {
    let Targets { targets } = context.with_login()?.get(path::TARGETS, &[]).await?;
    Ok(targets.into_iter().filter_map(Desktop::of).collect())
}

/// The desktop of this name.
pub async fn one(context: &Context, name: &TargetName) -> Result<Desktop> {
    all(context).await?.into_iter().find(|desktop| desktop.name == *name).ok_or_else(|| {
        Failure::new(format!("there is no desktop {name} for you")).advise("tap desktop ls shows what you may open")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_named_or_the_only_one() {
        let mut desktop = Desktop {
            name: "win1".parse().unwrap(),
            description: String::new(),
            protocol: "rdp-passthrough".to_owned(),
            labels: BTreeMap::new(),
            logins: vec!["ann".to_owned()],
            mfa_required: true,
        };
        assert_eq!(desktop.login(None).unwrap().as_str(), "ann");
        assert!(desktop.is_opaque() && desktop.speaks().unwrap() == DesktopProtocol::Rdp);
        desktop.logins.push("bob".to_owned());
        assert!(desktop.login(None).unwrap_err().to_string().contains("ann, bob"));
        assert_eq!(desktop.login(Some(&"bob".parse().unwrap())).unwrap().as_str(), "bob");
        desktop.protocol = "spice".to_owned();
        assert!(desktop.speaks().is_err());
    }
}
