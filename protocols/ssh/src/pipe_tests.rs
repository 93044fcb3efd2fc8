//! A pipe with an honest peer, and with others.

use std::sync::atomic::{AtomicBool, Ordering};

use futures::FutureExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::wire::Packet;

/// What was sent to the peer; while it does not read, the packets stay.
#[derive(Clone, Default)]
struct Peer(Arc<(Mutex<Vec<Bytes>>, AtomicBool)>);

impl Peer {
    fn send(&self) -> Send {
        let peer = self.clone();
        Box::new(move |packet| {
            peer.0.0.lock().unwrap().push(packet);
            !peer.0.1.load(Ordering::SeqCst)
        })
    }

    fn take(&self) -> Vec<Bytes> {
        std::mem::take(&mut *self.0.0.lock().unwrap())
    }
}

fn new(window: u32) -> (Peer, Pipe, Feed) {
    let peer = Peer::default();
    let (pipe, feed) = pipe(peer.send(), 7, window, 32 * 1024);
    (peer, pipe, feed)
}

#[tokio::test]
async fn bytes_come_and_their_window_is_given_back_once_they_are_read() {
    let (peer, mut pipe, feed) = new(100);
    let chunk = vec![1; 32 * 1024];
    let chunks = PIPE_WINDOW / 32 / 1024;
    for _ in 0..chunks {
        feed.data(&chunk).unwrap();
    }
    assert_eq!(feed.data(b"x"), Err(Overrun), "no byte beyond the window");
    assert!(peer.take().is_empty(), "what is not read is not given back");
    let mut read = vec![0; chunk.len() * usize::try_from(chunks).unwrap()];
    pipe.read_exact(&mut read).await.unwrap();
    let given: u32 = peer
        .take()
        .iter()
        .map(|packet| match Packet::parse(packet).unwrap() {
            Packet::WindowAdjust { recipient: 7, bytes } => bytes,
            other => panic!("{other:?}"),
        })
        .sum();
    assert_eq!(given, PIPE_WINDOW);
    feed.data(&chunk).unwrap();
    feed.eof();
    assert_eq!(feed.data(b"x"), Err(Overrun), "nothing follows the end");
    let mut rest = Vec::new();
    pipe.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest.len(), chunk.len());
}

#[tokio::test]
async fn a_writer_waits_for_the_peers_window() {
    let (peer, mut pipe, feed) = new(10);
    pipe.write_all(b"0123456789").await.unwrap();
    let sent = peer.take();
    assert!(matches!(Packet::parse(&sent[0]), Ok(Packet::Data { recipient: 7, length: 10, .. })));
    let more = tokio::spawn(async move { pipe.write(b"abc").await });
    tokio::task::yield_now().await;
    assert!(!more.is_finished());
    feed.adjust(2).unwrap();
    assert_eq!(more.await.unwrap().unwrap(), 2);
    assert_eq!(feed.adjust(u32::MAX), Ok(()));
    assert_eq!(feed.adjust(1), Err(Overrun), "a window never exceeds 32 bits");
}

#[tokio::test]
async fn a_peer_that_names_a_giant_window_and_reads_nothing_is_sent_little() {
    let (peer, mut pipe, _feed) = new(u32::MAX);
    let much = vec![0; PIPE_QUEUE_MAX];
    pipe.write_all(&much).await.unwrap();
    assert!(pipe.write(b"x").now_or_never().is_none());
    let more = tokio::spawn(async move { pipe.write(b"x").await });
    tokio::task::yield_now().await;
    drop(peer.take());
    assert_eq!(more.await.unwrap().unwrap(), 1, "what russh has taken makes room");
}

#[tokio::test]
async fn ends_are_said_once_and_wake_whoever_waits() {
    let (peer, mut pipe, feed) = new(0);
    let reading = tokio::spawn(async move {
        let read = pipe.read(&mut [0]).await;
        (read, pipe)
    });
    tokio::task::yield_now().await;
    feed.close();
    let (read, mut pipe) = reading.await.unwrap();
    assert_eq!(read.unwrap(), 0);
    assert_eq!(pipe.write(b"x").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    drop(pipe);
    let sent = peer.take();
    assert!(matches!(&sent[..], [close] if matches!(Packet::parse(close), Ok(Packet::Close { recipient: 7 }))));

    let (peer, mut pipe, _feed) = new(0);
    pipe.shutdown().await.unwrap();
    pipe.shutdown().await.unwrap();
    assert!(pipe.write(b"x").await.is_err());
    drop(pipe);
    let sent: Vec<u8> = peer.take().iter().map(|packet| packet[0]).collect();
    assert_eq!(sent, [crate::wire::number::EOF, crate::wire::number::CLOSE]);
}
