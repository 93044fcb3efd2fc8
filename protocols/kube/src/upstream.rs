//! Connections of one session to its API server: dialled by the live session alone, kept for the next request.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};

use futures::future::{BoxFuture, FutureExt as _};
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tapgate_session::{Live, Upstream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower::util::BoxCloneSyncService;
use tower::{Layer as _, Service, ServiceExt as _};

use crate::body::{Body, BoxError};
use crate::cluster::{Cluster, ClusterError};
use crate::limits::{POOL_IDLE, POOL_MAX, TLS_MAX};

/// Sends requests to one API server under one session.
pub(crate) type Sender = BoxCloneSyncService<Request<Body>, Response<Incoming>, BoxError>;

/// Connects for one session. It holds the session weakly: a pool that outlives it can't dial.
#[derive(Clone)]
pub(crate) struct Connector {
    live: Weak<Live>,
    cluster: Arc<Cluster>,
    /// The connection that opening the session made, until it is used.
    first: Arc<Mutex<Option<Upstream>>>,
}

/// A connection to an API server.
pub(crate) struct ToCluster(TokioIo<TlsStream<Upstream>>);

/// What sends the requests of a session, over `first` to begin with.
pub(crate) fn sender(live: &Arc<Live>, cluster: &Arc<Cluster>, first: Upstream) -> Result<Sender, ClusterError> {
    let first = Arc::new(Mutex::new(Some(first)));
    let connector = Connector { live: Arc::downgrade(live), cluster: Arc::clone(cluster), first };
    let client = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(POOL_IDLE)
        .pool_max_idle_per_host(POOL_MAX)
        .set_host(true)
        .build::<_, Body>(connector);
    let client = client.map_err(|error: hyper_util::client::legacy::Error| -> BoxError { error.into() });
    Ok(match cluster.auth()? {
        Some(auth) => BoxCloneSyncService::new(auth.layer(client)),
        None => BoxCloneSyncService::new(client),
    })
}

/// Sends one request.
pub(crate) fn send(sender: Sender, request: Request<Body>) -> BoxFuture<'static, Result<Response<Incoming>, BoxError>> {
    sender.oneshot(request).boxed()
}

impl Service<Uri> for Connector {
    type Response = ToCluster;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<ToCluster, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    /// The address in the URI is not looked at: the live session knows where it leads.
    fn call(&mut self, _: Uri) -> Self::Future {
        let Self { live, cluster, first } = self.clone();
        async move {
            let first = first.lock().unwrap_or_else(PoisonError::into_inner).take();
            let upstream = match first {
                Some(upstream) => upstream,
                None => live.upgrade().ok_or("the session is over")?.connect().await?,
            };
            let connector = TlsConnector::from(Arc::clone(cluster.tls()));
            let stream = timeout(TLS_MAX, connector.connect(cluster.name().clone(), upstream)).await;
            Ok(ToCluster(TokioIo::new(stream.map_err(|_| "the API server's TLS handshake took too long")??)))
        }
        .boxed()
    }
}

impl Connection for ToCluster {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for ToCluster {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl Write for ToCluster {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
