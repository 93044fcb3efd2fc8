//! Requests that try to be two, or none: each is refused or read in one way, and nothing forged goes on.

use std::io::{Read as _, Write as _};
use std::time::Instant;

use anyhow::Result;

use super::scene::Scene;

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
    let many: String = (0..300).map(|n| format!("X-{n}: a\r\n")).collect();
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
    let files = crate::world::login_files(&scene.world, &scene.world.jerry);
    let (certificate, key) = (files.tls_certificate.display().to_string(), files.tls_key.display().to_string());
    let said = |alpn: &str, line: &str| -> Result<String> {
        let words = ["s_client", "-quiet", "-connect", &scene.world.address, "-servername", "localhost", "-alpn", alpn];
        let with = ["-cert", &certificate, "-key", &key];
        let openssl = tapgate_lab::program("openssl", "openssl")?;
        let mut process = scene.world.jerry.start(&openssl, words.into_iter().chain(with))?;
        process.write(line.as_bytes())?;
        Ok(process.finish(super::scene::EXCHANGE)?.stdout)
    };
    for alpn in ["tapgate-app", "tapgate-tcp"] {
        for line in
            ["GET / HTTP/1.1\r\n", "tapgate-to/1 ../x\n", "tapgate-to/2 open\n", &format!("{}\n", "x".repeat(500))]
        {
            let answer = said(alpn, line)?;
            assert!(answer.starts_with("refused "), "{alpn} {line:?}: {answer}");
        }
        // What wants a tap is not opened by a login's certificate, and what is nobody's has the same answer as ever.
        assert!(said(alpn, "tapgate-to/1 dash\n")?.starts_with("refused MFA is required to access Application"));
        assert!(said(alpn, "tapgate-to/1 nobody\n")?.starts_with("refused access to \"nobody\" denied"));
    }
    assert!(said("tapgate-tcp", "tapgate-to/1 open\n")?.contains("is no TCP application"));
    Ok(())
}
