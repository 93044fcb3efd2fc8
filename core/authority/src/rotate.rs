//! The rotation of authorities, in steps that an administrator taps for: the new one is made and handed out, then it
//! signs while the old one's signatures still count, then the old one is gone.

use std::str::FromStr;
use std::time::Duration;

use tapgate_api::{Authorities, AuthorityEntry};
use tapgate_identity::limits::LINEAGE_MAX;
use tapgate_identity::{CaKind, SshCa, X509Ca};
use tapgate_model::UnixTime;
use tapgate_store::Write;

use crate::cas::{Cas, Rotating, beside, make};
use crate::limits::{CEREMONY_TTL, LOGIN_TTL_MAX};
use crate::login::pem;
use crate::{Authority, AuthorityError, Fault, key};

/// Authorities that are rotated together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    /// They sign logins.
    User,
    /// They sign sessions.
    Session,
    /// They sign what the gate shows to targets.
    Target,
    /// It signs the gate's SSH host key.
    Host,
    /// It signs the gate's own certificate: clients have its pin.
    Gate,
}

/// A step of a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Makes the new one, which signs nothing yet.
    Prepare,
    /// Has the new one sign. What the old one has signed still counts.
    Switch,
    /// Forgets the old one.
    Finish,
    /// Goes back to the old one, and forgets the new one.
    Rollback,
}

/// What is to be done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rotation {
    pub(crate) group: Group,
    pub(crate) step: Step,
    /// Whether what is still in use is given up.
    pub(crate) at_once: bool,
}

/// Where a group stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stand {
    Quiet,
    Prepared,
    Switched,
}

impl Group {
    const ALL: [Self; 5] = [Self::User, Self::Session, Self::Target, Self::Host, Self::Gate];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Session => "session",
            Self::Target => "target",
            Self::Host => "host",
            Self::Gate => "gate",
        }
    }

    const fn kinds(self) -> &'static [CaKind] {
        match self {
            Self::User => &[CaKind::Login, CaKind::LoginSsh],
            Self::Session => &[CaKind::Session, CaKind::SessionSsh],
            Self::Target => &[CaKind::TargetSsh, CaKind::TargetTls],
            Self::Host => &[CaKind::HostSsh],
            Self::Gate => &[CaKind::Host],
        }
    }

    /// How long what others hold keeps the step from being one that breaks nothing, since the last step.
    const fn patience(self, step: Step) -> Duration {
        match (self, step) {
            // Logins of the old one end by then; and everybody has logged in since, and has got the new host with it.
            (Self::User, Step::Finish) | (Self::Host, Step::Switch) => LOGIN_TTL_MAX,
            (Self::Session, Step::Finish) => CEREMONY_TTL,
            _ => Duration::ZERO,
        }
    }
}

impl FromStr for Group {
    type Err = Fault;
    fn from_str(text: &str) -> Result<Self, Fault> {
        let known = Self::ALL.into_iter().find(|group| group.as_str() == text);
        known.ok_or_else(|| {
            Fault::invalid(format!("there are no authorities \"{text}\""), "use user, session, target, host or gate")
        })
    }
}

impl Step {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::Switch => "switch",
            Self::Finish => "finish",
            Self::Rollback => "rollback",
        }
    }
}

impl FromStr for Step {
    type Err = Fault;
    fn from_str(text: &str) -> Result<Self, Fault> {
        let all = [Self::Prepare, Self::Switch, Self::Finish, Self::Rollback];
        let known = all.into_iter().find(|step| step.as_str() == text);
        known.ok_or_else(|| {
            Fault::invalid(format!("a rotation has no step \"{text}\""), "use prepare, switch, finish or rollback")
        })
    }
}

impl Authority {
    /// The authorities that sign now, or count.
    pub(crate) fn cas(&self) -> std::sync::Arc<Cas> {
        self.cas.load_full()
    }

    /// Reads the authorities anew, after a step.
    pub(crate) fn reload_cas(&self) -> Result<(), AuthorityError> {
        let cas = Cas::open(&*self.store, &self.cluster, self.now())?;
        self.cas.store(std::sync::Arc::new(cas));
        Ok(())
    }

    /// Every authority with its public half, for those who must trust it.
    pub fn authorities(&self) -> Result<Authorities, Fault> {
        let cas = self.cas();
        let mut authorities = Vec::new();
        let mut x509 = |group: &str, kind: CaKind, ca: &Rotating<X509Ca>| {
            for (state, ca) in states(ca) {
                authorities.push(AuthorityEntry {
                    authority: group.to_owned(),
                    kind: kind.to_string(),
                    state: state.to_owned(),
                    fingerprint: format!("sha256:{}", ca.pin()),
                    public: pem(ca.certificate()),
                });
            }
        };
        x509("user", CaKind::Login, &cas.login);
        x509("session", CaKind::Session, &cas.session);
        x509("target", CaKind::TargetTls, &cas.target_tls);
        x509("gate", CaKind::Host, &cas.host);
        let mut ssh = |group: &str, kind: CaKind, ca: &Rotating<SshCa>| -> Result<(), Fault> {
            for (state, ca) in states(ca) {
                let key = ca.public_key();
                authorities.push(AuthorityEntry {
                    authority: group.to_owned(),
                    kind: kind.to_string(),
                    state: state.to_owned(),
                    fingerprint: key.fingerprint(ssh_key::HashAlg::Sha256).to_string(),
                    public: format!("{}\n", key.to_openssh().map_err(Fault::internal)?),
                });
            }
            Ok(())
        };
        ssh("user", CaKind::LoginSsh, &cas.login_ssh)?;
        ssh("session", CaKind::SessionSsh, &cas.session_ssh)?;
        ssh("target", CaKind::TargetSsh, &cas.target_ssh)?;
        ssh("host", CaKind::HostSsh, &cas.host_ssh)?;
        Ok(Authorities { authorities })
    }

    /// The writes of a step, if it is the one that is due.
    pub(crate) fn rotation_writes(&self, rotation: Rotation) -> Result<Vec<Write>, Fault> {
        let Rotation { group, step, .. } = rotation;
        let (stand, since) = self.stand(group)?;
        let due = match step {
            Step::Prepare => stand == Stand::Quiet,
            Step::Switch => stand == Stand::Prepared,
            Step::Finish => stand == Stand::Switched,
            Step::Rollback => stand != Stand::Quiet,
        };
        if !due {
            let (is, hint) = match stand {
                Stand::Quiet => ("not being rotated", "begin with --phase prepare"),
                Stand::Prepared => ("prepared", "go on with --phase switch, or back with --phase rollback"),
                Stand::Switched => ("switched", "go on with --phase finish, or back with --phase rollback"),
            };
            return Err(Fault::conflict(format!("the authorities \"{}\" are {is}", group.as_str()), hint));
        }
        self.must_be_safe(rotation, stand)?;
        self.must_have_waited(rotation, since)?;
        let mut writes = Vec::new();
        for kind in group.kinds() {
            writes.extend(self.step_of(*kind, step, stand)?);
        }
        let key = key::rotation(group.as_str());
        writes.push(match step {
            Step::Prepare | Step::Switch => {
                Write::Put { key, value: self.now().as_secs().to_string().into_bytes(), expires: None }
            }
            Step::Finish | Step::Rollback => Write::Delete { key },
        });
        Ok(writes)
    }

    /// What no waiting mends.
    fn must_be_safe(&self, Rotation { group, step, at_once }: Rotation, stand: Stand) -> Result<(), Fault> {
        match (group, step, stand) {
            (Group::Gate, Step::Rollback, Stand::Switched) if !at_once => Err(Fault::conflict(
                "clients that have connected since know the gate by its new authority alone",
                "go on with --phase finish and rotate once more, or cut them off with --now",
            )),
            (Group::Gate, Step::Prepare, _) if self.cas().shown.len() >= usize::from(LINEAGE_MAX) => {
                Err(Fault::conflict(
                    format!(
                        "the gate's authority has been rotated {} times, and clients follow no further",
                        LINEAGE_MAX - 1
                    ),
                    "begin anew with another data directory: docs/operations.md says how",
                ))
            }
            _ => Ok(()),
        }
    }

    fn must_have_waited(&self, Rotation { group, step, at_once }: Rotation, since: UnixTime) -> Result<(), Fault> {
        let until = since.plus(group.patience(step));
        if at_once || until <= self.now() {
            return Ok(());
        }
        let what = match group {
            Group::User => "logins of the old authority are still good",
            Group::Host => "not everybody has logged in since and got the new authority",
            Group::Session | Group::Target | Group::Gate => "sessions of the old authority are still good",
        };
        Err(Fault::conflict(format!("{what}, until {until} at the latest"), "wait, or give them up with --now"))
    }

    fn stand(&self, group: Group) -> Result<(Stand, UnixTime), Fault> {
        let now = self.now().as_secs();
        let entry = self.store.get(&key::rotation(group.as_str()), now)?;
        let since = entry.and_then(|entry| String::from_utf8(entry.value).ok()?.parse().ok()).unwrap_or(0);
        let there = |which: &str| -> Result<bool, Fault> {
            let mut any = false;
            for kind in group.kinds() {
                any |= self.store.get(&beside(*kind, which), now)?.is_some();
            }
            Ok(any)
        };
        let stand = match (there("next")?, there("old")?) {
            (true, _) => Stand::Prepared,
            (false, true) => Stand::Switched,
            (false, false) => Stand::Quiet,
        };
        Ok((stand, UnixTime::from_secs(since)))
    }

    fn step_of(&self, kind: CaKind, step: Step, stand: Stand) -> Result<Vec<Write>, Fault> {
        let now = self.now();
        let read = |key: &str| -> Result<Vec<u8>, Fault> {
            let entry = self.store.get(key, now.as_secs())?;
            entry.map(|entry| entry.value).ok_or_else(|| Fault::internal(format_args!("there is no authority {key}")))
        };
        let (signs, next, old) = (key::authority(kind.as_str()), beside(kind, "next"), beside(kind, "old"));
        let put = |key: &str, value: Vec<u8>| Write::Put { key: key.to_owned(), value, expires: None };
        let delete = |key: &str| Write::Delete { key: key.to_owned() };
        Ok(match (step, stand) {
            (Step::Prepare, _) => {
                let fresh = match kind {
                    CaKind::Host => self.cas().next_host(&self.cluster, now),
                    _ => make(kind, &self.cluster, now),
                };
                vec![put(&next, fresh.map_err(Fault::internal)?.to_vec())]
            }
            (Step::Switch, _) => vec![put(&old, read(&signs)?), put(&signs, read(&next)?), delete(&next)],
            (Step::Rollback, Stand::Switched) => vec![put(&signs, read(&old)?), delete(&old)],
            (Step::Rollback, _) => vec![delete(&next)],
            (Step::Finish, _) => vec![delete(&old)],
        })
    }

    /// What the administrator reads, and has to do next.
    pub(crate) fn rotation_lines(Rotation { group, step, .. }: Rotation) -> Vec<String> {
        let name = group.as_str();
        let done = match step {
            Step::Prepare => format!("new authorities \"{name}\" have been made, and sign nothing yet"),
            Step::Switch => format!("the new authorities \"{name}\" sign; what the old ones have signed still counts"),
            Step::Finish => format!("the old authorities \"{name}\" are gone"),
            Step::Rollback => format!("the authorities \"{name}\" are the old ones again, and the new ones are gone"),
        };
        let next = match (group, step) {
            (Group::Target, Step::Prepare) => {
                "Have every target trust both: `tapctl auth export --type target` prints them. Then: --phase switch"
            }
            (Group::Target, Step::Switch) => {
                "When all is well: --phase finish, and then the old lines may go from targets"
            }
            (Group::Host, Step::Prepare) => "Whoever logs in from now on knows both. In twelve hours: --phase switch",
            (Group::Host, Step::Switch) => {
                "The gate shows the new one from its next start on. After that, when all is well: --phase finish"
            }
            (Group::Gate, Step::Prepare) => {
                "Whoever has the gate's certificate in a file (`tapctl auth export --type gate`) may have both from now on. \
                 Then: --phase switch"
            }
            (Group::Gate, Step::Switch) => {
                "Clients follow by themselves, as the old one vouches for the new one; new ones are given the pin of \
                 `tapctl status`. When all is well: --phase finish, and nobody has the old key any more"
            }
            (_, Step::Prepare) => "Nobody has to do anything. Go on with --phase switch",
            (Group::User, Step::Switch) => "In twelve hours every login is of the new one. Then: --phase finish",
            (_, Step::Switch) => "In five minutes every session certificate is of the new one. Then: --phase finish",
            (_, Step::Finish | Step::Rollback) => return vec![done],
        };
        vec![done, next.to_owned()]
    }
}

fn states<T>(ca: &Rotating<T>) -> impl Iterator<Item = (&'static str, &T)> {
    let now = std::iter::once(("signs", &*ca.now));
    now.chain(ca.next.as_ref().map(|ca| ("next", ca))).chain(ca.old.as_ref().map(|ca| ("old", ca)))
}
