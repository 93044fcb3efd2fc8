//! `login@target`, and what else stands on the command line of `tap ssh`.

use tapgate_model::{Login, LoginName, TargetName, UserName};

use crate::error::{Act as _, Failure, Result};

/// The options of OpenSSH's `ssh` that take a value.
const WITH_VALUE: &str = "BbcDEeFIiJLlmOoPpQRSWw";

/// Who one wants to be, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The target.
    pub target: TargetName,
    /// The login there.
    pub login: LoginName,
}

impl Destination {
    /// Reads `login@target`, or `target` for the login that is named like the user. The last `@`
    /// splits, as at the gate.
    pub fn parse(text: &str, user: &UserName) -> Result<Self> {
        let (login, target) = text.rsplit_once('@').unwrap_or((user.as_str(), text));
        let act = || format!("{text:?} is not LOGIN@TARGET");
        Ok(Self { target: target.parse().act(act)?, login: login.parse().act(act)? })
    }

    /// The login as a statement names it.
    pub fn as_login(&self) -> Login {
        Login::Unix(self.login.clone())
    }

    /// The user name that the SSH door knows.
    pub fn ssh_user(&self) -> String {
        format!("{}@{}", self.login, self.target)
    }
}

/// What follows the destination: a command, then after `--` options for OpenSSH.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tail {
    /// The command.
    pub command: Vec<String>,
    /// The options.
    pub options: Vec<String>,
}

impl Tail {
    /// Splits at the first `--`. An option that would hand our agent to the target is refused.
    pub fn parse(words: &[String]) -> Result<Self> {
        let mut parts = words.splitn(2, |word| word == "--");
        let (command, options) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        if forwards_agent(options)? {
            return Err(Failure::new("-A after -- would forward this session's own agent")
                .advise("write tap ssh -A LOGIN@TARGET to forward yours"));
        }
        Ok(Self { command: command.to_vec(), options: options.to_vec() })
    }
}

/// Reads the options as `ssh` does: letters may stand together, and some take a value.
fn forwards_agent(options: &[String]) -> Result<bool> {
    let mut words = options.iter();
    while let Some(word) = words.next() {
        let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) else {
            return Err(Failure::new(format!("{word:?} after -- is not an option of ssh"))
                .advise("put the command before the --"));
        };
        for (n, letter) in letters.char_indices() {
            if letter == 'A' {
                return Ok(true);
            }
            if WITH_VALUE.contains(letter) {
                let value_follows = n + letter.len_utf8() == letters.len();
                if value_follows && words.next().is_none() {
                    return Err(Failure::new(format!("-{letter} needs a value")));
                }
                break;
            }
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn destinations() {
        let user: UserName = "ann@example.com".parse().unwrap();
        let check = |text: &str, expect: &str| {
            let parsed = Destination::parse(text, &user).map(|d| d.ssh_user()).unwrap_or_default();
            assert_eq!(parsed, expect, "{text:?}");
        };
        check("jerry@prod3", "jerry@prod3");
        check("prod3", "ann@example.com@prod3");
        check("a@b@c", "a@b@c");
        for bad in ["", "@", "jerry@", "@prod3", "-oX@prod3", "jerry@-x", "a b@c", "a@b,c"] {
            check(bad, "");
        }
    }

    #[test]
    fn command_and_options() {
        let tail = Tail::parse(&words("ls -l /tmp -- -v -L 8080:localhost:80")).unwrap();
        assert_eq!(tail, Tail { command: words("ls -l /tmp"), options: words("-v -L 8080:localhost:80") });
        assert_eq!(Tail::parse(&words("-- -N")).unwrap().options, words("-N"));
        assert_eq!(Tail::parse(&[]).unwrap(), Tail::default());
    }

    #[test]
    fn our_agent_is_never_forwarded() {
        for bad in ["-- -A", "-- -vA", "-- -L 1:a:1 -A", "-- -p22 -tA"] {
            assert!(Tail::parse(&words(bad)).is_err(), "{bad:?}");
        }
        for good in ["-- -L A:1:b:2", "-- -oA=b", "-- -o A", "-- -a", "-- -vlA"] {
            assert!(Tail::parse(&words(good)).is_ok(), "{good:?}");
        }
        assert!(Tail::parse(&words("-- uptime")).is_err());
        assert!(Tail::parse(&words("-- -L")).is_err());
    }
}
