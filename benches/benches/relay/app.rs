//! The application behind every relay: it does what one byte tells it, over and over.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread::Builder;

use anyhow::Result;

/// Says this byte again.
pub(crate) const AGAIN: u8 = b'a';

/// Sends [`HALF`] bytes.
pub(crate) const SEND: u8 = b's';

/// Takes [`HALF`] bytes, and says this byte once it has them all.
pub(crate) const TAKE: u8 = b't';

/// Half of what a batch moves.
pub(crate) const HALF: usize = 16 * 1024 * 1024;

/// How much is read or written at once.
pub(crate) const CHUNK: usize = 64 * 1024;

/// What a thread's stack takes: there is one for each connection, and a thousand of those.
const STACK: usize = 128 * 1024;

/// Starts it on a port of its own; it ends with this process.
pub(crate) fn start() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let served = stream.and_then(|stream| Builder::new().stack_size(STACK).spawn(move || serve(stream)));
            if let Err(error) = served {
                eprintln!("the application: {error}");
            }
        }
    });
    Ok(port)
}

/// Serves one connection until its other end has gone, which is no failure.
fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut word, mut chunk) = ([0], Vec::new());
    loop {
        stream.read_exact(&mut word)?;
        // An idle session's is never made.
        if word != [AGAIN] {
            chunk.resize(CHUNK, 0);
        }
        match word {
            [SEND] => (0..HALF / CHUNK).try_for_each(|_| stream.write_all(&chunk))?,
            [TAKE] => {
                (0..HALF / CHUNK).try_for_each(|_| stream.read_exact(&mut chunk))?;
                stream.write_all(&word)?;
            }
            _ => stream.write_all(&word)?,
        }
    }
}
