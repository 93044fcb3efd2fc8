//! VNC (RFC 6143): the gate answers the desktop's authentication, and a viewer in the tunnel needs none.

mod des;
pub(crate) mod down;
mod enter;
mod greet;
pub(crate) mod up;

use tapgate_audit::Deed;
use tapgate_relay::Io;
use tapgate_relay::carry::{Blind, carry as relay};
use tapgate_session::{EndReason, Live};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use self::down::DesktopSays;
use self::up::{ViewerSays, pixels};
use crate::limits::{CLIENT_MAX, PACE, VNC_TEXT_MAX};

pub(crate) use enter::{EnterError, Entered, enter, negotiate};

/// The fixed part of what the desktop says of itself (RFC 6143 section 7.3.2).
const SERVER_INIT: usize = 24;

/// What the viewer and the desktop tell each other before the picture begins.
struct Begun {
    width: u16,
    height: u16,
    /// How many bytes a pixel has at first.
    pixel: usize,
}

/// Carries one session, from the viewer's first byte on.
pub(crate) async fn session(mut client: impl Io, entered: Entered, live: &Live) -> EndReason {
    let Entered { mut stream, security } = entered;
    let mut cut = live.cut();
    let begun = tokio::select! {
        reason = cut.wanted() => return EndReason::Cut(reason),
        begun = timeout(CLIENT_MAX, Box::pin(begin(&mut client, &mut stream))) => begun,
    };
    let begun = match begun {
        Err(_) => return EndReason::Error("the viewer or the desktop took too long to begin".to_owned()),
        Ok(Err(why)) => return EndReason::Error(why.to_string()),
        Ok(Ok(begun)) => begun,
    };
    let clipboard = live.terms().desktop.clipboard;
    let channel = || vec!["clipboard".into()];
    let (channels, denied) = if clipboard { (channel(), Vec::new()) } else { (Vec::new(), channel()) };
    live.did(Deed::Desktop { security, screen: Some((begun.width, begun.height)), channels, denied });
    if clipboard {
        return relay(client, stream, live, PACE, (ViewerSays::new(None), Blind { stirs: false })).await;
    }
    let format = pixels(begun.pixel);
    relay(client, stream, live, PACE, (ViewerSays::new(Some(format.clone())), DesktopSays::new(format))).await
}

/// The viewer's handshake, and what both sides say at the beginning.
async fn begin(client: &mut impl Io, desktop: &mut Box<dyn Io>) -> Result<Begun, BeginError> {
    greet::greet(client).await?;
    // Whether others may stay: the viewer's own affair.
    let shared = client.read_u8().await?;
    desktop.write_all(&[shared]).await?;
    desktop.flush().await?;
    let mut init = vec![0; SERVER_INIT];
    desktop.read_exact(&mut init).await?;
    let field =
        |at: usize| init.get(at..at + 2).map_or(0, |pair| pair.iter().fold(0, |sum, b| sum << 8 | u16::from(*b)));
    let (width, height) = (field(0), field(2));
    let bits = init.get(4).copied().unwrap_or_default();
    let length = init.get(20..24).map_or(0, |four| four.iter().fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte)));
    let length = usize::try_from(length).ok().filter(|length| *length <= VNC_TEXT_MAX).ok_or(BeginError::Name)?;
    if !matches!(bits, 8 | 16 | 32) {
        return Err(BeginError::Pixels);
    }
    init.resize(SERVER_INIT + length, 0);
    desktop.read_exact(init.get_mut(SERVER_INIT..).unwrap_or_default()).await?;
    client.write_all(&init).await?;
    client.flush().await?;
    Ok(Begun { width, height, pixel: usize::from(bits / 8) })
}

/// Why no picture began.
#[derive(Debug, thiserror::Error)]
enum BeginError {
    #[error("{0}")]
    Greet(#[from] greet::GreetError),
    #[error("the viewer or the desktop hung up: {}", .0.kind())]
    Io(#[from] std::io::Error),
    #[error("the desktop's name is too long")]
    Name,
    #[error("the desktop's pixels have a size that there is none of")]
    Pixels,
}
