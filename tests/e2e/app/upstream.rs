//! Applications that do not answer, cut, lie or are others: a clear page, and certificates that are looked at.

use std::time::{Duration, Instant};

use anyhow::Result;
use tapgate_lab::{AppTls, PythonApp, app_identity, own_binary};

use super::scene::Scene;

#[test]
fn what_goes_wrong_behind_the_gate_is_told_in_words() -> Result<()> {
    let scene = Scene::new()?;
    let at = format!("http://127.0.0.1:{}", scene.app.http);
    scene.put_app("open", "dev", &at, "  answer_timeout: 2s\n")?;
    let proxy = scene.proxy("open", &[])?;
    let check = |path: &str, status: u16, words: &str| -> Result<()> {
        let page = proxy.curl(&scene.world.jerry, &["-H", "Accept: text/html", &format!("http://open{path}")])?;
        assert_eq!((page.status, page.header("content-type")), (status, "text/html; charset=utf-8"), "{page:?}");
        assert!(page.body.contains("Application &quot;open&quot;") && page.body.contains(words), "{page:?}");
        let json = proxy.curl(&scene.world.jerry, &[&format!("http://open{path}")])?;
        assert!(json.json()?["message"].as_str().unwrap_or_default().contains(words), "{json:?}");
        Ok(())
    };
    let begun = Instant::now();
    check("/silent", 504, "gave no answer in time")?;
    assert!(begun.elapsed() < Duration::from_secs(20));
    check("/cut", 502, "ended the connection")?;
    check("/garbage", 502, "that is no HTTP")?;
    // One that breaks off in the middle can't be mended, and is not taken for whole.
    let half = proxy.curl(&scene.world.jerry, &["http://open/half"]);
    assert!(half.is_err(), "{half:?}");
    assert_eq!(proxy.curl(&scene.world.jerry, &["http://open/after"])?.status, 200, "the session goes on");

    scene.put_app("down", "dev", "http://127.0.0.1:1", "")?;
    let down = scene.proxy("down", &[])?;
    let refused = down.curl(&scene.world.jerry, &["http://down/"]);
    assert!(refused.is_err(), "{refused:?}");
    down.process.wait_for_error("Application \"down\" cannot be reached: connection refused")?;
    Ok(())
}

#[test]
fn the_applications_certificate_is_verified_and_ours_is_shown() -> Result<()> {
    let scene = Scene::new()?;
    let (certificate, key) = app_identity(&scene.world.lab)?;
    let pem = std::fs::read_to_string(&certificate)?;
    let clients = std::process::Command::new(own_binary("tapgate")?)
        .args(["ca", "--config", &scene.world.config.display().to_string(), "--databases"])
        .output()?;
    assert!(clients.status.success(), "{}", String::from_utf8_lossy(&clients.stderr));
    let clients = scene.world.lab.write("clients.pem", &String::from_utf8(clients.stdout)?)?;
    let identity = Some((certificate, key));
    let tls = PythonApp::start(&scene.world.lab, &AppTls { identity: identity.clone(), clients: None })?;
    let mutual = PythonApp::start(&scene.world.lab, &AppTls { identity, clients: Some(clients) })?;
    let ca = format!("    ca_cert: |\n      {}\n", pem.trim().replace('\n', "\n      "));
    let own = format!("  tls:\n    server_name: localhost\n{ca}");
    let (plain, asks) = (format!("https://127.0.0.1:{}", tls.http), format!("https://127.0.0.1:{}", mutual.http));
    for (name, uri, more) in [
        ("trusted", &plain, own.clone()),
        ("unknown", &plain, String::new()),
        ("other-name", &plain, own.replace("server_name: localhost", "server_name: other.example")),
        ("careless", &plain, "  insecure_skip_verify: true\n".to_owned()),
        ("mutual", &asks, format!("{own}    client_certificate: true\n")),
        ("nameless", &asks, own.clone()),
    ] {
        scene.put_app(name, "dev", uri, &more)?;
    }
    let get = |name: &str| -> Result<(u16, String)> {
        let proxy = scene.proxy(name, &[])?;
        let answer = proxy.curl(&scene.world.jerry, &["http://a/headers"])?;
        Ok((answer.status, answer.body))
    };
    for good in ["trusted", "careless"] {
        assert_eq!(get(good)?.0, 200, "{good}");
    }
    for bad in ["unknown", "other-name"] {
        let (status, body) = get(bad)?;
        assert!(status == 502 && body.contains("did not prove that it is the right one"), "{bad}: {body}");
    }
    let (status, body) = get("mutual")?;
    assert!(status == 200 && body.contains("\"certificate\": \"jerry\""), "{body}");
    assert_eq!(get("nameless")?.0, 502);
    Ok(())
}
