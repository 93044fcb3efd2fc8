//! What any program between two others costs: bytes are copied, and nothing is opened or looked at.

use std::net::TcpListener;

use anyhow::Result;
use tokio::net::TcpStream;

/// Starts one before this port, in threads of its own, until this program ends.
pub(crate) fn start(to: u16) -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let port = listener.local_addr()?.port();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    std::thread::spawn(move || runtime.block_on(copy(listener, to)));
    Ok(port)
}

#[expect(clippy::disallowed_methods, reason = "no gate is involved")]
async fn copy(listener: TcpListener, to: u16) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (mut client, _) = listener.accept().await?;
        let mut server = TcpStream::connect(("127.0.0.1", to)).await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        tokio::spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut server).await });
    }
}
