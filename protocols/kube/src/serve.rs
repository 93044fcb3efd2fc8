//! One connection of a client, and each request in it: who asks, in which session, and what comes back.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt as _};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tapgate_audit::Deed;
use tapgate_identity::{ClientAuth, Identity};
use tapgate_model::{Clock, Kind, Login, TargetName};
use tapgate_proof::Statement;
use tapgate_relay::{Accepted, DoorName, Protocol, Sniff, TlsDoor};
use tapgate_session::{Ask, ConnectionFacts, ConnectionId, DialError, Door, Gate, ProtocolName};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use crate::answer::{Answers, named};
use crate::body::{Body, BoxError, passed, whole};
use crate::filter::negotiate;
use crate::headers::{Wanted, clean, impersonate, wanted};
use crate::health::Health;
use crate::limits::{ANSWER_MAX, HEAD_BYTES_MAX, HEAD_MAX, STREAMS_MAX};
use crate::path::split;
use crate::prompt::{self, TurnAway};
use crate::request_info::RequestInfo;
use crate::rules::{self, Passage};
use crate::sessions::{Key, Session, Sessions, Using};
use crate::status::Refused;
use crate::upgrade::relay;
use crate::ways::{self, Passing};
use crate::{cluster, upstream};

/// What the door is made of.
pub struct KubeParts {
    /// The gate that grants.
    pub gate: Gate,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// The host names under which clusters are reached, such as `k8s.gate.example.com`.
    pub hosts: Vec<String>,
    /// Where it is kept what is wrong with clusters.
    pub health: Health,
}

/// The Kubernetes door.
pub struct Kube {
    parts: KubeParts,
    sessions: Sessions,
    answers: Answers,
}

/// Whose connection it is.
struct Caller {
    identity: Option<Arc<Identity>>,
    /// What the tap in a session certificate names. The gate verifies the tap; here it is only read, once for all the
    /// connection's requests, to know what to ask for.
    tapped: Option<Statement>,
    peer: SocketAddr,
    connection: Option<ConnectionId>,
    /// The session of the connection's last request: most ask for the same again.
    last: Mutex<Option<Known>>,
}

/// A session, and what it was found by.
struct Known {
    cluster: TargetName,
    wanted: Wanted,
    session: Weak<Session>,
}

impl Caller {
    fn new(identity: Option<Arc<Identity>>, peer: SocketAddr) -> Self {
        let proof = identity.as_ref().and_then(|identity| identity.proof());
        let tapped = proof.and_then(|proof| Statement::from_der(&proof.statement).ok());
        Self { identity, tapped, peer, connection: ConnectionId::current(), last: Mutex::default() }
    }

    /// The session of the last request, where that asked for the same and the session still takes requests.
    fn known(&self, cluster: &TargetName, wanted: &Wanted) -> Option<Arc<Session>> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let known = last.as_ref().filter(|known| known.cluster == *cluster && known.wanted == *wanted)?;
        let session = known.session.upgrade();
        drop(last);
        session.filter(|session| session.takes_requests())
    }

    fn remember(&self, known: Known) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
    }

    /// The login that the tap names for this cluster.
    fn tapped_login(&self, cluster: &TargetName) -> Option<Login> {
        let mut targets = self.tapped.as_ref()?.parts().targets.iter();
        let entry = targets.find(|entry| entry.target.kind == Kind::KubeCluster && entry.target.name == *cluster)?;
        Some(entry.login.clone())
    }
}

impl Kube {
    /// A door of these parts.
    pub fn new(parts: KubeParts) -> Self {
        Self { parts, sessions: Sessions::default(), answers: Answers::default() }
    }
}

impl Protocol for Kube {
    fn name(&self) -> ProtocolName {
        ProtocolName::Kube
    }

    /// HTTP is known by the host name: without TLS it is only told to use TLS.
    fn sniff(&self, _: &[u8]) -> Sniff {
        Sniff::No
    }

    /// A client without a certificate is told in its own words, so the handshake does not insist on one.
    fn tls_doors(&self) -> Vec<TlsDoor> {
        let door = |host: &String| TlsDoor {
            name: DoorName::Host(host.clone()),
            alpn: vec![b"h2", b"http/1.1"],
            client: ClientAuth::Optional,
            session: true,
        };
        self.parts.hosts.iter().map(door).collect()
    }

    fn serve(self: Arc<Self>, conn: Accepted) -> BoxFuture<'static, ()> {
        let caller = Arc::new(Caller::new(conn.tls.and_then(|tls| tls.identity), conn.peer));
        let io = TokioIo::new(conn.io);
        async move {
            let service = service_fn(move |request| answer(Arc::clone(&self), Arc::clone(&caller), request));
            let mut server = auto::Builder::new(TokioExecutor::new());
            server.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_MAX).max_buf_size(HEAD_BYTES_MAX);
            server
                .http2()
                .timer(TokioTimer::new())
                .max_concurrent_streams(STREAMS_MAX)
                .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX))
                .keep_alive_interval(Some(HEAD_MAX));
            if let Err(error) = server.serve_connection_with_upgrades(io, service).await {
                tracing::debug!(peer = %conn.peer, %error, "A Kubernetes client's connection ended early");
            }
        }
        .boxed()
    }
}

/// The answer to one request, whatever happens. Boxed: what is inside is large, and a connection has many of it.
fn answer(
    kube: Arc<Kube>,
    caller: Arc<Caller>,
    request: Request<Incoming>,
) -> BoxFuture<'static, Result<Response<Body>, Infallible>> {
    let discovery = asks_for_groups(request.uri().path());
    let connection = caller.connection;
    let answer = async move { Ok(decent(kube.handle(caller, request).await, discovery)) };
    // HTTP/2 has a task for each request.
    match connection {
        Some(connection) => connection.carry(answer).boxed(),
        None => answer.boxed(),
    }
}

/// Whether a request is for the list of API groups, with which client-go begins.
fn asks_for_groups(path: &str) -> bool {
    matches!(path.split('/').skip(2).collect::<Vec<_>>().as_slice(), ["api" | "apis"])
}

/// Makes an answer or a refusal fit for any client.
fn decent(answered: Result<Response<Body>, Refused>, discovery: bool) -> Response<Body> {
    let mut response = match answered {
        Ok(response) => response,
        Err(refused) => {
            tracing::debug!(code = refused.code.as_u16(), why = refused.message, "Refused a request");
            // Of this one answer client-go shows nothing but plain text.
            if discovery { refused.in_plain_words() } else { refused }.response().map(whole)
        }
    };
    // What a cluster serves is shown by no browser as if it came from the gate.
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    headers.remove(header::SET_COOKIE);
    response
}

impl Kube {
    async fn handle(
        self: Arc<Self>,
        caller: Arc<Caller>,
        mut request: Request<Incoming>,
    ) -> Result<Response<Body>, Refused> {
        let identity = Arc::clone(self.identity(&caller)?);
        let target = split(request.uri().path()).map_err(|error| Refused::bad(error.to_string()))?;
        let (cluster, rest) = (target.cluster, target.rest.to_owned());
        let info = RequestInfo::parse(request.method().as_str(), &rest, request.uri().query());
        let wanted = wanted(request.headers())?;
        let session = match caller.known(&cluster, &wanted) {
            Some(session) => session,
            None => self.found(&caller, &identity, (&cluster, wanted), request.headers()).boxed().await?,
        };
        let using = session.using();
        let upgrade = request.headers().contains_key(header::UPGRADE);
        let told = |status| Self::told(&session, &info, &rest, status);
        let passage = judged(&session, &cluster, (&info, &rest), upgrade);
        let passage = passage.inspect_err(|refused| told(refused.code))?;

        let on_client = upgrade.then(|| hyper::upgrade::on(&mut request));
        let (mut head, body) = request.into_parts();
        let way = ways::asked(&session, &info, head.uri.query(), &mut head.headers);
        let way = way.inspect_err(|refused| told(refused.code))?;
        let body = match &passage {
            Passage::Named(filter) => named(filter, body, &cluster).await.inspect_err(|refused| told(refused.code))?,
            Passage::Whole | Passage::List(_) | Passage::Watch(_) => passed(body),
        };
        clean(&mut head.headers, upgrade);
        if matches!(passage, Passage::List(_) | Passage::Watch(_)) {
            negotiate(&mut head.headers);
        }
        impersonate(&mut head.headers, session.live.login())?;
        head.uri = Self::uri(&session, &rest, head.uri.query())?;
        head.version = http::Version::HTTP_11;
        head.extensions.clear();
        let sent = upstream::send(session.sender.clone(), Request::from_parts(head, body));
        let answered = tokio::select! {
            answered = timeout(ANSWER_MAX, sent) => answered,
            () = using.over() => return Err(Refused::forbidden(using.why())),
        };
        let response = came(answered, &session, &cluster).inspect_err(|refused| told(refused.code))?;
        told(response.status());
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let passing = way.map(|way| way.opened(&session, caller.peer, &response)).transpose();
            let passing = passing.inspect_err(|refused| told(refused.code))?;
            return upgraded(response, on_client, passing, (using, session.live.terms().client_idle_timeout));
        }
        self.answers.shaped(response, passage, using).await
    }

    /// Who asks, as long as the certificate is good: a connection may outlive it.
    fn identity<'a>(&self, caller: &'a Caller) -> Result<&'a Arc<Identity>, Refused> {
        let identity = caller.identity.as_ref();
        let identity =
            identity.ok_or_else(|| Refused::unauthorized("no certificate was shown (run `tap kube login`)"))?;
        if identity.not_after() <= self.parts.clock.now() {
            return Err(Refused::unauthorized("your certificate has expired (run the command again, or `tap login`)"));
        }
        Ok(identity)
    }

    /// The session that a connection's request belongs to, remembered for its next one.
    async fn found(
        &self,
        caller: &Caller,
        identity: &Arc<Identity>,
        (cluster, wanted): (&TargetName, Wanted),
        headers: &HeaderMap,
    ) -> Result<Arc<Session>, Refused> {
        let login = self.login(caller, identity, cluster, &wanted)?;
        let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
        let session = self.session(identity, caller.peer, cluster, &login, agent).await?;
        caller.remember(Known { cluster: cluster.clone(), wanted, session: Arc::downgrade(&session) });
        Ok(session)
    }

    /// Who to be in the cluster: what the tap names, else the one login that the roles give, narrowed by `--as`.
    fn login(
        &self,
        caller: &Caller,
        identity: &Identity,
        cluster: &TargetName,
        wanted: &Wanted,
    ) -> Result<Login, Refused> {
        let given = match caller.tapped_login(cluster) {
            Some(login) => login,
            None => self.only_login(identity, cluster, wanted)?,
        };
        narrowed(given, wanted)
    }

    /// The login that the roles give on this cluster, where that is no question.
    fn only_login(&self, identity: &Identity, cluster: &TargetName, wanted: &Wanted) -> Result<Login, Refused> {
        let unknown = || {
            Refused::forbidden(format!(
                "access to \"{cluster}\" denied, or there is no such cluster (`tap kube ls` shows what you may open)"
            ))
        };
        let logins = self.parts.gate.logins(identity.user(), Kind::KubeCluster, cluster);
        let mut logins = logins.iter().filter_map(|login| Login::parse(Kind::KubeCluster, login).ok());
        let fits = |login: &Login| match (login, &wanted.user) {
            (Login::Kube { user, .. }, Some(wanted)) => **user == **wanted,
            (_, None) => true,
            _ => false,
        };
        let mut fitting = logins.by_ref().filter(fits);
        let first = fitting.next().ok_or_else(unknown)?;
        match fitting.next() {
            None => Ok(first),
            Some(_) => Err(Refused::forbidden(
                "your roles give several users here (choose one with --as, or `tap kube login --as`)",
            )),
        }
    }

    /// The session of this credential, cluster and login: found, or opened under a grant.
    async fn session(
        &self,
        identity: &Arc<Identity>,
        peer: SocketAddr,
        cluster: &TargetName,
        login: &Login,
        agent: &str,
    ) -> Result<Arc<Session>, Refused> {
        let key = Key {
            credential: *identity.fingerprint(),
            cluster: cluster.clone(),
            login: login.clone(),
            address: peer.ip(),
        };
        let full = || {
            Refused::new(StatusCode::TOO_MANY_REQUESTS, "the gate has no room for another session (try again later)")
        };
        let place = self.sessions.place(&key).ok_or_else(full)?;
        if let Some(session) = place.get() {
            if session.takes_requests() {
                return Ok(Arc::clone(session));
            }
            self.sessions.remove(&key, &place);
        }
        let place = self.sessions.place(&key).ok_or_else(full)?;
        let opened = place.get_or_try_init(|| self.open(identity, peer, cluster, login, agent).boxed()).await;
        match opened {
            Ok(session) => Ok(Arc::clone(session)),
            Err(refused) => {
                self.sessions.give_up(&key, &place);
                Err(refused)
            }
        }
    }

    async fn open(
        &self,
        identity: &Arc<Identity>,
        peer: SocketAddr,
        cluster: &TargetName,
        login: &Login,
        agent: &str,
    ) -> Result<Arc<Session>, Refused> {
        let facts = ConnectionFacts { peer, door: Door::of(identity), protocol: ProtocolName::Kube, holder: None };
        let ask = Ask { identity, kind: Kind::KubeCluster, target: cluster, login, connection: &facts };
        let mut prompt = TurnAway { agent };
        let opened = self.parts.gate.open(&ask, &mut prompt).await;
        let grant = opened.map_err(|refusal| prompt::refused(&refusal))?;
        let (first, live) = grant.dial().await.map_err(|error| {
            if matches!(error, DialError::Unreachable { .. }) {
                self.parts.health.note(cluster, "it can't be reached".to_owned());
            }
            Refused::unavailable(error.to_string())
        })?;
        let down = |error: cluster::ClusterError| {
            self.parts.health.note(cluster, error.to_string());
            tracing::error!(%cluster, %error, "A cluster can't be used");
            Refused::unavailable(format!("the cluster \"{cluster}\" can't be used now (ask your administrator)"))
        };
        let resource = live.about().kube().map(Arc::clone).ok_or_else(|| Refused::forbidden("this is no cluster"))?;
        let reached = Arc::new(cluster::Cluster::read(resource).await.map_err(down)?);
        let live = Arc::new(live);
        let sender = upstream::sender(&live, &reached, first).map_err(down)?;
        let session = Session::new(live, sender, reached.base().clone());
        tokio::spawn(Arc::clone(&session).watch());
        let (sender, base) = (session.sender.clone(), session.base.clone());
        tokio::spawn(self.parts.health.clone().ask(cluster.clone(), sender, base));
        Ok(session)
    }

    fn uri(session: &Session, rest: &str, query: Option<&str>) -> Result<Uri, Refused> {
        let base = session.base.path().trim_end_matches('/');
        let path = query.map_or_else(|| format!("{base}{rest}"), |query| format!("{base}{rest}?{query}"));
        let path: PathAndQuery = path.parse().map_err(|_| Refused::bad("the path can't be read"))?;
        let mut parts = session.base.clone().into_parts();
        parts.path_and_query = Some(path);
        Uri::from_parts(parts).map_err(|_| Refused::bad("the path can't be read"))
    }

    fn told(session: &Session, info: &RequestInfo, path: &str, status: StatusCode) {
        session.live.did_with(|| Deed::Kube {
            verb: info.verb.as_str().into(),
            resource: if info.is_resource() { info.to_string() } else { path.to_owned() }.into(),
            namespace: info.namespace.as_str().into(),
            name: info.name.as_str().into(),
            status: status.as_u16(),
        });
    }
}

/// What the roles and their fresh taps say of a request.
fn judged(
    session: &Session,
    cluster: &TargetName,
    (info, path): (&RequestInfo, &str),
    upgrade: bool,
) -> Result<Passage, Refused> {
    let passage = rules::judge(session.live.kube_access(), cluster, (info, path), upgrade)?;
    let fresh = session.live.terms().kube_fresh_tap;
    match rules::verb(info).filter(|verb| info.is_resource() && fresh.verbs.has(*verb)) {
        Some(verb) if !session.live.tapped_within(fresh.within) => Err(Refused::fresh_tap(format!(
            "MFA is required to {} {info} in Kubernetes cluster \"{cluster}\": your role wants a tap of the last {} \
             seconds (run `tap kube tap {cluster}` and then the command again)",
            verb.name(),
            fresh.within.as_secs()
        ))),
        _ => Ok(passage),
    }
}

/// What came of asking the API server.
fn came(
    answered: Result<Result<Response<Incoming>, BoxError>, Elapsed>,
    session: &Session,
    cluster: &TargetName,
) -> Result<Response<Incoming>, Refused> {
    match answered {
        Err(_) => Err(Refused::new(StatusCode::GATEWAY_TIMEOUT, "the API server did not answer in time")),
        Ok(Err(error)) => {
            tracing::warn!(%cluster, %error, "An API server could not be asked");
            Err(Refused::unavailable(format!("the cluster \"{cluster}\" can't be reached now (try again later)")))
        }
        // The client's certificate is not what the API server has seen: another one would change nothing.
        Ok(Ok(response)) if response.status() == StatusCode::UNAUTHORIZED => {
            tracing::error!(%cluster, "An API server does not take the gate's credentials");
            session.is_refused();
            let words =
                format!("the cluster \"{cluster}\" does not take the gate's credentials (ask your administrator)");
            Err(Refused::new(StatusCode::BAD_GATEWAY, words))
        }
        Ok(Ok(response)) => Ok(response),
    }
}

/// Joins both sides of a connection that speaks another protocol from now on.
fn upgraded(
    mut response: Response<Incoming>,
    on_client: Option<OnUpgrade>,
    passing: Option<Passing>,
    (using, idle): (Using, Option<Duration>),
) -> Result<Response<Body>, Refused> {
    let Some(on_client) = on_client else {
        return Err(Refused::new(StatusCode::BAD_GATEWAY, "the API server upgraded what nobody asked it to"));
    };
    let on_server = hyper::upgrade::on(&mut response);
    tokio::spawn(relay(on_client, on_server, passing, (using, idle)));
    Ok(response.map(|_| whole(Bytes::new())))
}

/// What is left of a login when the client asks to be less. A name or group that it does not hold is refused, never
/// dropped in silence.
fn narrowed(login: Login, wanted: &Wanted) -> Result<Login, Refused> {
    let Login::Kube { user, groups } = &login else {
        return Err(Refused::forbidden("this login is not a Kubernetes user"));
    };
    let stranger = wanted.user.as_deref().filter(|wanted| *wanted != &**user);
    let missing = wanted.groups.iter().find(|wanted| !groups.iter().any(|group| **group == ***wanted));
    if let Some(other) = stranger.or(missing.map(String::as_str)) {
        return Err(Refused::forbidden(format!("you may not be {other:?} here (`tap kube ls` shows whom you may be)")));
    }
    if wanted.groups.is_empty() || wanted.groups.len() == groups.len() {
        return Ok(login);
    }
    Err(Refused::forbidden("a part of your groups can't be chosen with --as-group (leave it out)"))
}
