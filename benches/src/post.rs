//! One request on a connection that is open already: what is timed from here on holds no handshake.

use anyhow::{Result, ensure};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Posts JSON to this path of the gate at `address`, with these further header lines, and answers the JSON that comes back.
pub async fn post<S>(stream: &mut S, address: &str, path: &str, headers: &str, body: &Value) -> Result<Value>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\n{headers}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).await?;
    stream.flush().await?;
    let mut answer = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&answer).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n").filter(|(head, body)| body.len() >= length(head)) {
            ensure!(head.starts_with("HTTP/1.1 200"), "{path}: {text}");
            return Ok(serde_json::from_str(body)?);
        }
        ensure!(stream.read_buf(&mut answer).await? > 0, "{path}: {text}");
    }
}

/// How long a body its head announces.
fn length(head: &str) -> usize {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    let mut said = lines.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    said.next().and_then(|(_, length)| length.trim().parse().ok()).unwrap_or_default()
}
