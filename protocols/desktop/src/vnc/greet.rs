//! The viewer's side of the handshake: who comes through the tunnel has shown a certificate and needs no password.

use tapgate_relay::Io;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// The one kind of security that is offered.
const NONE: u8 = 1;

/// Why a viewer got no further.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GreetError {
    #[error("the viewer hung up: {}", .0.kind())]
    Io(#[from] std::io::Error),
    #[error("the viewer does not speak VNC")]
    NoVnc,
    #[error("the viewer wants a kind of security that was not offered")]
    Kind,
}

/// Agrees on a version and on no security.
pub(crate) async fn greet(io: &mut (impl Io + ?Sized)) -> Result<(), GreetError> {
    io.write_all(b"RFB 003.008\n").await?;
    io.flush().await?;
    let mut said = [0; 12];
    io.read_exact(&mut said).await?;
    match &said {
        // Of this version the server chooses, and where it chooses none nothing follows.
        b"RFB 003.003\n" => io.write_u32(NONE.into()).await?,
        b"RFB 003.007\n" | b"RFB 003.008\n" => {
            io.write_all(&[1, NONE]).await?;
            io.flush().await?;
            if io.read_u8().await? != NONE {
                return Err(GreetError::Kind);
            }
            if said.ends_with(b"8\n") {
                io.write_u32(0).await?;
            }
        }
        _ => return Err(GreetError::NoVnc),
    }
    Ok(io.flush().await?)
}
