//! The client's leg: how a client comes in, and what it says once it is in.

use std::net::SocketAddr;
use std::sync::Arc;

use russh::keys::ssh_key::{Algorithm, Certificate, HashAlg, PublicKey, Signature};
use russh::server::{Auth, Handle, Handler, PublicKeyOffer, Session, VerifiedPublicKey};
use tapgate_audit::Event;
use tapgate_identity::{Identity, IdentityError};
use tapgate_model::{Digest, TargetName};
use tapgate_proof::{SshTouch, TouchError};
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

/// Somebody who has shown a certificate, or a registered key, and has signed with it.
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
    #[error("the key is not registered")]
    UnknownKey,
    #[error("the key was not touched (make one that wants to be, without `-O no-touch-required`)")]
    NoTouch,
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
            Self::Destination(_) | Self::OtherUser { .. } | Self::NoTouch => true,
            Self::UnknownKey => false,
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
struct Admitted {
    identity: Identity,
    destination: Option<Destination>,
    signed: Option<Signed>,
}

/// What an `sk-` key has signed, but for the connection's name.
struct Signed {
    user: String,
    blob: Vec<u8>,
    signature: Vec<u8>,
}

impl Signed {
    /// What is to be kept of a signature; nothing of keys that nobody touches. Without a touch there is no login.
    fn of(user: &str, blob: Vec<u8>, signature: &Signature) -> Result<Option<Self>, Rejection> {
        if !matches!(signature.algorithm(), Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256) {
            return Ok(None);
        }
        let signed = Self { user: user.to_owned(), blob, signature: signature.as_bytes().to_vec() };
        let touched = signed.touch(&[0], "").is_ok_and(|touch| touch.user_present());
        if touched { Ok(Some(signed)) } else { Err(Rejection::NoTouch) }
    }

    fn touch(&self, session_id: &[u8], gate_name: &str) -> Result<SshTouch, TouchError> {
        SshTouch::new(session_id, &self.user, &self.blob, &self.signature, gate_name)
    }
}

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

    fn destination(&self, user: &str) -> Result<Destination, DestinationError> {
        match &self.doorway {
            Doorway::Gate => Destination::parse(user, self.ssh.gate_name()),
            Doorway::Behind(target) => Destination::behind(user, target),
        }
    }

    /// Judges a certificate whose key has signed for this user name.
    fn admit(&self, user: &str, certificate: &Certificate, signature: &Signature) -> Result<Admitted, Rejection> {
        let destination = self.destination(user);
        let principal = destination.as_ref().map_or_else(|_| user.to_owned(), Destination::principal);
        let now = self.ssh.clock().now();
        let identity = self.ssh.trust().verify_ssh(certificate, &principal, self.peer.ip(), now)?;
        let signed = Signed::of(user, certificate.to_bytes().unwrap_or_default(), signature)?;
        self.place(user, identity, destination, signed)
    }

    /// Judges a key that has signed for this user name: it must be registered.
    fn admit_key(&self, user: &str, key: &VerifiedPublicKey<'_>) -> Result<Admitted, Rejection> {
        let blob = key.public_key.to_bytes().unwrap_or_default();
        let keys = self.ssh.gate().snapshot();
        let id = tapgate_identity::spki_digest(&blob);
        let identity =
            Identity::of_ssh_key(keys.ssh_keys(), &id, self.ssh.clock().now()).ok_or(Rejection::UnknownKey)?;
        let signed = Signed::of(user, blob, key.signature)?;
        self.place(user, identity, self.destination(user), signed)
    }

    /// Whether the key is registered. SHA-1 is not taken, whatever the key.
    fn is_registered(&self, key: &PublicKey, algorithm: &Algorithm) -> bool {
        let id = key.to_bytes().map(|blob| tapgate_identity::spki_digest(&blob));
        !matches!(algorithm, Algorithm::Rsa { hash: None })
            && id.is_ok_and(|id| self.ssh.gate().snapshot().ssh_keys().find(&id).is_some())
    }

    fn place(
        &self,
        user: &str,
        identity: Identity,
        destination: Result<Destination, DestinationError>,
        signed: Option<Signed>,
    ) -> Result<Admitted, Rejection> {
        if let Some(tunnel) = self.tunnel.as_ref().filter(|tunnel| tunnel.user() != identity.user()) {
            return Err(Rejection::OtherUser { ssh: identity.user().to_string(), tunnel: tunnel.user().to_string() });
        }
        let destination = match destination {
            // Whoever names nothing but themselves opens nothing, and may jump.
            Err(DestinationError::NoTarget(..)) if user == identity.user().as_str() => None,
            destination => Some(destination?),
        };
        Ok(Admitted { identity, destination, signed })
    }

    /// Keeps who was let in, or says why nobody was; `name` is what the certificate or the key is called in the log.
    fn decide(&mut self, name: &str, admitted: Result<Admitted, Rejection>) -> Auth {
        match admitted {
            Ok(admitted) => {
                self.admitted = Some(admitted);
                Auth::Accept
            }
            Err(rejection) => {
                self.reject(name, &rejection);
                Auth::reject()
            }
        }
    }

    fn reject(&mut self, name: &str, rejection: &Rejection) {
        tracing::info!(peer = %self.peer, key_id = name, reason = %rejection, "Refused a certificate or a key");
        self.ssh.sink().record(Event::LoginFailed {
            user: name.into(),
            peer: self.peer,
            reason: rejection.to_string().into(),
        });
        self.banner = rejection.is_told().then(|| format!("ERROR: {rejection}\r\n"));
    }
}

impl Handler for Entrance {
    type Error = russh::Error;

    /// Plain keys that nobody has registered are refused before anything is signed: `ssh` offers the plain key first,
    /// and its certificate only after that.
    async fn auth_publickey_offered(&mut self, _user: &str, offer: PublicKeyOffer<'_>) -> Result<Auth, Self::Error> {
        let taken = offer.certificate.is_some() || self.is_registered(offer.public_key, offer.algorithm);
        Ok(if taken { Auth::Accept } else { Auth::reject() })
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        self.admitted = None;
        if !self.is_registered(key.public_key, key.algorithm) {
            return Ok(Auth::reject());
        }
        let name = key.public_key.fingerprint(HashAlg::Sha256).to_string();
        let admitted = self.admit_key(user, &key);
        Ok(self.decide(&name, admitted))
    }

    async fn auth_openssh_certificate(
        &mut self,
        user: &str,
        certificate: &Certificate,
        signature: &Signature,
    ) -> Result<Auth, Self::Error> {
        self.admitted = None;
        let admitted = self.admit(user, certificate, signature);
        Ok(self.decide(certificate.key_id(), admitted))
    }

    fn rejection_banner(&mut self) -> Option<String> {
        self.banner.take()
    }

    async fn auth_succeeded(&mut self, session: &mut Session) -> Result<(), Self::Error> {
        let (Some(Admitted { identity, destination, signed }), Some(enter)) = (self.admitted.take(), self.enter.take())
        else {
            return Err(russh::Error::NotAuthenticated);
        };
        let touch = signed.and_then(|signed| signed.touch(session.session_id(), self.ssh.gate_name()).ok());
        let identity = Arc::new(identity.with_touch(touch));
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
