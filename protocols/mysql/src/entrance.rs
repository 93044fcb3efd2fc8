//! The client's leg up to its name: greeting, TLS, login packet, certificate.

use std::sync::Arc;

use mysql_common::constants::CapabilityFlags as Flags;
use tapgate_identity::Identity;
use tapgate_model::{Login, LoginName, TargetName};
use tapgate_proof::Holder;
use tapgate_relay::{Io, StartTls, TlsFacts};

use crate::wire::WireError;
use crate::wire::caps::OFFERED;
use crate::wire::error::ServerError;
use crate::wire::framed::Framed;
use crate::wire::greeting::{CHALLENGE_LEN, Greeting};
use crate::wire::login::{First, LoginPacket};

/// The version that clients are told, before the target is known: drivers read from it what a server can.
const VERSION: &[u8] = b"8.0.40-tapgate";

/// A collation that every client knows: `utf8mb4_general_ci`.
const COLLATION: u8 = 45;

/// Transactions end by themselves (`SERVER_STATUS_AUTOCOMMIT`).
const AUTOCOMMIT: u16 = 2;

/// A client that has said who it is. Its password's answer is looked at by nobody: the certificate tells.
pub(crate) struct Visitor {
    pub(crate) identity: Arc<Identity>,
    pub(crate) packet: LoginPacket,
    pub(crate) target: TargetName,
    pub(crate) user: LoginName,
    pub(crate) login: Login,
    /// The connection itself, as a tap may name it.
    pub(crate) channel: Option<Holder>,
}

impl Visitor {
    /// Whether the client was started with MariaDB's `dialog` plugin: it shows a question, and waits at it.
    pub(crate) fn can_be_asked(&self) -> bool {
        self.packet.plugin == b"dialog"
    }
}

/// A client that could not say who it is.
pub(crate) enum Turned {
    /// It can be told why.
    Told(Framed<Box<dyn Io>>, ServerError),
    /// It is gone, or speaks something else.
    Gone(WireError),
}

impl From<WireError> for Turned {
    fn from(error: WireError) -> Self {
        Self::Gone(error)
    }
}

/// Receives a client: in the clear up to its wish for TLS, or within a tunnel that has its certificate already.
pub(crate) async fn receive(
    io: Box<dyn Io>,
    tunnel: Option<TlsFacts>,
    tls: &dyn StartTls,
    thread: u32,
) -> Result<(Framed<Box<dyn Io>>, Visitor), Turned> {
    let offered = if tunnel.is_some() { OFFERED } else { OFFERED | Flags::CLIENT_SSL };
    let mut client = Framed::at(io, 0);
    client.write(&greeting(thread, offered).encode()).await?;
    let first = match client.read().await.and_then(|payload| First::parse(&payload)) {
        Ok(first) => first,
        Err(error) => return Err(turned(client, error)),
    };
    let (client, facts, packet) = match (first, tunnel) {
        (First::Login(packet), Some(facts)) => (client, facts, *packet),
        (First::Login(_), None) => {
            let words = "this gate speaks MySQL within TLS alone (set ssl-mode=VERIFY_IDENTITY and ssl-ca, and \
                         show your certificate with ssl-cert and ssl-key)";
            return Err(Turned::Told(client, ServerError::insecure(words.to_owned())));
        }
        (First::Tls, Some(_)) => {
            let words = "the tunnel is TLS already (set ssl-mode=DISABLED)";
            return Err(Turned::Told(client, ServerError::handshake(words.to_owned())));
        }
        (First::Tls, None) => {
            let (io, next) = client.into_parts();
            let secured = tls.start(io).await.map_err(WireError::Io)?;
            let mut client = Framed::at(secured.io, next);
            match client.read().await.and_then(|payload| LoginPacket::parse(&payload)) {
                Ok(packet) => (client, secured.tls, packet),
                Err(error) => return Err(turned(client, error)),
            }
        }
    };
    let Some(identity) = facts.identity else {
        let words = "no certificate was shown (set ssl-cert and ssl-key; `tap config db` prints both)";
        return Err(Turned::Told(client, ServerError::access(words.to_owned())));
    };
    match destination(&packet) {
        Ok((target, user, login)) => {
            let channel = facts.channel;
            Ok((client, Visitor { identity, packet, target, user, login, channel }))
        }
        Err(words) => Err(Turned::Told(client, ServerError::access(words))),
    }
}

fn turned(client: Framed<Box<dyn Io>>, error: WireError) -> Turned {
    match error {
        WireError::OutOfOrder => Turned::Told(client, ServerError::out_of_order(error.to_string())),
        WireError::Malformed(_) | WireError::TooLong(_) => {
            Turned::Told(client, ServerError::handshake(error.to_string()))
        }
        WireError::Io(_) => Turned::Gone(error),
    }
}

/// The challenge is answered by many clients, and its answer never looked at; it is random all the same, so that
/// no answer is worth anything to whoever records it.
fn greeting(thread: u32, flags: Flags) -> Greeting {
    let challenge = rand::random::<[u8; CHALLENGE_LEN]>().map(|byte| byte % 94 + 33);
    Greeting {
        version: VERSION.to_vec(),
        thread,
        challenge: challenge.to_vec(),
        flags,
        collation: COLLATION,
        status: AUTOCOMMIT,
        plugin: b"mysql_native_password".to_vec(),
    }
}

/// Whereto, and as whom: the user is named `user@target`.
fn destination(packet: &LoginPacket) -> Result<(TargetName, LoginName, Login), String> {
    let not_named = || "name the database user and the target, as in --user=app@orders".to_owned();
    let text = std::str::from_utf8(&packet.user).map_err(|_| not_named())?;
    let (user, target) = text.rsplit_once('@').ok_or_else(not_named)?;
    let wrong = |error| format!("`{}` is not a user and a target: {error} (as in --user=app@orders)", clean(text));
    let target: TargetName = target.parse().map_err(wrong)?;
    let name: LoginName = user.parse().map_err(wrong)?;
    let login = match &packet.database {
        None => Login::Db { user: name.clone(), database: None },
        Some(database) => login_for(&name, database).ok_or("the database's name can't be read (use UTF-8)")?,
    };
    Ok((target, name, login))
}

/// The login of a user to a database, if its name can be one.
pub(crate) fn login_for(user: &LoginName, database: &[u8]) -> Option<Login> {
    let database = std::str::from_utf8(database).ok()?;
    Login::parse(tapgate_model::Kind::Db, &format!("{user}/{database}")).ok()
}

/// A text from a stranger that is shown to that stranger.
fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(user: &str, database: Option<&str>) -> LoginPacket {
        LoginPacket {
            flags: OFFERED,
            packet_max: 0,
            collation: 45,
            user: user.as_bytes().to_vec(),
            answer: Vec::new(),
            database: database.map(|name| name.as_bytes().to_vec()),
            plugin: Vec::new(),
            attributes: Vec::new(),
        }
    }

    #[test]
    fn names_are_read() {
        let (target, user, login) = destination(&packet("app@orders", Some("shop"))).unwrap();
        assert_eq!((target.as_str(), user.as_str(), login.to_string().as_str()), ("orders", "app", "app/shop"));
        let (_, _, login) = destination(&packet("app@orders", None)).unwrap();
        assert_eq!(login.to_string(), "app");
    }

    #[test]
    fn names_that_lead_nowhere_say_how() {
        for bad in ["app", "", "@orders", "app@", "a\u{7}b@orders"] {
            let words = destination(&packet(bad, None)).unwrap_err();
            assert!(words.contains("app@orders"), "{bad}: {words}");
            assert!(!words.contains('\u{7}'), "{words}");
        }
        assert!(destination(&packet("app@orders", Some("a\nb"))).is_err());
    }
}
