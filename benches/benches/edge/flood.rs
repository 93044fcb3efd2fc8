//! A flood of handshakes that stall: they come evenly for as long as the gate bears one, from many addresses.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Result, anyhow};
use tapgate_benches::process::allow_files;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpSocket;
use tokio::time::{MissedTickBehavior, interval};

/// How many there are within the time that the gate gives one.
pub(crate) const COUNT: u32 = 10_000;

/// How many come at once, so that all have come within ten seconds.
const AT_ONCE: u32 = 10;
const EVERY: Duration = Duration::from_millis(10);

/// How many of one address: fewer than the gate bears.
const OF_ONE: u32 = 60;

/// The begin of a TLS record that announces more than it brings.
const HALF: &[u8] = &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03];

/// A flood under way.
pub(crate) struct Flood {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Result<()>>,
}

impl Flood {
    /// Begins it.
    pub(crate) fn begin(to: SocketAddr) -> Result<Self> {
        allow_files()?;
        let over = Arc::<AtomicBool>::default();
        let end = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(come(to, &end))
        });
        Ok(Self { over, thread })
    }

    /// Ends it.
    pub(crate) fn end(self) -> Result<()> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the flood broke"))?
    }
}

#[expect(clippy::disallowed_methods, reason = "the benches are the gate's clients")]
async fn come(to: SocketAddr, over: &AtomicBool) -> Result<()> {
    let (mut held, mut ticks) = (Vec::new(), interval(EVERY));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for n in 0..COUNT {
        if over.load(Ordering::Relaxed) {
            break;
        }
        if n.is_multiple_of(AT_ONCE) {
            ticks.tick().await;
        }
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddrV4::new(Ipv4Addr::from(0x7f01_0000 + n / OF_ONE), 0).into())?;
        let mut stream = socket.connect(to).await?;
        // Who is pushed out already does not read it.
        stream.write_all(HALF).await.unwrap_or_default();
        held.push(stream);
    }
    while !over.load(Ordering::Relaxed) {
        ticks.tick().await;
    }
    Ok(())
}
