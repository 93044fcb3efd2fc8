//! Desktops on the gate's own pages: what a page must know of one, its picture through a WebSocket, and the file for a
//! client of RDP.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Query, Request, State};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use serde::Deserialize;
use tapgate_api::{SessionTarget, WebDesktop, WebDesktopFile, WebDesktopOpen, WebDesktopWish, WebTap};
use tapgate_authority::{Fault, WebSession};
use tapgate_desktop::{DesktopFile, Wish};
use tapgate_model::{DesktopProtocol, Kind, Login, LoginName, TargetName};
use tapgate_proof::Holder;
use tapgate_session::{About, DesktopMode, DesktopResource};

use super::api::Shared;
use super::byte_socket::{ENDED, Handshake, REFUSED};
use super::reply::{Reply, blocking, body};
use super::{App, Caller};

/// Which desktop, and as whom.
#[derive(Deserialize)]
pub(super) struct Place {
    desktop: String,
    login: String,
    /// The right to the WebSocket that asks.
    #[serde(default)]
    ticket: String,
}

/// The same, looked at.
struct Known {
    target: TargetName,
    login: LoginName,
    desktop: Arc<DesktopResource>,
    clipboard: bool,
}

impl Known {
    /// Finds it among what the user may open: unknown and forbidden are one answer.
    fn find(app: &App, session: &WebSession, place: &Place) -> Result<Self, Fault> {
        let wrong = |error: tapgate_model::NameError| Fault::invalid(error.to_string(), "see the page of targets");
        let (target, login): (TargetName, LoginName) =
            (place.desktop.parse().map_err(wrong)?, place.login.parse().map_err(wrong)?);
        let wishes = [(Kind::WindowsDesktop, target.clone(), Login::Desktop(login.clone()))];
        let needed = app.gate.requirement(session.user(), &wishes);
        let needed = needed.map_err(|(_, denial)| Fault::denied(denial.message()))?;
        let clipboard = needed.targets.iter().all(|(_, _, terms)| terms.desktop.clipboard);
        let gone = || Fault::not_found("there is no such desktop");
        let all = app.gate.visible(session.user()).into_iter();
        let found = all.filter(|seen| seen.target.name == target).find_map(|seen| match seen.about {
            About::Desktop(desktop) => Some(desktop),
            _ => None,
        });
        Ok(Self { target, login, desktop: found.ok_or_else(gone)?, clipboard })
    }

    fn is_opaque(&self) -> bool {
        self.desktop.mode == DesktopMode::Passthrough
    }

    /// The tap that is due for it, named by this holder.
    fn tap(&self, app: &App, session: &WebSession, holder: &Holder, caller: &Caller) -> Result<WebTap, Fault> {
        let kind = Kind::WindowsDesktop.to_string();
        let targets = [SessionTarget { kind, name: self.target.to_string(), login: self.login.to_string() }];
        app.authority.web_tap_begin(&app.gate, session, (&targets, holder), caller.peer.ip())
    }

    fn wish(&self, session: &WebSession, holder: Holder, caller: &Caller) -> Wish {
        Wish {
            protocol: self.desktop.protocol,
            target: self.target.clone(),
            login: self.login.clone(),
            identity: Arc::clone(session.identity()),
            holder,
            peer: caller.peer,
        }
    }
}

/// What a page must know before it opens a desktop.
pub(super) async fn about(
    State(app): Shared,
    Extension(session): Extension<WebSession>,
    Query(place): Query<Place>,
) -> Reply {
    let found = Known::find(&app, &session, &place).map(|known| WebDesktop {
        protocol: known.desktop.protocol.as_str().to_owned(),
        on_page: !known.is_opaque(),
        clipboard: known.clipboard,
    });
    found.into()
}

/// A page's right to one connection, and the tap that is good for that one alone.
pub(super) async fn open(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    Extension(session): Extension<WebSession>,
    bytes: Bytes,
) -> Reply {
    blocking(&app, move |app| {
        let known = Known::find(app, &session, &wished(&bytes)?)?;
        let (ticket, holder) = app.tickets.give(&session, app.clock.now())?;
        let tap = known.tap(app, &session, &holder, &caller)?;
        Ok(WebDesktopOpen { ticket, tap })
    })
    .await
}

fn wished(bytes: &[u8]) -> Result<Place, Fault> {
    let WebDesktopWish { desktop, login } = body(bytes)?;
    Ok(Place { desktop, login, ticket: String::new() })
}

/// A desktop's picture, and what its user does: one WebSocket, of our own page alone. Where a tap is due and there is
/// none for this web session, it ends with the words.
pub(super) async fn socket(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    Extension(session): Extension<WebSession>,
    Query(place): Query<Place>,
    mut request: Request<Body>,
) -> Response {
    let begun = Handshake::of(&mut request, &app.authority.relying_party().origins).and_then(|shake| {
        let known = Known::find(&app, &session, &place)?;
        let holder = app.tickets.take(&place.ticket, &session, app.clock.now());
        let spent = || Fault::denied("this page's right to a desktop is spent or too old (open it again)");
        Ok((shake, known.wish(&session, holder.ok_or_else(spent)?, &caller)))
    });
    let (shake, wish) = match begun {
        Ok(begun) => begun,
        Err(fault) => return Reply::from(Err::<(), _>(fault)).into_response(),
    };
    let answer = shake.answer();
    tokio::spawn(Box::pin(carry(app, shake, wish)));
    answer
}

async fn carry(app: Arc<App>, shake: Handshake, wish: Wish) {
    let peer = wish.peer;
    let mut socket = match shake.open().await {
        Ok(socket) => socket,
        Err(error) => return tracing::debug!(%peer, %error, "A page went away before its WebSocket began"),
    };
    match app.desktops.on_page(wish).await {
        Ok(desktop) => {
            let why = desktop.carry(&mut socket).await;
            socket.close(ENDED, &why).await;
        }
        Err(why) => socket.close(REFUSED, &why).await,
    }
}

/// A file for a client of RDP, its one-time password, and the tap over both. Without the tap they open nothing.
pub(super) async fn file(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    Extension(session): Extension<WebSession>,
    bytes: Bytes,
) -> Reply {
    blocking(&app, move |app| {
        let known = Known::find(app, &session, &wished(&bytes)?)?;
        if known.desktop.protocol != DesktopProtocol::Rdp || known.is_opaque() {
            return Err(Fault::invalid("this desktop is none for a file", "use `tap desktop connect`"));
        }
        let made = app.desktops.file(known.wish(&session, session.holder(), &caller));
        let made = made.map_err(|error| Fault::denied(error.to_string()))?;
        let tap = known.tap(app, &session, &made.holder, &caller)?;
        Ok(WebDesktopFile {
            name: format!("{}.rdp", known.target),
            text: text(&app.public_addr, &known, &made),
            password: made.password.to_string(),
            until: made.until.as_secs(),
            tap,
        })
    })
    .await
}

/// The file, as mstsc and others read it. The password stands nowhere in it.
fn text(gate: &str, known: &Known, made: &DesktopFile) -> String {
    let lines = [
        format!("full address:s:{gate}"),
        format!("username:s:{}", known.login),
        format!("loadbalanceinfo:s:Cookie: msts={}", made.handle),
        "prompt for credentials:i:1".to_owned(),
        "enablecredsspsupport:i:1".to_owned(),
        "negotiate security layer:i:1".to_owned(),
        // Network Level Authentication proves the gate too, by the password; its certificate may be its own.
        "authentication level:i:2".to_owned(),
        "autoreconnection enabled:i:0".to_owned(),
        format!("redirectclipboard:i:{}", u8::from(known.clipboard)),
    ];
    lines.join("\r\n") + "\r\n"
}
