//! Plain HTTP: a client is told where the gate is, a certificate authority what it looks for, and nobody anything else.

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::acme::Challenges;
use crate::limits::{PLAIN_LINE_MAX, PLAIN_REQUEST_MAX};

/// Answers, whatever is asked. The caller sets the deadline.
pub(crate) async fn answer(
    head: &[u8],
    mut stream: TcpStream,
    public: &str,
    challenges: &Challenges,
) -> std::io::Result<()> {
    let mut line = BytesMut::from(head);
    while !line.contains(&b'\n') && line.len() < PLAIN_LINE_MAX {
        if stream.read_buf(&mut line).await? == 0 {
            break;
        }
    }
    let answer = match challenges.answer(&line) {
        Some(text) => format!("HTTP/1.1 200 OK\r\n{}", with(&text)),
        None => format!(
            "HTTP/1.1 308 Permanent Redirect\r\nLocation: https://{public}/\r\n{}",
            with(&format!("This port speaks TLS: use https://{public}/\n"))
        ),
    };
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    // A close with the request's rest unread would reset the connection, and the answer with it.
    tokio::io::copy(&mut stream.take(PLAIN_REQUEST_MAX), &mut tokio::io::sink()).await?;
    Ok(())
}

fn with(body: &str) -> String {
    format!("Content-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}
