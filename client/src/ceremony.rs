//! The tap: what is about to be signed is read and compared first, and only then is a key asked.

use serde::de::DeserializeOwned;
use tapgate_api::{Assertion, Ceremony, FindAuth, InviteTerms};
use tapgate_model::{Clock as _, Digest, Kind, Login, SystemClock, TargetName, UnixTime, UserName};
use tapgate_proof::{Holder, Invite, Purpose, Statement, StatementParts, Uses, challenge};
use url::Url;
use webauthn_rs_proto::RequestChallengeResponse;

use crate::browser::Handover;
use crate::error::{Act as _, Failure, Result};
use crate::gate_addr::GateAddr;
use crate::keys::from_base64;
use crate::limits::CLOCK_SKEW;
use crate::profile::Home;
use crate::solver::{Means, Solver, ask_for_touch};
use crate::turn::turn;

/// What the person at the terminal has asked for, and so the only thing that may be signed.
#[derive(Debug, Clone)]
pub struct Wish<'a> {
    /// The gate's pin.
    pub gate: &'a Digest,
    /// Who taps.
    pub user: &'a UserName,
    /// For what.
    pub deed: Deed<'a>,
    /// The present moment.
    pub now: UnixTime,
}

/// What a tap is for.
#[derive(Debug, Clone)]
pub enum Deed<'a> {
    /// A login with keys whose digest is this.
    Login(Digest),
    /// Sessions of these targets.
    Session {
        /// The targets, each with the login there; all of them and no others.
        goals: &'a [Goal],
        /// The SHA-256 of the session key's `SubjectPublicKeyInfo`.
        key: Digest,
        /// Whether the gate says that the window may be used again.
        reusable: bool,
    },
    /// A request whose body has this SHA-256: an administrator's, or one about the user's own devices.
    Admin(Digest),
    /// A further security key of the user's own, whose registration has this digest.
    AddDevice(Digest),
    /// An administrator's invite. The tap signs the user, this SHA-256 of the request, and the
    /// terms that the gate adds: the hash of the secret, and from when till when.
    Invite {
        /// Who is invited.
        user: UserName,
        /// The request's SHA-256.
        request: Digest,
    },
}

/// A target and the login that is wanted there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Goal {
    /// The target's kind.
    pub kind: Kind,
    /// Its name.
    pub target: TargetName,
    /// The login there.
    pub login: Login,
}

/// As a person reads it: `Node "prod3"`.
impl std::fmt::Display for Goal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} \"{}\"", self.kind.title(), self.target)
    }
}

/// A ceremony that signs exactly what was wished for. Only [`Checked::new`] makes one, and only
/// from one can a key be asked.
#[derive(Debug)]
pub struct Checked {
    id: String,
    expires: UnixTime,
    webauthn: RequestChallengeResponse,
}

impl Checked {
    /// Compares what the gate wants signed with what was wished for.
    pub fn new(ceremony: Ceremony, wish: &Wish<'_>) -> Result<Self> {
        let der = from_base64(&ceremony.statement)?;
        let random = from_base64(&ceremony.random)?;
        let random = random.as_slice().try_into().map_err(|_| lie("random bytes of the wrong length"))?;
        let statement = Statement::from_der(&der).act(|| "the gate's statement cannot be read".to_owned())?;
        if ceremony.webauthn.public_key.challenge.as_slice() != challenge(random, &der).as_slice() {
            return Err(lie("a challenge that is not over the statement"));
        }
        compare(statement.parts(), wish, ceremony.invite.as_ref())?;
        Ok(Self { id: ceremony.id, expires: statement.parts().expires, webauthn: ceremony.webauthn })
    }

    /// Has the tap made and takes it to the gate's path for it, before any other command of this user's is answered.
    pub async fn finish<T>(self, means: &mut Means, handover: &Handover<'_>, finish: &str) -> Result<T>
    where
        T: DeserializeOwned,
    {
        let _turn = match means {
            // Of two that a key signs at once the later may reach the gate first, to which the earlier then looks like
            // a copied key's, whose counter lags behind.
            Means::Key(_) => {
                let (file, left) = (Home::from_env()?.run()?.join("tap.turn"), self.expires.since(SystemClock.now()));
                Some(turn(&file, left, "another command still waits for its tap").await?)
            }
            Means::Browser(_) => None,
        };
        let assertion = self.answer(means, handover).await?;
        handover.http.post(finish, &assertion).await
    }

    /// Asks for the tap by these means.
    async fn answer(self, means: &mut Means, handover: &Handover<'_>) -> Result<Assertion> {
        match means {
            Means::Key(solver) => self.tap(handover.origin, solver.as_mut()),
            Means::Browser(carry) => {
                let webauthn = handover.tap(*carry, &self.id, self.expires).await?;
                Ok(Assertion { id: self.id, webauthn })
            }
        }
    }

    /// Asks a key for the tap.
    pub fn tap(self, origin: &Url, solver: &mut dyn Solver) -> Result<Assertion> {
        ask_for_touch("Tap any security key");
        let webauthn = solver.authenticate(origin, self.webauthn)?;
        eprintln!("Detected security key tap");
        Ok(Assertion { id: self.id, webauthn })
    }
}

/// Compares what an identity provider's token will sign with what was wished for. The nonce is the gate's to set.
pub fn check_statement(statement: &str, wish: &Wish<'_>) -> Result<()> {
    let der = from_base64(statement)?;
    let statement = Statement::from_der(&der).act(|| "the gate's statement cannot be read".to_owned())?;
    compare(statement.parts(), wish, None)
}

fn compare(parts: &StatementParts, wish: &Wish<'_>, terms: Option<&InviteTerms>) -> Result<()> {
    if parts.gate != *wish.gate {
        return Err(lie("another gate"));
    }
    if parts.user != *wish.user {
        return Err(lie("another user"));
    }
    if parts.expires <= wish.now.minus(CLOCK_SKEW) || parts.created > wish.now.plus(CLOCK_SKEW) {
        return Err(lie("another time").advise("compare this machine's clock with the gate's"));
    }
    match &wish.deed {
        Deed::Login(action) => action_only(parts, Purpose::Login, Some(*action)),
        Deed::Admin(action) => action_only(parts, Purpose::Admin, Some(*action)),
        Deed::AddDevice(action) => action_only(parts, Purpose::AddDevice, Some(*action)),
        Deed::Invite { user, request } => {
            let invite =
                terms.and_then(|terms| invite(user, *request, terms)).ok_or_else(|| lie("an invite without terms"))?;
            action_only(parts, Purpose::Admin, Some(invite.digest()))
        }
        Deed::Session { goals, key, reusable } => session(parts, goals, *key, *reusable),
    }
}

/// The invite that the tap is to sign, put together anew from the request and the gate's terms.
fn invite(user: &UserName, request_sha256: Digest, terms: &InviteTerms) -> Option<Invite> {
    let (created, expires) = (UnixTime::from_secs(terms.created), UnixTime::from_secs(terms.expires));
    let token_sha256 = terms.token_sha256.parse().ok()?;
    Some(Invite { user: user.clone(), token_sha256, request_sha256, created, expires })
}

fn action_only(parts: &StatementParts, purpose: Purpose, action: Option<Digest>) -> Result<()> {
    if parts.purpose != purpose {
        return Err(lie("another purpose"));
    }
    if action.is_none() || parts.action != action || !parts.targets.is_empty() {
        return Err(lie("another action"));
    }
    Ok(())
}

/// The statement's targets are those that were asked for, each of them once, all by this key.
fn session(parts: &StatementParts, goals: &[Goal], key: Digest, reusable: bool) -> Result<()> {
    if parts.purpose != Purpose::Session || parts.action.is_some() {
        return Err(lie("another purpose"));
    }
    let mut left: Vec<&Goal> = goals.iter().collect();
    for entry in &parts.targets {
        let named = |goal: &&Goal| entry.target.kind == goal.kind && entry.target.name == goal.target;
        match left.iter().position(|goal| named(goal) && entry.login == goal.login) {
            Some(at) => drop(left.swap_remove(at)),
            None if left.iter().any(named) => return Err(lie("another login")),
            None if left.is_empty() => return Err(lie("more than was asked for")),
            None => return Err(lie("another target")),
        }
        if entry.holder != Holder::SessionKey(key) {
            return Err(lie("another key"));
        }
    }
    if !left.is_empty() {
        return Err(lie("less than was asked for"));
    }
    if parts.uses != (if reusable { Uses::Window } else { Uses::Once }) {
        return Err(lie("another number of uses"));
    }
    Ok(())
}

fn lie(what: &str) -> Failure {
    Failure::new(format!("the gate wants a tap for {what}, so no key was asked"))
        .advise("tell the gate's administrator")
}

/// The origin that a tap is made for: the gate's own, as TLS has authenticated it, or the tap
/// page's where that is this gate's `tap.` name.
pub fn origin(gate: &GateAddr, auth: &FindAuth) -> Result<Url> {
    let own = gate.origin()?;
    let claimed = Url::parse(&auth.origin).ok();
    let accepted = claimed.filter(|url| {
        let host = url.host_str().unwrap_or_default();
        let secure = url.scheme() == "https" || (url.scheme() == "http" && host == "localhost");
        secure && (host == gate.host() || host == format!("tap.{}", gate.host()))
    });
    Ok(accepted.unwrap_or(own))
}

#[cfg(test)]
mod tests {
    use tapgate_model::{TargetRef, TargetUid};
    use tapgate_proof::StatementTarget;

    use super::*;
    use crate::keys::to_base64;

    const GATE: Digest = Digest::from_bytes([1; 32]);
    const KEY: Digest = Digest::from_bytes([2; 32]);
    const ACTION: Digest = Digest::from_bytes([3; 32]);
    const NOW: UnixTime = UnixTime::from_secs(1_000_000);

    fn session_parts() -> StatementParts {
        let target =
            TargetRef { kind: Kind::Node, name: "prod3".parse().unwrap(), uid: TargetUid::from_bytes([4; 16]) };
        let login = Login::Unix("jerry".parse().unwrap());
        StatementParts {
            gate: GATE,
            purpose: Purpose::Session,
            user: "jerry".parse().unwrap(),
            uses: Uses::Window,
            source_ip: None,
            action: None,
            targets: vec![StatementTarget { target, login, holder: Holder::SessionKey(KEY) }],
            created: NOW,
            expires: UnixTime::from_secs(1_000_300),
        }
    }

    fn admin_parts() -> StatementParts {
        StatementParts {
            purpose: Purpose::Admin,
            uses: Uses::Once,
            action: Some(ACTION),
            targets: Vec::new(),
            ..session_parts()
        }
    }

    fn ceremony(parts: StatementParts) -> Ceremony {
        let der = Statement::new(parts).unwrap().to_der();
        let challenge = to_base64(&challenge(&[5; 32], &der));
        let webauthn = serde_json::json!({
            "publicKey": {"challenge": challenge, "rpId": "localhost", "allowCredentials": [], "userVerification": "preferred"}
        });
        Ceremony {
            id: "1".into(),
            expires: 1_000_300,
            random: to_base64(&[5; 32]),
            statement: to_base64(&der),
            webauthn: serde_json::from_value(webauthn).unwrap(),
            invite: None,
            attested: None,
        }
    }

    fn goal(target: &str) -> Goal {
        Goal { kind: Kind::Node, target: target.parse().unwrap(), login: Login::Unix("jerry".parse().unwrap()) }
    }

    fn session_deed(goals: &[Goal]) -> Deed<'_> {
        Deed::Session { goals, key: KEY, reusable: true }
    }

    fn named(target: &str, uid: u8) -> StatementTarget {
        let mut entry = session_parts().targets.remove(0);
        entry.target.name = target.parse().unwrap();
        entry.target.uid = TargetUid::from_bytes([uid; 16]);
        entry
    }

    fn refusal(parts: StatementParts, deed: Deed<'_>) -> Option<String> {
        let wish = Wish { gate: &GATE, user: &"jerry".parse().unwrap(), deed, now: NOW };
        Checked::new(ceremony(parts), &wish).err().map(|failure| failure.to_string())
    }

    #[test]
    fn what_was_asked_for_may_be_tapped() {
        let prod3 = [goal("prod3")];
        assert_eq!(refusal(session_parts(), session_deed(&prod3)), None);
        assert_eq!(refusal(admin_parts(), Deed::Admin(ACTION)), None);
        let login = StatementParts { purpose: Purpose::Login, ..admin_parts() };
        assert_eq!(refusal(login, Deed::Login(ACTION)), None);
    }

    /// One change to an honest statement, and what it is refused as.
    fn check(change: impl FnOnce(&mut StatementParts), expect: &str) {
        let prod3 = [goal("prod3")];
        let mut parts = session_parts();
        change(&mut parts);
        let refusal = refusal(parts, session_deed(&prod3)).unwrap_or_default();
        assert!(refusal.starts_with(&format!("the gate wants a tap for {expect}")), "{expect}: {refusal}");
    }

    #[test]
    fn anything_else_is_refused_before_the_tap() {
        check(|p| p.gate = KEY, "another gate");
        check(|p| p.user = "ann".parse().unwrap(), "another user");
        check(|p| p.targets[0].target.name = "prod4".parse().unwrap(), "another target");
        check(|p| p.targets[0].login = Login::Unix("root".parse().unwrap()), "another login");
        check(|p| p.targets[0].holder = Holder::SessionKey(ACTION), "another key");
        check(|p| p.targets[0].holder = Holder::WebSession(KEY), "another key");
        check(|p| p.uses = Uses::Once, "another number of uses");
        check(|p| p.created = UnixTime::from_secs(1_000_200), "another time");
        check(|p| p.targets.push(named("prod4", 6)), "more than was asked for");
    }

    #[test]
    fn one_tap_for_several_targets_names_exactly_those() {
        let goals = [goal("prod3"), goal("prod4"), goal("prod5")];
        let refused = |targets: Vec<StatementTarget>| {
            refusal(StatementParts { targets, ..session_parts() }, session_deed(&goals)).unwrap_or_default()
        };
        let [three, four, five, six] =
            [("prod3", 4), ("prod4", 5), ("prod5", 6), ("prod6", 7)].map(|(n, u)| named(n, u));
        let all = vec![four.clone(), five.clone(), three.clone()];
        assert_eq!(refused(all.clone()), "");
        assert!(refused(vec![three.clone(), four.clone()]).contains("less than was asked for"));
        assert!(refused(vec![three.clone(), four.clone(), six.clone()]).contains("another target"));
        assert!(refused([all.clone(), vec![six]].concat()).contains("more than was asked for"));
        let mut root = all.clone();
        root[1].login = Login::Unix("root".parse().unwrap());
        assert!(refused(root).contains("another login"));
        let mut stolen = all;
        stolen[2].holder = Holder::SessionKey(ACTION);
        assert!(refused(stolen).contains("another key"));
        // The same name under two uids is the same target twice to whoever reads it.
        assert!(!refused(vec![three, named("prod3", 9), four, five]).is_empty());
    }

    #[test]
    fn a_tap_for_one_purpose_is_none_for_another() {
        let prod3 = [goal("prod3")];
        assert!(refusal(admin_parts(), session_deed(&prod3)).is_some());
        assert!(refusal(session_parts(), Deed::Admin(ACTION)).is_some());
        assert!(refusal(admin_parts(), Deed::Login(ACTION)).is_some());
        assert!(refusal(admin_parts(), Deed::Admin(KEY)).is_some());
        assert!(refusal(admin_parts(), Deed::AddDevice(ACTION)).is_some());
        let device = StatementParts { purpose: Purpose::AddDevice, ..admin_parts() };
        assert_eq!(refusal(device.clone(), Deed::AddDevice(ACTION)), None);
        assert!(refusal(device.clone(), Deed::AddDevice(KEY)).is_some(), "another key");
        assert!(refusal(device, Deed::Admin(ACTION)).is_some());
    }

    #[test]
    fn an_invite_is_tapped_for_its_user_request_and_terms_alone() {
        let terms = InviteTerms { token_sha256: KEY.to_string(), created: 1_000_000, expires: 1_003_600 };
        let ann: UserName = "ann".parse().unwrap();
        let honest = StatementParts { action: invite(&ann, ACTION, &terms).map(|i| i.digest()), ..admin_parts() };
        let refused = |user: &UserName, request, terms: Option<&InviteTerms>| {
            let deed = Deed::Invite { user: user.clone(), request };
            let wish = Wish { gate: &GATE, user: &"jerry".parse().unwrap(), deed, now: NOW };
            let ceremony = Ceremony { invite: terms.cloned(), ..ceremony(honest.clone()) };
            Checked::new(ceremony, &wish).is_err()
        };
        assert!(!refused(&ann, ACTION, Some(&terms)));
        assert!(refused(&"mallory".parse().unwrap(), ACTION, Some(&terms)));
        assert!(refused(&ann, KEY, Some(&terms)), "other roles");
        assert!(refused(&ann, ACTION, Some(&InviteTerms { expires: 1_003_601, ..terms.clone() })));
        assert!(refused(&ann, ACTION, None));
    }

    #[test]
    fn a_challenge_that_is_not_over_the_statement_is_refused() {
        let prod3 = [goal("prod3")];
        let wish = Wish { gate: &GATE, user: &"jerry".parse().unwrap(), deed: session_deed(&prod3), now: NOW };
        let mut other = ceremony(session_parts());
        other.random = to_base64(&[6; 32]);
        assert!(Checked::new(other, &wish).is_err());
        let mut short = ceremony(session_parts());
        short.random = to_base64(&[5; 31]);
        assert!(Checked::new(short, &wish).is_err());
        let mut hidden = ceremony(session_parts());
        hidden.statement = ceremony(admin_parts()).statement;
        assert!(Checked::new(hidden, &wish).is_err());
    }

    #[test]
    fn origins() {
        let gate: GateAddr = "gate.example.com:443".parse().unwrap();
        let check = |claimed: &str, expect: &str| {
            let auth = FindAuth {
                kind: "local".into(),
                second_factors: Vec::new(),
                rp_id: String::new(),
                origin: claimed.into(),
                allow_cli_auth_via_browser: false,
                connectors: Vec::new(),
            };
            assert_eq!(origin(&gate, &auth).unwrap().origin().ascii_serialization(), expect, "{claimed:?}");
        };
        let own = "https://gate.example.com";
        check("https://tap.gate.example.com", "https://tap.gate.example.com");
        check("https://gate.example.com:8443", "https://gate.example.com:8443");
        for foreign in [
            "",
            "https://evil.example.com",
            "https://xtap.gate.example.com",
            "https://gate.example.com.evil.example",
            "http://tap.gate.example.com",
        ] {
            check(foreign, own);
        }
    }
}
