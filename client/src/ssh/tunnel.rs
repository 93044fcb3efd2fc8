//! `tap proxy ssh`: bytes between standard input and output and the gate's SSH door, over TLS.

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, copy, split, stdin, stdout};

use crate::error::{Act as _, Result};
use crate::tls::{Alpn, Tls};

/// Connects and carries bytes until the gate ends. The end of our input is passed on, and what
/// the gate still has to say is waited for.
pub async fn run(tls: &Tls) -> Result<()> {
    let stream = tls.connect(Alpn::Ssh).await?;
    carry(stream, stdin(), stdout()).await
}

/// Carries bytes both ways, with half-close.
pub async fn carry<S, I, O>(stream: S, mut input: I, mut output: O) -> Result<()>
where
    S: AsyncRead + AsyncWrite + Send + 'static,
    I: AsyncRead + Unpin + Send + 'static,
    O: AsyncWrite + Unpin,
{
    let (mut from_gate, mut to_gate) = split(stream);
    let sending = tokio::spawn(async move {
        // A gate that has gone is seen by the other direction, which then ends.
        copy(&mut input, &mut to_gate).await.ok();
        to_gate.shutdown().await.ok();
    });
    let received = copy(&mut from_gate, &mut output).await;
    sending.abort();
    output.flush().await.act(|| "standard output has failed".to_owned())?;
    received.map(drop).act(|| "the connection to the gate has failed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, duplex};

    #[tokio::test]
    async fn half_close_reaches_the_gate_and_its_last_words_come_back() {
        let (ours, mut gate) = duplex(64);
        let (mut output, collected) = duplex(4096);
        let gate = tokio::spawn(async move {
            let mut heard = Vec::new();
            gate.read_to_end(&mut heard).await.unwrap();
            gate.write_all(b"last words").await.unwrap();
            heard
        });
        carry(ours, &b"hello"[..], collected).await.unwrap();
        let mut said = Vec::new();
        output.read_to_end(&mut said).await.unwrap();
        assert_eq!(gate.await.unwrap(), b"hello");
        assert_eq!(said, b"last words");
    }
}
