//! The first line in a tunnel of `tap`, and the gate's answer to it.

use tapgate_model::tunnel::{Line, OPEN, REFUSED};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::Io;
use crate::limits::HAIL_MAX;

/// Reads the line. `None`: none came in time, or it is none.
pub async fn read<L: Line>(io: &mut Box<dyn Io>) -> Option<L> {
    let line = async {
        let mut line = Vec::new();
        // Byte by byte: what comes after the line is the inner protocol's.
        loop {
            match io.read_u8().await.ok()? {
                b'\n' => return Some(line),
                _ if line.len() >= L::BYTES_MAX => return None,
                byte => line.push(byte),
            }
        }
    };
    let line = timeout(HAIL_MAX, line).await.ok()??;
    L::of(std::str::from_utf8(&line).ok()?)
}

/// Says that the tunnel leads to its target now.
pub async fn open(io: &mut Box<dyn Io>) -> std::io::Result<()> {
    say(io, OPEN).await
}

/// Says why it does not, and ends it.
pub async fn refuse(io: &mut Box<dyn Io>, why: &str) -> std::io::Result<()> {
    let why = why.replace(['\r', '\n'], " ");
    say(io, &format!("{REFUSED} {why}")).await?;
    io.shutdown().await
}

async fn say(io: &mut Box<dyn Io>, line: &str) -> std::io::Result<()> {
    let said = async {
        io.write_all(format!("{line}\n").as_bytes()).await?;
        io.flush().await
    };
    timeout(HAIL_MAX, said).await.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
}
