//! Files to and from a terminal's node. They go over one SFTP session of the page's own, which one tap opens.
//!
//! A browser takes a download and sends an upload as a plain request, straight from and to its disk: nobody keeps a
//! file in memory, neither the page nor the gate.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures::stream;
use http_body_util::BodyExt as _;
use serde::Deserialize;
use tapgate_api::{FileWritten, FilesBegin, FilesBegun, TerminalNews};
use tapgate_authority::{Fault, WebSession};
use tapgate_ssh::{Console, Download, FileError, Files, Visited};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::super::App;
use super::super::api::Shared;
use super::super::page::same_origin;
use super::super::reply::{Reply, body};
use super::Terminal;
use crate::limits::{BODY_READ_MAX, PROGRESS_EVERY, TRANSFERS_MAX, UPLOAD_STALL_MAX};

/// Where a terminal keeps its session for files.
pub(super) struct Place {
    desk: Mutex<Option<Arc<Desk>>>,
    room: Arc<Semaphore>,
}

impl Default for Place {
    fn default() -> Self {
        Self { desk: Mutex::default(), room: Arc::new(Semaphore::new(TRANSFERS_MAX)) }
    }
}

/// An open session for files.
struct Desk {
    console: Console,
    files: Files,
}

/// Which file of which terminal.
#[derive(Deserialize)]
pub(super) struct Asked {
    connection: String,
    path: String,
    /// What the page calls the transfer.
    #[serde(default)]
    transfer: String,
    /// Whether a file that is there may be replaced.
    #[serde(default)]
    replace: bool,
}

impl Terminal {
    /// The session for files, opened where it is not; none where a tap is due first.
    async fn desk(&self, app: &App) -> Result<Option<Arc<Desk>>, Fault> {
        let mut place = self.files.desk.lock().await;
        if let Some(desk) = place.as_ref().filter(|desk| desk.console.is_open()) {
            return Ok(Some(Arc::clone(desk)));
        }
        let not_yet = || Fault::conflict("the terminal is not open yet", "open it first");
        let visit = self.visit.get().ok_or_else(not_yet)?;
        let console = match app.ssh.visit(visit).await {
            Visited::Open(console) => console,
            Visited::Tap => return Ok(None),
            Visited::Refused(message) => return Err(Fault::denied(message)),
        };
        let files = Files::of(&console).await.map_err(Fault::denied)?;
        let desk = Arc::new(Desk { console, files });
        *place = Some(Arc::clone(&desk));
        Ok(Some(desk))
    }

    fn room(&self) -> Result<OwnedSemaphorePermit, Fault> {
        let full = |_| Fault::unavailable("too many files are under way at once", "wait for one to be done");
        Arc::clone(&self.files.room).try_acquire_owned().map_err(full)
    }
}

fn fault(error: &FileError) -> Fault {
    let words = error.to_string();
    match error {
        FileError::Exists => Fault::conflict(words, "replace it, or choose another name"),
        FileError::Missing => Fault::not_found(words),
        FileError::Forbidden | FileError::Refused(_) => Fault::denied(words),
        FileError::Name | FileError::NoFile => Fault::invalid(words, "choose another one"),
        FileError::Over | FileError::Broken => Fault::unavailable(words, "try again"),
    }
}

/// Says whether files can be copied, and looks at one where one is named.
pub(super) async fn begin(State(app): Shared, Extension(session): Extension<WebSession>, bytes: Bytes) -> Reply {
    begun(&app, &session, &bytes).await.into()
}

async fn begun(app: &App, session: &WebSession, bytes: &Bytes) -> Result<FilesBegun, Fault> {
    let FilesBegin { connection, path } = body(bytes)?;
    let terminal = app.terminals.find(&connection, session)?;
    let Some(desk) = terminal.desk(app).await? else { return Ok(FilesBegun::Tap) };
    let Some(path) = path else { return Ok(FilesBegun::Ready { size: None }) };
    let facts = desk.files.facts(&path).await.map_err(|error| fault(&error))?;
    if facts.is_directory() {
        return Err(Fault::invalid("this is a directory", "name a file in it"));
    }
    Ok(FilesBegun::Ready { size: facts.size })
}

fn tap_first() -> Fault {
    Fault::conflict("a tap is due before files are copied", "begin again on the page")
}

/// Takes a file.
pub(super) async fn upload(
    State(app): Shared,
    Extension(session): Extension<WebSession>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
    mut body: Body,
) -> Reply {
    // No other site's page gets this far, even with the cookie.
    let taken = match same_origin(&app.authority.relying_party().origins, &headers) {
        Ok(()) => take(&app, &session, &asked, &mut body).await,
        Err(fault) => Err(fault),
    };
    if taken.is_err() {
        // Who is cut off while sending does not read why.
        let mut read = 0;
        while let Ok(Some(Ok(frame))) = timeout(UPLOAD_STALL_MAX, body.frame()).await {
            read += frame.into_data().map_or(0, |data| data.len());
            if read > BODY_READ_MAX {
                break;
            }
        }
    }
    taken.into()
}

async fn take(app: &App, session: &WebSession, asked: &Asked, body: &mut Body) -> Result<FileWritten, Fault> {
    let terminal = app.terminals.find(&asked.connection, session)?;
    let _room = terminal.room()?;
    let desk = terminal.desk(app).await?.ok_or_else(tap_first)?;
    let mut upload = desk.files.upload(&asked.path, asked.replace).await.map_err(|error| fault(&error))?;
    let broke_off = || Fault::invalid("the file broke off", "send it again");
    loop {
        let frame = tokio::select! {
            () = terminal.gone.cancelled() => return Err(fault(&FileError::Over)),
            frame = timeout(UPLOAD_STALL_MAX, body.frame()) => frame.map_err(|_| broke_off())?,
        };
        let Some(frame) = frame else { break };
        if let Ok(data) = frame.map_err(|_| broke_off())?.into_data() {
            upload.put(&data).await.map_err(|error| fault(&error))?;
        }
    }
    let bytes = upload.finish().await.map_err(|error| fault(&error))?;
    Ok(FileWritten { bytes })
}

/// Gives a file.
pub(super) async fn download(
    State(app): Shared,
    Extension(session): Extension<WebSession>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    given(&app, &session, asked, &headers)
        .await
        .unwrap_or_else(|fault| Reply::from(Err::<(), _>(fault)).into_response())
}

async fn given(app: &App, session: &WebSession, asked: Asked, headers: &HeaderMap) -> Result<Response, Fault> {
    // A link of our own page, and no other site's.
    let from = headers.get(HeaderName::from_static("sec-fetch-site"));
    if from.is_none_or(|from| from != "same-origin") {
        return Err(Fault::denied("this was not asked for by the gate's own page"));
    }
    let terminal = app.terminals.find(&asked.connection, session)?;
    let room = terminal.room()?;
    let desk = terminal.desk(app).await?.ok_or_else(tap_first)?;
    let download = desk.files.download(&asked.path).await.map_err(|error| fault(&error))?;
    // What the kernel makes up as it is read says that it is empty.
    let size = download.facts().size.filter(|size| *size > 0);
    let file = asked.path.rsplit('/').next().unwrap_or_default();
    let disposition = HeaderValue::try_from(format!("attachment; filename*=UTF-8''{}", encoded(file)));
    let sending = Sending {
        download,
        left: size,
        sent: 0,
        over: false,
        told: Instant::now(),
        transfer: asked.transfer,
        terminal,
        _desk: desk,
        _room: room,
    };
    let mut response = Response::new(Body::from_stream(stream::unfold(sending, Sending::next)));
    let head = response.headers_mut();
    head.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    head.insert(header::CONTENT_DISPOSITION, disposition.map_err(Fault::internal)?);
    if let Some(size) = size {
        head.insert(header::CONTENT_LENGTH, HeaderValue::from(size));
    }
    Ok(response)
}

/// A name as it may stand in a header (RFC 8187): every byte but a few is a number there.
fn encoded(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let one = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    let name: String = name.bytes().map(one).collect();
    if name.is_empty() { "file".to_owned() } else { name }
}

/// A file on its way into the browser, which takes it as fast as it likes.
struct Sending {
    download: Download,
    /// How much is still to come, where it is known.
    left: Option<u64>,
    sent: u64,
    over: bool,
    told: Instant,
    transfer: String,
    terminal: Arc<Terminal>,
    _desk: Arc<Desk>,
    _room: OwnedSemaphorePermit,
}

impl Sending {
    async fn next(mut self) -> Option<(io::Result<Bytes>, Self)> {
        if self.over {
            return None;
        }
        let part = if self.left == Some(0) {
            Ok(None)
        } else {
            tokio::select! {
                () = self.terminal.gone.cancelled() => Err(FileError::Over),
                part = self.download.next() => part,
            }
        };
        match part {
            Ok(Some(mut part)) => {
                if let Some(left) = &mut self.left {
                    // A file that grows meanwhile is as long as it was.
                    part.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= u64::try_from(part.len()).unwrap_or(*left);
                }
                self.sent += u64::try_from(part.len()).unwrap_or_default();
                if self.told.elapsed() >= PROGRESS_EVERY {
                    self.told = Instant::now();
                    self.tell(None);
                }
                Some((Ok(part), self))
            }
            Ok(None) if self.left.is_none_or(|left| left == 0) => {
                self.over = true;
                self.tell(Some(true));
                None
            }
            Ok(None) => Some(self.fail("the file has become shorter")),
            Err(error) => Some(self.fail(&error.to_string())),
        }
    }

    /// Breaks off, so that the browser does not take a part for the whole.
    fn fail(mut self, why: &str) -> (io::Result<Bytes>, Self) {
        self.over = true;
        self.tell(Some(false));
        (Err(io::Error::other(why.to_owned())), self)
    }

    fn tell(&self, done: Option<bool>) {
        let news = TerminalNews::Moved { transfer: self.transfer.clone(), bytes: self.sent, done };
        // A page that does not read its news is told the next ones.
        drop(self.terminal.news.try_send(news));
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        if !self.over {
            // With a length, the browser stops at its last byte and asks for no more.
            self.tell(Some(self.left == Some(0)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_breaks_out_of_no_header() {
        for (name, safe) in [
            ("notes.txt", "notes.txt"),
            ("a b\"c\r\nX: y", "a%20b%22c%0D%0AX%3A%20y"),
            ("\u{1b}[31mü", "%1B%5B31m%C3%BC"),
            ("", "file"),
        ] {
            assert_eq!(encoded(name), safe);
        }
    }
}
