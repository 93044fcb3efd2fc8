//! A terminal's WebSocket: who may open one, and its way from the first word to the last.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures::{SinkExt as _, StreamExt as _};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tapgate_api::{TerminalNews, TerminalWish};
use tapgate_authority::{Fault, WebSession};
use tapgate_ssh::{Console, TerminalSize, Visit, Visited};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::super::api::Shared;
use super::super::page::own_line;
use super::super::reply::Reply;
use super::super::{App, Caller};
use super::pump::{self, Ended};
use super::{Entered, Terminal};
use crate::limits::{TERMINAL_FAREWELL_MAX, TERMINAL_MESSAGE_MAX, TERMINAL_WISH_MAX, TERMINAL_WRITE_MAX};

/// The browser's end of a connection.
pub(super) type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// What is wished for first, and may be wished for again after a tap.
struct Wish {
    visit: Visit,
    size: TerminalSize,
}

/// Takes the connection of a page of ours. A browser sends the cookie along for any page; its origin tells whose.
pub(super) async fn open(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    Extension(session): Extension<WebSession>,
    mut request: Request<Body>,
) -> Response {
    let accepted = own_line(&app.authority.relying_party().origins, request.headers())
        .and_then(|()| key(request.headers()))
        .and_then(|key| Ok((key, app.terminals.enter(&session, caller.peer)?)));
    let (key, entered) = match accepted {
        Ok(accepted) => accepted,
        Err(fault) => return Reply::from(Err::<(), _>(fault)).into_response(),
    };
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        match upgrade.await {
            Ok(upgraded) => serve(app, entered, upgraded).await,
            Err(error) => tracing::debug!(%error, "A terminal's page left before it began"),
        }
    });
    let fixed = |text| HeaderValue::from_static(text);
    let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
    response.headers_mut().extend([(header::UPGRADE, fixed("websocket")), (header::CONNECTION, fixed("Upgrade"))]);
    response.headers_mut().insert(header::SEC_WEBSOCKET_ACCEPT, key);
    response
}

/// The answer to a WebSocket's handshake (RFC 6455, section 4.2).
fn key(headers: &HeaderMap) -> Result<HeaderValue, Fault> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let has =
        |name: HeaderName, wanted: &str| text(name).split(',').any(|word| word.trim().eq_ignore_ascii_case(wanted));
    let wrong = || Fault::invalid("this is a terminal's WebSocket", "open the terminal's page instead");
    let is_one = has(header::UPGRADE, "websocket") && has(header::CONNECTION, "upgrade");
    let key = text(header::SEC_WEBSOCKET_KEY);
    if !is_one || text(header::SEC_WEBSOCKET_VERSION) != "13" || key.is_empty() {
        return Err(wrong());
    }
    HeaderValue::try_from(derive_accept_key(key.as_bytes())).map_err(|_| wrong())
}

async fn serve(app: Arc<App>, mut entered: Entered, upgraded: Upgraded) {
    let config = WebSocketConfig::default()
        .read_buffer_size(8 * 1024)
        .write_buffer_size(0)
        .max_write_buffer_size(TERMINAL_WRITE_MAX)
        .max_message_size(Some(TERMINAL_MESSAGE_MAX))
        .max_frame_size(Some(TERMINAL_MESSAGE_MAX));
    let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
    let connection = std::mem::take(&mut entered.secret);
    let ready = TerminalNews::Ready { connection, typed_max: pump::TYPED_MAX };
    if tell(&mut socket, &ready).await.is_none() {
        return;
    }
    let Some((console, wish)) = begin(&app, &entered.terminal, &mut socket).await else { return };
    // From here on files may be asked for, under the same name.
    drop(entered.terminal.visit.set(wish.visit.clone()));
    let message = match console.shell(wish.size).await {
        Ok((shell, stream)) => {
            if tell(&mut socket, &TerminalNews::Open).await.is_none() {
                return;
            }
            match pump::run(&app, &mut entered, &console, (shell, stream), &mut socket).await {
                Ended::Gone => return,
                Ended::Told(message) => message,
            }
        }
        // What the session itself ended with says more.
        Err(message) => timeout(Duration::ZERO, console.over()).await.ok().flatten().unwrap_or(message),
    };
    drop(console);
    let last = async {
        tell(&mut socket, &TerminalNews::Over { message }).await?;
        socket.close(None).await.ok()?;
        // The browser's own close; what it sent before is of no use any more.
        while let Some(Ok(_)) = socket.next().await {}
        Some(())
    };
    let _ = timeout(TERMINAL_FAREWELL_MAX, last).await;
}

/// From the page's first wish to an open session. Only [`tapgate_session::Gate`] says whether a tap is due.
async fn begin(app: &Arc<App>, terminal: &Arc<Terminal>, socket: &mut Socket) -> Option<(Console, Wish)> {
    loop {
        let mut wish = match timeout(TERMINAL_WISH_MAX, socket.next()).await.ok()?? {
            Ok(Message::Text(text)) => match parse(terminal, text.as_str()) {
                Ok(Some(wish)) => wish,
                Ok(None) => continue,
                Err(message) => {
                    tell(socket, &TerminalNews::Refused { message }).await?;
                    continue;
                }
            },
            Ok(Message::Ping(_) | Message::Pong(_)) => continue,
            _ => return None,
        };
        let answer = match visited(app, &mut wish, socket).await? {
            Visited::Open(console) => return Some((console, wish)),
            Visited::Tap => TerminalNews::Tap,
            Visited::Refused(message) => TerminalNews::Refused { message },
        };
        tell(socket, &answer).await?;
    }
}

/// Opens the session, as long as the page is there; meanwhile it may change its size.
async fn visited(app: &App, wish: &mut Wish, socket: &mut Socket) -> Option<Visited> {
    let visit = wish.visit.clone();
    let mut opening = std::pin::pin!(app.ssh.visit(&visit));
    loop {
        tokio::select! {
            biased;
            visited = &mut opening => return Some(visited),
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    if let Ok(TerminalWish::Size { cols, rows }) = serde_json::from_str(text.as_str()) {
                        wish.size = size(cols, rows);
                    }
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                _ => return None,
            },
        }
    }
}

/// What the page wishes for; nothing where it says something else that it may say.
fn parse(terminal: &Terminal, text: &str) -> Result<Option<Wish>, String> {
    match serde_json::from_str(text).map_err(|_| "the page said something that the gate does not know".to_owned())? {
        TerminalWish::Open { target, login, cols, rows } => {
            let visit = Visit {
                identity: Arc::clone(terminal.session.identity()),
                target: target.parse().map_err(|_| "no node has such a name".to_owned())?,
                login: login.parse().map_err(|_| "no login has such a name".to_owned())?,
                facts: terminal.facts(),
            };
            Ok(Some(Wish { visit, size: size(cols, rows) }))
        }
        TerminalWish::Size { .. } | TerminalWish::Shown { .. } => Ok(None),
    }
}

/// A terminal has a size, whatever the page says.
pub(super) fn size(cols: u16, rows: u16) -> TerminalSize {
    TerminalSize { cols: u32::from(cols.clamp(2, 1000)), rows: u32::from(rows.clamp(1, 1000)) }
}

/// Says something to the page; nothing where it is gone or does not listen.
async fn tell(socket: &mut Socket, news: &TerminalNews) -> Option<()> {
    let text = serde_json::to_string(news).ok()?;
    timeout(TERMINAL_FAREWELL_MAX, socket.send(Message::text(text))).await.ok()?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_websockets_handshake_is_one() {
        let head = |upgrade: &str, connection: &str, version: &str, given: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::UPGRADE, upgrade.parse().unwrap());
            headers.insert(header::CONNECTION, connection.parse().unwrap());
            headers.insert(header::SEC_WEBSOCKET_VERSION, version.parse().unwrap());
            headers.insert(header::SEC_WEBSOCKET_KEY, given.parse().unwrap());
            key(&headers).ok()
        };
        // The example of RFC 6455, section 1.3.
        let sample = "dGhlIHNhbXBsZSBub25jZQ==";
        let answer = head("websocket", "keep-alive, Upgrade", "13", sample);
        assert_eq!(answer.unwrap(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        for (upgrade, connection, version, given) in [
            ("h2c", "Upgrade", "13", sample),
            ("websocket", "keep-alive", "13", sample),
            ("websocket", "Upgrade", "8", sample),
            ("websocket", "Upgrade", "13", ""),
        ] {
            assert!(head(upgrade, connection, version, given).is_none(), "{upgrade} {connection} {version}");
        }
    }

    #[test]
    fn a_terminal_has_a_size() {
        assert_eq!(size(80, 24), TerminalSize { cols: 80, rows: 24 });
        assert_eq!(size(0, 0), TerminalSize { cols: 2, rows: 1 });
        assert_eq!(size(u16::MAX, u16::MAX), TerminalSize { cols: 1000, rows: 1000 });
    }
}
