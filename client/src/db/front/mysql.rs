//! A MySQL or MariaDB client of this machine: greeting, the password of this run, and the way on.

use tokio::time::timeout;

use super::mysql_auth::{ENOUGH, Plugin};
use super::mysql_wire::{CHALLENGE_BYTES, Framed, Login, NATIVE, OFFERED, error, greeting, offered_by, switch};
use super::{Front, relay};
use crate::error::{Act as _, Failure, Result};
use crate::limits::DB_GREETING_WAIT;
use crate::proxy::listen::Local;

/// Serves one client to its end.
pub(super) async fn serve(front: &Front, local: Local) -> Result<()> {
    let mut client = Framed::new(local);
    match arrive(front, &mut client).await {
        Ok(Some(tunnel)) => {
            relay(client.io, tunnel).await;
            Ok(())
        }
        Ok(None) => Ok(()),
        Err(failure) => {
            // A client that is gone needs no words.
            client.write(&error(&failure.to_string())).await.ok();
            Err(failure)
        }
    }
}

/// From the greeting to where the gate has let the client in. `None`: it has left, or the gate has turned it away.
async fn arrive(
    front: &Front,
    client: &mut Framed<Local>,
) -> Result<Option<tokio_rustls::client::TlsStream<tokio::net::TcpStream>>> {
    let late = || Failure::new("a database client did not say who it is in time");
    let challenge = challenge()?;
    let thread = u32::from(challenge[0]) + 1;
    client.write(&greeting(&challenge, thread)).await?;
    // One that goes without a word only looked whether somebody is there.
    let Ok(payload) = timeout(DB_GREETING_WAIT, client.read()).await.map_err(|_| late())? else { return Ok(None) };
    let login = Login::parse(&payload)?;
    if let Some(secret) = front.secret() {
        let proving = prove(client, &login, secret.reveal(), &challenge);
        timeout(DB_GREETING_WAIT, proving).await.map_err(|_| late())??;
    }
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).act(|| "a name is no UTF-8".to_owned());
    let database = login.database.as_deref().map(text).transpose()?;
    let wanted = front.names.wanted(&text(&login.user)?, database.as_deref())?;
    let mut gate = Framed::new(front.tunnel(&wanted.login).await?);
    let hello = gate.read().await?;
    let Some(offered) = offered_by(&hello) else {
        // The gate turns us away at once, in its own words.
        client.write(&hello).await?;
        return Ok(None);
    };
    if login.flags & OFFERED & !offered != 0 {
        return Err(Failure::new("the gate can do less than this client has promised")
            .advise("are the gate and tap of one version?"));
    }
    gate.write(&login.towards(&wanted.user, wanted.name.as_deref())).await?;
    let answer = gate.read().await?;
    client.write(&answer).await?;
    match answer.first() {
        Some(0) => Ok(Some(gate.io)),
        _ => Ok(None),
    }
}

/// Has the client prove the password, by the plugin that it has.
async fn prove(
    client: &mut Framed<Local>,
    login: &Login,
    password: &str,
    challenge: &[u8; CHALLENGE_BYTES],
) -> Result<()> {
    let plugin = Plugin::of(&login.plugin);
    let mut proven = login.plugin == plugin.name() && plugin.is_proof(&login.answer, password, challenge);
    // Whoever has answered by the plugin of the greeting has had its try; others have not heard the right challenge.
    if !proven && login.plugin != NATIVE {
        let anew = self::challenge()?;
        client.write(&switch(plugin.name(), &anew)).await?;
        proven = plugin.is_proof(&client.read().await?, password, &anew);
    }
    if !proven {
        return Err(
            Failure::new("the password is wrong").advise("give the one that this run of tap proxy db has printed")
        );
    }
    if plugin == Plugin::Caching { client.write(ENOUGH).await } else { Ok(()) }
}

/// Chance without a zero, which would end it.
fn challenge() -> Result<[u8; CHALLENGE_BYTES]> {
    let mut bytes = [0; CHALLENGE_BYTES];
    aws_lc_rs::rand::fill(&mut bytes).act(|| "the system gives no random bytes".to_owned())?;
    Ok(bytes.map(|byte| byte % 94 + 33))
}
