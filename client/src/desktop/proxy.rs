//! `tap proxy desktop`: a desktop at a place on this machine, for any viewer.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use tapgate_model::{DesktopProtocol, LoginName, TargetName};
use tokio::signal::unix::{SignalKind, signal};

use super::front::Front;
use super::{one, vnc};
use crate::cli::{Context, output};
use crate::error::{Act as _, Failure, Result};
use crate::proxy::listen::{Listener, Place};
use crate::proxy::secret::Secret;

/// What to serve, and where.
#[derive(Debug, clap::Args)]
pub struct ProxyDesktop {
    /// The desktop, as in tap desktop ls
    #[arg(value_name = "DESKTOP")]
    pub desktop: TargetName,
    /// Who to become there; may be left out where your roles allow one alone
    #[arg(long, value_name = "LOGIN")]
    pub login: Option<LoginName>,
    /// Serve a port of 127.0.0.1 (0 for any); viewers must then show the password that is printed
    #[arg(long, value_name = "PORT", conflicts_with = "socket")]
    pub port: Option<u16>,
    /// Serve this Unix socket, which you alone can open (the default, in tap's own folder)
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Let every user and program of this machine through a port to a desktop that is passed through as it is, where
    /// nobody on the way can ask for a password
    #[arg(long, requires = "port")]
    pub insecure_tcp: bool,
}

/// What is printed once it serves.
#[derive(Debug, Serialize)]
struct Served<'a> {
    desktop: &'a TargetName,
    login: &'a LoginName,
    protocol: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    socket: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<&'a str>,
}

/// Serves until it is told to end.
pub async fn run(context: Context, proxy: ProxyDesktop) -> Result<()> {
    context.user()?;
    let desktop = one(&context, &proxy.desktop).await?;
    let (login, protocol) = (desktop.login(proxy.login.as_ref())?, desktop.speaks()?);
    if proxy.port.is_some() && desktop.is_opaque() && !proxy.insecure_tcp {
        return Err(Failure::new("anybody on this machine could use a port to a desktop that is passed through")
            .advise("leave --port out for a socket of your own, or accept that with --insecure-tcp"));
    }
    let place = Place::chosen(&context.home, &format!("desktop-{}", desktop.name), proxy.socket, proxy.port)?;
    let listener = Listener::bind(&place).await?;
    let secret = match (listener.address(), protocol) {
        (None, _) => None,
        (Some(_), _) if desktop.is_opaque() => None,
        (Some(_), DesktopProtocol::Vnc) => Some(vnc::password()?),
        (Some(_), DesktopProtocol::Rdp) => Some(Secret::generate()?),
    };
    let format = context.format();
    let front = Arc::new(Front::new(context, &desktop, login.clone(), secret)?);
    front.prepare().await?;
    let told = Served {
        desktop: &desktop.name,
        login: &login,
        protocol: protocol.as_str(),
        socket: listener.socket().map(|path| path.display().to_string()),
        address: listener.address().map(|address| address.to_string()),
        password: front.secret().map(Secret::reveal),
    };
    output::show(format, &told, describe)?;
    let act = || "signals cannot be awaited".to_owned();
    let mut terminate = signal(SignalKind::terminate()).act(act)?;
    let mut hangup = signal(SignalKind::hangup()).act(act)?;
    tokio::select! {
        served = front.serve(&listener) => served,
        ended = tokio::signal::ctrl_c() => ended.act(act),
        _ = terminate.recv() => Ok(()),
        _ = hangup.recv() => Ok(()),
    }
}

fn describe(told: &Served<'_>) -> String {
    let Served { desktop, login, protocol, socket, address, password } = told;
    let place = socket.as_ref().or(address.as_ref()).map_or("", String::as_str);
    let example = match (*protocol, address, password) {
        ("rdp", Some(address), Some(_)) => format!("xfreerdp /v:{address} /u:{login} /from-stdin:force"),
        ("rdp", ..) => format!("xfreerdp /v:{place} /u:{login} (where TLS is the desktop's own; others need --port)"),
        (_, Some(address), _) => format!("xtigervncviewer {}", address.replacen(':', "::", 1)),
        (_, None, _) => format!("xtigervncviewer {place}"),
    };
    let password = password.map_or_else(String::new, |password| {
        format!("Whoever connects must show this password; it is gone with this run:\n\n  {password}\n\n")
    });
    format!(
        "Desktop \"{desktop}\" ({protocol}) is served at {place} until Ctrl-C.\n{password}Connect with:\n\n  {example}\n"
    )
}
