//! Applications whose answers are two, or none: what belongs to one request never reaches another.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use anyhow::Result;

use super::scene::Scene;
use crate::world::resident;

const FORGED: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged";

/// Answers each request by its path, on connections that stay open.
fn application() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream).unwrap_or_default());
        }
    });
    Ok(port)
}

fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    let mut head = [0; 8192];
    loop {
        let n = stream.read(&mut head)?;
        let text = String::from_utf8_lossy(head.get(..n).unwrap_or_default()).into_owned();
        let Some(path) = text.split(' ').nth(1) else { return Ok(()) };
        let ok = "HTTP/1.1 200 OK\r\n";
        // In one piece, so that what is too much is there with the answer.
        let said = match path {
            "/fine" => format!("{ok}Content-Length: 4\r\n\r\nfine"),
            "/more" => format!("{ok}Content-Length: 2\r\n\r\nok{FORGED}"),
            "/both" => format!("{ok}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{FORGED}"),
            "/lengths" => format!("{ok}Content-Length: 2\r\nContent-Length: 80\r\n\r\nok{FORGED}"),
            "/sign" => format!("{ok}Content-Length: +2\r\n\r\nok{FORGED}"),
            "/bodiless" => format!("HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n{FORGED}"),
            "/unasked" => format!("HTTP/1.1 101 Switching Protocols\r\nUpgrade: foo\r\n\r\n{FORGED}"),
            "/status" => format!("HTTP/1.1 \r\n\r\n{FORGED}"),
            "/split" => format!("{ok}X-A: a\r\n b\r\nContent-Length: 2\r\n\r\nok"),
            "/chunks" => format!("{ok}Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nx"),
            "/endless" => {
                stream.write_all(ok.as_bytes())?;
                loop {
                    stream.write_all(&[b"X-A: ", "a".repeat(8000).as_bytes(), b"\r\n"].concat())?;
                }
            }
            _ => return Ok(()),
        };
        stream.write_all(said.as_bytes())?;
    }
}

#[test]
fn an_answer_is_one_answer() -> Result<()> {
    let scene = Scene::new()?;
    scene.put_app("bad", "dev", &format!("http://127.0.0.1:{}", application()?), "  answer_timeout: 3s\n")?;
    let proxy = scene.proxy("bad", &[])?;
    let get = |path: &str| scene.through(&proxy, &[&format!("http://bad{path}")]);
    assert_eq!(get("/fine")?.body, "fine");
    let before = resident(&scene.world)?;
    for path in [
        "/more",
        "/both",
        "/lengths",
        "/sign",
        "/bodiless",
        "/unasked",
        "/status",
        "/split",
        "/chunks",
        "/endless",
        "/gone",
    ] {
        // What is said wrongly may be an error of curl's as well; what is said is never the forged answer.
        if let Ok(said) = get(path) {
            assert!(!said.body.contains("forged") || path == "/status", "{path}: {said:?}");
        }
        for _ in 0..2 {
            let next = get("/fine")?;
            assert_eq!((next.status, next.body.as_str()), (200, "fine"), "after {path}");
        }
    }
    let grown = resident(&scene.world)?.saturating_sub(before);
    assert!(grown < 64 * 1024, "the gate grew by {grown} KiB");
    Ok(())
}
