//! VNC's handshake at a port of this machine (RFC 6143 section 7.1): whoever comes must know the password of this run.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use des::Des;
use des::cipher::{Array, BlockCipherEncrypt as _, KeyInit as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::error::{Act as _, Failure, Result};
use crate::limits::{CONNECT_WAIT, DB_GREETING_WAIT};
use crate::proxy::secret::Secret;

const VERSION: &[u8; 12] = b"RFB 003.008\n";
const NONE: u8 = 1;
const VNC_AUTH: u8 = 2;

/// The letters of a password for VNC: it has eight, of which none looks like another.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// A password for VNC, which counts eight letters: forty bits, for which there are few tries.
pub(super) fn password() -> Result<Secret> {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes).act(|| "the system gives no random bytes".to_owned())?;
    let letter = |byte: u8| LETTERS.get(usize::from(byte) % LETTERS.len()).copied().map_or('x', char::from);
    Ok(Secret::of(bytes.map(letter).into_iter().collect()))
}

/// Greets a viewer. Whether it knows the password.
pub(super) async fn greet(io: &mut (impl AsyncRead + AsyncWrite + Unpin), secret: &Secret) -> Result<bool> {
    let greeted = timeout(DB_GREETING_WAIT, ask(io, secret)).await;
    greeted.map_err(|_| Failure::new("a viewer did not show the password in time"))?
}

async fn ask(io: &mut (impl AsyncRead + AsyncWrite + Unpin), secret: &Secret) -> Result<bool> {
    let act = || "a viewer hung up".to_owned();
    io.write_all(VERSION).await.act(act)?;
    let mut said = [0; 12];
    io.read_exact(&mut said).await.act(act)?;
    if !said.starts_with(b"RFB 003.") {
        return Err(Failure::new("what connected is no VNC viewer"));
    }
    let chooses = !said.ends_with(b"3\n");
    if chooses {
        io.write_all(&[1, VNC_AUTH]).await.act(act)?;
        if io.read_u8().await.act(act)? != VNC_AUTH {
            return Err(Failure::new("a viewer does not show a password"));
        }
    } else {
        io.write_u32(VNC_AUTH.into()).await.act(act)?;
    }
    let mut challenge = [0; 16];
    aws_lc_rs::rand::fill(&mut challenge).act(|| "the system gives no random bytes".to_owned())?;
    io.write_all(&challenge).await.act(act)?;
    let mut shown = [0; 16];
    io.read_exact(&mut shown).await.act(act)?;
    let knows = verify_slices_are_equal(&answer(secret.reveal(), challenge), &shown).is_ok();
    io.write_u32(u32::from(!knows)).await.act(act)?;
    if !knows && said.ends_with(b"8\n") {
        let why = "this is not the password that tap printed";
        io.write_u32(u32::try_from(why.len()).unwrap_or_default()).await.act(act)?;
        io.write_all(why.as_bytes()).await.act(act)?;
    }
    io.flush().await.act(act)?;
    Ok(knows)
}

/// The answer that whoever knows the password gives: DES, with each byte of the key read backwards.
fn answer(password: &str, mut challenge: [u8; 16]) -> [u8; 16] {
    let mut key = [0; 8];
    for (slot, byte) in key.iter_mut().zip(password.bytes()) {
        *slot = byte.reverse_bits();
    }
    let cipher = Des::new(&Array::from(key));
    for half in challenge.chunks_exact_mut(8) {
        let mut block = Array::default();
        block.copy_from_slice(half);
        cipher.encrypt_block(&mut block);
        half.copy_from_slice(&block);
    }
    challenge
}

/// Enters the gate's side in a viewer's place, which has had its handshake here.
pub(super) async fn enter(io: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Result<()> {
    let entered = async {
        let mut said = [0; 12];
        io.read_exact(&mut said).await?;
        io.write_all(VERSION).await?;
        io.flush().await?;
        let mut offered = [0; 2];
        io.read_exact(&mut offered).await?;
        io.write_all(&[NONE]).await?;
        io.flush().await?;
        Ok::<_, std::io::Error>(said == *VERSION && offered == [1, NONE] && io.read_u32().await? == 0)
    };
    let entered = timeout(CONNECT_WAIT, entered).await.map_err(|_| Failure::new("the gate gave no answer in time"))?;
    if entered.act(|| "the gate ended the tunnel".to_owned())? {
        return Ok(());
    }
    Err(Failure::new("the gate's answer cannot be read").advise("is the client of the gate's version?"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::duplex;

    /// What a viewer that knows `password` is told.
    async fn viewer(version: &[u8; 12], password: &str) -> (bool, u32) {
        let secret = Secret::of("abcdefgh".to_owned());
        let (mut ours, mut theirs) = duplex(256);
        let greeted = tokio::spawn(async move { greet(&mut ours, &secret).await });
        let mut said = [0; 12];
        theirs.read_exact(&mut said).await.unwrap();
        theirs.write_all(version).await.unwrap();
        if version.ends_with(b"3\n") {
            assert_eq!(theirs.read_u32().await.unwrap(), 2);
        } else {
            assert_eq!(theirs.read_u16().await.unwrap(), 0x0102);
            theirs.write_all(&[2]).await.unwrap();
        }
        let mut challenge = [0; 16];
        theirs.read_exact(&mut challenge).await.unwrap();
        theirs.write_all(&answer(password, challenge)).await.unwrap();
        let result = theirs.read_u32().await.unwrap();
        (greeted.await.unwrap().unwrap(), result)
    }

    #[tokio::test]
    async fn only_the_password_of_this_run_opens() {
        for version in [b"RFB 003.003\n", b"RFB 003.007\n", b"RFB 003.008\n"] {
            assert_eq!(viewer(version, "abcdefgh").await, (true, 0));
            assert_eq!(viewer(version, "abcdefgx").await, (false, 1));
        }
        assert_ne!(password().unwrap().reveal(), password().unwrap().reveal());
    }
}
