//! `tap proxy ssh --window`: what plain `ssh LOGIN@TARGET` runs. It leads to the target's own door at the gate, asks
//! for a tap where one is due, and signs for this one login.
//!
//! The connection is made at once and the tap is asked for meanwhile: `ssh` waits for its agent as long as it takes,
//! but for the gate's first words only as long as its `ConnectTimeout` says.

use std::fs::File;
use std::path::PathBuf;

use tapgate_model::Kind;
use tokio::io::{AsyncWriteExt as _, stdin, stdout};
use tokio::net::UnixListener;
use tokio::sync::oneshot;

use crate::cli::Context;
use crate::error::{Act as _, Failure, Result};
use crate::keys::SessionKey;
use crate::limits::TURN_WAIT;
use crate::profile::socket_path;
use crate::session::{Access, Signer, open};
use crate::ssh::agent_socket::Desk;
use crate::ssh::destination::Destination;
use crate::ssh::tunnel::carry;
use crate::tls::{Alpn, Tls};
use crate::turn::turn;

/// Where `ssh` goes: the login there, and the host name that it was given.
struct Place {
    destination: Destination,
    host: String,
}

impl Place {
    /// Reads `LOGIN@HOST`, where the host is `TARGET` or `TARGET.GATE`.
    fn parse(text: &str, gate: &str) -> Result<Self> {
        let (login, host) =
            text.rsplit_once('@').ok_or_else(|| Failure::new(format!("{text:?} is not LOGIN@TARGET")))?;
        let target = host.strip_suffix(gate).and_then(|name| name.strip_suffix('.')).unwrap_or(host);
        let act = || format!("{text:?} is not LOGIN@TARGET");
        let destination = Destination { target: target.parse().act(act)?, login: login.parse().act(act)? };
        Ok(Self { destination, host: host.to_owned() })
    }
}

/// Carries the bytes of one `ssh`, and is its agent.
pub async fn run(context: &Context, place: &str) -> Result<()> {
    let place_of = Place::parse(place, context.profile.gate.host())?;
    let mut counter = Counter::open(context.home.run()?.join(place)).await?;
    let mut line = line(context.tls()?, place_of.host);
    tokio::select! {
        ended = &mut line => ended.act(|| "the connection was dropped".to_owned())?,
        failed = counter.serve(context, &place_of.destination) => failed,
    }
}

/// Connects and carries, on a thread of its own: asking for a tap may keep this one busy, and bytes must pass
/// meanwhile.
fn line(tls: Tls, host: String) -> oneshot::Receiver<Result<()>> {
    let (end, ended) = oneshot::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.act(|| "the runtime cannot be started".to_owned());
        let carried = runtime.and_then(|runtime| {
            let carried = runtime.block_on(connect(&tls, &host));
            // A read of standard input may never end.
            runtime.shutdown_background();
            carried
        });
        // Nobody waits for it where the tap has failed.
        end.send(carried).ok();
    });
    ended
}

/// Leads to a target's own door at the gate, and carries bytes; whoever signs there is found elsewhere.
pub async fn behind(context: &Context, host: &str) -> Result<()> {
    Place::parse(&format!("x@{host}"), context.profile.gate.host())?;
    connect(&context.tls()?, host).await
}

async fn connect(tls: &Tls, host: &str) -> Result<()> {
    let mut stream = tls.connect(Alpn::Ssh).await?;
    let lead = format!("TO {host}\n");
    stream.write_all(lead.as_bytes()).await.act(|| "the connection to the gate has failed".to_owned())?;
    carry(stream, stdin(), stdout()).await
}

/// The certificate and its key: the login's where no tap is due.
async fn desk(context: &Context, destination: &Destination) -> Result<Desk> {
    let login = destination.login.to_string();
    match open(context, Kind::Node, &destination.target, &destination.as_login()).await? {
        Access::Login => {
            let files = context.login_files();
            let certificate = crate::files::read_optional(&files.ssh_certificate)?;
            let certificate =
                certificate.ok_or_else(|| Failure::new("the login certificate is gone").advise("run tap login"))?;
            Desk::new(&certificate, login, Signer::Here(SessionKey::of_login(&files)?))
        }
        Access::Window { certificates, signer } => Desk::new(&certificates.ssh_certificate, login, signer),
    }
}

/// The socket that `ssh` finds by its own name for the place. One `ssh` after the other has it, each until it is in:
/// a tap that is good for one session must not open another's.
struct Counter {
    listener: UnixListener,
    path: PathBuf,
    /// Locked until the socket is gone.
    turn: File,
}

impl Counter {
    async fn open(path: PathBuf) -> Result<Self> {
        socket_path(&path)?;
        let busy = "another ssh to the same target still waits for its tap";
        let turn = turn(&path.with_added_extension("turn"), TURN_WAIT, busy).await?;
        let act = || format!("{} cannot be served", path.display());
        // Whoever had it before us is gone, in peace or not.
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Failure::new(format!("{}: {error}", act())));
            }
            _ => {}
        }
        let listener = UnixListener::bind(&path).act(act)?;
        Ok(Self { listener, path, turn })
    }

    /// Serves until one login is signed, and from then on does nothing, for ever.
    async fn serve(&mut self, context: &Context, destination: &Destination) -> Result<()> {
        let desk = desk(context, destination).await?;
        while !desk.has_signed() {
            let (stream, _) = self.listener.accept().await.act(|| "the socket for ssh has failed".to_owned())?;
            if let Err(failure) = desk.connection(stream).await {
                eprintln!("WARNING: {failure}");
            }
        }
        self.leave();
        std::future::pending().await
    }

    fn leave(&self) {
        // The next one removes what is left behind, so a failure here is none.
        std::fs::remove_file(&self.path).ok();
        self.turn.unlock().ok();
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        // Once the turn is over, the socket at this path is another's.
        if self.turn.try_lock().is_ok() {
            std::fs::remove_file(&self.path).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let place = Place::parse("jerry@prod3.gate.example", "gate.example").unwrap();
        assert_eq!((place.destination.ssh_user().as_str(), place.host.as_str()), ("jerry@prod3", "prod3.gate.example"));
        assert_eq!(Place::parse("jerry@prod3", "gate.example").unwrap().host, "prod3");
        for bad in ["prod3", "@prod3", "jerry@", "a/b@prod3", "../x@prod3", "jerry@../prod3", "a'b@prod3", "jerry@a\nb"]
        {
            assert!(Place::parse(bad, "gate.example").is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn one_after_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jerry@prod3");
        let first = Counter::open(path.clone()).await.unwrap();
        let next = tokio::spawn(Counter::open(path.clone()));
        tokio::task::yield_now().await;
        assert!(!next.is_finished());
        first.leave();
        let next = next.await.unwrap().unwrap();
        drop(first);
        assert!(path.exists(), "the first one's end leaves the next one its socket");
        drop(next);
        assert!(!path.exists());
    }
}
