//! A witness elsewhere: each checkpoint of the audit log is posted to an address, by a thread of its own.

use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::header::CONTENT_TYPE;
use tapgate_audit::Witness;
use tokio::runtime::Builder;

use crate::limits::WITNESS_WAITING;
use crate::outward;

/// Posts checkpoints. What can't be posted is told in the operator's log, and the next one covers it.
pub(crate) struct Posted(SyncSender<Vec<u8>>);

impl Posted {
    /// To this address.
    pub(crate) fn new(url: String) -> std::io::Result<Self> {
        let (queue, waiting) = sync_channel::<Vec<u8>>(WITNESS_WAITING);
        let runtime = Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name("witness".to_owned()).spawn(move || {
            while let Ok(line) = waiting.recv() {
                if let Err(error) = runtime.block_on(post(&url, line)) {
                    tracing::error!(error, "A checkpoint can't be posted to its witness");
                }
            }
        })?;
        Ok(Self(queue))
    }
}

impl Witness for Posted {
    fn attest(&mut self, line: &[u8]) -> Result<(), String> {
        self.0.try_send(line.to_vec()).map_err(|error| match error {
            TrySendError::Full(_) => "it is too slow".to_owned(),
            TrySendError::Disconnected(_) => "its thread has ended".to_owned(),
        })
    }
}

async fn post(url: &str, line: Vec<u8>) -> Result<(), String> {
    let request = Request::post(url).header(CONTENT_TYPE, "application/json").body(Full::new(Bytes::from(line)));
    let response = outward::send(request.map_err(|error| error.to_string())?).await;
    let status = response.map_err(|error| error.to_string())?.status();
    if status.is_success() { Ok(()) } else { Err(format!("it answered {status}")) }
}
