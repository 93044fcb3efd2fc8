//! The client's leg: how a client comes in, and what it says once it is in.

use std::net::SocketAddr;
use std::sync::Arc;

use russh::keys::ssh_key::{Certificate, Signature};
use russh::server::{Auth, Handle, Handler, PublicKeyOffer, Session};
use tapgate_audit::Event;
use tapgate_identity::{Identity, IdentityError};
use tapgate_model::{Digest, TargetName};
use tokio::sync::oneshot;

use crate::jump::Jumper;
use crate::link::Link;
use crate::name::{Destination, DestinationError};
use crate::serve::Ssh;
use crate::side::Side;
use crate::write;
use crate::yard::Yard;

/// By which door somebody comes in.
pub(crate) enum Doorway {
    /// At the gate itself: the user name says where to.
    Gate,
    /// Over a jump to this target: the user name is the login there.
    Behind(TargetName),
}

/// Somebody who has shown a certificate and has signed with its key.
pub(crate) enum Arrival {
    /// To open a session.
    Guest(Guest),
    /// To jump.
    Jumper(Jumper),
}

/// Somebody who says where to.
pub(crate) struct Guest {
    pub(crate) identity: Arc<Identity>,
    pub(crate) destination: Destination,
    pub(crate) client: Handle,
    /// The connection itself: the hash of what its key exchange was about.
    pub(crate) session: Digest,
    /// What the client calls itself.
    pub(crate) version: String,
}

/// Why somebody is not let in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Rejection {
    #[error("{0}")]
    Identity(#[from] IdentityError),
    #[error("{0}")]
    Destination(#[from] DestinationError),
    #[error("the certificate is {ssh}'s, and the tunnel around the connection is {tunnel}'s (use one login)")]
    OtherUser { ssh: String, tunnel: String },
}

impl Rejection {
    /// Whether the client is told. It is told what helps the holder of a certificate of ours; for a
    /// certificate that leads elsewhere it is not, since the client's next one may be the right one.
    fn is_told(&self) -> bool {
        match self {
            Self::Identity(error) => matches!(
                error,
                IdentityError::Expired
                    | IdentityError::NotYetValid
                    | IdentityError::SourceAddress
                    | IdentityError::OtherGate
            ),
            Self::Destination(_) | Self::OtherUser { .. } => true,
        }
    }
}

/// The handler of the client's leg.
pub(crate) struct Entrance {
    ssh: Arc<Ssh>,
    peer: SocketAddr,
    tunnel: Option<Arc<Identity>>,
    link: Arc<Link>,
    /// Who was let in by the last try; a try for another user name begins with none.
    admitted: Option<Admitted>,
    banner: Option<String>,
    enter: Option<oneshot::Sender<Arrival>>,
    doorway: Doorway,
    /// Where this connection is jumped over; it relays no packets then.
    yard: Option<Yard>,
}

/// Who was let in and where to; nowhere for somebody who may only jump.
type Admitted = (Arc<Identity>, Option<Destination>);

impl Entrance {
    /// A handler, and the guest whom it lets in.
    pub(crate) fn new(
        ssh: Arc<Ssh>,
        peer: SocketAddr,
        tunnel: Option<Arc<Identity>>,
        link: Arc<Link>,
        doorway: Doorway,
    ) -> (Self, oneshot::Receiver<Arrival>) {
        let (enter, entered) = oneshot::channel();
        let enter = Some(enter);
        (Self { ssh, peer, tunnel, link, admitted: None, banner: None, enter, doorway, yard: None }, entered)
    }

    /// Judges a certificate whose key has signed for this user name.
    fn admit(&self, user: &str, certificate: &Certificate) -> Result<Admitted, Rejection> {
        let destination = match &self.doorway {
            Doorway::Gate => Destination::parse(user, self.ssh.gate_name()),
            Doorway::Behind(target) => Destination::behind(user, target),
        };
        let principal = destination.as_ref().map_or_else(|_| user.to_owned(), Destination::principal);
        let now = self.ssh.clock().now();
        let identity = self.ssh.trust().verify_ssh(certificate, &principal, self.peer.ip(), now)?;
        if let Some(tunnel) = self.tunnel.as_ref().filter(|tunnel| tunnel.user() != identity.user()) {
            return Err(Rejection::OtherUser { ssh: identity.user().to_string(), tunnel: tunnel.user().to_string() });
        }
        match destination {
            // Whoever names nothing but themselves opens nothing, and may jump.
            Err(DestinationError::NoTarget(..)) if user == identity.user().as_str() => Ok((Arc::new(identity), None)),
            destination => Ok((Arc::new(identity), Some(destination?))),
        }
    }

    fn reject(&mut self, certificate: &Certificate, rejection: &Rejection) {
        tracing::info!(peer = %self.peer, key_id = certificate.key_id(), reason = %rejection, "Refused a certificate");
        self.ssh.sink().record(Event::LoginFailed {
            user: certificate.key_id().into(),
            peer: self.peer,
            reason: rejection.to_string().into(),
        });
        self.banner = rejection.is_told().then(|| format!("ERROR: {rejection}\r\n"));
    }
}

impl Handler for Entrance {
    type Error = russh::Error;

    /// Plain keys are refused before anything is signed: `ssh` offers the plain key first, and its
    /// certificate only after that.
    async fn auth_publickey_offered(&mut self, _user: &str, offer: PublicKeyOffer<'_>) -> Result<Auth, Self::Error> {
        Ok(if offer.certificate.is_some() { Auth::Accept } else { Auth::reject() })
    }

    async fn auth_openssh_certificate(
        &mut self,
        user: &str,
        certificate: &Certificate,
        _signature: &Signature,
    ) -> Result<Auth, Self::Error> {
        self.admitted = None;
        Ok(match self.admit(user, certificate) {
            Ok(admitted) => {
                self.admitted = Some(admitted);
                Auth::Accept
            }
            Err(rejection) => {
                self.reject(certificate, &rejection);
                Auth::reject()
            }
        })
    }

    fn rejection_banner(&mut self) -> Option<String> {
        self.banner.take()
    }

    async fn auth_succeeded(&mut self, session: &mut Session) -> Result<(), Self::Error> {
        let (Some((identity, destination)), Some(enter)) = (self.admitted.take(), self.enter.take()) else {
            return Err(russh::Error::NotAuthenticated);
        };
        let arrival = if let Some(destination) = destination {
            let version = write::one_line(&String::from_utf8_lossy(session.remote_sshid()));
            let (client, session) = (session.handle(), tapgate_identity::spki_digest(session.session_id()));
            Arrival::Guest(Guest { identity, destination, client, session, version })
        } else {
            let jumper = Jumper::new(Arc::clone(&self.ssh), identity, self.peer);
            self.yard = Some(Yard::new(jumper.clone(), session.handle()));
            Arrival::Jumper(jumper)
        };
        enter.send(arrival).map_err(|_| russh::Error::Disconnect)
    }

    async fn raw_packet(&mut self, packet: &[u8]) -> Result<bool, Self::Error> {
        match &mut self.yard {
            None => self.link.packet(Side::Client, packet),
            Some(yard) => {
                if let Err(violation) = yard.packet(packet) {
                    self.link.broken(violation);
                }
            }
        }
        Ok(true)
    }
}
