//! Upgraded streams (WebSocket, SPDY/3.1): copied both ways until one side ends, the session does, or nothing moves.

use std::sync::Arc;
use std::time::Duration;

use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf, split};
use tokio::sync::Notify;

use crate::limits::COPY_BYTES;
use crate::sessions::Using;
use crate::ways::{Passing, Side};

type Io = TokioIo<Upgraded>;

/// Relays between a client and an API server that both agreed to speak another protocol.
pub(crate) async fn relay(
    client: OnUpgrade,
    server: OnUpgrade,
    passing: Option<Passing>,
    (using, idle): (Using, Option<Duration>),
) {
    let (client, server) = match futures::future::try_join(client, server).await {
        Ok((client, server)) => (TokioIo::new(client), TokioIo::new(server)),
        Err(error) => {
            tracing::debug!(%error, "An upgrade did not come about");
            return;
        }
    };
    let (client_in, client_out) = split(client);
    let (server_in, server_out) = split(server);
    let moved = Arc::new(Notify::new());
    let passes = |from: Side| {
        let passing = passing.as_ref();
        move |bytes: &[u8]| passing.is_none_or(|passing| passing.sees(from, bytes))
    };
    let both = futures::future::try_join(
        copy(client_in, server_out, &moved, passes(Side::Client)),
        copy(server_in, client_out, &moved, passes(Side::Server)),
    );
    tokio::select! {
        copied = both => if copied.is_err() {
            tracing::warn!("Cut an upgraded stream that could not be recorded, as its role demands");
        },
        () = using.over() => tracing::debug!(why = using.why(), "Cut an upgraded stream"),
        () = nothing_moves(&moved, idle) => tracing::debug!("An upgraded stream was idle for too long"),
    }
}

/// What would have passed may not.
struct Forbidden;

/// Copies one way to its end, and passes that end on. Peers that go away without a word are usual here. What `passes`
/// does not let through ends it.
async fn copy(
    mut from: ReadHalf<Io>,
    mut to: WriteHalf<Io>,
    moved: &Notify,
    passes: impl Fn(&[u8]) -> bool,
) -> Result<(), Forbidden> {
    let mut buffer = vec![0; COPY_BYTES];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        moved.notify_one();
        let Some(bytes) = buffer.get(..read) else { break };
        if !passes(bytes) {
            return Err(Forbidden);
        }
        if to.write_all(bytes).await.is_err() || to.flush().await.is_err() {
            break;
        }
    }
    to.shutdown().await.ok();
    Ok(())
}

async fn nothing_moves(moved: &Notify, idle: Option<Duration>) {
    let Some(idle) = idle else { return std::future::pending().await };
    while tokio::time::timeout(idle, moved.notified()).await.is_ok() {}
}
