//! `tap proxy app`: curl, scripts and gRPC clients at a socket or a port of this machine.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use tapgate_lab::{GrpcApp, Nginx, own_binary, program};

use super::scene::{EXCHANGE, Scene, answer};
use crate::world::text;

#[test]
fn requests_at_a_socket_are_one_session_under_one_tap() -> Result<()> {
    let scene = Scene::new()?;
    let mark = scene.world.mark();
    let proxy = scene.proxy("dash", &[])?;
    assert!(proxy.process.stderr().contains("MFA is required to access Application \"dash\""));
    assert_eq!(std::fs::metadata(&proxy.socket)?.permissions().mode() & 0o777, 0o600);
    for path in ["/one", "/two"] {
        let page = proxy.curl(&scene.world.jerry, &[&format!("http://dash{path}")])?;
        assert!(page.status == 200 && page.body.contains(&format!("at {path}")), "{page:?}");
    }
    let starts =
        |n: usize| scene.world.records().iter().skip(mark).filter(|r| text(r, "event") == "session.start").count() == n;
    assert!(starts(1), "two connections, one session");
    let start = scene.world.await_record(mark, "session.start", |record| text(record, "target") == "dash")?;
    assert_eq!((text(&start, "door"), text(&start, "user")), ("certificate", "jerry"));
    assert!(text(&start["tap"], "proof").len() > 100, "{start}");
    // Within the window a second proxy needs no tap: the agent signs its handshakes.
    let second = scene.proxy("dash", &[])?;
    assert_eq!(second.process.stderr(), "");
    assert_eq!(second.curl(&scene.world.jerry, &["http://dash/three"])?.status, 200);
    proxy.stop()?;
    second.stop()?;
    // Without a tap there is nothing: the login's certificate alone opens no tunnel to it.
    let thief = scene.world.jerry.clone().without_key();
    thief.tap(["logout"])?.success()?;
    Ok(())
}

#[test]
fn the_application_learns_who_it_is_and_nothing_forged() -> Result<()> {
    let scene = Scene::new()?;
    let more = "  rewrite:\n    jwt_claims: roles\n    redirect: [internal.example]\n    headers:\n      - 'X-Environment: {{internal.user}} here'\n      - { name: Authorization, value: 'Bearer {{internal.jwt}}' }\n";
    scene.put_app("open", "dev", &format!("http://127.0.0.1:{}", scene.app.http), more)?;
    let proxy = scene.proxy("open", &[])?;
    let forged = [
        "Tapgate-User: root",
        "tapgate_user: root",
        "Tapgate-Jwt: x",
        "Tapgate-Roles: admin",
        "X-Forwarded-For: 1.2.3.4",
        "X-Forwarded-Host: evil",
        "Forwarded: for=1.2.3.4",
        "X-Real-IP: 1.2.3.4",
        "X-Environment: forged",
        "Cookie: own=1; __Host-tapgate-app=stolen",
        "Host: evil.example",
        "Connection: tapgate-user, x-environment",
    ];
    let mut words: Vec<&str> = forged.iter().flat_map(|line| ["-H", line]).collect();
    words.push("http://open/headers");
    let seen = proxy.curl(&scene.world.jerry, &words)?.json()?;
    let all = |name: &str| -> Vec<String> {
        let lines = seen["headers"].as_array().cloned().unwrap_or_default();
        let of = |line: &Value| (line[0] == name).then(|| line[1].as_str().unwrap_or_default().to_owned());
        lines.iter().filter_map(of).collect()
    };
    assert_eq!(all("tapgate-user"), ["jerry"]);
    assert_eq!(all("tapgate-roles"), ["access-dev,access-prod"]);
    assert_eq!(all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(all("x-forwarded-proto"), ["https"]);
    assert_eq!(all("x-environment"), ["jerry here"]);
    assert_eq!(all("cookie"), ["own=1"]);
    assert_eq!(all("host"), [scene.host("open")?]);
    assert_eq!(all("x-forwarded-host"), all("host"));
    for gone in ["tapgate_user", "forwarded", "x-real-ip"] {
        assert_eq!(all(gone), Vec::<String>::new(), "{gone}");
    }
    let token = all("tapgate-jwt").pop().context("no signed identity")?;
    assert_eq!(all("authorization"), [format!("Bearer {token}")]);
    verify(&scene, &token)?;

    let moved = proxy.curl(&scene.world.jerry, &["http://open/moved"])?;
    assert_eq!(moved.header("location"), scene.url("open", "/there?a=b")?);
    let cookies = proxy.curl(&scene.world.jerry, &["http://open/cookies"])?;
    assert_eq!(cookies.head.to_ascii_lowercase().matches("set-cookie").count(), 1, "{cookies:?}");
    assert_eq!(cookies.header("set-cookie"), "own=1");
    Ok(())
}

/// Whether the gate's published key has signed this, for this application.
fn verify(scene: &Scene, token: &str) -> Result<()> {
    let keys = scene.curl(&[&format!("https://{}/.well-known/jwks.json", scene.world.address)])?.json()?;
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part);
    let coordinate = |name: &str| decode(keys["keys"][0][name].as_str().unwrap_or_default());
    let point = [vec![4], coordinate("x")?, coordinate("y")?].concat();
    let (signed, signature) = token.rsplit_once('.').context("no token")?;
    let key = aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED, point);
    key.verify(signed.as_bytes(), &decode(signature)?).context("the signature is wrong")?;
    let body: Value = serde_json::from_slice(&decode(signed.split('.').nth(1).unwrap_or_default())?)?;
    assert_eq!((body["sub"].as_str(), body["aud"].as_str()), (Some("jerry"), Some(scene.url("open", "")?.as_str())));
    assert_eq!(body["roles"], serde_json::json!(["access-dev", "access-prod"]));
    Ok(())
}

#[test]
fn large_bodies_events_and_requests_side_by_side_pass() -> Result<()> {
    let scene = Scene::new()?;
    let proxy = scene.proxy("open", &[])?;
    let socket = proxy.socket.display().to_string();
    let curl = |words: &[&str]| -> Result<String> {
        let fixed = ["-s", "--max-time", "60", "--unix-socket", &socket];
        let ran = scene.world.jerry.start(&program("curl", "curl")?, fixed.into_iter().chain(words.iter().copied()))?;
        Ok(ran.finish(EXCHANGE * 2)?.success()?.stdout)
    };
    assert_eq!(curl(&["-o", "/dev/null", "-w", "%{size_download}", "http://open/large"])?, (64 << 20).to_string());
    let file = scene.world.lab.path().join("large");
    std::fs::write(&file, vec![7; 32 << 20])?;
    let upload = format!("@{}", file.display());
    for way in [
        &["--data-binary", &upload][..],
        &["-T", &upload[1..], "-H", "Transfer-Encoding: chunked", "-H", "Expect: 100-continue"],
    ] {
        let said: Value = serde_json::from_str(&curl(&[way, &["http://open/up"]].concat())?)?;
        assert_eq!(said["size"].as_u64(), Some(32 << 20), "{way:?}");
    }
    // Events come one by one, as they are sent.
    let mut stream = proxy.connect()?;
    stream.write_all(b"GET /events HTTP/1.1\r\nHost: open\r\nAccept: text/event-stream\r\n\r\n")?;
    let mut times = Vec::new();
    for line in BufReader::new(stream).lines() {
        let line = line?;
        if line.starts_with("data: ") {
            times.push(Instant::now());
        }
        if times.len() == 3 {
            break;
        }
    }
    let (first, last) = (times.first().context("no event")?, times.last().context("no event")?);
    assert!(last.duration_since(*first) > Duration::from_millis(400), "they came together");
    // HTTP/2 without TLS of its own, which gRPC clients speak at a socket: many requests on one connection.
    let uri = format!("--base-uri=unix:{socket}");
    let words = ["-n", "60", "-c", "2", "-m", "10", &uri, "http://open/a"];
    let ran = scene.world.jerry.start(&program("h2load", "nghttp2-client")?, words)?.finish(EXCHANGE)?.success()?;
    assert!(ran.stdout.contains("60 succeeded") && ran.stdout.contains("60 2xx"), "{ran}");
    Ok(())
}

#[test]
fn grpc_passes_with_its_trailers() -> Result<()> {
    let scene = Scene::new()?;
    let server = GrpcApp::start(&scene.world.lab)?;
    scene.put_app("rpc", "prod", &format!("http://127.0.0.1:{}", server.port), "")?;
    let proxy = scene.proxy("rpc", &[])?;
    let called = GrpcApp::call(&scene.world.lab, &format!("unix:{}", proxy.socket.display()))?.success()?;
    assert_eq!(called.stdout, "hello from jerry there\n5 answers\n");
    Ok(())
}

#[test]
fn a_port_wants_the_runs_secret_and_its_own_name() -> Result<()> {
    let scene = Scene::new()?;
    let process =
        scene.world.jerry.start(&own_binary("tap")?, ["proxy", "app", "open", "--port", "0", "--format", "json"])?;
    let address = process.wait_for_line("the address", |line| {
        line.split_once("\"address\": \"")?.1.strip_suffix("\",").map(str::to_owned)
    })?;
    let file = process.wait_for_line("the header's file", |line| {
        line.split_once("\"header_file\": \"")?.1.strip_suffix('"').map(str::to_owned)
    })?;
    assert_eq!(std::fs::metadata(&file)?.permissions().mode() & 0o777, 0o600);
    let header = std::fs::read_to_string(&file)?;
    let secret = header.trim().strip_prefix("Tap-Proxy-Secret: ").context("no header")?.to_owned();
    let url = format!("http://{address}/headers");
    let curl = |words: &[&str]| -> Result<super::scene::Answer> {
        let fixed = ["-s", "-i", "--max-time", "30"];
        let ran = scene.world.jerry.start(&program("curl", "curl")?, fixed.into_iter().chain(words.iter().copied()))?;
        answer(&ran.finish(EXCHANGE)?.success()?.stdout)
    };
    assert_eq!(curl(&[&url])?.status, 401);
    assert_eq!(curl(&["-H", "Tap-Proxy-Secret: x", &url])?.status, 401);
    let named = format!("@{file}");
    assert_eq!(curl(&["-H", &named, "-H", "Host: evil.example", &url])?.status, 421);
    assert!(!scene.app.process().stdout().contains("asked"), "nothing has reached the application");
    for good in [vec!["-H", &named], vec!["-u", &format!("any:{secret}")], vec!["--oauth2-bearer", &secret]] {
        let seen = curl(&[&good[..], &[&url]].concat())?;
        assert_eq!(seen.status, 200, "{seen:?}");
        assert!(!seen.body.contains(&secret), "the application sees the secret");
    }
    assert!(!process.stderr().contains(&secret) && !process.stdout().contains(&secret), "the secret is on the screen");
    drop(process);
    Ok(())
}

#[test]
fn nginx_is_an_application_and_applications_are_listed() -> Result<()> {
    let scene = Scene::new()?;
    let nginx = Nginx::start(&scene.world.lab)?;
    scene.put_app(
        "web",
        "dev",
        &format!("http://127.0.0.1:{}", nginx.port),
        "  public_addr: web.localhost\n  audit_requests: true\n",
    )?;
    scene.put_app(
        "broker",
        "prod",
        "tcp://127.0.0.1",
        "  tcp_ports: [{port: 5671}, {port: 6000, end_port: 6010}]\n",
    )?;
    let listed = scene.world.jerry.tap(["app", "ls"])?.success()?.stdout;
    // Nobody listens at the broker's port, which is seen after a while.
    let listed = listed.replace("  down: connection refused", "");
    let port = scene.world.address.rsplit_once(':').context("an address has a port")?.1;
    let expected = format!(
        "broker (env=prod)  tcp 5671,6000-6010                 MFA\ndash (env=prod)    https://dash.apps.localhost:{port}  MFA\n\
         open (env=dev)     https://open.apps.localhost:{port}\nweb (env=dev)      https://web.localhost:{port}\n"
    );
    assert_eq!(listed, expected);
    let proxy = scene.proxy("web", &[])?;
    let mark = scene.world.mark();
    let page = proxy.curl(&scene.world.jerry, &["http://web/a/b?token=secret"])?;
    assert_eq!(page.body, format!("nginx for web.localhost:{port} as jerry\n"));
    let request = scene.world.await_record(mark, "session.request", |_| true)?;
    assert_eq!(
        (text(&request, "method"), text(&request, "path"), request["status"].as_u64()),
        ("GET", "/a/b", Some(200))
    );
    // A name of its own has a certificate of its own, made when it is asked for, and is gone with its resource.
    let named = format!("https://web.localhost:{port}/");
    assert_eq!(scene.curl(&["-H", "Accept: text/html", &named])?.status, 302);
    scene.world.olga.tapctl(["rm", "app/web"])?.success()?;
    assert!(scene.curl(&[&named]).is_err(), "the name is nobody's");
    let mut rest = String::new();
    proxy.connect()?.read_to_string(&mut rest)?;
    assert_eq!(rest, "", "its session is over");
    Ok(())
}
