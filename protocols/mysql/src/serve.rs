//! One connection from its first byte to its last: name, verdict, target, relay.

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt as _};
use tapgate_identity::X509CaSource;
use tapgate_model::{Clock, Kind, LoginName, tunnel};
use tapgate_relay::{Accepted, Io, Protocol, Sniff, StartTls, TlsDoor};
use tapgate_session::{
    Ask, ConnectionFacts, DbProtocol, DbResource, Door, EndReason, Gate, Live, Prompt, ProtocolName, Upstream,
};
use tapgate_sql::Classifier;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use crate::entrance::{Turned, Visitor, receive};
use crate::limits::{ANSWER_MAX, FAREWELL_MAX, HANDSHAKE_MAX};
use crate::prompt::{self, Dialog, TurnAway};
use crate::relay::{self, Legs, Standing};
use crate::target::login::{Wish, enter};
use crate::target::tls::Passport;
use crate::target::{EnterError, Entered};
use crate::threads::{Owner, Threads, Ticket};
use crate::wire::error::ServerError;
use crate::wire::framed::Framed;

/// What the protocol is made of.
pub struct MysqlParts {
    /// Who decides.
    pub gate: Gate,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// Turns a connection into TLS when the client asks for that.
    pub start_tls: Arc<dyn StartTls>,
    /// Who signs the certificates that are shown to targets.
    pub target_ca: X509CaSource,
    /// Who tells what statements do.
    pub classifier: Classifier,
}

/// MySQL and MariaDB at the gate.
pub struct Mysql {
    gate: Gate,
    start_tls: Arc<dyn StartTls>,
    passport: Passport,
    classifier: Classifier,
    threads: Arc<Threads>,
}

impl Mysql {
    /// The protocol, made of these parts.
    pub fn new(parts: MysqlParts) -> Self {
        let passport = Passport { ca: parts.target_ca, clock: parts.clock };
        let MysqlParts { gate, start_tls, classifier, .. } = parts;
        Self { gate, start_tls, passport, classifier, threads: Threads::new() }
    }
}

impl Protocol for Mysql {
    fn name(&self) -> ProtocolName {
        ProtocolName::Mysql
    }

    fn tls_doors(&self) -> Vec<TlsDoor> {
        vec![TlsDoor::tunnel(tunnel::MYSQL, true)]
    }

    /// Never: a client waits for the server's first word.
    fn sniff(&self, _: &[u8]) -> Sniff {
        Sniff::No
    }

    fn serve(self: Arc<Self>, conn: Accepted) -> BoxFuture<'static, ()> {
        async move { serve(&self, conn).await }.boxed()
    }
}

async fn serve(mysql: &Mysql, conn: Accepted) {
    let Accepted { io, peer, tls, handshake } = conn;
    let deadline = Instant::now() + HANDSHAKE_MAX;
    let ticket = mysql.threads.take();
    let received = timeout_at(deadline, Box::pin(receive(io, tls, &*mysql.start_tls, ticket.number))).await;
    drop(handshake);
    let (client, visitor) = match received {
        Ok(Ok(received)) => received,
        Ok(Err(Turned::Told(client, error))) => return tell(client, &error).await,
        Ok(Err(Turned::Gone(error))) => return tracing::debug!(%peer, %error, "A client left before its name"),
        Err(_) => return tracing::debug!(%peer, "A client did not say its name in time"),
    };
    let door = Door::of(&visitor.identity);
    let asked = visitor.can_be_asked() && door == Door::InBand;
    // Who is not held is told from others by the login key alone.
    let holder = visitor.channel.clone().filter(|_| asked);
    let facts = ConnectionFacts { peer, door, protocol: ProtocolName::Mysql, holder };
    let mut client = client;
    // In boxes: an idle session does not carry along what it took to get there.
    let opened = if asked {
        Box::pin(open_held(mysql, &mut client, &visitor, &facts)).await
    } else {
        Some(Box::pin(open(mysql, &visitor, &facts, &mut TurnAway { packet: &visitor.packet })).await)
    };
    match opened {
        Some(Ok((entered, live))) => go(mysql, client, visitor.user, (entered, live), ticket).await,
        Some(Err(error)) => tell(client, &error).await,
        None => tracing::debug!(%peer, "A client left while its tap was awaited"),
    }
}

/// Says an error to a client that has not come in, and lets it read that.
async fn tell(mut client: Framed<Box<dyn Io>>, error: &ServerError) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let told = async {
        client.write(&error.encode()).await.ok()?;
        let (mut io, _) = client.into_parts();
        io.shutdown().await.ok()?;
        let mut rest = [0; 1024];
        while io.read(&mut rest).await.ok()? > 0 {}
        Some(())
    };
    drop(timeout(FAREWELL_MAX, told).await);
}

/// The same for a client that can be asked a question: it is asked, and held until both its answer and the tap are there.
/// `None`: it left meanwhile.
async fn open_held(
    mysql: &Mysql,
    client: &mut Framed<Box<dyn Io>>,
    visitor: &Visitor,
    facts: &ConnectionFacts,
) -> Option<Result<(Entered, Live), ServerError>> {
    let (question, mut questions) = mpsc::channel(1);
    let mut prompt = Dialog { packet: &visitor.packet, question };
    let opening = open(mysql, visitor, facts, &mut prompt);
    tokio::pin!(opening);
    let packet = tokio::select! {
        opened = &mut opening => return Some(opened),
        Some(packet) = questions.recv() => packet,
    };
    client.write(&packet).await.ok()?;
    let answered = {
        let answer = client.read();
        tokio::pin!(answer);
        tokio::select! {
            answer = &mut answer => answer.map(|_| None),
            opened = &mut opening => {
                // Whatever it is, the client reads it once its question is answered.
                timeout(ANSWER_MAX, answer).await.ok()?.map(|_| Some(opened))
            }
        }
    };
    if let Some(opened) = answered.ok()? {
        return Some(opened);
    }
    tokio::select! {
        opened = &mut opening => Some(opened),
        () = client.gone() => None,
    }
}

/// Asks for the session and enters the target; the error is for the client.
async fn open(
    mysql: &Mysql,
    visitor: &Visitor,
    facts: &ConnectionFacts,
    prompt: &mut dyn Prompt,
) -> Result<(Entered, Live), ServerError> {
    let Visitor { identity, target, login, .. } = visitor;
    let ask = Ask { identity, kind: Kind::Db, target, login, connection: facts };
    let grant = mysql.gate.open(&ask, prompt).await.map_err(|refusal| {
        tracing::info!(peer = %facts.peer, user = %identity.user(), %target, reason = refusal.reason(),
            "Refused a session");
        prompt::refused(&refusal)
    })?;
    let (upstream, live) = grant.dial().await.map_err(|error| {
        tracing::warn!(%target, %error, "Could not dial a target");
        ServerError::target(error.to_string())
    })?;
    let mut cut = live.cut();
    let entered = tokio::select! {
        reason = cut.wanted() => {
            live.finish(&EndReason::Cut(reason.clone()));
            return Err(ServerError::ended(reason.to_string()));
        }
        entered = come_in(mysql, visitor, upstream, &live) => entered,
    };
    match entered {
        Ok(entered) => Ok((entered, live)),
        Err(error) => {
            let message = format!("database \"{target}\" can't be entered: {error}");
            tracing::warn!(%target, %error, "Could not enter a target");
            live.finish(&EndReason::Error(message.clone()));
            Err(ServerError::target(message))
        }
    }
}

async fn come_in(mysql: &Mysql, visitor: &Visitor, upstream: Upstream, live: &Live) -> Result<Entered, EnterError> {
    let db: Arc<DbResource> = match live.about().db() {
        Some(db) if db.protocol == DbProtocol::MySql => Arc::clone(db),
        _ => return Err(EnterError::Config("it does not speak MySQL (use the client of its own protocol)")),
    };
    let terms = live.terms().db;
    let wish = Wish {
        client: &visitor.packet,
        user: &visitor.user,
        local_files: terms.local_infile,
        read_only: terms.is_read_only(),
        judged: terms.judges(),
    };
    enter(&mysql.passport, upstream, &db, &wish).await
}

/// The session is open: says so, and relays to its end.
async fn go(
    mysql: &Mysql,
    mut client: Framed<Box<dyn Io>>,
    user: LoginName,
    (entered, live): (Entered, Live),
    ticket: Ticket,
) {
    let owner = Owner { user: live.user().clone(), target: live.target().uid, login: user.clone() };
    ticket.stands_for(owner.clone(), entered.thread);
    if client.write(&entered.welcome).await.is_err() {
        return live.finish(&EndReason::Client);
    }
    let (client, _) = client.into_parts();
    let standing = Standing {
        gate: &mysql.gate,
        classifier: &mysql.classifier,
        threads: &mysql.threads,
        owner,
        user,
        unreadable: entered.unreadable,
    };
    let legs = Legs { client, target: entered.io, flags: entered.flags };
    Box::pin(relay::run(legs, live, standing)).await;
    drop(ticket);
}
