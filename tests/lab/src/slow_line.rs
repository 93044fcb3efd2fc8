//! A TCP line of a given length: what goes in at one end comes out at the other one that much later.
//!
//! It keeps order and loses nothing; its width is the machine's own. So it shows what waiting costs, and nothing else.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// How much is read at once.
const CHUNK: usize = 64 * 1024;

/// How many chunks may be on their way: far more than any peer's window, so that only time holds anything up.
const CHUNKS_MAX: usize = 4096;

/// A line to one address. Dropping it closes its near end; connections end with their peers.
#[derive(Debug)]
pub struct SlowLine {
    address: SocketAddr,
    closing: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl SlowLine {
    /// A line to `to` on which a byte takes `one_way`, in either direction.
    pub fn start(to: SocketAddr, one_way: Duration) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen on loopback")?;
        let address = listener.local_addr()?;
        let closing = Arc::new(AtomicBool::new(false));
        let acceptor = thread::spawn({
            let closing = Arc::clone(&closing);
            move || {
                for near in listener.incoming().flatten() {
                    if closing.load(Ordering::SeqCst) {
                        return;
                    }
                    if let Err(error) = join(&near, to, one_way) {
                        eprintln!("lab: a slow line was not joined: {error}");
                    }
                }
            }
        });
        Ok(Self { address, closing, acceptor: Some(acceptor) })
    }

    /// Its near end.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for SlowLine {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::SeqCst);
        // The acceptor sees the mark at its next connection, which is this one.
        #[expect(clippy::disallowed_methods, reason = "the lab reaches its own listener")]
        let woken = TcpStream::connect(self.address);
        if let (Ok(_), Some(acceptor)) = (woken, self.acceptor.take()) {
            acceptor.join().unwrap_or_default();
        }
    }
}

fn join(near: &TcpStream, to: SocketAddr, one_way: Duration) -> std::io::Result<()> {
    #[expect(clippy::disallowed_methods, reason = "the lab reaches its own servers")]
    let far = TcpStream::connect(to)?;
    for (from, to) in [(near, &far), (&far, near)] {
        let (from, to) = (from.try_clone()?, to.try_clone()?);
        to.set_nodelay(true)?;
        let (sender, receiver) = sync_channel(CHUNKS_MAX);
        thread::spawn(move || take(from, &sender));
        thread::spawn(move || give(to, &receiver, one_way));
    }
    Ok(())
}

/// What was taken, and when; nothing is the end.
type Chunk = (Instant, Vec<u8>);

fn take(mut from: TcpStream, sender: &SyncSender<Chunk>) {
    let mut buffer = vec![0; CHUNK];
    loop {
        let read = from.read(&mut buffer).ok().and_then(|length| buffer.get(..length)).unwrap_or_default();
        if sender.send((Instant::now(), read.to_vec())).is_err() || read.is_empty() {
            return;
        }
    }
}

fn give(mut to: TcpStream, receiver: &Receiver<Chunk>, one_way: Duration) {
    while let Ok((taken, bytes)) = receiver.recv() {
        thread::sleep(one_way.saturating_sub(taken.elapsed()));
        if bytes.is_empty() || to.write_all(&bytes).is_err() {
            break;
        }
    }
    // A peer that is gone needs no end.
    to.shutdown(Shutdown::Write).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_take_their_time_in_either_direction_and_all_arrive() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let line = SlowLine::start(server.local_addr().unwrap(), Duration::from_millis(30)).unwrap();
        #[expect(clippy::disallowed_methods, reason = "the test reaches its own listener")]
        let mut client = TcpStream::connect(line.address()).unwrap();
        let (mut far, _) = server.accept().unwrap();
        let begun = Instant::now();
        client.write_all(&vec![7; 300_000]).unwrap();
        let mut heard = vec![0; 300_000];
        far.read_exact(&mut heard).unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(30));
        far.write_all(b"x").unwrap();
        client.read_exact(&mut heard[..1]).unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(60), "{:?}", begun.elapsed());
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(far.read(&mut heard).unwrap(), 0);
    }
}
