//! The name that an SSH user types: `login@target`, or `login@target@gate`.

use tapgate_model::{LoginName, NameError, TargetName};

/// Where an SSH connection is to lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Who to become.
    pub login: LoginName,
    /// On which node.
    pub target: TargetName,
}

/// Why an SSH user name leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DestinationError {
    /// There is no `@` in it.
    #[error("the user name \"{0}\" names no target (use login@target, as in `ssh root@web1@{1}`)")]
    NoTarget(String, String),
    /// Its parts are not names.
    #[error("the user name leads nowhere: {0}")]
    Name(#[from] NameError),
}

impl Destination {
    /// Reads an SSH user name. The last `@` splits; a last part that is this gate's own name may follow.
    pub fn parse(user: &str, gate_name: &str) -> Result<Self, DestinationError> {
        let none = || DestinationError::NoTarget(crate::write::one_line(user), gate_name.to_owned());
        let (front, last) = user.rsplit_once('@').ok_or_else(none)?;
        let (login, target) = match front.rsplit_once('@') {
            Some(inner) if last == gate_name => inner,
            _ => (front, last),
        };
        // With the gate's own name as the target, such a login would make a name of two meanings.
        if target == gate_name && login.contains('@') {
            return Err(none());
        }
        Ok(Self { login: login.parse()?, target: target.parse()? })
    }

    /// Reads the user name of a connection that was made to a target, over a jump.
    pub(crate) fn behind(user: &str, target: &TargetName) -> Result<Self, DestinationError> {
        Ok(Self { login: user.parse()?, target: target.clone() })
    }

    /// The name in its one form, as certificates have it among their principals.
    pub fn principal(&self) -> String {
        format!("{}@{}", self.login, self.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (user, login, target) in [
            ("root@web1", "root", "web1"),
            ("root@web1@gate.example", "root", "web1"),
            ("ann@corp@web1", "ann@corp", "web1"),
            ("ann@corp@web1@gate.example", "ann@corp", "web1"),
            ("root@gate.example", "root", "gate.example"),
            ("a@gate.example@gate.example", "a", "gate.example"),
        ] {
            let parsed = Destination::parse(user, "gate.example").unwrap();
            assert_eq!((parsed.login.as_str(), parsed.target.as_str()), (login, target), "{user}");
        }
    }

    #[test]
    fn behind_a_jump_the_user_name_is_the_login() {
        let target: TargetName = "web1".parse().unwrap();
        for (user, principal) in [("root", Some("root@web1")), ("ann@corp", Some("ann@corp@web1")), ("", None)] {
            let parsed = Destination::behind(user, &target).map(|destination| destination.principal());
            assert_eq!(parsed.ok().as_deref(), principal, "{user}");
        }
    }

    #[test]
    fn what_leads_nowhere() {
        for user in [
            "",
            "root",
            "root@prod3@gate.example@gate.example",
            "@web1",
            "root@",
            "@",
            "@@",
            "ro ot@web1",
            "root@we b1",
            "-o@web1",
            "root@-web",
            "r@w\n",
        ] {
            assert!(Destination::parse(user, "gate.example").is_err(), "{user:?}");
        }
        let error = Destination::parse("root", "gate.example").unwrap_err().to_string();
        assert!(error.contains("ssh root@web1@gate.example"), "{error}");
    }
}
