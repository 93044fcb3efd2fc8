//! RDP: both legs in TLS, the conference changed in place, the client's name and password replaced by the gate's.

pub(crate) mod clean_path;
mod der;
mod enter;
pub(crate) mod info;
pub(crate) mod mcs;
#[cfg(feature = "rdp-nla")]
pub(crate) mod nla;
pub(crate) mod scan;
pub(crate) mod x224;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use tapgate_audit::Deed;
use tapgate_model::Digest;
use tapgate_model::tunnel::DesktopHail;
use tapgate_relay::carry::{Blind, carry as relay};
use tapgate_relay::{Io, StartTls};
use tapgate_session::{EndReason, Live, Upstream};
use tokio::time::timeout;

use self::info::{InfoError, Logon, Said};
use self::mcs::{Allowed, Initial, McsError};
use self::scan::{ClientSays, DesktopSays};
use self::x224::{Confirm, ReadError, Request};
use crate::limits::{CLIENT_MAX, PACE, PDU_MAX, PDUS_MAX, X224_MAX};

pub(crate) use enter::{EnterError, Entered, enter};

/// Why a session did not get as far as its picture.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BeginError {
    #[error("the client: {0}")]
    Client(ReadError),
    #[error("the desktop: {0}")]
    Desktop(ReadError),
    #[error("a side hung up: {}", .0.kind())]
    Io(#[from] std::io::Error),
    #[error("TLS with the client failed: {}", .0.kind())]
    Tls(std::io::Error),
    #[error("the client's first message is no RDP")]
    NoRdp,
    #[error("the client does no TLS")]
    NoTls,
    #[error("the desktop does no TLS")]
    DesktopNoTls,
    #[error("{0}")]
    Mcs(#[from] McsError),
    #[error("{0}")]
    Info(#[from] InfoError),
    #[error("the client sent too much before it said who it is")]
    TooMuch,
    #[error("the client did not show the password of the port that it came through")]
    WrongPassword,
}

/// What is known where the picture begins.
struct Begun {
    initial: Initial,
    main: u16,
}

/// Carries one session of a tunnel, from the client's first byte on.
pub(crate) async fn session(
    mut client: Box<dyn Io>,
    entered: Entered,
    start_tls: &dyn StartTls,
    live: &Live,
    hail: &DesktopHail,
) -> EndReason {
    let secured = async {
        let asked = greet(&mut client, entered.flags).await?;
        let client = start_tls.start(client).await.map_err(BeginError::Tls)?.io;
        Ok((client, asked))
    };
    match within(live, Box::pin(secured)).await {
        Ok((client, asked)) => Box::pin(carry(client, entered, live, asked, hail.password.as_ref())).await,
        Err(reason) => reason,
    }
}

/// Carries one session of a page, which is in TLS with the gate already.
pub(crate) async fn on_page(mut client: impl Io, entered: Entered, live: &Live, certificates: &[Vec<u8>]) -> EndReason {
    match within(live, clean_path::greet(&mut client, entered.flags, certificates)).await {
        Ok(asked) => Box::pin(carry(client, entered, live, asked, None)).await,
        Err(reason) => reason,
    }
}

/// Carries one session whose client has got as far as the conference, and `asked` for these kinds of security.
pub(crate) async fn carry(
    mut client: impl Io,
    mut entered: Entered,
    live: &Live,
    asked: u32,
    password: Option<&Digest>,
) -> EndReason {
    let begun = within(live, Box::pin(begin(&mut client, &mut entered, live, asked, password))).await;
    let Begun { initial, main } = match begun {
        Ok(begun) => begun,
        Err(reason) => return reason,
    };
    let texts = |names: Vec<String>| names.into_iter().map(Into::into).collect();
    live.did(Deed::Desktop {
        security: if mcs::is_nla(entered.protocol) { "nla" } else { "tls" },
        screen: Some(initial.screen),
        channels: texts(initial.channels),
        denied: texts(initial.denied),
    });
    relay(client, entered.stream, live, PACE, (ClientSays::new(main), DesktopSays::new(main))).await
}

/// What comes before the picture has its time, and a lock ends it.
async fn within<T>(live: &Live, beginning: impl Future<Output = Result<T, BeginError>>) -> Result<T, EndReason> {
    let mut cut = live.cut();
    let begun = tokio::select! {
        reason = cut.wanted() => return Err(EndReason::Cut(reason)),
        begun = timeout(CLIENT_MAX, beginning) => begun,
    };
    let late = "the client or the desktop took too long to begin";
    begun.map_err(|_| EndReason::Error(late.to_owned()))?.map_err(|why| EndReason::Error(why.to_string()))
}

/// The conference, and everything else up to where the desktop knows who comes.
async fn begin(
    client: &mut impl Io,
    entered: &mut Entered,
    live: &Live,
    asked: u32,
    password: Option<&Digest>,
) -> Result<Begun, BeginError> {
    let terms = live.terms().desktop;
    let allowed = Allowed { clipboard: terms.clipboard, devices: terms.directory_sharing };
    let mut pdu = x224::read(client, PDU_MAX).await.map_err(BeginError::Client)?;
    let initial = mcs::initial(&mut pdu, entered.protocol, allowed)?;
    x224::write(&mut entered.stream, &pdu).await?;
    let mut pdu = x224::read(&mut entered.stream, PDU_MAX).await.map_err(BeginError::Desktop)?;
    let main = mcs::response(&mut pdu, asked)?;
    x224::write(client, &pdu).await?;
    introduce(client, entered, password).await?;
    Ok(Begun { initial, main })
}

/// The client's first message, and the gate's answer: TLS.
async fn greet(client: &mut Box<dyn Io>, flags: u8) -> Result<u32, BeginError> {
    let pdu = x224::read(client, X224_MAX).await.map_err(BeginError::Client)?;
    let Request { protocols, .. } = x224::request(&pdu).ok_or(BeginError::NoRdp)?;
    if protocols & x224::TLS == 0 {
        x224::write(client, &x224::write_failure(x224::TLS_DEMANDED)).await?;
        return Err(BeginError::NoTls);
    }
    x224::write(client, &x224::write_selected(flags, x224::TLS)).await?;
    Ok(protocols)
}

/// Passes messages both ways until the client says who it is, and says another name and password in its place. The
/// desktop learns nothing of the client's before its password, where one is due, was looked at.
async fn introduce(client: &mut impl Io, entered: &mut Entered, password: Option<&Digest>) -> Result<(), BeginError> {
    for _ in 0..PDUS_MAX {
        let pdu = x224::read(client, PDU_MAX).await.map_err(BeginError::Client)?;
        match info::read(&pdu)? {
            Said::Before { answered } => {
                x224::write(&mut entered.stream, &pdu).await?;
                if answered {
                    let answer = x224::read(&mut entered.stream, PDU_MAX).await.map_err(BeginError::Desktop)?;
                    x224::write(client, &answer).await?;
                }
            }
            Said::Info(info) => {
                if let Some(due) = password {
                    let shown = digest(&SHA256, info.password().as_bytes());
                    verify_slices_are_equal(shown.as_ref(), due.as_bytes()).map_err(|_| BeginError::WrongPassword)?;
                }
                let logon = Logon {
                    user: &entered.user,
                    domain: entered.domain.as_deref().unwrap_or_default(),
                    password: if mcs::is_nla(entered.protocol) { "" } else { entered.password.reveal() },
                };
                return Ok(x224::write(&mut entered.stream, &info.with(&logon)?).await?);
            }
        }
    }
    Err(BeginError::TooMuch)
}

/// Carries a session whose TLS is the client's and the desktop's own: only the first two messages are read.
pub(crate) async fn passthrough(mut client: Box<dyn Io>, mut upstream: Upstream, live: &Live) -> EndReason {
    if let Err(reason) = within(live, introduce_opaque(&mut client, &mut upstream)).await {
        return reason;
    }
    live.did(Deed::Desktop { security: "passthrough", screen: None, channels: Vec::new(), denied: Vec::new() });
    relay(client, upstream, live, PACE, (Blind { stirs: true }, Blind { stirs: false })).await
}

/// Passes what the client can do without what it says of itself, and lets it go on where the desktop chose TLS.
async fn introduce_opaque(client: &mut Box<dyn Io>, upstream: &mut Upstream) -> Result<(), BeginError> {
    let pdu = x224::read(client, X224_MAX).await.map_err(BeginError::Client)?;
    let request = x224::request(&pdu).ok_or(BeginError::NoRdp)?;
    if request.protocols == x224::PLAIN {
        x224::write(client, &x224::write_failure(x224::TLS_DEMANDED)).await?;
        return Err(BeginError::NoTls);
    }
    x224::write(upstream, &x224::write_request(request)).await?;
    let pdu = x224::read(upstream, X224_MAX).await.map_err(BeginError::Desktop)?;
    match x224::confirm(&pdu).ok_or(BeginError::Desktop(ReadError::Malformed))? {
        Confirm::Selected { protocol: x224::PLAIN, .. } => {
            x224::write(client, &x224::write_failure(x224::TLS_DEMANDED)).await?;
            Err(BeginError::DesktopNoTls)
        }
        Confirm::Selected { .. } | Confirm::Failure(_) => Ok(x224::write(client, &pdu).await?),
    }
}
