//! `tap proxy app`: an application at a place on this machine, for curl, scripts and every other program.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use tapgate_api::{AppEntry, Apps, path};
use tapgate_model::tunnel::{self, Hail};
use tapgate_model::{Kind, Login, TargetName};
use tokio::io::split;
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tokio::task::LocalSet;
use tokio_rustls::client::TlsStream;

use super::Way;
use super::http::{HEADER, Serve};
use super::listen::{Listener, Local, Place};
use super::secret::Secret;
use crate::cli::{Context, output};
use crate::error::{Act as _, Failure, Result};
use crate::limits::PROXY_CONNECTIONS_MAX;
use crate::ssh::tunnel::carry;
use crate::tunnel::hail;

/// What the command line says.
#[derive(Debug, Clone, clap::Args)]
pub struct Flags {
    /// The application, as `tap app ls` shows it
    name: TargetName,
    /// Listen on a Unix socket at this path, which you alone can open (the default, in tap's own folder)
    #[arg(long, value_name = "PATH", conflicts_with = "port")]
    socket: Option<PathBuf>,
    /// Listen on this port of 127.0.0.1, 0 for any; requests must show a secret that is made for this run
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// The port of a TCP application that has several
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    target_port: Option<u16>,
    /// Let every user and program of this machine through a port to a TCP application, which can't show a secret
    #[arg(long, requires = "port")]
    insecure_tcp: bool,
}

/// Where the proxy listens, as it is told.
#[derive(Debug, Serialize)]
struct Listening {
    app: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    socket: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    /// The file with the header that requests must have.
    #[serde(skip_serializing_if = "Option::is_none")]
    header_file: Option<PathBuf>,
}

/// What is behind the proxy, and how its connections get there.
struct Target {
    way: Way,
    hail: Hail,
}

impl Target {
    /// A tunnel that leads to the application.
    async fn reach(&self) -> Result<TlsStream<TcpStream>> {
        let mut stream = self.way.tunnel().await?;
        hail(&mut stream, &self.hail).await?;
        Ok(stream)
    }
}

/// Lists the applications.
pub async fn list(context: &Context) -> Result<()> {
    let Apps { apps } = context.with_login()?.get(path::APPS, &[]).await?;
    output::show(context.format(), &apps, |apps| output::table(&apps.iter().map(row).collect::<Vec<_>>()))
}

/// `grafana (env=prod)`, where to open it, whether a tap is due, and why it can't be reached.
fn row(app: &AppEntry) -> Vec<String> {
    let labels: Vec<_> = app.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let name = if labels.is_empty() { app.name.clone() } else { format!("{} ({})", app.name, labels.join(",")) };
    let range = |(first, last): &(u16, u16)| if first == last { first.to_string() } else { format!("{first}-{last}") };
    let ports: Vec<_> = app.ports.iter().map(range).collect();
    let place = match (&app.url, app.tcp) {
        (Some(url), _) => url.clone(),
        (None, true) if ports.is_empty() => "tcp".to_owned(),
        (None, true) => format!("tcp {}", ports.join(",")),
        (None, false) => "http".to_owned(),
    };
    let mfa = if app.mfa_required { "MFA" } else { "" };
    let down = app.down.as_ref().map(|why| format!("down: {why}"));
    vec![name, place, mfa.to_owned(), down.unwrap_or_default()]
}

/// Serves until it is told to end.
pub async fn run(context: Context, flags: Flags) -> Result<()> {
    let app = find(&context, &flags.name).await?;
    let raw_port = flags.port.is_some() && app.tcp;
    if raw_port && !flags.insecure_tcp {
        return Err(Failure::new("anybody on this machine could use a port of a TCP application")
            .advise("leave --port out for a socket of your own, or accept that with --insecure-tcp"));
    }
    if !app.ports.is_empty() && flags.target_port.is_none() {
        return Err(Failure::new(format!("{} has several ports", app.name)).advise("choose one with --target-port"));
    }
    if !app.tcp && flags.target_port.is_some() {
        return Err(Failure::new(format!("{} is no TCP application", app.name)).advise("leave --target-port out"));
    }
    let name = flags.target_port.map_or_else(|| flags.name.to_string(), |port| format!("{}-{port}", flags.name));
    let place = Place::chosen(&context.home, &name, flags.socket, flags.port)?;
    let alpn = if app.tcp { tunnel::TCP } else { tunnel::APP };
    let format = context.format();
    let run_dir = context.home.run()?.to_owned();
    let way = Way::new(Arc::new(context), Kind::App, flags.name.clone(), Login::App, alpn);
    way.prepare().await?;
    let target = Arc::new(Target { way, hail: Hail { target: flags.name, port: flags.target_port } });
    let listener = Listener::bind(&place).await?;
    let guard = match listener.address() {
        Some(address) if !app.tcp => Some(Guard::new(&run_dir, address.port())?),
        _ => None,
    };
    let told = Listening {
        app: app.name.clone(),
        socket: listener.socket().map(std::path::Path::to_owned),
        address: listener.address().map(|address| address.to_string()),
        header_file: guard.as_ref().map(|guard| guard.file.path().to_owned()),
    };
    output::show(format, &told, describe)?;
    let served = guard.as_ref().map(|guard| Arc::clone(&guard.serve));
    // A security key is asked on the thread that it was found on, so that all connections stay on this one.
    let work = async {
        tokio::select! {
            failed = accept(&listener, &target, served) => failed,
            ended = told_to_end() => ended,
        }
    };
    LocalSet::new().run_until(work).await
}

async fn find(context: &Context, name: &TargetName) -> Result<AppEntry> {
    let Apps { apps } = context.with_login()?.get(path::APPS, &[]).await?;
    apps.into_iter().find(|app| app.name == name.as_str()).ok_or_else(|| {
        Failure::new(format!("there is no application {name} for you")).advise("tap app ls shows what you may open")
    })
}

fn describe(told: &Listening) -> String {
    match (&told.socket, &told.address, &told.header_file) {
        (Some(socket), _, _) => format!(
            "Proxying to {} at {}\nFor example: curl --unix-socket {} http://{}/\n",
            told.app,
            socket.display(),
            socket.display(),
            told.app
        ),
        (None, Some(address), Some(file)) => format!(
            "Proxying to {} at http://{address}/ for requests with the header in {}\nFor example: curl -H @{} \
             http://{address}/\n",
            told.app,
            file.display(),
            file.display()
        ),
        (None, Some(address), None) => {
            format!("Proxying to {} at {address}, for everybody on this machine\n", told.app)
        }
        (None, None, _) => String::new(),
    }
}

/// The secret of a port, and the file that its owner reads it from.
struct Guard {
    serve: Arc<Serve>,
    file: tempfile::NamedTempFile,
}

impl Guard {
    fn new(folder: &std::path::Path, port: u16) -> Result<Self> {
        let act = || "the secret's file cannot be written".to_owned();
        let secret = Secret::generate()?;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        let mut file = tempfile::Builder::new().prefix("header-").permissions(mode).tempfile_in(folder).act(act)?;
        writeln!(file, "{HEADER}: {}", secret.reveal()).act(act)?;
        Ok(Self { serve: Arc::new(Serve::new(secret, port)), file })
    }
}

async fn accept(listener: &Listener, target: &Arc<Target>, guard: Option<Arc<Serve>>) -> Result<()> {
    let room = Arc::new(Semaphore::new(PROXY_CONNECTIONS_MAX));
    loop {
        let local = listener.accept().await?;
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
            eprintln!("WARNING: too many connections at once; one was closed");
            continue;
        };
        let (target, guard) = (Arc::clone(target), guard.clone());
        tokio::task::spawn_local(async move {
            let served = match guard {
                Some(guard) => guard.connection(local, || async { target.reach().await }).await,
                None => pass(local, &target).await,
            };
            if let Err(failure) = served {
                eprintln!("ERROR: {failure}");
            }
            drop(permit);
        });
    }
}

/// Carries bytes as they are.
async fn pass(local: Local, target: &Target) -> Result<()> {
    let stream = target.reach().await?;
    let (input, output) = split(local);
    // A program that hangs up is no failure.
    carry(stream, input, output).await.or(Ok(()))
}

/// Waits until somebody ends this process in peace.
pub(crate) async fn told_to_end() -> Result<()> {
    let act = || "signals cannot be awaited".to_owned();
    let mut terminate = signal(SignalKind::terminate()).act(act)?;
    let mut hangup = signal(SignalKind::hangup()).act(act)?;
    let mut interrupt = signal(SignalKind::interrupt()).act(act)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows() {
        let app = |name: &str, url: Option<&str>, tcp, ports: &[(u16, u16)]| AppEntry {
            name: name.to_owned(),
            url: url.map(str::to_owned),
            tcp,
            ports: ports.to_vec(),
            labels: [("env".to_owned(), "prod".to_owned())].into(),
            mfa_required: true,
            down: None,
        };
        let check = |app: AppEntry, place: &str| assert_eq!(row(&app).get(1).map(String::as_str), Some(place));
        check(app("grafana", Some("https://grafana.apps.example"), false, &[]), "https://grafana.apps.example");
        check(app("broker", None, true, &[(5671, 5672), (15672, 15672)]), "tcp 5671-5672,15672");
        check(app("redis", None, true, &[]), "tcp");
        assert_eq!(row(&app("a", None, true, &[])).first().map(String::as_str), Some("a (env=prod)"));
    }
}
