//! What `tap` and its agent say to each other: JSON with a length in front.

use std::io::{Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tapgate_api::SessionCertificates;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use zeroize::Zeroizing;

use crate::error::{Act as _, Failure, Result};
use crate::keys::Seed;
use crate::limits::AGENT_FRAME_BYTES_MAX;

/// What a window is for. Two windows are the same only where all of this is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// The gate, `host:port`.
    pub gate: String,
    /// The user at the gate.
    pub user: String,
    /// The target's kind.
    pub kind: String,
    /// The target's name.
    pub target: String,
    /// The login there, in its text form.
    pub login: String,
}

impl Window {
    /// The user name that an SSH client asks for.
    pub fn ssh_user(&self) -> String {
        format!("{}@{}", self.login, self.target)
    }
}

/// What `tap` asks.
#[derive(Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
pub enum Ask {
    /// Keep this window.
    Put {
        /// What it is for.
        window: Window,
        /// Its certificates; their `expires` ends it.
        certificates: SessionCertificates,
        /// The session key.
        key: Seed,
    },
    /// Is there a window for this?
    Find {
        /// What it is for.
        window: Window,
    },
    /// Sign this with a window's key.
    Sign {
        /// The window's number.
        id: u64,
        /// An SSH authentication request or a TLS client's handshake, base64url; nothing else is signed.
        data: String,
    },
    /// Hand out a window's key, for a client that can't ask for signatures: a Kubernetes window's only.
    Key {
        /// The window's number.
        id: u64,
    },
    /// Forget everything and end.
    Clear,
}

/// What the agent answers.
#[derive(Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// The window is kept, or was found.
    Window {
        /// Its number.
        id: u64,
        /// Its certificates.
        certificates: SessionCertificates,
    },
    /// There is no such window.
    Absent,
    /// A signature, base64url.
    Signature {
        /// The 64 bytes of an Ed25519 signature.
        signature: String,
    },
    /// A window's key.
    Key {
        /// The session key.
        key: Seed,
    },
    /// Everything is forgotten.
    Cleared,
    /// The ask was refused.
    Refused {
        /// Why.
        why: String,
    },
}

/// Writes one message. Its bytes are wiped: they may hold a key.
pub async fn send<T: Serialize>(stream: &mut (impl AsyncWrite + Unpin), message: &T) -> Result<()> {
    let act = || "the agent's socket cannot be written".to_owned();
    let body = Zeroizing::new(serde_json::to_vec(message).act(act)?);
    if body.len() > AGENT_FRAME_BYTES_MAX {
        return Err(Failure::new("the message is too large for the agent"));
    }
    let len = u32::try_from(body.len()).act(act)?;
    stream.write_all(&len.to_be_bytes()).await.act(act)?;
    stream.write_all(&body).await.act(act)?;
    stream.flush().await.act(act)
}

/// Reads one message; `None` where the other side has ended.
pub async fn receive<T: DeserializeOwned>(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<T>> {
    let act = || "the agent's socket cannot be read".to_owned();
    let mut len = [0; 4];
    if stream.read(&mut len[..1]).await.act(act)? == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut len[1..]).await.act(act)?;
    let len = usize::try_from(u32::from_be_bytes(len)).act(act)?;
    if len > AGENT_FRAME_BYTES_MAX {
        return Err(Failure::new("the message is too large for the agent"));
    }
    let mut body = Zeroizing::new(vec![0; len]);
    stream.read_exact(&mut body).await.act(act)?;
    serde_json::from_slice(&body).map(Some).act(act)
}

/// One exchange on this thread; the caller sets the stream's time-outs.
pub fn exchange_now(stream: &mut (impl Read + Write), ask: &Ask) -> Result<Answer> {
    let act = || "the agent's socket has failed".to_owned();
    let body = Zeroizing::new(serde_json::to_vec(ask).act(act)?);
    let len = u32::try_from(body.len()).act(act)?;
    stream.write_all(&len.to_be_bytes()).act(act)?;
    stream.write_all(&body).act(act)?;
    let mut len = [0; 4];
    stream.read_exact(&mut len).act(act)?;
    let len = usize::try_from(u32::from_be_bytes(len)).act(act)?;
    if len > AGENT_FRAME_BYTES_MAX {
        return Err(Failure::new("the message is too large for the agent"));
    }
    let mut body = Zeroizing::new(vec![0; len]);
    stream.read_exact(&mut body).act(act)?;
    serde_json::from_slice(&body).act(act)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().build().unwrap()
    }

    #[test]
    fn there_and_back() {
        runtime().block_on(async {
            let mut bytes = Vec::new();
            send(&mut bytes, &Answer::Signature { signature: "x".into() }).await.unwrap();
            let mut rest = bytes.as_slice();
            let answer: Option<Answer> = receive(&mut rest).await.unwrap();
            assert!(matches!(answer, Some(Answer::Signature { signature }) if signature == "x"));
            assert!(receive::<Answer>(&mut rest).await.unwrap().is_none());
        });
    }

    #[test]
    fn what_is_no_message_is_refused() {
        runtime().block_on(async {
            let huge = [0xff, 0xff, 0xff, 0xff];
            assert!(receive::<Answer>(&mut huge.as_slice()).await.is_err());
            let short = [0, 0, 0, 9, b'{'];
            assert!(receive::<Answer>(&mut short.as_slice()).await.is_err());
            let unknown = b"\0\0\0\x0f{\"answer\":\"no\"}";
            assert!(receive::<Answer>(&mut unknown.as_slice()).await.is_err());
        });
    }
}
