//! Logging in at a target: greeting, TLS, and whatever proof it asks for.

use mysql_common::auth::plugins::{AuthProc, ChallengeResponsePlugin as _, Context, Response};
use mysql_common::constants::CapabilityFlags as Flags;
use mysql_common::packets::AuthPlugin;
use tapgate_model::LoginName;
use tapgate_session::{DbResource, Upstream};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use zeroize::Zeroizing;

use super::tls::Passport;
use super::{EnterError, Entered, ask};
use crate::limits::{LOGIN_PACKETS_MAX, TARGET_LOGIN_MAX};
use crate::wire::caps;
use crate::wire::error::ServerError;
use crate::wire::framed::Framed;
use crate::wire::greeting::{Greeting, GreetingError};
use crate::wire::login::LoginPacket;

/// What the client said of itself, and who it becomes.
pub(crate) struct Wish<'a> {
    pub(crate) client: &'a LoginPacket,
    pub(crate) user: &'a LoginName,
    /// Whether the target may ask the client for files.
    pub(crate) local_files: bool,
    /// Whether the session is to be read-only.
    pub(crate) read_only: bool,
    /// Whether statements are judged by what they do.
    pub(crate) judged: bool,
}

/// Logs in.
pub(crate) async fn enter(
    passport: &Passport,
    upstream: Upstream,
    db: &DbResource,
    wish: &Wish<'_>,
) -> Result<Entered, EnterError> {
    let entered = Box::pin(enter_at_leisure(passport, upstream, db, wish));
    timeout(TARGET_LOGIN_MAX, entered).await.unwrap_or(Err(EnterError::Slow))
}

async fn enter_at_leisure(
    passport: &Passport,
    upstream: Upstream,
    db: &DbResource,
    wish: &Wish<'_>,
) -> Result<Entered, EnterError> {
    let password = match db.auth.password_file(wish.user) {
        Some(path) => Some(read_password(path)?),
        None => None,
    };
    let mut framed = Framed::at(upstream, 0);
    let greeting = Greeting::parse(&framed.read().await?).map_err(|error| match error {
        GreetingError::Refused(error) => EnterError::Greeting(error),
        GreetingError::Wire(error) => EnterError::Wire(error),
    })?;
    if !greeting.flags.contains(Flags::CLIENT_SSL) {
        return Err(EnterError::NoTls);
    }
    let flags = caps::towards(greeting.flags, wish.client.flags, wish.local_files).ok_or(EnterError::TooOld)?;
    let mut packet = login_packet(wish, flags);
    framed.write(&packet.encode_tls_request()).await?;
    let (upstream, next) = framed.into_parts();
    let as_user = password.is_none().then_some(wish.user);
    let io = passport.secure(upstream, db, as_user).await?;
    let mut framed = Framed::at(io, next);
    let password = password.unwrap_or_default();
    let proof = Proof { password: &password, challenge: &greeting.challenge, clear: db.auth.clear_password };
    // A method that is not known here is answered with one that is: the target then asks for another.
    let start = |name: &[u8]| Method::named(name, &proof)?.begin(&proof);
    let (method, answer) = start(&greeting.plugin).or_else(|_| start(b"mysql_native_password"))?;
    packet.plugin.clone_from(&method.name);
    packet.answer = answer;
    framed.write(&packet.encode()).await?;
    let welcome = prove(&mut framed, method, &proof).await?;
    let no_eof = flags.contains(Flags::CLIENT_DEPRECATE_EOF);
    let (mut io, _) = framed.into_parts();
    let unreadable =
        wish.judged && (!has_plain_letters(wish.client.collation) || !ask::cuts_as_known(&mut io, no_eof).await?);
    if wish.read_only {
        ask::be_read_only(&mut io, no_eof).await?;
    }
    Ok(Entered { io, thread: greeting.thread, welcome, flags, unreadable })
}

/// Whether a backslash is always a letter of its own in the client's character set. It is not in Big5, Shift JIS,
/// GBK, cp932 and GB18030, by the numbers of their collations.
const fn has_plain_letters(collation: u8) -> bool {
    !matches!(collation, 1 | 13 | 28 | 84 | 87 | 88 | 95 | 96 | 248 | 249 | 250)
}

/// The password in this file; why there is none is for the log.
fn read_password(path: &std::path::Path) -> Result<Zeroizing<Vec<u8>>, EnterError> {
    tapgate_relay::read_password(path).map_err(|error| {
        tracing::warn!(path = %path.display(), %error, "Could not read a database user's password");
        EnterError::Password
    })
}

fn login_packet(wish: &Wish<'_>, mut flags: Flags) -> LoginPacket {
    let client = wish.client;
    let database = client.database.clone();
    flags.set(Flags::CLIENT_CONNECT_WITH_DB, database.is_some());
    let attributes = match flags.contains(Flags::CLIENT_CONNECT_ATTRS) {
        true if client.attributes.is_empty() => vec![0],
        true => client.attributes.clone(),
        false => Vec::new(),
    };
    LoginPacket {
        flags,
        packet_max: client.packet_max,
        collation: client.collation,
        user: wish.user.as_str().as_bytes().to_vec(),
        answer: Vec::new(),
        database,
        plugin: Vec::new(),
        attributes,
    }
}

/// What the gate proves a user with.
struct Proof<'a> {
    password: &'a [u8],
    challenge: &'a [u8],
    clear: bool,
}

impl Context for &Proof<'_> {
    fn pass(&self) -> &[u8] {
        self.password
    }

    fn is_ipc_transport(&self) -> bool {
        false
    }

    /// Always: nothing is proven before TLS.
    fn is_tls_transport(&self) -> bool {
        true
    }

    fn scramble(&self) -> &[u8] {
        self.challenge
    }

    fn server_key_pem(&self) -> Option<&[u8]> {
        None
    }
}

/// An authentication method under way.
struct Method {
    name: Vec<u8>,
    steps: AuthProc,
    over: bool,
}

impl Method {
    /// The method of this name, where the gate speaks it and the resource allows it.
    fn named(name: &[u8], proof: &Proof<'_>) -> Result<Self, EnterError> {
        let plugin = AuthPlugin::from_bytes(name);
        let unknown = || EnterError::Plugin(String::from_utf8_lossy(name).into_owned());
        match plugin {
            // Whoever listens in on it learns the password, even of before 4.1.
            AuthPlugin::MysqlOldPassword => return Err(unknown()),
            AuthPlugin::MysqlClearPassword if !proof.clear => return Err(EnterError::ClearPassword),
            _ => {}
        }
        let steps = AuthProc::init(&plugin).map_err(|_| unknown())?;
        Ok(Self { name: plugin.as_bytes().to_vec(), steps, over: false })
    }

    /// Its first answer.
    fn begin(mut self, proof: &Proof<'_>) -> Result<(Self, Vec<u8>), EnterError> {
        let answer = self.answer(proof, proof.challenge)?.unwrap_or_default();
        Ok((self, answer))
    }

    fn answer(&mut self, proof: &Proof<'_>, challenge: &[u8]) -> Result<Option<Vec<u8>>, EnterError> {
        if self.over {
            return Err(EnterError::Authentication);
        }
        match self.steps.run(proof, challenge).map_err(|_| EnterError::Authentication)? {
            Response::Next { packet } => Ok(packet),
            Response::Last { packet } => {
                self.over = true;
                Ok(packet)
            }
        }
    }
}

/// Answers until the target says yes or no.
async fn prove(
    framed: &mut Framed<TlsStream<Upstream>>,
    mut method: Method,
    proof: &Proof<'_>,
) -> Result<Vec<u8>, EnterError> {
    for _ in 0..LOGIN_PACKETS_MAX {
        let packet = framed.read().await?;
        match packet.split_first() {
            Some((0x00, _)) => return Ok(packet),
            Some((0xff, _)) => {
                let error = ServerError::parse(&packet).ok_or(EnterError::Authentication)?;
                return Err(EnterError::Refused(error));
            }
            Some((0x01, more)) => {
                if let Some(answer) = method.answer(proof, more)? {
                    framed.write(&answer).await?;
                }
            }
            Some((0xfe, switch)) if !switch.is_empty() => {
                let mut reader = crate::wire::read::Reader(switch);
                let name = reader.until_zero();
                let challenge = reader.0.strip_suffix(&[0]).unwrap_or(reader.0);
                let again = Proof { challenge, ..*proof };
                let (switched, answer) = Method::named(name, &again)?.begin(&again)?;
                framed.write(&answer).await?;
                method = switched;
            }
            _ => return Err(EnterError::Authentication),
        }
    }
    Err(EnterError::Authentication)
}
