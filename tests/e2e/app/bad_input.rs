//! Requests that try to be two, or none: each is refused or read in one way, and nothing forged goes on.

use std::io::{Read as _, Write as _};
use std::time::Instant;

use anyhow::{Result, anyhow};
use tapgate_client::gate_addr::{CaPin, GateAddr};
use tapgate_client::tls::{Alpn, Tls, install_provider};
use tapgate_model::tunnel;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::scene::Scene;
use crate::world::login_files;

/// A second request, in what should be the first one's body.
const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: open\r\n\r\n";

#[test]
fn a_request_is_one_request() -> Result<()> {
    let scene = Scene::new()?;
    let proxy = scene.proxy("open", &[])?;
    let hidden = HIDDEN.len();
    let refused = [
        "GET /x HTTP/1.1\r\nHost: open\r\nHost: evil\r\n\r\n".to_owned(),
        format!("POST /x HTTP/1.1\r\nHost: open\r\nContent-Length: 0\r\nContent-Length: {hidden}\r\n\r\n{HIDDEN}"),
        format!("POST /x HTTP/1.1\r\nHost: open\r\nContent-Length: +{hidden}\r\n\r\n{HIDDEN}"),
        format!("POST /x HTTP/1.1\r\nHost: open\r\nTransfer-Encoding: xchunked\r\n\r\n{HIDDEN}"),
        format!("POST /x HTTP/1.0\r\nHost: open\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{HIDDEN}"),
        "GET /x HTTP/1.1\r\nHost: open\r\nX-A: a\r\n b\r\n\r\n".to_owned(),
        "GET /x HTTP/1.1\r\nHost: open\r\nX-A : a\r\n\r\n".to_owned(),
        "GET http://evil/x HTTP/1.1\r\nHost: open\r\n\r\n".to_owned(),
        "GET /x HTTP/1.1\r\nHost: open\r\nConnection: Host\r\n\r\n".to_owned(),
        "GET /x HTTP/1.1\r\n\r\n".to_owned(),
        "CONNECT evil:80 HTTP/1.1\r\nHost: evil:80\r\n\r\n".to_owned(),
        "GET /x\r\n\r\n".to_owned(),
        "\u{0}\u{1}\u{2}\r\n\r\n".to_owned(),
    ];
    for request in &refused {
        let said = proxy.raw(request.as_bytes())?;
        let good = said.is_empty() || said.starts_with("HTTP/1.1 4") || said.starts_with("HTTP/1.0 4");
        assert!(good && said.matches("HTTP/1.").count() <= 1, "{request:?}\n{said}");
    }
    assert!(!scene.app.process().stdout().contains("asked"), "{}", scene.app.process().stdout());
    // What may be read in one way is read so, and what follows is no request.
    let read = [
        format!(
            "POST /x HTTP/1.1\r\nHost: open\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{HIDDEN}"
        ),
        format!("GET /x HTTP/1.1\r\nHost: open\r\nUpgrade: foo\r\nConnection: Upgrade\r\n\r\n{HIDDEN}"),
        format!("GET /x HTTP/1.1\r\nHost: open\r\n\r\n{HIDDEN}"),
        "GET /x HTTP/1.1\nHost: open\n\n".to_owned(),
        "POST /x HTTP/1.1\r\nHost: open\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".to_owned(),
    ];
    for request in &read {
        let said = proxy.raw(request.as_bytes())?;
        assert!(said.matches("HTTP/1.1 ").count() <= 1, "{request:?}\n{said}");
    }
    assert!(!scene.app.process().stdout().contains("/hidden"), "{}", scene.app.process().stdout());
    Ok(())
}

#[test]
fn floods_and_dawdling_are_ended() -> Result<()> {
    let scene = Scene::new()?;
    let proxy = scene.proxy("open", &[])?;
    let many = (0..300).map(|n| format!("X-{n}: a\r\n")).collect::<Vec<_>>().concat();
    let said = proxy.raw(format!("GET /x HTTP/1.1\r\nHost: open\r\n{many}\r\n").as_bytes())?;
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "{said}");
    let large = format!("GET /x HTTP/1.1\r\nHost: open\r\nX-A: {}\r\n\r\n", "a".repeat(256 << 10));
    let mut stream = proxy.connect()?;
    // The gate may hang up before all of it is there.
    stream.write_all(large.as_bytes()).unwrap_or_default();
    let mut said = String::new();
    stream.read_to_string(&mut said).map(drop).unwrap_or_default();
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "{said}");
    assert!(!scene.app.process().stdout().contains("asked"));

    // A head that comes letter by letter is waited for, but not for ever; a rest between requests is no dawdling.
    let begun = Instant::now();
    let mut slow = proxy.connect()?;
    slow.write_all(b"GET /ok HTTP/1.1\r\nHost: open\r\n\r\nGET /sl")?;
    let mut answered = Vec::new();
    slow.read_to_end(&mut answered).map(drop).unwrap_or_default();
    assert!(begun.elapsed().as_secs() < 30, "{:?}", begun.elapsed());
    // A body that is announced and does not come.
    let mut body = proxy.connect()?;
    body.write_all(b"POST /x HTTP/1.1\r\nHost: open\r\nContent-Length: 100\r\n\r\nten bytes.")?;
    let mut said = String::new();
    body.read_to_string(&mut said).map(drop).unwrap_or_default();
    assert!(begun.elapsed().as_secs() < 90 && !said.contains("HTTP/1.1 200"), "{said}");
    assert_eq!(proxy.curl(&scene.world.jerry, &["http://open/fine"])?.status, 200);
    Ok(())
}

#[test]
fn a_tunnel_that_names_nothing_leads_nowhere() -> Result<()> {
    let scene = Scene::new()?;
    let said = |alpn: &'static [u8], line: &str| in_tunnel(&scene, alpn, line);
    for alpn in [tunnel::APP, tunnel::TCP] {
        for line in
            ["GET / HTTP/1.1\r\n", "tapgate-to/1 ../x\n", "tapgate-to/2 open\n", &format!("{}\n", "x".repeat(500))]
        {
            let answer = said(alpn, line)?;
            assert!(answer.starts_with("refused "), "{line:?}: {answer}");
        }
        // What wants a tap is not opened by a login's certificate, and what is nobody's has the same answer as ever.
        assert!(said(alpn, "tapgate-to/1 dash\n")?.starts_with("refused MFA is required to access Application"));
        assert!(said(alpn, "tapgate-to/1 nobody\n")?.starts_with("refused access to \"nobody\" denied"));
    }
    assert!(said(tunnel::TCP, "tapgate-to/1 open\n")?.contains("is no TCP application"));
    Ok(())
}

/// What the gate says in a tunnel with jerry's login certificate that begins with this line.
fn in_tunnel(scene: &Scene, alpn: &'static [u8], line: &str) -> Result<String> {
    install_provider();
    let gate: GateAddr = scene.world.address.parse().map_err(|e| anyhow!("{e}"))?;
    let pin: CaPin = scene.world.pin.parse().map_err(|e| anyhow!("{e}"))?;
    let files = login_files(&scene.world, &scene.world.jerry);
    let tls = Tls::with_login(gate, &pin, &files).map_err(|e| anyhow!("{e}"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let talk = async {
        let mut stream = tls.connect(Alpn::Tunnel(alpn)).await.map_err(|e| anyhow!("{e}"))?;
        stream.write_all(line.as_bytes()).await?;
        let mut said = Vec::new();
        // What is cut off has said all that it will.
        stream.read_to_end(&mut said).await.map(drop).unwrap_or_default();
        Ok(String::from_utf8_lossy(&said).into_owned())
    };
    runtime.block_on(async { tokio::time::timeout(super::scene::EXCHANGE, talk).await })?
}
