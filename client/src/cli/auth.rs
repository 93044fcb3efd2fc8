//! `tapctl auth`: the gate's authorities, for those who must trust them, and their rotation.

use clap::{Subcommand, ValueEnum};
use tapgate_api::{AdminAction, Authorities, AuthorityEntry, path};

use super::{Context, admin, output};
use crate::error::{Failure, Result};

/// What is to be done with authorities.
#[derive(Debug, Subcommand)]
pub enum Auth {
    /// Print the authorities, and how far a rotation is
    #[command(after_help = "Example:\n  tapctl auth ls")]
    Ls,
    /// Print public keys and certificates, for those who must trust them; in a rotation both the old and the new
    #[command(after_help = "Examples:\n  tapctl auth export --type target --kind target-ssh > tapgate_user_ca.pub\n  \
                            tapctl auth export --type target --kind target-tls > tapgate_client_ca.pem")]
    Export {
        /// Whose: what the gate shows to targets, most of the time
        #[arg(long = "type", value_enum, default_value_t = Type::Target)]
        group: Type,
        /// One kind of those, as `tapctl auth ls` names it
        #[arg(long)]
        kind: Option<String>,
    },
    /// Take a step of a rotation: prepare, switch, finish; rollback goes back
    #[command(after_help = "Example:\n  tapctl auth rotate --type user --phase prepare")]
    Rotate {
        /// What is rotated: authorities of logins (user), of sessions, for targets, of the gate's SSH host key (host), or
        /// the CA whose pin clients have (gate)
        #[arg(long = "type", value_enum)]
        group: Type,
        /// The step
        #[arg(long, value_enum)]
        phase: Phase,
        /// Give up what still depends on the old authority
        #[arg(long)]
        now: bool,
    },
}

/// What is rotated together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Type {
    /// They sign logins.
    User,
    /// They sign sessions.
    Session,
    /// They sign what the gate shows to targets.
    Target,
    /// It signs the gate's SSH host key.
    Host,
    /// It signs the gate's own certificate; clients know it by its pin, and follow it.
    Gate,
}

/// A step of a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Phase {
    /// Make the new authority, which signs nothing yet.
    Prepare,
    /// Have the new one sign; what the old one has signed still counts.
    Switch,
    /// Forget the old one.
    Finish,
    /// Go back to the old one.
    Rollback,
}

impl Type {
    const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Session => "session",
            Self::Target => "target",
            Self::Host => "host",
            Self::Gate => "gate",
        }
    }
}

impl Phase {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::Switch => "switch",
            Self::Finish => "finish",
            Self::Rollback => "rollback",
        }
    }
}

/// Runs the command.
pub async fn run(context: &Context, command: Auth) -> Result<()> {
    match command {
        Auth::Ls => list(context).await,
        Auth::Export { group, kind } => export(context, group, kind.as_deref()).await,
        Auth::Rotate { group, phase, now } => {
            let (authority, step) = (group.as_str().to_owned(), phase.as_str().to_owned());
            let action = AdminAction::RotateAuthority { authority, step, at_once: now };
            let outcome = admin::change(context, &action).await?;
            output::show(context.format(), &outcome, admin::lines)
        }
    }
}

async fn all(context: &Context) -> Result<Authorities> {
    context.with_login()?.get(path::AUTHORITIES, &[]).await
}

/// The CA that the gate's certificates come from, PEM, for clients that know no pin; the next one too, where it is
/// there.
pub(crate) async fn of_gate(context: &Context) -> Result<String> {
    let Authorities { authorities } = all(context).await?;
    let good = authorities.iter().filter(|entry| entry.authority == Type::Gate.as_str() && entry.state != "old");
    let text: String = good.map(|entry| entry.public.as_str()).collect();
    if text.is_empty() {
        return Err(Failure::new("the gate does not show its CA").advise("is it of this client's version?"));
    }
    Ok(text)
}

async fn list(context: &Context) -> Result<()> {
    output::show(context.format(), &all(context).await?, |all| {
        let row = |entry: &AuthorityEntry| {
            [&entry.authority, &entry.kind, &entry.state, &entry.fingerprint].map(ToString::to_string).to_vec()
        };
        let rows: Vec<_> = all.authorities.iter().map(row).collect();
        output::headed(&["Type", "Kind", "State", "Fingerprint"], &rows)
    })
}

async fn export(context: &Context, group: Type, kind: Option<&str>) -> Result<()> {
    let Authorities { mut authorities } = all(context).await?;
    authorities.retain(|entry| entry.authority == group.as_str() && kind.is_none_or(|kind| entry.kind == kind));
    if authorities.is_empty() {
        return Err(Failure::new("there is no such authority").advise("tapctl auth ls lists them"));
    }
    output::show(context.format(), &Authorities { authorities }, |all| {
        all.authorities.iter().map(|entry| entry.public.as_str()).collect()
    })
}
