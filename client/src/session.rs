//! A session's certificates: the login's where no tap is due, else a window's, old or new.

use tapgate_api::{Requirement, SessionBegin, SessionCertificates, SessionTarget, SsoSessionBegin, path};
use tapgate_model::{Clock as _, Kind, Login, SystemClock, TargetName};

use crate::agent::client::AgentClient;
use crate::agent::wire::Window;
use crate::browser::{Handover, Return};
use crate::ceremony::{Checked, Deed, Goal, Wish};
use crate::cli::Context;
use crate::error::{Act as _, Failure, Result};
use crate::keys::{SessionKey, sha256, to_base64};
use crate::sso;

/// What a session is opened with.
pub enum Access {
    /// The login certificate.
    Login,
    /// A session certificate, and whatever can sign for it.
    Window {
        /// The certificates.
        certificates: SessionCertificates,
        /// Who signs.
        signer: Signer,
    },
}

/// Who holds a session key.
pub enum Signer {
    /// This process.
    Here(SessionKey),
    /// The agent, under this number.
    Agent(AgentClient, u64),
}

impl Signer {
    /// The Ed25519 signature of an SSH authentication request.
    pub async fn sign(&self, data: &[u8]) -> Result<Vec<u8>> {
        match self {
            Self::Here(key) => Ok(key.sign(data)),
            Self::Agent(agent, id) => agent.sign(*id, data).await,
        }
    }

    /// The signature of a TLS handshake, waited for on this thread: rustls asks for it in the midst of its own
    /// work, and the agent is a process of its own that answers at once.
    pub fn sign_now(&self, data: &[u8]) -> Result<Vec<u8>> {
        match self {
            Self::Here(key) => Ok(key.sign(data)),
            Self::Agent(agent, id) => agent.sign_now(*id, data),
        }
    }
}

/// Gets what a session of this target needs; asks for a tap where one is due.
pub async fn open(context: &Context, kind: Kind, target: &TargetName, login: &Login) -> Result<Access> {
    opened(context, kind, target, login, false).await
}

/// The same with a tap made now, whatever window is open.
pub async fn open_anew(context: &Context, kind: Kind, target: &TargetName, login: &Login) -> Result<Access> {
    opened(context, kind, target, login, true).await
}

async fn opened(context: &Context, kind: Kind, target: &TargetName, login: &Login, anew: bool) -> Result<Access> {
    let user = context.user()?;
    let window = Window {
        gate: context.profile.gate.to_string(),
        user: user.to_string(),
        kind: kind.to_string(),
        target: target.to_string(),
        login: login.to_string(),
    };
    let mut agent = if context.no_agent { None } else { Some(AgentClient::of(&context.home)?) };
    if let Some(client) = agent.clone().filter(|_| !anew) {
        match client.find(window.clone()).await {
            Ok(Some(kept)) => {
                let signer = Signer::Agent(client, kept.id);
                return Ok(Access::Window { certificates: kept.certificates, signer });
            }
            Ok(None) => {}
            Err(failure) => {
                eprintln!("WARNING: {failure}; going on without the agent");
                agent = None;
            }
        }
    }
    let key = SessionKey::generate()?;
    let goal = Goal { kind, target: target.clone(), login: login.clone() };
    match ask(context, std::slice::from_ref(&goal), &key).await? {
        Asked::Tapped(certificates) => Ok(keep(agent, window, certificates, key).await),
        Asked::NotDue | Asked::OneByOne => Ok(Access::Login),
    }
}

/// The same for several targets by one tap that names exactly those. Its key stays in this process: the agent keeps
/// windows of one target each. `None`: a role wants a tap for every single session.
pub async fn open_all(context: &Context, goals: &[Goal]) -> Result<Option<Access>> {
    let key = SessionKey::generate()?;
    Ok(match ask(context, goals, &key).await? {
        Asked::NotDue => Some(Access::Login),
        Asked::Tapped(certificates) => Some(Access::Window { certificates, signer: Signer::Here(key) }),
        Asked::OneByOne => None,
    })
}

/// What came of asking the gate.
enum Asked {
    /// No tap is due.
    NotDue,
    /// What the tap has yielded.
    Tapped(SessionCertificates),
    /// One tap opens one session alone, and several were asked for; nobody was asked to tap.
    OneByOne,
}

/// Asks the gate what is due, and taps.
async fn ask(context: &Context, goals: &[Goal], key: &SessionKey) -> Result<Asked> {
    let http = context.with_login()?;
    let spki = key.spki();
    let wanted = |goal: &Goal| SessionTarget {
        kind: goal.kind.to_string(),
        name: goal.target.to_string(),
        login: goal.login.to_string(),
    };
    let begin = SessionBegin { targets: goals.iter().map(wanted).collect(), public_key: to_base64(&spki) };
    let deed = |reusable| Deed::Session { goals, key: sha256(&spki), reusable };
    let asked = if context.wants_sso() { Requirement::Sso } else { http.post(path::SESSION_BEGIN, &begin).await? };
    let (ceremony, reusable) = match asked {
        Requirement::None => return Ok(Asked::NotDue),
        Requirement::Sso => {
            let certificates = ask_sso(context, begin, deed, &asked_for(goals), key).await?;
            return Ok(certificates.map_or(Asked::NotDue, Asked::Tapped));
        }
        Requirement::Tap { ceremony, reusable } => (ceremony, reusable),
    };
    if !reusable && goals.len() > 1 {
        return Ok(Asked::OneByOne);
    }
    let deed = deed(reusable);
    let wish = Wish { gate: context.profile.gate_name(), user: context.user()?, deed, now: SystemClock.now() };
    let checked = Checked::new(*ceremony, &wish)?;
    let origin = context.origin().await?;
    let means = context.means();
    // Said even where no key can be asked: it is why the session does not open.
    eprintln!("MFA is required to access {}", asked_for(goals));
    let handover = Handover { http: &http, path: path::SESSION_BROWSER, origin: &origin };
    let certificates: SessionCertificates = checked.finish(&mut means?, &handover, path::SESSION_FINISH).await?;
    fit(&certificates, key)?;
    Ok(Asked::Tapped(certificates))
}

/// What a tap is due for, in words.
fn asked_for(goals: &[Goal]) -> String {
    goals.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
}

/// The same by the identity provider.
async fn ask_sso<'a>(
    context: &Context,
    begin: SessionBegin,
    deed: impl FnOnce(bool) -> Deed<'a>,
    asked_for: &str,
    key: &SessionKey,
) -> Result<Option<SessionCertificates>> {
    if !context.may_use_sso() {
        // What makes no taps at all says so first.
        context.means()?;
        return Err(Failure::new("you have no security key here, and log in by an identity provider")
            .advise("use --mfa-mode=sso"));
    }
    let back = Return::bind().await?;
    let begin = SsoSessionBegin { targets: begin.targets, public_key: begin.public_key, back: back.told() };
    let certificates = sso::session(context, begin, back, deed, asked_for).await?;
    certificates.as_ref().map(|certificates| fit(certificates, key)).transpose()?;
    Ok(certificates)
}

fn fit(certificates: &SessionCertificates, key: &SessionKey) -> Result<()> {
    let ssh = ssh_key::Certificate::from_openssh(certificates.ssh_certificate.trim())
        .act(|| "the SSH session certificate cannot be read".to_owned())?;
    if key.is_key_of(ssh.public_key()) {
        Ok(())
    } else {
        Err(Failure::new("the gate's session certificate is for another key than ours"))
    }
}

/// Gives the key to the agent where the window may be used again. An agent that fails costs the
/// next session a tap, not this one its opening.
async fn keep(
    agent: Option<AgentClient>,
    window: Window,
    certificates: SessionCertificates,
    key: SessionKey,
) -> Access {
    if let Some(agent) = agent.filter(|_| certificates.reusable)
        && let Err(failure) = agent.put(window, certificates.clone(), key.seed()).await
    {
        eprintln!("WARNING: {failure}; the next session asks for a tap again");
    }
    Access::Window { certificates, signer: Signer::Here(key) }
}
