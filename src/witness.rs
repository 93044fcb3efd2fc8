//! A witness elsewhere: each checkpoint of the audit log is posted to an address, by a thread of its own.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::header::CONTENT_TYPE;
use tapgate_audit::Witness;
use tokio::runtime::{Builder, Runtime};

use crate::limits::{WITNESS_LAST, WITNESS_RETRY, WITNESS_WAITING};
use crate::outward;

/// Posts checkpoints. One that can't be posted is told in the operator's log and tried again, until a later one covers
/// it. Dropping it waits a moment for what was still on its way: the last checkpoint is the one that counts.
pub(crate) struct Posted {
    queue: Option<SyncSender<Vec<u8>>>,
    /// Says nothing, and ends with the thread.
    done: Receiver<()>,
}

impl Posted {
    /// To this address.
    pub(crate) fn new(url: String) -> std::io::Result<Self> {
        let (queue, waiting) = sync_channel(WITNESS_WAITING);
        let (ends, done) = sync_channel::<()>(0);
        let runtime = Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name("witness".to_owned()).spawn(move || {
            serve(&runtime, &url, &waiting);
            drop(ends);
        })?;
        Ok(Self { queue: Some(queue), done })
    }
}

impl Witness for Posted {
    fn attest(&mut self, line: &[u8]) -> Result<(), String> {
        let ended = || "its thread has ended".to_owned();
        let queue = self.queue.as_ref().ok_or_else(ended)?;
        queue.try_send(line.to_vec()).map_err(|error| match error {
            TrySendError::Full(_) => "it is too slow".to_owned(),
            TrySendError::Disconnected(_) => ended(),
        })
    }
}

impl Drop for Posted {
    fn drop(&mut self) {
        self.queue = None;
        // Whether it has ended or is too slow, there is nothing more to do.
        let _ = self.done.recv_timeout(WITNESS_LAST);
    }
}

/// Posts what comes, each the newest at its time.
fn serve(runtime: &Runtime, url: &str, waiting: &Receiver<Vec<u8>>) {
    let mut unsaid: Option<Vec<u8>> = None;
    loop {
        let next = match unsaid {
            None => waiting.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(_) => waiting.recv_timeout(WITNESS_RETRY),
        };
        let (line, again) = match (next, unsaid.take()) {
            (Ok(line), before) => (line, before.is_some()),
            (Err(RecvTimeoutError::Timeout), Some(line)) => (line, true),
            (Err(_), _) => return,
        };
        match (runtime.block_on(post(url, line.clone())), again) {
            (Ok(()), true) => tracing::info!("The witness takes checkpoints again"),
            (Ok(()), false) => {}
            (Err(error), _) => {
                // Once is enough for as long as it is away.
                if !again {
                    tracing::error!(error, "A checkpoint can't be posted to its witness");
                }
                unsaid = Some(line);
            }
        }
    }
}

async fn post(url: &str, line: Vec<u8>) -> Result<(), String> {
    let request = Request::post(url).header(CONTENT_TYPE, "application/json").body(Full::new(Bytes::from(line)));
    let response = outward::send(request.map_err(|error| error.to_string())?).await;
    let status = response.map_err(|error| error.to_string())?.status();
    if status.is_success() { Ok(()) } else { Err(format!("it answered {status}")) }
}
