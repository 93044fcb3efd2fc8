//! A node on the way to another: the gate logs in there, and has it connect onward.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use russh::client::{DisconnectReason, Handle, Handler, RawSender};
use russh::keys::PublicKeyOrCertificate;
use tapgate_identity::Permit;
use tapgate_model::{Clock, LoginName};
use tapgate_relay::Io;
use tapgate_session::{Hop, Live};
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::algorithms;
use crate::host_key::KnownHost;
use crate::limits::{PIPE_PACKET_MAX, PIPE_WINDOW};
use crate::pipe::{Feed, Pipe, pipe};
use crate::severable::Severable;
use crate::target::{Door, Passport, TargetError, log_in};
use crate::wire::Packet;
use crate::write::{self, OpenFailure};

/// Our number for the one channel.
const OWN: u32 = 0;

/// A node that was entered on the way. Dropping it ends what leads through it.
pub(crate) struct HopLeg {
    _handle: Handle<Usher>,
    _sever: DropGuard,
}

/// Enters a node over this stream and has it connect onward; answers the stream from there.
pub(crate) async fn pass(
    passport: &Passport,
    io: Box<dyn Io>,
    hop: &Hop,
    login: &LoginName,
    live: &Live,
) -> Result<(HopLeg, Pipe), TargetError> {
    let known = KnownHost::new(&hop.node.name, &hop.trust);
    let config = algorithms::client(known.pinned(), known.has_authority(), hop.ssh.legacy_algorithms);
    let gangway = Arc::new(Mutex::new(Gangway::default()));
    let usher = Usher { known, clock: passport.clock(), gangway: Arc::clone(&gangway) };
    let token = CancellationToken::new();
    let sever = token.clone().drop_guard();
    let mut handle = russh::client::connect_stream(Arc::new(config), Severable::new(io, token), usher).await?;
    let login = hop.ssh.jump_login.as_ref().unwrap_or(login);
    log_in(passport, &mut handle, &Door { ssh: &hop.ssh, login, permits: &[Permit::PortForwarding] }, live).await?;

    let (answer, answered) = oneshot::channel();
    let sender = handle.raw_sender();
    {
        let mut gangway = lock(&gangway);
        gangway.asked = Some((sender.clone(), answer));
    }
    sender.send(write::open_direct(OWN, PIPE_WINDOW, PIPE_PACKET_MAX, &hop.onward_host, hop.onward_port));
    match answered.await {
        Ok(Ok(pipe)) => Ok((HopLeg { _handle: handle, _sever: sever }, pipe)),
        Ok(Err(reason)) => Err(TargetError::Onward(in_words(reason))),
        Err(_) => Err(TargetError::Onward("it closed the connection")),
    }
}

/// Why a node does not connect onward (RFC 4254, section 5.1). Its own words may hold addresses, and stay here.
const fn in_words(reason: u32) -> &'static str {
    match reason {
        1 => "it does not allow forwarding (see AllowTcpForwarding there)",
        2 => "it cannot connect to the next node (is that up?)",
        4 => "it has too many connections",
        _ => "it refused to connect onward",
    }
}

fn lock(gangway: &Mutex<Gangway>) -> MutexGuard<'_, Gangway> {
    gangway.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The one channel that leads onward.
#[derive(Default)]
struct Gangway {
    asked: Option<(RawSender, oneshot::Sender<Result<Pipe, u32>>)>,
    open: Option<(RawSender, Feed)>,
}

impl Gangway {
    /// Takes one packet of the node's; never waits. `None`: it broke the protocol.
    fn packet(&mut self, bytes: &[u8]) -> Option<()> {
        match Packet::parse(bytes).ok()? {
            Packet::GlobalRequest { want_reply, .. } if !want_reply => {}
            Packet::GlobalRequest { .. } => self.say(write::request_failure()),
            Packet::Open { sender, .. } => {
                self.say(write::open_failure(sender, OpenFailure::Prohibited, "the gate opens nothing here"));
            }
            Packet::OpenConfirmation { recipient: OWN, sender: number, window, packet_max } => {
                let (sender, answer) = self.asked.take()?;
                let out = sender.clone();
                let (stream, feed) = pipe(Box::new(move |packet| out.send(packet)), number, window, packet_max);
                self.open = Some((sender, feed));
                // Whoever no longer waits for it drops it, which closes the channel.
                drop(answer.send(Ok(stream)));
            }
            Packet::OpenFailure { recipient: OWN, reason } => {
                let (_, answer) = self.asked.take()?;
                drop(answer.send(Err(reason)));
            }
            Packet::Data { recipient: OWN, main, .. } => self.feed()?.data(main).ok()?,
            Packet::WindowAdjust { recipient: OWN, bytes } => self.feed()?.adjust(bytes).ok()?,
            Packet::Eof { recipient: OWN } => self.feed()?.eof(),
            Packet::Close { recipient: OWN } => self.feed()?.close(),
            // We ask for nothing, so that there is nothing to answer; and there is no other channel.
            _ => return None,
        }
        Some(())
    }

    fn feed(&self) -> Option<&Feed> {
        self.open.as_ref().map(|(_, feed)| feed)
    }

    fn say(&self, packet: bytes::Bytes) {
        let sender = self.open.as_ref().map(|(sender, _)| sender).or(self.asked.as_ref().map(|(sender, _)| sender));
        // Before the channel is asked for there is nothing that must be answered.
        // A node that is gone needs no answer.
        let _said = sender.is_some_and(|sender| sender.send(packet));
    }
}

impl Drop for Gangway {
    fn drop(&mut self) {
        self.open.iter().for_each(|(_, feed)| feed.close());
    }
}

/// The handler of a node on the way.
struct Usher {
    known: KnownHost,
    clock: Arc<dyn Clock>,
    gangway: Arc<Mutex<Gangway>>,
}

impl Handler for Usher {
    type Error = TargetError;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        self.known.verify(shown, self.clock.now())?;
        Ok(true)
    }

    async fn raw_packet(&mut self, packet: &[u8]) -> Result<bool, Self::Error> {
        lock(&self.gangway).packet(packet).ok_or(TargetError::Onward("it broke the SSH protocol"))?;
        Ok(true)
    }

    async fn disconnected(&mut self, reason: DisconnectReason<Self::Error>) -> Result<(), Self::Error> {
        match reason {
            DisconnectReason::ReceivedDisconnect(_) => Ok(()),
            DisconnectReason::Error(error) => Err(error),
        }
    }
}
