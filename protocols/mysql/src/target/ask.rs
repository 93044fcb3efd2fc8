//! What the gate itself says to a target before the client's first command.

use tapgate_session::Upstream;
use tokio_rustls::client::TlsStream;

use super::EnterError;
use crate::answer::{Answer, Form, Outcome, Step};
use crate::limits::LOGIN_PACKETS_MAX;
use crate::relay::READ_ONLY;
use crate::wire::framed::Framed;
use crate::wire::read::Reader;

/// Asks for the settings after which statements would be cut in another way than they are read here.
const MODE: &[u8] = b"\x03SELECT @@SESSION.sql_mode";

/// Whether the target cuts statements as they are read here.
pub(super) async fn cuts_as_known(io: &mut TlsStream<Upstream>, no_eof: bool) -> Result<bool, EnterError> {
    let mode = say(io, MODE, no_eof).await?.map_err(|_| EnterError::Authentication)?;
    let mode = String::from_utf8_lossy(&mode).to_ascii_uppercase();
    Ok(!mode.split(',').any(|word| matches!(word, "ANSI_QUOTES" | "NO_BACKSLASH_ESCAPES" | "ORACLE" | "ANSI")))
}

/// Makes the session read-only.
pub(super) async fn be_read_only(io: &mut TlsStream<Upstream>, no_eof: bool) -> Result<(), EnterError> {
    say(io, READ_ONLY, no_eof).await?.map(drop).map_err(EnterError::Writable)
}

/// Says a statement; answers the first value of its last row, or the target's error.
async fn say(
    io: &mut TlsStream<Upstream>,
    payload: &[u8],
    no_eof: bool,
) -> Result<Result<Vec<u8>, String>, EnterError> {
    let mut framed = Framed::at(io, 0);
    framed.write(payload).await?;
    let (mut answer, mut value) = (Answer::new(Form::Results, no_eof), Vec::new());
    for _ in 0..LOGIN_PACKETS_MAX {
        let packet = framed.read().await?;
        let before = answer.rows;
        match answer.packet(&packet, packet.len()) {
            Step::Ended(Outcome::Done) => return Ok(Ok(value)),
            Step::Ended(Outcome::Failed(error)) => return Ok(Err(error.to_string())),
            Step::More if answer.rows > before => {
                value = Reader(&packet).counted().unwrap_or_default().to_vec();
            }
            Step::More => {}
            Step::File | Step::Strange => break,
        }
    }
    Err(EnterError::Authentication)
}
