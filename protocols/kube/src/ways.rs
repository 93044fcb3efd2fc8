//! The ways into a pod, exec, attach and forwarded ports: what is told of them, and what does not happen because it could
//! not be told.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderMap, HeaderName, HeaderValue, Response, header};
use tapgate_audit::{Deed, Taped, Way};
use tapgate_session::{KubeVerb, Live};

use crate::request_info::{Query, RequestInfo};
use crate::rules;
use crate::sessions::Session;
use crate::spdy::{Conversation, Kind};
use crate::status::Refused;
use crate::trace::Trace;
use crate::websocket::{Frames, Unreadable};

/// By what a SPDY client and server agree on a version of the protocol.
const STREAM_VERSION: HeaderName = HeaderName::from_static("x-stream-protocol-version");

/// Which side bytes come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

/// How a stream is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    WebSocket,
    Spdy,
}

impl Dialect {
    const ALL: [Self; 2] = [Self::WebSocket, Self::Spdy];

    /// Its word in the header `Upgrade`.
    const fn word(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::Spdy => "SPDY/3.1",
        }
    }

    /// In which header its versions stand.
    const fn header(self) -> HeaderName {
        match self {
            Self::WebSocket => header::SEC_WEBSOCKET_PROTOCOL,
            Self::Spdy => STREAM_VERSION,
        }
    }

    /// The versions that are read. In all of them output and errors are apart, and an end has a stream of its own.
    const fn versions(self) -> &'static [&'static str] {
        match self {
            Self::WebSocket => &["v5.channel.k8s.io", "v4.channel.k8s.io"],
            Self::Spdy => &["v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io"],
        }
    }

    /// The one that these headers ask for or agree to; none where that could be read in two ways.
    fn of(headers: &HeaderMap) -> Option<Self> {
        let mut words = headers.get_all(header::UPGRADE).iter();
        let word = words.next()?.to_str().ok()?.trim();
        let dialect = Self::ALL.into_iter().find(|dialect| dialect.word().eq_ignore_ascii_case(word))?;
        words.next().is_none().then_some(dialect)
    }

    /// Those of its versions that stand in these headers.
    fn read(self, headers: &HeaderMap) -> Vec<&'static str> {
        let named: Vec<&str> = headers
            .get_all(self.header())
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .collect();
        self.versions().iter().copied().filter(|version| named.contains(version)).collect()
    }
}

/// A way in that a request asks for.
pub(crate) struct WayIn {
    /// As a command of kubectl, or the pod whose ports are forwarded.
    what: What,
    /// How it will be packed, where it is recorded.
    dialect: Option<Dialect>,
}

enum What {
    Command { line: String, terminal: bool },
    Ports { pod: String },
}

/// Looks at whether a request asks for a way in, and at whether that can be recorded where it must be. What can't be
/// read is taken out of what the client offers.
pub(crate) fn asked(
    session: &Session,
    info: &RequestInfo,
    query: Option<&str>,
    headers: &mut HeaderMap,
) -> Result<Option<WayIn>, Refused> {
    let upgrade = headers.contains_key(header::UPGRADE);
    let taped = session.live.tape().is_some();
    match rules::verb(info).filter(|_| info.is_resource()) {
        Some(KubeVerb::Exec) if upgrade => {
            let query = Query(query.unwrap_or_default());
            let dialect = if taped { readable(headers) } else { None };
            if taped && dialect.is_none() {
                without(&session.live, "a stream of this kind", OTHER_CLIENT)?;
            }
            let terminal = query.values("tty").any(|value| !matches!(value.as_str(), "false" | "0"));
            Ok(Some(WayIn { what: What::Command { line: line(info, &query), terminal }, dialect }))
        }
        Some(KubeVerb::PortForward) if upgrade => {
            let pod = format!("{}/{}", info.namespace, info.name);
            Ok(Some(WayIn { what: What::Ports { pod }, dialect: None }))
        }
        // Through a node's proxy commands are run by plain requests too.
        Some(KubeVerb::Proxy) if taped && (upgrade || info.resource == "nodes") => {
            without(&session.live, "what goes through this proxy", "use exec, logs or port-forward").map(|()| None)
        }
        _ => Ok(None),
    }
}

/// How an offered stream will be packed, with all that can't be read taken out of the offer; `None` where nothing would
/// be left of it.
fn readable(headers: &mut HeaderMap) -> Option<Dialect> {
    let dialect = Dialect::of(headers)?;
    let versions = dialect.read(headers);
    if versions.is_empty() {
        return None;
    }
    headers.remove(dialect.header());
    for version in versions {
        headers.append(dialect.header(), HeaderValue::from_static(version));
    }
    headers.remove(header::SEC_WEBSOCKET_EXTENSIONS);
    Some(dialect)
}

/// What a client can do whose exec or attach can't be read.
const OTHER_CLIENT: &str = "use kubectl, or another client that speaks v4.channel.k8s.io";

/// Something won't be recorded: refused where it must be, with this advice, and told otherwise.
fn without(live: &Live, what: &str, advice: &str) -> Result<(), Refused> {
    if live.may_go_unrecorded(what) {
        return Ok(());
    }
    Err(Refused::forbidden(format!("your role wants all of this session recorded, and {what} can't be ({advice})")))
}

/// The command of kubectl that asks for the same.
fn line(info: &RequestInfo, query: &Query<'_>) -> String {
    let quoted = |word: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "@%_+=:,./-".contains(c);
        if !word.is_empty() && word.chars().all(plain) {
            word.to_owned()
        } else {
            format!("'{}'", word.replace('\'', "'\\''"))
        }
    };
    let mut words = vec![info.subresource.clone(), "-n".to_owned(), quoted(&info.namespace), quoted(&info.name)];
    if let Some(container) = query.values("container").find(|container| !container.is_empty()) {
        words.extend(["-c".to_owned(), quoted(&container)]);
    }
    let mut command = query.values("command").map(|word| quoted(&word)).peekable();
    if command.peek().is_some() {
        words.push("--".to_owned());
    }
    words.extend(command);
    words.join(" ")
}

impl WayIn {
    /// It has come about, as this answer says.
    pub(crate) fn opened<B>(
        self,
        session: &Session,
        peer: SocketAddr,
        response: &Response<B>,
    ) -> Result<Passing, Refused> {
        let headers = response.headers();
        let agreed = |dialect: &Dialect| {
            Dialect::of(headers) == Some(*dialect)
                && dialect.read(headers).len() == 1
                && !headers.contains_key(header::SEC_WEBSOCKET_EXTENSIONS)
        };
        let live = &session.live;
        let mut reading = None;
        match &self.what {
            What::Command { line, terminal } => {
                let dialect = self.dialect.filter(agreed);
                if self.dialect.is_some() && dialect.is_none() {
                    without(live, "what the API server agrees to", OTHER_CLIENT)?;
                }
                live.did(Deed::Command(Some(line.as_str().into())));
                let number = session.next_channel();
                reading = dialect.map(|dialect| Reading::new(live, number, dialect, line, *terminal));
            }
            What::Ports { .. } => {}
        }
        let counts = [AtomicU64::new(0), AtomicU64::new(0)];
        Ok(Passing { live: Arc::clone(live), what: self.what, peer, counts, reading: Mutex::new(reading) })
    }
}

/// A way in that is open.
pub(crate) struct Passing {
    live: Arc<Live>,
    what: What,
    peer: SocketAddr,
    /// Bytes up and down.
    counts: [AtomicU64; 2],
    reading: Mutex<Option<Reading>>,
}

impl Passing {
    /// Looks at what passes. False where it may not: then the stream must end.
    pub(crate) fn sees(&self, from: Side, bytes: &[u8]) -> bool {
        let [up, down] = &self.counts;
        let count = if from == Side::Client { up } else { down };
        count.fetch_add(u64::try_from(bytes.len()).unwrap_or_default(), Ordering::Relaxed);
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        match reading.as_mut().map(|reading| reading.sees(from, bytes)) {
            None | Some(Ok(())) => true,
            Some(Err(Unreadable)) => {
                if let Some(mut reading) = reading.take() {
                    reading.over();
                }
                self.live.may_go_unrecorded("what passes in an exec or attach")
            }
        }
    }
}

impl Drop for Passing {
    /// It is over.
    fn drop(&mut self) {
        if let Some(mut reading) = self.reading.lock().unwrap_or_else(PoisonError::into_inner).take() {
            reading.over();
        }
        if let What::Ports { pod } = &self.what {
            let [bytes_up, bytes_down] = self.counts.each_ref().map(|count| count.load(Ordering::Relaxed));
            self.live.did(Deed::Forward {
                way: Way::Local,
                destination: pod.as_str().into(),
                origin: self.peer.to_string().into(),
                bytes_up,
                bytes_down,
            });
        }
    }
}

/// A stream that is read for its recording.
pub(crate) struct Reading {
    trace: Trace,
    packed: Packed,
}

enum Packed {
    WebSocket { client: Frames, server: Frames },
    Spdy(Box<Conversation>),
}

/// The channels of `v4.channel.k8s.io` over WebSocket.
const ERRORS: u8 = 2;
const STATUS: u8 = 3;
const SIZES: u8 = 4;

impl Reading {
    fn new(live: &Arc<Live>, number: u32, dialect: Dialect, command: &str, terminal: bool) -> Self {
        let to = Arc::clone(live);
        let tell = move |what: Taped<'_>| {
            if let Some(tape) = to.tape() {
                tape.write(number, what);
            }
        };
        tell(Taped::Runs(command.as_bytes()));
        Self::of(Trace::new(Box::new(tell), terminal), dialect)
    }

    pub(crate) fn of(trace: Trace, dialect: Dialect) -> Self {
        let packed = match dialect {
            Dialect::WebSocket => Packed::WebSocket { client: Frames::default(), server: Frames::default() },
            Dialect::Spdy => Packed::Spdy(Box::default()),
        };
        Self { trace, packed }
    }

    /// It is over.
    pub(crate) fn over(&mut self) {
        self.trace.over();
    }

    pub(crate) fn sees(&mut self, from: Side, bytes: &[u8]) -> Result<(), Unreadable> {
        let Self { trace, packed } = self;
        match (packed, from) {
            (Packed::WebSocket { client, .. }, Side::Client) => client.read(
                bytes,
                |channel| channel == SIZES,
                |_, data| {
                    trace.sizes(data);
                    Ok(())
                },
            ),
            // What comes in a channel that is not known is taken for output.
            (Packed::WebSocket { server, .. }, Side::Server) => server.read(
                bytes,
                |_| true,
                |channel, data| {
                    match channel {
                        STATUS => return trace.status(data),
                        channel => trace.output(data, channel == ERRORS),
                    }
                    Ok(())
                },
            ),
            (Packed::Spdy(conversation), Side::Client) => conversation.client(bytes, |data| trace.sizes(data)),
            (Packed::Spdy(conversation), Side::Server) => conversation.server(bytes, |kind, data| {
                match kind {
                    Kind::Status => return trace.status(data),
                    kind => trace.output(data, kind == Kind::Errors),
                }
                Ok(())
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[rstest]
    #[case(&[("upgrade", "WebSocket"), ("sec-websocket-protocol", "v5.channel.k8s.io, v4.base64.channel.k8s.io")],
        Some(Dialect::WebSocket), &["v5.channel.k8s.io"])]
    #[case(&[("upgrade", "SPDY/3.1"), ("x-stream-protocol-version", "v5.channel.k8s.io,v4.channel.k8s.io"),
        ("x-stream-protocol-version", "channel.k8s.io")], Some(Dialect::Spdy), &["v4.channel.k8s.io"])]
    #[case(&[("upgrade", "websocket"), ("sec-websocket-protocol", "base64.channel.k8s.io")], None,
        &["base64.channel.k8s.io"])]
    #[case(&[("upgrade", "SPDY/3.1")], None, &[])]
    #[case(&[("upgrade", "websocket, SPDY/3.1"), ("sec-websocket-protocol", "v4.channel.k8s.io")], None,
        &["v4.channel.k8s.io"])]
    #[case(&[("upgrade", "websocket"), ("upgrade", "SPDY/3.1"), ("sec-websocket-protocol", "v4.channel.k8s.io")], None,
        &["v4.channel.k8s.io"])]
    fn what_is_offered_is_narrowed_to_what_is_read(
        #[case] pairs: &[(&'static str, &'static str)],
        #[case] dialect: Option<Dialect>,
        #[case] left: &[&str],
    ) {
        let mut headers: HeaderMap = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        assert_eq!(readable(&mut headers), dialect);
        let versions = [header::SEC_WEBSOCKET_PROTOCOL, STREAM_VERSION];
        let named: Vec<&HeaderValue> = versions.iter().flat_map(|name| headers.get_all(name)).collect();
        assert_eq!(named, left);
    }

    #[test]
    fn extensions_are_not_offered() {
        let pairs = [
            ("upgrade", "websocket"),
            ("sec-websocket-protocol", "v4.channel.k8s.io"),
            ("sec-websocket-extensions", "permessage-deflate"),
        ];
        let mut headers = map(&pairs);
        assert_eq!(readable(&mut headers), Some(Dialect::WebSocket));
        assert!(!headers.contains_key("sec-websocket-extensions"));
    }

    #[rstest]
    #[case(
        "exec",
        "command=sh&command=-c&command=echo+it%27s&container=main&tty=true",
        "exec -n dev web-0 -c main -- sh -c 'echo it'\\''s'"
    )]
    #[case("attach", "stdin=true", "attach -n dev web-0")]
    fn as_kubectl_would_say_it(#[case] what: &str, #[case] query: &str, #[case] want: &str) {
        let info = RequestInfo::parse("POST", &format!("/api/v1/namespaces/dev/pods/web-0/{what}"), Some(query));
        assert_eq!(line(&info, &Query(query)), want);
    }
}
