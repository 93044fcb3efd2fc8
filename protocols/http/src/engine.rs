//! pingora's view of us: which session a request belongs to, where it goes, and what is changed on the way.

use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderMap, Method, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::proxy::{FailToProxy, ProxyHttp, Session};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorSource, ErrorType};
use tapgate_audit::Deed;
use tapgate_model::Clock;

use crate::conn::{Connection, Way};
use crate::door::{Admitted, Door};
use crate::headers::{self, Facts, Said};
use crate::jwt::{Claims, Signer};
use crate::limits::{BODY_PAUSE_MAX, WRITE_MAX};
use crate::page::Answer;
use crate::peer::{Carried, Failure};
use crate::session::AppSession;

/// What pingora calls.
pub(crate) struct Engine {
    pub(crate) door: Arc<Door>,
    pub(crate) signer: Arc<Signer>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// What is known of one request. Without a session it goes nowhere.
#[derive(Default)]
pub(crate) struct Request {
    session: Option<Arc<AppSession>>,
    connection: Option<Arc<Connection>>,
    failure: Failure,
    status: Option<u16>,
    upgrade: bool,
}

impl Engine {
    /// The host of a request, in lower case and without its port.
    fn host(request: &RequestHeader) -> Option<String> {
        let named = request.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let authority = request.uri.authority().map(http::uri::Authority::as_str).or(named)?;
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => authority,
        };
        Some(host.to_ascii_lowercase())
    }

    async fn admit(&self, session: &Session, connection: &Arc<Connection>) -> Admitted {
        let host = match &connection.way {
            Way::Tunnel(known) if known.serves(None, connection.peer.ip()) => {
                known.touch();
                return Admitted::To(Arc::clone(known));
            }
            Way::Tunnel(_) => {
                let over = Answer::new(403, "Session over", "The session of this tunnel is over (connect again).");
                return Admitted::Answer(Box::new(over));
            }
            Way::Host(host) => host,
        };
        // The handshake was made for one name, and only that one is served over it (RFC 9110 section 15.5.20).
        if Self::host(session.req_header()).as_ref() != Some(host) {
            let other = Answer::new(421, "Misdirected", "This connection was made for another host.");
            return Admitted::Answer(Box::new(other));
        }
        self.door.admit(host, connection.peer, session.req_header()).await
    }

    /// What the gate says in this session's requests.
    fn said(&self, session: &AppSession, roles: Option<&[String]>) -> Option<Arc<Said>> {
        session.said(|| {
            let hosts = &self.door.hosts;
            let public = hosts.public(session);
            let audience = public.as_ref().map_or_else(|| session.app.uri.clone(), |host| hosts.origin(host));
            let number = session.live.id().to_string();
            let user = session.user().as_str();
            let claims = Claims { user, audience: &audience, session: &number, roles, now: self.clock.now() };
            let token = self.signer.sign(&claims)?;
            let host = public.map_or_else(|| session.app.addr.clone(), |host| hosts.authority(&host));
            let rewrites = &session.app.rewrite.headers;
            Said::new(&Facts { token: &token, user, host: &host, port: hosts.port(), rewrites })
        })
    }

    fn roles(&self, session: &AppSession) -> Option<Vec<String>> {
        let snapshot = self.door.sessions.gate().snapshot();
        let roles = session.app.rewrite.roles.then(|| snapshot.policy().roles_of(session.user()))??;
        Some(roles.iter().map(ToString::to_string).collect())
    }
}

/// The words for what went wrong on the way to the application.
fn failed(error: &Error, request: &Request, name: &str) -> Answer {
    if let Some(why) = request.failure.take() {
        return Answer::new(502, "Not reached", why);
    }
    let (status, title, what) = match error.etype() {
        ErrorType::ReadTimedout | ErrorType::WriteTimedout => (504, "No answer", "gave no answer in time"),
        ErrorType::ConnectTimedout | ErrorType::TLSHandshakeTimedout => {
            (504, "Not reached", "could not be connected to in time")
        }
        ErrorType::InvalidCert | ErrorType::TLSHandshakeFailure | ErrorType::TLSWantX509Lookup => {
            (502, "Not trusted", "did not prove that it is the right one (its certificate is not as its resource says)")
        }
        ErrorType::InvalidHTTPHeader | ErrorType::InvalidH2 | ErrorType::H2Error | ErrorType::H1Error => {
            (502, "Bad answer", "gave an answer that is no HTTP")
        }
        _ => (502, "Cut off", "ended the connection before its answer was there"),
    };
    tracing::debug!(application = name, %error, "An application did not answer");
    Answer::new(status, title, format!("Application \"{name}\" {what}."))
}

/// What the edge has noted of this request's connection.
fn connection_of(session: &Session) -> Option<Arc<Connection>> {
    let digest = session.digest()?.proxy_digest.as_ref()?;
    digest.user_data.as_ref()?.downcast_ref::<Arc<Connection>>().map(Arc::clone)
}

/// How a request's bytes are to be carried.
fn carried(request: &RequestHeader, upgrade: bool) -> Carried {
    let starts = |name: &str, with: &str| {
        let value = request.headers.get(name).and_then(|value| value.to_str().ok());
        value.is_some_and(|value| value.starts_with(with))
    };
    if starts("content-type", "application/grpc") {
        Carried::Grpc
    } else if upgrade || starts("accept", "text/event-stream") {
        Carried::Stream
    } else {
        Carried::Plain
    }
}

/// Whether this asks for a WebSocket, the one thing that connections to applications turn into.
fn is_websocket(headers: &HeaderMap) -> bool {
    headers.get(header::UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

#[async_trait]
impl ProxyHttp for Engine {
    type CTX = Request;

    fn new_ctx(&self) -> Request {
        Request::default()
    }

    // Nothing is compressed here, so that no module is needed.
    fn init_downstream_modules(&self, _: &mut pingora::modules::http::HttpModules) {}

    async fn request_filter(&self, session: &mut Session, request: &mut Request) -> pingora::Result<bool> {
        let Some(connection) = connection_of(session) else {
            return Error::e_explain(ErrorType::InternalError, "a request without its connection");
        };
        connection.expects_head(false);
        request.connection = Some(Arc::clone(&connection));
        let head = session.req_header();
        if head.version == http::Version::HTTP_11 && head.headers.get_all(header::HOST).iter().count() != 1 {
            // RFC 9112 section 3.2: a request of this version names its host, once.
            Answer::new(400, "Bad request", "The request does not name its host.").send(session).await?;
            return Ok(true);
        }
        session.set_read_timeout(Some(BODY_PAUSE_MAX));
        session.set_write_timeout(Some(WRITE_MAX));
        let upgrade = session.is_upgrade_req();
        if upgrade && !is_websocket(&session.req_header().headers) {
            Answer::new(501, "Not offered", "Only WebSockets are offered here.").send(session).await?;
            return Ok(true);
        }
        match connection.within(self.admit(session, &connection)).await {
            Admitted::Answer(answer) => {
                request.status = Some(answer.status);
                answer.send(session).await?;
                Ok(true)
            }
            Admitted::To(found) => {
                found.used_by(&connection);
                // It is over only now, and its end has not seen this connection.
                if !found.serves(None, connection.peer.ip()) {
                    Answer::new(403, "Session over", "The session has just ended.").send(session).await?;
                    return Ok(true);
                }
                if let Some(base) = base_path(&found, session.req_header()) {
                    Answer::redirect(base).send(session).await?;
                    return Ok(true);
                }
                if upgrade {
                    request.upgrade = true;
                    session.set_read_timeout(None);
                }
                request.session = Some(found);
                Ok(false)
            }
        }
    }

    async fn upstream_peer(&self, session: &mut Session, request: &mut Request) -> pingora::Result<Box<HttpPeer>> {
        let Some(found) = &request.session else {
            return Error::e_explain(ErrorType::InternalError, "a request without a session");
        };
        let carried = carried(session.req_header(), request.upgrade);
        if carried == Carried::Grpc {
            session.set_read_timeout(None);
        }
        match found.peers.peer(found, carried, &request.failure) {
            Ok(peer) => Ok(Box::new(peer)),
            Err(why) => Error::e_explain(ErrorType::InternalError, why),
        }
    }

    async fn upstream_request_filter(
        &self,
        _: &mut Session,
        upstream: &mut RequestHeader,
        request: &mut Request,
    ) -> pingora::Result<()> {
        let (Some(session), Some(connection)) = (&request.session, &request.connection) else {
            return Error::e_explain(ErrorType::InternalError, "a request without a session");
        };
        let roles = self.roles(session);
        let Some(said) = self.said(session, roles.as_deref()) else {
            return Error::e_explain(ErrorType::InternalError, "what the gate says of the user could not be made");
        };
        let roles = roles.map(|roles| roles.join(","));
        headers::rewrite(upstream, &said, connection.peer.ip().to_canonical(), roles.as_deref())
    }

    async fn response_filter(
        &self,
        _: &mut Session,
        response: &mut ResponseHeader,
        request: &mut Request,
    ) -> pingora::Result<()> {
        if response.status == http::StatusCode::SWITCHING_PROTOCOLS && !request.upgrade {
            // Nobody asked to: what follows would be taken for answers, or sent on without being looked at.
            return Error::e_explain(ErrorType::InvalidHTTPHeader, "the application changed the protocol by itself");
        }
        request.status = Some(response.status.as_u16());
        let Some(session) = &request.session else { return Ok(()) };
        if request.upgrade
            && response.status == http::StatusCode::SWITCHING_PROTOCOLS
            && let Some(connection) = &request.connection
        {
            connection.upgraded();
        }
        let hosts = &self.door.hosts;
        headers::answer(response, &session.app.rewrite.redirect, || Some(hosts.authority(&hosts.public(session)?)))
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, request: &mut Request) -> FailToProxy {
        let from_client = error.esource() == &ErrorSource::Downstream;
        let gone = matches!(error.etype(), ErrorType::WriteError | ErrorType::ReadError | ErrorType::ConnectionClosed);
        let mut status = 0;
        if session.response_written().is_none() && !(from_client && gone) {
            let name = request.session.as_ref().map(|session| session.app.name.to_string()).unwrap_or_default();
            let answer = match error.etype() {
                ErrorType::HTTPStatus(code) => Answer::new(*code, "Refused", "The request can't be carried."),
                ErrorType::ReadTimedout if from_client => Answer::new(408, "Too slow", "The request took too long."),
                _ if from_client => Answer::new(400, "Bad request", "The request is no HTTP."),
                _ => failed(error, request, &name),
            };
            status = answer.status;
            // A client that has gone needs no answer.
            answer.send(session).await.ok();
        }
        request.status = request.status.or((status > 0).then_some(status));
        FailToProxy { error_code: status, can_reuse_downstream: false }
    }

    async fn logging(&self, session: &mut Session, _: Option<&Error>, request: &mut Request) {
        if let Some(connection) = &request.connection {
            connection.expects_head(true);
        }
        let Some(found) = request.session.take() else { return };
        found.touch();
        found.moved(session.body_bytes_read(), session.body_bytes_sent());
        if found.app.audit_requests || found.live.terms().app_audit_requests {
            let head = session.req_header();
            let (method, path) = (head.method.as_str().into(), head.uri.path().into());
            let connection = request.connection.as_ref().and_then(|connection| connection.id());
            let connection = connection.map(|id| id.to_string().into());
            found.live.did(Deed::Request { method, path, status: request.status, connection });
        }
    }

    /// What goes wrong is answered and logged here; pingora would repeat it as an error of its own.
    fn suppress_error_log(&self, _: &Session, _: &Request, _: &Error) -> bool {
        true
    }
}

/// Where an application lives below its own front page, and that is asked for: there.
fn base_path(session: &AppSession, request: &RequestHeader) -> Option<String> {
    if request.method != Method::GET || request.uri.path() != "/" || request.uri.query().is_some() {
        return None;
    }
    let path = session.app.uri.split_once("://")?.1.split_once('/').map(|(_, path)| path)?;
    (!path.is_empty()).then(|| format!("/{path}"))
}
